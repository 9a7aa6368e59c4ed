//! A document seen from the working space: parts of it as working pictures, results as layers in its own format.

use rayon::prelude::*;

use super::samples::{self, Format};
use super::selection::quantise;
use super::{ColourTransform, Image, Layer, MAX_PIXELS, Mask, Raster, Rect, Role, SelectionDepth};
use crate::{Error, Result};

/// A picture with its way to the working space and back. Only the rectangles asked for are ever converted.
pub struct Canvas<'a> {
    raster: &'a Raster,
    colour: ColourTransform,
}

impl<'a> Canvas<'a> {
    /// A caller error if the raster's size and bytes disagree or its profile cannot be used.
    pub fn new(raster: &'a Raster) -> Result<Self> {
        let pixels = u64::from(raster.width) * u64::from(raster.height);
        let expected = pixels * raster.bytes_per_pixel() as u64;
        if pixels == 0 || pixels > MAX_PIXELS || raster.bytes.len() as u64 != expected {
            return Err(Error::caller(format!(
                "a picture of {}×{} pixels needs {expected} bytes (1 to {MAX_PIXELS} pixels), {} bytes came",
                raster.width,
                raster.height,
                raster.bytes.len()
            )));
        }
        Ok(Self {
            raster,
            colour: ColourTransform::new(raster)?,
        })
    }

    /// The whole picture as a rectangle.
    pub fn bounds(&self) -> Rect {
        Rect {
            x: 0,
            y: 0,
            width: self.raster.width as usize,
            height: self.raster.height as usize,
        }
    }

    fn check(&self, rect: Rect) -> Result<()> {
        let all = self.bounds();
        let inside = |at: usize, length: usize, whole: usize| {
            length > 0 && at.checked_add(length).is_some_and(|end| end <= whole)
        };
        if inside(rect.x, rect.width, all.width) && inside(rect.y, rect.height, all.height) {
            Ok(())
        } else {
            Err(Error::bug(format!("{rect:?} is not inside {all:?}")))
        }
    }

    /// The pixels of `rect` in the working space, alpha left out; always finite. A bug error if `rect` is empty or not
    /// inside the picture.
    pub fn image(&self, rect: Rect) -> Result<Image> {
        self.check(rect)?;
        let format = Format::of(self.raster);
        let mut image = Image::new(rect.width, rect.height, [0.0; 3]);
        image
            .data_mut()
            .par_chunks_mut(rect.width)
            .enumerate()
            .for_each(|(y, out)| {
                let bytes = samples::row(self.raster, rect.y + y, rect.x, rect.width);
                for (pixel, out) in bytes.chunks_exact(format.bytes()).zip(out) {
                    *out = self.colour.to_working(format.colour(pixel));
                }
            });
        Ok(image)
    }

    /// The document's own alpha inside `rect`, 0 to 1; `None` if its format has none or `rect` is not inside it.
    pub fn alpha(&self, rect: Rect) -> Option<Mask> {
        if !self.raster.channels.has_alpha() || self.check(rect).is_err() {
            return None;
        }
        let format = Format::of(self.raster);
        let mut alpha = Mask::new(rect.width, rect.height, 0.0);
        for y in 0..rect.height {
            let bytes = samples::row(self.raster, rect.y + y, rect.x, rect.width);
            for (pixel, out) in bytes.chunks_exact(format.bytes()).zip(alpha.row_mut(y)) {
                *out = format.alpha(pixel);
            }
        }
        Some(alpha)
    }

    /// A result over `rect` as a layer in the document's own format.
    ///
    /// The mask is rounded to `mask_depth` first. The document's own bytes are used, with no conversion there and
    /// back, where that mask is 0 and where `pixels` is, bit for bit, what [`image`](Self::image) gives.
    ///
    /// Alpha, where the format has it: a subject is opaque wherever its mask is not 0; a background keeps the
    /// document's alpha, so that restoring what was behind a subject does not fill transparent surroundings.
    ///
    /// A bug error if the sizes disagree or `rect` is empty or not inside the picture.
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the fields of a layer, each named where it is passed"
    )]
    pub fn layer(
        &self,
        name: &str,
        candidate: u32,
        role: Role,
        rect: Rect,
        pixels: &Image,
        mask: &Mask,
        mask_depth: SelectionDepth,
    ) -> Result<Layer> {
        self.check(rect)?;
        let sizes = [
            (pixels.width(), pixels.height()),
            (mask.width(), mask.height()),
        ];
        if sizes != [(rect.width, rect.height); 2] {
            return Err(Error::bug(format!(
                "pixels and mask of {sizes:?} do not fill {rect:?}"
            )));
        }
        let mask = quantise(mask, mask_depth);
        let format = Format::of(self.raster);
        let mut bytes = vec![0; rect.width * rect.height * format.bytes()];
        bytes
            .par_chunks_mut(rect.width * format.bytes())
            .enumerate()
            .for_each(|(y, out)| {
                let own = samples::row(self.raster, rect.y + y, rect.x, rect.width);
                out.copy_from_slice(own);
                let places = out.chunks_exact_mut(format.bytes());
                let wanted = pixels.row(y).iter().zip(mask.row(y));
                for (out, (&colour, &m)) in places.zip(wanted) {
                    if m > 0.0 {
                        self.write(format, role, out, colour);
                    }
                }
            });
        Ok(Layer {
            name: name.to_owned(),
            candidate,
            role,
            // A picture's sides are u32, so places inside it are.
            x: rect.x as u32,
            y: rect.y as u32,
            raster: Raster {
                width: rect.width as u32,
                height: rect.height as u32,
                depth: self.raster.depth,
                channels: self.raster.channels,
                space: self.raster.space.clone(),
                bytes,
            },
            mask,
            mask_depth,
        })
    }

    /// Changes a pixel that holds the document's bytes to a result's colour.
    fn write(&self, format: Format, role: Role, pixel: &mut [u8], colour: [f32; 3]) {
        let own = self.colour.to_working(format.colour(pixel));
        if own.map(f32::to_bits) != colour.map(f32::to_bits) {
            format.set_colour(pixel, self.colour.to_document(colour));
        }
        if role == Role::Subject {
            format.set_alpha(pixel, 1.0);
        }
    }
}
