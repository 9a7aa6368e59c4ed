//! Growing and shrinking soft masks by a round brush.

use rayon::prelude::*;

use super::Mask;

/// Rows one task works on at least; less would mostly repeat its neighbours' work.
const BAND: usize = 64;

/// Every value becomes the largest within `radius` pixels (a Euclidean disc): a soft edge moves outwards as it is, and
/// what is further than `radius` from anything but 0 stays exactly 0.
pub fn grow(mask: &Mask, radius: usize) -> Mask {
    let mut out = mask.clone();
    let support = mask.support();
    if radius == 0 || support.width == 0 {
        return out;
    }
    let rect = support.grown(radius, mask.width(), mask.height());
    let grown = largest_around(&mask.crop(rect), radius);
    for y in 0..rect.height {
        out.row_mut(rect.y + y)[rect.x..rect.x + rect.width].copy_from_slice(grown.row(y));
    }
    out
}

/// Every value becomes the smallest within `radius` pixels of the picture: a soft edge moves inwards as it is. The
/// picture's own edge takes nothing away.
pub fn erode(mask: &Mask, radius: usize) -> Mask {
    if radius == 0 {
        return mask.clone();
    }
    largest_around(&mask.map(|v| -v), radius).map(|v| -v)
}

/// The largest value within `radius` of each place, by a disc made of rows: a window over each row, of the disc's width
/// at that distance, and the largest over rows. Windows of any width come from two that are a power of two wide.
fn largest_around(mask: &Mask, radius: usize) -> Mask {
    let (width, height) = (mask.width(), mask.height());
    // Half the disc's width at each row distance.
    let half: Vec<usize> = (0..=radius).map(|dy| chord(radius, dy)).collect();
    let mut out = Mask::new(width, height, f32::NEG_INFINITY);
    let band = BAND.max(radius).min(height.max(1));
    out.data_mut()
        .par_chunks_mut((band * width).max(1))
        .enumerate()
        .for_each_init(
            || Windows::new(width, radius),
            |windows, (index, out)| {
                let top = index * band;
                let bottom = top + out.len() / width;
                for y in top.saturating_sub(radius)..(bottom + radius).min(height) {
                    windows.set(mask.row(y));
                    for (dy, &half) in half.iter().enumerate() {
                        let above = y.checked_sub(dy).filter(|_| dy > 0);
                        for target in above.into_iter().chain([y + dy]) {
                            if (top..bottom).contains(&target) {
                                let start = (target - top) * width;
                                windows.raise(half, &mut out[start..start + width]);
                            }
                        }
                    }
                }
            },
        );
    out
}

/// The largest whole `x` with x² + dy² ≤ radius².
fn chord(radius: usize, dy: usize) -> usize {
    (radius * radius - dy * dy).isqrt()
}

/// Largest values of one row over windows of 1, 2, 4 … places.
struct Windows {
    /// Places added on each side, so that no window ends inside the row.
    margin: usize,
    /// `levels[k][i]` is the largest of `row[i..i + 2^k]`, with the margin.
    levels: Vec<Vec<f32>>,
}

impl Windows {
    fn new(width: usize, radius: usize) -> Self {
        let longest = 2 * radius + 1;
        let padded = width + 2 * radius;
        let levels = (0..=longest.ilog2())
            .map(|_| vec![f32::NEG_INFINITY; padded])
            .collect();
        Self {
            margin: radius,
            levels,
        }
    }

    fn set(&mut self, row: &[f32]) {
        self.levels[0][self.margin..self.margin + row.len()].copy_from_slice(row);
        for k in 1..self.levels.len() {
            let step = 1 << (k - 1);
            let (done, rest) = self.levels.split_at_mut(k);
            let below = &done[k - 1];
            for (o, (&a, &b)) in rest[0].iter_mut().zip(below.iter().zip(&below[step..])) {
                *o = a.max(b);
            }
        }
    }

    /// Raises `out` to the largest value within `half` places left and right.
    fn raise(&self, half: usize, out: &mut [f32]) {
        let length = 2 * half + 1;
        let k = length.ilog2() as usize;
        let level = &self.levels[k];
        let first = self.margin - half;
        let second = first + length - (1 << k);
        let (a, b) = (&level[first..], &level[second..]);
        for (o, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
            *o = o.max(a.max(b));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word for word.
    fn slow(mask: &Mask, radius: usize, pick: impl Fn(f32, f32) -> f32) -> Mask {
        Mask::from_fn(mask.width(), mask.height(), |x, y| {
            let mut value = mask.at(x, y);
            for sy in 0..mask.height() {
                for sx in 0..mask.width() {
                    let (dx, dy) = (sx.abs_diff(x), sy.abs_diff(y));
                    if dx * dx + dy * dy <= radius * radius {
                        value = pick(value, mask.at(sx, sy));
                    }
                }
            }
            value
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn both_are_what_they_say(
            w in 1usize..40, h in 1usize..90, radius in 0usize..14,
            points in proptest::collection::vec((0usize..40, 0usize..90, 0f32..=1.0), 0..6),
        ) {
            let mut mask = Mask::new(w, h, 0.0);
            for (x, y, v) in points {
                mask.set(x % w, y % h, v);
            }
            prop_assert_eq!(grow(&mask, radius), slow(&mask, radius, f32::max));
            let full = mask.map(|v| 1.0 - v);
            prop_assert_eq!(erode(&full, radius), slow(&full, radius, f32::min));
        }
    }

    #[test]
    fn a_brush_wider_than_the_picture_is_fine() {
        let mut mask = Mask::new(5, 1, 0.0);
        mask.set(1, 0, 0.5);
        assert_eq!(grow(&mask, 256), Mask::new(5, 1, 0.5));
        assert_eq!(erode(&mask, 256), Mask::new(5, 1, 0.0));
        assert_eq!(erode(&Mask::default(), 3), Mask::default());
    }
}
