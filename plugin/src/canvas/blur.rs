//! Gaussian blur of masks and pictures.

use rayon::prelude::*;

use super::Grid;

/// What can be averaged: single values and colours.
pub trait Samples: bytemuck::Pod + Send + Sync {
    /// All zero.
    const ZERO: Self;
}

impl Samples for f32 {
    const ZERO: Self = 0.0;
}

impl Samples for [f32; 3] {
    const ZERO: Self = [0.0; 3];
}

/// Blurs with a Gaussian of standard deviation `sigma` pixels, cut off at 3 sigma; beyond the edge the outermost values
/// go on. 0 or less changes nothing. Values further than 3 sigma from anything but 0 stay exactly 0.
pub fn gaussian_blur<T: Samples>(grid: &Grid<T>, sigma: f32) -> Grid<T> {
    let (width, height) = (grid.width(), grid.height());
    if sigma.is_nan() || sigma <= 0.0 || width == 0 || height == 0 {
        return grid.clone();
    }
    let kernel = kernel(sigma, width.max(height));
    let radius = kernel.len() / 2;
    let step = size_of::<T>() / size_of::<f32>();

    let mut across = Grid::new(width, height, T::ZERO);
    across
        .data_mut()
        .par_chunks_mut(width)
        .enumerate()
        .for_each_init(Vec::new, |padded: &mut Vec<T>, (y, out)| {
            let row = grid.row(y);
            padded.clear();
            padded.extend(std::iter::repeat_n(row[0], radius));
            padded.extend_from_slice(row);
            padded.extend(std::iter::repeat_n(row[width - 1], radius));
            let padded: &[f32] = bytemuck::cast_slice(padded);
            let out: &mut [f32] = bytemuck::cast_slice_mut(out);
            for (i, &k) in kernel.iter().enumerate() {
                add(out, &padded[i * step..i * step + out.len()], k);
            }
        });

    let mut down = Grid::new(width, height, T::ZERO);
    down.data_mut()
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(y, out)| {
            for (i, &k) in kernel.iter().enumerate() {
                let source = (y + i).saturating_sub(radius).min(height - 1);
                let row: &[f32] = bytemuck::cast_slice(across.row(source));
                add(bytemuck::cast_slice_mut(out), row, k);
            }
        });
    down
}

/// Adds `weight` times `row` to `out`.
pub(super) fn add(out: &mut [f32], row: &[f32], weight: f32) {
    for (o, &v) in out.iter_mut().zip(row) {
        *o += weight * v;
    }
}

/// An odd number of weights that sum to 1; no wider than twice the grid, beyond which nothing new would be seen.
fn kernel(sigma: f32, longest: usize) -> Vec<f32> {
    let radius = ((3.0 * sigma).ceil() as usize).clamp(1, longest);
    let weights: Vec<f64> = (0..=2 * radius)
        .map(|i| {
            let d = (i as f64 - radius as f64) / f64::from(sigma);
            (-0.5 * d * d).exp()
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| (w / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_a_gaussian() {
        let mut grid = Grid::new(41, 41, 0.0f32);
        grid.set(20, 20, 1.0);
        let out = gaussian_blur(&grid, 4.0);
        let sum: f32 = out.data().iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        let ratio = out.at(24, 20) / out.at(20, 20);
        assert!((ratio - (-0.5f32).exp()).abs() < 1e-5, "{ratio}");
        assert_eq!(out.at(24, 20), out.at(20, 16));
        assert_eq!(out.at(33, 20), 0.0);
    }

    #[test]
    fn an_even_picture_stays_even_to_its_edge() {
        let grid = Grid::new(7, 3, [0.25f32, 1.5, -0.5]);
        for sigma in [0.4, 2.0, 900.0] {
            for p in gaussian_blur(&grid, sigma).data() {
                for (a, b) in p.iter().zip([0.25, 1.5, -0.5]) {
                    assert!((a - b).abs() < 1e-5, "{a}");
                }
            }
        }
    }
}
