//! Scaling of pictures and masks.

use rayon::prelude::*;

use super::blur::{Samples, add};
use super::{Grid, Image, Mask};

/// `image` scaled to `width` × `height` (0 counts as 1), each direction on its own: Catmull-Rom upwards, a triangle as
/// wide as two new pixels downwards, so nothing aliases. May overshoot a little beside sharp edges when scaled up.
pub fn resize_image(image: &Image, width: usize, height: usize) -> Image {
    resize(image, width, height)
}

/// The same for a mask, kept inside 0 to 1. Away from edges what was exactly 0 or 1 stays so.
pub fn resize_mask(mask: &Mask, width: usize, height: usize) -> Mask {
    let mut out = resize(mask, width, height);
    for v in out.data_mut() {
        // Weights sum to 1 up to rounding; full coverage must stay full.
        *v = if *v > 1.0 - 1e-6 { 1.0 } else { v.max(0.0) };
    }
    out
}

fn resize<T: Samples>(grid: &Grid<T>, width: usize, height: usize) -> Grid<T> {
    let (width, height) = (width.max(1), height.max(1));
    if grid.width() == 0 || grid.height() == 0 {
        return Grid::new(width, height, T::ZERO);
    }
    if (width, height) == (grid.width(), grid.height()) {
        return grid.clone();
    }
    // The direction that shrinks more goes first: less is left for the other.
    let shrink = |from: usize, to: usize| to as f64 / from as f64;
    if shrink(grid.width(), width) < shrink(grid.height(), height) {
        down(&across(grid, width), height)
    } else {
        across(&down(grid, height), width)
    }
}

fn across<T: Samples>(grid: &Grid<T>, width: usize) -> Grid<T> {
    let taps = taps(grid.width(), width);
    let step = size_of::<T>() / size_of::<f32>();
    let mut out = Grid::new(width, grid.height(), T::ZERO);
    out.data_mut()
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(y, out)| {
            let row: &[f32] = bytemuck::cast_slice(grid.row(y));
            let out: &mut [f32] = bytemuck::cast_slice_mut(out);
            for (out, taps) in out.chunks_exact_mut(step).zip(&taps) {
                let sources = row[taps.start * step..].chunks_exact(step);
                for (source, &weight) in sources.zip(&taps.weights) {
                    add(out, source, weight);
                }
            }
        });
    out
}

fn down<T: Samples>(grid: &Grid<T>, height: usize) -> Grid<T> {
    let taps = taps(grid.height(), height);
    let width = grid.width();
    let mut out = Grid::new(width, height, T::ZERO);
    out.data_mut()
        .par_chunks_mut(width)
        .zip(&taps)
        .for_each(|(out, taps)| {
            let out: &mut [f32] = bytemuck::cast_slice_mut(out);
            for (i, &weight) in taps.weights.iter().enumerate() {
                add(out, bytemuck::cast_slice(grid.row(taps.start + i)), weight);
            }
        });
    out
}

/// What one new value is made of: `weights` of the old values from `start` on.
struct Taps {
    start: usize,
    weights: Vec<f32>,
}

/// For each of `to` new places over `from` old ones. Pixel centres are at halves; beyond the edge there is nothing.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let (wide, reach) = if scale > 1.0 {
        (scale, 1.0)
    } else {
        (1.0, 2.0)
    };
    (0..to)
        .map(|i| {
            let centre = (i as f64 + 0.5) * scale;
            let first = (centre - reach * wide).floor().max(0.0) as usize;
            let last = ((centre + reach * wide).ceil() as usize).min(from);
            let mut weights: Vec<f64> = (first..last)
                .map(|j| {
                    let d = (j as f64 + 0.5 - centre).abs() / wide;
                    if scale > 1.0 {
                        (1.0 - d).max(0.0)
                    } else {
                        catmull_rom(d)
                    }
                })
                .collect();
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= sum);
            Taps {
                start: first,
                weights: weights.iter().map(|&w| w as f32).collect(),
            }
        })
        .collect()
}

/// The cubic of Catmull and Rom (1974) at distance `d`.
fn catmull_rom(d: f64) -> f64 {
    if d < 1.0 {
        1.0 + d * d * (1.5 * d - 2.5)
    } else if d < 2.0 {
        2.0 + d * (-4.0 + d * (2.5 - 0.5 * d))
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_ramp_stays_a_ramp_both_ways() {
        let ramp = Image::from_fn(64, 64, |x, y| [x as f32 + 0.5, y as f32 + 0.5, -1.0]);
        for (w, h) in [(128, 96), (32, 48), (20, 200)] {
            let out = resize_image(&ramp, w, h);
            for (x, y) in [(w / 2, h / 2), (w / 3, h / 4)] {
                let p = out.at(x, y);
                let expected = [
                    (x as f32 + 0.5) * 64.0 / w as f32,
                    (y as f32 + 0.5) * 64.0 / h as f32,
                ];
                assert!((p[0] - expected[0]).abs() < 0.05, "{w}×{h}: {p:?}");
                assert!((p[1] - expected[1]).abs() < 0.05, "{w}×{h}: {p:?}");
                assert!((p[2] + 1.0).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn fine_stripes_become_even_not_coarse_ones() {
        let stripes = Mask::from_fn(120, 4, |x, _| (x % 2) as f32);
        let out = resize_mask(&stripes, 17, 4);
        for x in 1..16 {
            assert!((out.at(x, 1) - 0.5).abs() < 0.05, "{}", out.at(x, 1));
        }
    }

    proptest! {
        #[test]
        fn masks_stay_masks(w in 1usize..40, h in 1usize..40, nw in 0usize..60, nh in 0usize..60, bits: u64) {
            let mask = Mask::from_fn(w, h, |x, y| ((bits >> ((x * 7 + y * 3) % 64)) & 1) as f32);
            let out = resize_mask(&mask, nw, nh);
            prop_assert_eq!((out.width(), out.height()), (nw.max(1), nh.max(1)));
            prop_assert!(out.data().iter().all(|v| (0.0..=1.0).contains(v)));
            let ones = resize_mask(&Mask::new(w, h, 1.0), nw, nh);
            prop_assert!(ones.data().iter().all(|&v| v == 1.0));
        }
    }
}
