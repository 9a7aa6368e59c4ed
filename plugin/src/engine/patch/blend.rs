//! Joining copied pieces without seams: the gradients of the copies, the values of the surroundings
//! (Pérez et al., "Poisson Image Editing", 2003).

use rayon::prelude::*;

use super::field::NONE;
use super::level::Texel;
use crate::Result;
use crate::canvas::{Grid, Image};

/// Most rounds of conjugate gradients; it ends when the residual has fallen by 10⁻⁴.
const ROUNDS: usize = 400;
/// Cells one task works on.
const PIECE: usize = 4096;

type Rgb = [f32; 3];

/// The picture with its hole filled: inside, its gradients are those of the texels copied from the places `from` (the mean
/// of both copies where two pieces meet); at the border it meets the known picture. Where `from` is [`NONE`], `mean` is
/// shown. No colour leaves the range of the known ones. `from` and `mean` have one value for each pixel of the hole, row after row.
pub fn join(image: &Image, hole: &Grid<bool>, from: &[u32], mean: &[Texel]) -> Result<Image> {
    let system = System::new(image, hole, from, mean);
    let solved = system.solve();
    // Far from any border the sum of many gradients may drift: it never leaves the range of the known colours.
    let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for (pixel, _) in image.data().iter().zip(hole.data()).filter(|(_, o)| !**o) {
        for c in 0..3 {
            (low[c], high[c]) = (low[c].min(pixel[c]), high[c].max(pixel[c]));
        }
    }
    let mut out = image.clone();
    for (&place, value) in system.cells.iter().zip(solved) {
        out.data_mut()[place as usize] = std::array::from_fn(|c| value[c].max(low[c]).min(high[c]));
    }
    Ok(out)
}

/// The linear system over the unknown pixels: `diagonal · x − Σ x(neighbours) = wanted`.
struct System {
    cells: Vec<u32>,
    links: Vec<[u32; 4]>,
    diagonal: Vec<f32>,
    wanted: Vec<Rgb>,
    start: Vec<Rgb>,
}

fn minus(a: Rgb, b: Rgb) -> Rgb {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

impl System {
    fn new(image: &Image, hole: &Grid<bool>, from: &[u32], mean: &[Texel]) -> Self {
        let (w, h) = (image.width(), image.height());
        let (pixels, open) = (image.data(), hole.data());
        let places = open.iter().zip(0u32..);
        let cells: Vec<u32> = places.filter(|(o, _)| **o).map(|(_, p)| p).collect();
        let mut slot = vec![NONE; w * h];
        for (i, &p) in cells.iter().enumerate() {
            slot[p as usize] = i as u32;
        }
        let step = |p: usize, side: usize| -> Option<usize> {
            let (x, y) = (p % w, p / w);
            match side {
                0 => (x > 0).then(|| p - 1),
                1 => (x + 1 < w).then(|| p + 1),
                2 => (y > 0).then(|| p - w),
                _ => (y + 1 < h).then(|| p + w),
            }
        };
        // The gradient at cell `i` towards `side` in the piece that was copied to it.
        let gradient = |i: u32, side: usize| -> Option<Rgb> {
            let here = from[i as usize];
            if here == NONE {
                return None;
            }
            let there = step(here as usize, side).filter(|&t| !open[t])?;
            Some(minus(pixels[here as usize], pixels[there]))
        };
        let guess = |i: u32| {
            let t = mean[i as usize];
            [t[0], t[1], t[2]]
        };
        let start: Vec<Rgb> = (0u32..)
            .zip(from)
            .map(|(i, &from)| match from {
                NONE => guess(i),
                _ => pixels[from as usize],
            })
            .collect();
        let rows: Vec<([u32; 4], f32, Rgb)> = cells
            .par_iter()
            .enumerate()
            .map(|(i, &p)| {
                let i = i as u32;
                let (mut links, mut diagonal, mut wanted) = ([NONE; 4], 0.0f32, [0.0f32; 3]);
                for side in 0..4 {
                    let Some(n) = step(p as usize, side) else {
                        continue;
                    };
                    diagonal += 1.0;
                    links[side] = slot[n];
                    let mine = gradient(i, side);
                    let theirs = if open[n] {
                        gradient(slot[n], side ^ 1).map(|g| g.map(|v| -v))
                    } else {
                        None
                    };
                    let smooth = || {
                        // Neither piece reaches across: the first guess keeps its own slope.
                        match (from[i as usize], open[n]) {
                            (NONE, true) => minus(guess(i), guess(slot[n])),
                            (NONE, false) => minus(guess(i), pixels[n]),
                            _ => [0.0; 3],
                        }
                    };
                    let g = match (mine, theirs) {
                        (Some(a), Some(b)) => std::array::from_fn(|c| (a[c] + b[c]) * 0.5),
                        (Some(a), None) | (None, Some(a)) => a,
                        (None, None) => smooth(),
                    };
                    for c in 0..3 {
                        wanted[c] += g[c] + if open[n] { 0.0 } else { pixels[n][c] };
                    }
                }
                (links, diagonal.max(1.0), wanted)
            })
            .collect();
        let mut system = Self {
            cells,
            links: Vec::new(),
            diagonal: Vec::new(),
            wanted: Vec::new(),
            start,
        };
        for (links, diagonal, wanted) in rows {
            system.links.push(links);
            system.diagonal.push(diagonal);
            system.wanted.push(wanted);
        }
        system
    }

    /// `A·x` at cell `i`.
    fn apply(&self, x: &[Rgb], i: usize) -> Rgb {
        let mut sum = x[i].map(|v| v * self.diagonal[i]);
        for &link in self.links[i].iter().filter(|&&l| l != NONE) {
            let n = x[link as usize];
            for c in 0..3 {
                sum[c] -= n[c];
            }
        }
        sum
    }

    /// Conjugate gradients, the diagonal as preconditioner, the three channels side by side.
    fn solve(&self) -> Vec<Rgb> {
        let scaled = |r: &Rgb, i: usize| r.map(|v| v / self.diagonal[i]);
        // The solution so far, and what is left to explain.
        let mut state: Vec<[Rgb; 2]> = self.start.iter().map(|x| [*x, [0.0; 3]]).collect();
        let mut rz = change(&mut state, |i, [_, r]| {
            *r = minus(self.wanted[i], self.apply(&self.start, i));
            products(r, &scaled(r, i))
        });
        let mut direction: Vec<Rgb> = state
            .par_iter()
            .enumerate()
            .map(|(i, [_, r])| scaled(r, i))
            .collect();
        let mut ad = direction.clone();
        let goal = rz.iter().sum::<f64>() * 1e-8 + 1e-12;
        for _ in 0..ROUNDS {
            if rz.iter().sum::<f64>() < goal {
                break;
            }
            let curvature = change(&mut ad, |i, ad| {
                *ad = self.apply(&direction, i);
                products(ad, &direction[i])
            });
            let length = ratio(rz, curvature);
            let next = change(&mut state, |i, [x, r]| {
                add(x, length, direction[i]);
                add(r, length.map(|v| -v), ad[i]);
                products(r, &scaled(r, i))
            });
            let keep = ratio(next, rz);
            rz = next;
            direction
                .par_iter_mut()
                .zip(&state)
                .enumerate()
                .for_each(|(i, (d, [_, r]))| {
                    let z = scaled(r, i);
                    for c in 0..3 {
                        d[c] = z[c] + keep[c] * d[c];
                    }
                });
        }
        state.into_iter().map(|[x, _]| x).collect()
    }
}

fn add(to: &mut Rgb, factor: Rgb, what: Rgb) {
    for c in 0..3 {
        to[c] += factor[c] * what[c];
    }
}

fn ratio(a: [f64; 3], b: [f64; 3]) -> Rgb {
    std::array::from_fn(|c| {
        if b[c].abs() > 1e-20 {
            (a[c] / b[c]) as f32
        } else {
            0.0
        }
    })
}

fn products(a: &Rgb, b: &Rgb) -> [f64; 3] {
    std::array::from_fn(|c| f64::from(a[c]) * f64::from(b[c]))
}

/// Changes a list place by place and sums what `each` returns, per channel. Pieces of a fixed length are added in their
/// order, so that the result does not depend on the number of threads.
fn change<T: Send>(list: &mut [T], each: impl Fn(usize, &mut T) -> [f64; 3] + Sync) -> [f64; 3] {
    let sums: Vec<[f64; 3]> = list
        .par_chunks_mut(PIECE)
        .enumerate()
        .map(|(piece, part)| {
            let mut sum = [0.0f64; 3];
            for (k, value) in part.iter_mut().enumerate() {
                let told = each(piece * PIECE + k, value);
                for c in 0..3 {
                    sum[c] += told[c];
                }
            }
            sum
        })
        .collect();
    sums.iter().fold([0.0; 3], |total, sum| {
        std::array::from_fn(|c| total[c] + sum[c])
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cells(hole: &Grid<bool>) -> impl Iterator<Item = u32> {
        let places = hole.data().iter().zip(0..);
        places.filter(|(open, _)| **open).map(|(_, p)| p)
    }

    fn texels(image: &Image, hole: &Grid<bool>) -> Vec<Texel> {
        let texel = |p: u32| {
            let [r, g, b] = image.data()[p as usize];
            [r, g, b, 0.0]
        };
        cells(hole).map(texel).collect()
    }

    fn largest_difference(a: &Image, b: &Image) -> f32 {
        let pairs = a.data().iter().flatten().zip(b.data().iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_ramp_is_continued_exactly_across_a_hole() {
        let ramp: Image = Grid::from_fn(70, 50, |x, y| {
            let (x, y) = (x as f32 / 70.0, y as f32 / 50.0);
            [x, y, 0.2 + 0.3 * x + 0.4 * y]
        });
        let hole = Grid::from_fn(70, 50, |x, y| {
            (25..45).contains(&x) && (15..35).contains(&y)
        });
        // Copied from elsewhere on the ramp, 22 pixels to the left: right slope, wrong value.
        let from: Vec<u32> = cells(&hole).map(|p| p - 22).collect();
        let mut hidden = ramp.clone();
        for (p, open) in hidden.data_mut().iter_mut().zip(hole.data()) {
            if *open {
                *p = [9.0; 3];
            }
        }
        let joined = join(&hidden, &hole, &from, &texels(&ramp, &hole)).unwrap();
        let error = largest_difference(&joined, &ramp);
        assert!(error < 2e-3, "{error}");
    }

    #[test]
    fn without_copies_the_first_guess_is_shown() {
        let wave: Image = Grid::from_fn(50, 40, |x, y| {
            let v = 0.5 + 0.2 * (x as f32 * 0.3).sin() * (y as f32 * 0.2).cos();
            [v, 1.0 - v, 0.5 * v]
        });
        let hole = Grid::from_fn(50, 40, |x, y| (10..44).contains(&x) && (8..40).contains(&y));
        let guess: Image =
            wave.map(|p| std::array::from_fn(|c| 0.5 * (p[c] + [0.5, 0.5, 0.25][c])));
        let expected = Grid::from_fn(50, 40, |x, y| match hole.at(x, y) {
            true => guess.at(x, y),
            false => wave.at(x, y),
        });
        let from = vec![NONE; cells(&hole).count()];
        let joined = join(&wave, &hole, &from, &texels(&guess, &hole)).unwrap();
        let error = largest_difference(&joined, &expected);
        assert!(error < 2e-3, "{error}");
    }
}
