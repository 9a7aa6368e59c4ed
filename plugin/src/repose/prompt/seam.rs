//! Bringing a model's colours to the picture's at the edge of an edit.

use crate::canvas::{Grid, Image, Mask, gaussian_blur};

/// The finest blur of the correction, in pixels: what is finer is texture, which the model and the picture each have
/// their own of.
const FINEST: f32 = 4.0;
/// Weight of the known from which a blur is believed wholly.
const ENOUGH: f32 = 0.15;

/// Adds to `result` what it lacks against `picture` outside `edit`, carried smoothly into the edit: a model's encoder
/// and decoder shift colours a little, and a step at the seam would show. All three have the same size; where `edit` is 1
/// everywhere nothing is known and nothing changes.
pub fn match_colour(picture: &Image, result: &Image, edit: &Mask) -> Image {
    let (width, height) = (picture.width(), picture.height());
    let known = edit.map(|v| f32::from(u8::from(*v <= 0.0)));
    let lack = Grid::from_fn(width, height, |x, y| {
        let (p, r, k) = (picture.at(x, y), result.at(x, y), known.at(x, y));
        std::array::from_fn(|c| (p[c] - r[c]) * k)
    });
    let count: f32 = known.data().iter().sum();
    if count <= 0.0 {
        return result.clone();
    }
    // Coarse to fine: a mean of all that is known, then ever nearer means where enough is known near by.
    let mean: [f32; 3] =
        std::array::from_fn(|c| lack.data().iter().map(|v| v[c]).sum::<f32>() / count);
    let mut field = Image::new(width, height, mean);
    let mut sigma = width.max(height) as f32 / 4.0;
    while sigma >= FINEST {
        let (sum, weight) = (gaussian_blur(&lack, sigma), gaussian_blur(&known, sigma));
        for ((out, sum), weight) in field
            .data_mut()
            .iter_mut()
            .zip(sum.data())
            .zip(weight.data())
        {
            let belief = (weight / ENOUGH).min(1.0);
            for c in 0..3 {
                let near = sum[c] / weight.max(1e-6);
                out[c] += belief * (near - out[c]);
            }
        }
        sigma /= 2.0;
    }
    Grid::from_fn(width, height, |x, y| {
        let (r, f) = (result.at(x, y), field.at(x, y));
        std::array::from_fn(|c| r[c] + f[c])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that shifts colours, more to the right: at the seam nothing of the shift is left.
    #[test]
    fn a_shift_of_colour_is_undone() {
        let (width, height) = (160, 120);
        let picture = Image::from_fn(width, height, |x, y| {
            [x as f32 / 200.0, y as f32 / 200.0, 0.4]
        });
        let shift = |x: usize| [0.05 + x as f32 * 2e-4, -0.04, 0.02];
        let result = Image::from_fn(width, height, |x, y| {
            let (p, s) = (picture.at(x, y), shift(x));
            std::array::from_fn(|c| p[c] + s[c])
        });
        let edit = Mask::from_fn(width, height, |x, y| {
            f32::from(u8::from((50..110).contains(&x) && (40..80).contains(&y)))
        });
        let matched = match_colour(&picture, &result, &edit);
        for y in 40..80 {
            for x in 50..110 {
                let (p, m) = (picture.at(x, y), matched.at(x, y));
                assert!(
                    (0..3).all(|c| (p[c] - m[c]).abs() < 0.004),
                    "{x}, {y}: {p:?} {m:?}"
                );
            }
        }
    }

    #[test]
    fn where_nothing_is_known_nothing_changes() {
        let (a, b) = (Image::new(9, 7, [0.1; 3]), Image::new(9, 7, [0.7; 3]));
        assert_eq!(match_colour(&a, &b, &Mask::new(9, 7, 1.0)), b);
    }
}
