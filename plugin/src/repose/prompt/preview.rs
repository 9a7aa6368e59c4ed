//! A picture of latents while they are still noisy, without decoding them.

use candle_core::{DType, Device, Tensor};

use crate::Result;
use crate::canvas::{Grid, Image};
use crate::engine::stable_diffusion::frame::scale_image;

/// Latents to colours, one latent to one pixel, by the affine map that is right for the picture at hand.
///
/// Known for no model beforehand, it is fitted to the picture's own latents by least squares, so it works with any
/// autoencoder.
#[derive(Debug, Clone)]
pub struct Preview {
    /// For each colour, a weight for each channel and one for 1.
    weights: Vec<[f64; 3]>,
}

impl Preview {
    /// Fits the map to `latents` (`[1, channels, h, w]`) of `image` (any size, the same part of the picture).
    ///
    /// # Errors
    /// If the latents cannot be read.
    pub fn fit(latents: &Tensor, image: &Image) -> Result<Self> {
        let rows = Rows::of(latents)?;
        let small = scale_image(image, rows.width, rows.height);
        let n = rows.channels + 1;
        // Normal equations, with a little of the identity for channels that do not vary.
        let mut left = vec![vec![0.0f64; n]; n];
        let mut right = vec![[0.0f64; 3]; n];
        for (place, colour) in small.data().iter().enumerate() {
            let row = rows.at(place);
            for i in 0..n {
                for j in 0..n {
                    left[i][j] += row[i] * row[j];
                }
                for c in 0..3 {
                    right[i][c] += row[i] * f64::from(colour[c]);
                }
            }
        }
        let damp = 1e-3 * small.data().len() as f64;
        for (i, row) in left.iter_mut().enumerate() {
            row[i] += damp;
        }
        Ok(Self {
            weights: solve(left, right),
        })
    }

    /// Latents (`[1, channels, h, w]`) as a picture of `h` × `w` pixels.
    ///
    /// # Errors
    /// If the latents cannot be read.
    pub fn show(&self, latents: &Tensor) -> Result<Image> {
        let rows = Rows::of(latents)?;
        Ok(Grid::from_fn(rows.width, rows.height, |x, y| {
            let row = rows.at(y * rows.width + x);
            std::array::from_fn(|c| {
                let sum: f64 = row.iter().zip(&self.weights).map(|(v, w)| v * w[c]).sum();
                sum as f32
            })
        }))
    }
}

/// Latents by place.
struct Rows {
    width: usize,
    height: usize,
    channels: usize,
    values: Vec<f32>,
}

impl Rows {
    fn of(latents: &Tensor) -> Result<Self> {
        let (_, channels, height, width) = latents.dims4()?;
        let values = latents
            .get(0)?
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1()?;
        Ok(Self {
            width,
            height,
            channels,
            values,
        })
    }

    /// The channels at a place, and 1.
    fn at(&self, place: usize) -> Vec<f64> {
        let size = self.width * self.height;
        let channel = |c: usize| f64::from(self.values[c * size + place]);
        (0..self.channels).map(channel).chain([1.0]).collect()
    }
}

/// Gauss–Jordan elimination of a positive definite system.
fn solve(mut left: Vec<Vec<f64>>, mut right: Vec<[f64; 3]>) -> Vec<[f64; 3]> {
    for i in 0..left.len() {
        let pivot = left[i][i];
        left[i].iter_mut().for_each(|v| *v /= pivot);
        right[i].iter_mut().for_each(|v| *v /= pivot);
        let (row, values) = (left[i].clone(), right[i]);
        for j in (0..left.len()).filter(|j| *j != i) {
            let factor = left[j][i];
            left[j]
                .iter_mut()
                .zip(&row)
                .for_each(|(v, r)| *v -= factor * r);
            right[j]
                .iter_mut()
                .zip(&values)
                .for_each(|(v, r)| *v -= factor * r);
        }
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_affine_autoencoder_is_seen_exactly() -> Result<()> {
        // Four channels mixed from the colours: the map back exists, so the fit must find it.
        let image = Image::from_fn(16, 12, |x, y| {
            [
                x as f32 / 15.0,
                y as f32 / 11.0,
                ((x * 7 + y * 3) % 5) as f32 / 4.0,
            ]
        });
        let mixed = |[r, g, b]: [f32; 3]| [2.0 * r - g, g + 0.5 * b, b - r + 0.3, 0.2 * r + 0.1];
        let mut values = vec![0.0f32; 4 * 192];
        for (i, p) in image.data().iter().enumerate() {
            for (c, v) in mixed(*p).into_iter().enumerate() {
                values[c * 192 + i] = v;
            }
        }
        let latents = Tensor::from_vec(values, (1, 4, 12, 16), &Device::Cpu)?;
        let shown = Preview::fit(&latents, &image)?.show(&latents)?;
        for (a, b) in image.data().iter().zip(shown.data()) {
            assert!((0..3).all(|c| (a[c] - b[c]).abs() < 0.03), "{a:?} {b:?}");
        }
        Ok(())
    }
}
