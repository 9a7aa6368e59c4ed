//! The part of the picture that a text model works on, and the way between the picture's pixels and the model's.

use candle_core::{Device, Tensor};
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, Rgb};

use crate::canvas::{Grid, Image, Mask, Rect, context};
use crate::{Error, Result};

/// Share of the edit's longer side that the model sees around it.
const CONTEXT: f32 = 0.5;
/// Sides the model works on are multiples of this many pixels: one latent (8 at most) times the three halvings of the
/// largest U-Nets.
pub const GRID: usize = 64;

/// A rectangle of the picture and the size that the model sees it at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// In the picture.
    pub rect: Rect,
    /// The model's pixels per row, a multiple of [`GRID`].
    pub width: usize,
    /// The model's rows, a multiple of [`GRID`].
    pub height: usize,
    /// How many pixels a latent is wide: 8 in all published models.
    pub factor: usize,
}

impl Frame {
    /// The surroundings of `edit` in a picture of `size` (width, height), for a model whose longer side is about `side`
    /// pixels, `factor` to a latent. `edit` must lie inside the picture and not be empty.
    pub fn around(size: (usize, usize), edit: Rect, side: usize, factor: usize) -> Self {
        let side = (side / GRID).max(1) * GRID;
        let rect = context(size, edit, CONTEXT, side);
        let longer = rect.width.max(rect.height);
        // Rounded to the grid, at most half a step off the true shape; the way back undoes it.
        let scaled = |length: usize| {
            let exact = (length * side) as f32 / longer as f32;
            ((exact / GRID as f32).round() as usize).max(1) * GRID
        };
        Self {
            rect,
            width: scaled(rect.width),
            height: scaled(rect.height),
            factor,
        }
    }

    /// Latents per row and rows of latents.
    pub fn latent(&self) -> (usize, usize) {
        (self.width / self.factor, self.height / self.factor)
    }

    /// Pixels of [`rect`](Self::rect) as the model wants them: `[1, 3, height, width]`, -1 to 1. What lies outside the
    /// working space's 0 to 1 is clipped: models know nothing beyond.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn to_model(self, image: &Image, device: &Device) -> Result<Tensor> {
        let small = scale_image(image, self.width, self.height);
        let pixels = small.data().as_flattened();
        let shape = (self.height, self.width, 3);
        let tensor = Tensor::from_slice(pixels, shape, &Device::Cpu)?;
        let tensor = tensor.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()?;
        Ok(tensor.affine(2.0, -1.0)?.to_device(device)?)
    }

    /// The model's picture, `[1, 3, height, width]` from -1 to 1, as pixels of [`rect`](Self::rect).
    ///
    /// # Errors
    /// `Bug` if the shape is another one or a value is no number.
    pub fn of_model(&self, picture: &Tensor) -> Result<Image> {
        let image = from_tensor(picture)?;
        if (image.width(), image.height()) != (self.width, self.height) {
            return Err(Error::bug(format!(
                "the model gave {}×{} pixels, {}×{} were expected",
                image.width(),
                image.height(),
                self.width,
                self.height
            )));
        }
        Ok(scale_image(&image, self.rect.width, self.rect.height))
    }

    /// A mask of latents on the pixels of [`rect`](Self::rect), smooth between them.
    pub fn mask_of_latent(&self, mask: &Mask) -> Mask {
        scale_mask(mask, self.rect.width, self.rect.height)
    }
}

/// A `[1, 3, h, w]` tensor from -1 to 1 as a picture from 0 to 1.
///
/// # Errors
/// `Bug` for another shape, or for values that are no numbers.
pub fn from_tensor(picture: &Tensor) -> Result<Image> {
    let picture = picture
        .to_device(&Device::Cpu)?
        .to_dtype(candle_core::DType::F32)?;
    let (_, _, height, width) = picture.dims4()?;
    let values = picture
        .squeeze(0)?
        .affine(0.5, 0.5)?
        .permute((1, 2, 0))?
        .contiguous()?
        .flatten_all()?
        .to_vec1::<f32>()?;
    if !values.iter().all(|v| v.is_finite()) {
        return Err(Error::files(
            "the model gave values that are no numbers: its weights are damaged, or need more precision than they have",
        ));
    }
    let (pixels, rest) = values.as_chunks::<3>();
    if !rest.is_empty() {
        return Err(Error::bug("the model's picture has no three colours"));
    }
    let clipped = pixels.iter().map(|p| p.map(|v| v.clamp(0.0, 1.0)));
    Grid::from_vec(width, height, clipped.collect())
}

/// Scales a picture; values are clipped to 0 to 1. Averages where it shrinks.
pub fn scale_image(image: &Image, width: usize, height: usize) -> Image {
    if (image.width(), image.height()) == (width, height) {
        return image.map(|p| p.map(|v| v.clamp(0.0, 1.0)));
    }
    let pixels = image.data().as_flattened().to_vec();
    let (w, h) = (image.width() as u32, image.height() as u32);
    // A grid's sizes and its data agree, so the buffer is never refused.
    let buffer = ImageBuffer::<Rgb<f32>, _>::from_raw(w, h, pixels).unwrap_or_default();
    let scaled = resize(&buffer, width as u32, height as u32, FilterType::CatmullRom).into_raw();
    let pixels = scaled.as_chunks::<3>().0.to_vec();
    Grid::from_vec(width, height, pixels).unwrap_or_else(|_| Grid::new(width, height, [0.0; 3]))
}

/// Scales a mask, linearly where it grows, averaging where it shrinks.
pub fn scale_mask(mask: &Mask, width: usize, height: usize) -> Mask {
    if (mask.width(), mask.height()) == (width, height) {
        return mask.clone();
    }
    let (w, h) = (mask.width() as u32, mask.height() as u32);
    let buffer = ImageBuffer::<Luma<f32>, _>::from_raw(w, h, mask.data().to_vec());
    let buffer = buffer.unwrap_or_default();
    let scaled = resize(&buffer, width as u32, height as u32, FilterType::Triangle).into_raw();
    Grid::from_vec(width, height, scaled).unwrap_or_else(|_| Grid::new(width, height, 0.0))
}

/// A mask as a tensor `[1, 1, h, w]`.
///
/// # Errors
/// If the device has no room.
pub fn mask_tensor(mask: &Mask, device: &Device) -> Result<Tensor> {
    let shape = (1, 1, mask.height(), mask.width());
    Ok(Tensor::from_slice(mask.data(), shape, device)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_holds_its_edit_and_nearly_its_shape(
            size in (1usize..3000, 1usize..3000), at in (0.0f32..1.0, 0.0f32..1.0), of in (0.0f32..1.0, 0.0f32..1.0),
            side in 64usize..1100,
        ) {
            let edit = Rect {
                x: (at.0 * (size.0 - 1) as f32) as usize,
                y: (at.1 * (size.1 - 1) as f32) as usize,
                width: 1,
                height: 1,
            };
            let edit = Rect {
                width: 1 + (of.0 * (size.0 - 1 - edit.x) as f32) as usize,
                height: 1 + (of.1 * (size.1 - 1 - edit.y) as f32) as usize,
                ..edit
            };
            let frame = Frame::around(size, edit, side, 8);
            let rect = frame.rect;
            prop_assert!(rect.x <= edit.x && rect.y <= edit.y);
            prop_assert!(rect.x + rect.width >= edit.x + edit.width && rect.x + rect.width <= size.0);
            prop_assert!(rect.y + rect.height >= edit.y + edit.height && rect.y + rect.height <= size.1);
            prop_assert_eq!((frame.width % GRID, frame.height % GRID), (0, 0));
            prop_assert!(frame.width.max(frame.height) <= side.max(GRID));
            let off = |a: usize, b: usize| (a * rect.height.max(rect.width)).abs_diff(b * frame.width.max(frame.height));
            let most = GRID / 2 * rect.width.max(rect.height) + 1;
            prop_assert!(frame.width == GRID || off(frame.width, rect.width) <= most);
            prop_assert!(frame.height == GRID || off(frame.height, rect.height) <= most);
        }
    }

    #[test]
    fn pixels_come_back_from_the_model() -> Result<()> {
        let frame = Frame {
            rect: Rect {
                x: 0,
                y: 0,
                width: 128,
                height: 64,
            },
            width: 128,
            height: 64,
            factor: 8,
        };
        let image = Image::from_fn(128, 64, |x, y| [x as f32 / 127.0, y as f32 / 63.0, 0.25]);
        let tensor = frame.to_model(&image, &Device::Cpu)?;
        assert_eq!(tensor.dims(), [1, 3, 64, 128]);
        assert_eq!(
            tensor.get(0)?.get(0)?.get(5)?.get(0)?.to_scalar::<f32>()?,
            -1.0
        );
        let back = frame.of_model(&tensor)?;
        for (a, b) in image.data().iter().zip(back.data()) {
            assert!((0..3).all(|c| (a[c] - b[c]).abs() < 1e-6), "{a:?} {b:?}");
        }
        assert!(frame.of_model(&tensor.narrow(3, 0, 64)?).is_err());
        let none = (tensor * f64::NAN)?;
        assert!(frame.of_model(&none).is_err());
        Ok(())
    }
}
