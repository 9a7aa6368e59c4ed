//! The subject's own colours, and the background's, at pixels that show both.
//!
//! A pixel of the edge is `I = αF + (1 − α)B`. F and B are found together by the multi-level method of Germer et al.
//! ("Fast Multi-Level Foreground Estimation", ICPR 2020): smooth where nothing else is known, coarse levels first.

use rayon::prelude::*;

use crate::canvas::{Grid, Image, Mask};

/// Smallest pull between neighbours, and the part that grows with the matte's gradient (the paper's ε_r and ω).
const PULL: f32 = 5e-3;
const GRADIENT: f32 = 0.1;

/// Foreground and background of one pixel.
type Pair = [[f32; 3]; 2];

/// (F, B) for every pixel of `image` under the matte `alpha` (same size). Where α is 1, F is the picture; where it is 0, B is.
pub fn unmix(image: &Image, alpha: &Mask) -> (Image, Image) {
    let (w, h) = (image.width(), image.height());
    let levels = (w.max(h) as f32).log2().ceil() as u32;
    let mut pair: Grid<Pair> =
        Grid::new(1, 1, [mean(image, alpha, true), mean(image, alpha, false)]);
    for level in 0..=levels {
        let part = |size: usize| {
            ((size as f64)
                .powf(f64::from(level) / f64::from(levels.max(1)))
                .round() as usize)
                .clamp(1, size)
        };
        let (lw, lh) = (part(w), part(h));
        let (i, a) = (nearest(image, lw, lh), nearest(alpha, lw, lh));
        pair = nearest(&pair, lw, lh);
        let rounds = if lw.min(lh) <= 32 { 10 } else { 2 };
        for _ in 0..rounds {
            pair = relax(&i, &a, &pair);
        }
    }
    let clean = |side: usize| {
        Grid::from_fn(w, h, |x, y| {
            let a = alpha.at(x, y);
            if (side == 0 && a >= 1.0) || (side == 1 && a <= 0.0) {
                image.at(x, y)
            } else {
                pair.at(x, y)[side]
            }
        })
    };
    (clean(0), clean(1))
}

fn mean(image: &Image, alpha: &Mask, front: bool) -> [f32; 3] {
    let (mut sum, mut n) = ([0.0f64; 3], 0.0f64);
    for (p, &a) in image.data().iter().zip(alpha.data()) {
        if (front && a > 0.9) || (!front && a < 0.1) {
            for c in 0..3 {
                sum[c] += f64::from(p[c]);
            }
            n += 1.0;
        }
    }
    sum.map(|v| (v / n.max(1.0)) as f32)
}

fn nearest<T: Copy>(grid: &Grid<T>, w: usize, h: usize) -> Grid<T> {
    if (w, h) == (grid.width(), grid.height()) {
        return Grid::from_fn(w, h, |x, y| grid.at(x, y));
    }
    Grid::from_fn(w, h, |x, y| {
        grid.at(x * grid.width() / w, y * grid.height() / h)
    })
}

/// One Jacobi round of the 2 × 2 systems.
fn relax(image: &Image, alpha: &Mask, pair: &Grid<Pair>) -> Grid<Pair> {
    let (w, h) = (image.width(), image.height());
    let mut next = Grid::new(w, h, [[0.0f32; 3]; 2]);
    next.data_mut()
        .par_chunks_mut(w)
        .enumerate()
        .for_each(|(y, row)| {
            for (x, out) in row.iter_mut().enumerate() {
                let a = alpha.at(x, y);
                let (mut pull, mut sum) = (0.0f32, [[0.0f32; 3]; 2]);
                for (nx, ny) in [
                    (x.wrapping_sub(1), y),
                    (x + 1, y),
                    (x, y.wrapping_sub(1)),
                    (x, y + 1),
                ] {
                    let (nx, ny) = (if nx < w { nx } else { x }, if ny < h { ny } else { y });
                    let weight = PULL + GRADIENT * (a - alpha.at(nx, ny)).abs();
                    pull += weight;
                    let n = pair.at(nx, ny);
                    for side in 0..2 {
                        for c in 0..3 {
                            sum[side][c] += weight * n[side][c];
                        }
                    }
                }
                // Minimise (aF + bB − I)² + Σ weight (F − Fₙ)² + Σ weight (B − Bₙ)².
                let b = 1.0 - a;
                let det = (a * a + pull) * (b * b + pull) - a * a * b * b;
                let i = image.at(x, y);
                for c in 0..3 {
                    let (u, v) = (a * i[c] + sum[0][c], b * i[c] + sum[1][c]);
                    out[0][c] =
                        (((b * b + pull) * u - a * b * v) / det).clamp(0.0, 1.0_f32.max(i[c]));
                    out[1][c] =
                        (((a * a + pull) * v - a * b * u) / det).clamp(0.0, 1.0_f32.max(i[c]));
                }
            }
        });
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edge_loses_the_background_and_the_inside_is_untouched() {
        let (f, b) = ([0.9, 0.5, 0.1], [0.1, 0.2, 0.8]);
        let alpha = Grid::from_fn(64, 48, |x, _| ((x as f32 - 24.0) / 12.0).clamp(0.0, 1.0));
        let image: Image = Grid::from_fn(64, 48, |x, y| {
            let a = alpha.at(x, y);
            std::array::from_fn(|c| a * f[c] + (1.0 - a) * b[c])
        });
        let (front, back) = unmix(&image, &alpha);
        for x in 0..64 {
            for c in 0..3 {
                assert!(
                    (front.at(x, 20)[c] - f[c]).abs() < 0.03,
                    "front {x} {:?}",
                    front.at(x, 20)
                );
                assert!(
                    (back.at(x, 20)[c] - b[c]).abs() < 0.03,
                    "back {x} {:?}",
                    back.at(x, 20)
                );
            }
        }
        assert_eq!(front.at(50, 10), image.at(50, 10));
        assert_eq!(back.at(5, 10), image.at(5, 10));
    }
}
