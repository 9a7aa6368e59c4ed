//! What a host shows when it puts layers over a picture.

use rayon::prelude::*;

use super::samples::{self, Format};
use super::{Layer, Raster};
use crate::{Error, Result};

/// `picture` with `layers` over it, the first at the bottom: straight-alpha "over" with each layer's mask, in the
/// document's own encoding, in double precision.
///
/// Where every mask is exactly 0 the picture's bytes are copied, never computed; where a mask is 1 and its layer opaque,
/// the layer's bytes are. A layer may reach beyond the picture's edge. A caller error if a layer's format is not the
/// picture's or its sizes disagree.
pub fn flatten(picture: &Raster, layers: &[Layer]) -> Result<Raster> {
    let mut out = picture.clone();
    for layer in layers {
        check(picture, layer)?;
        put_over(&mut out, layer);
    }
    Ok(out)
}

fn check(picture: &Raster, layer: &Layer) -> Result<()> {
    let raster = &layer.raster;
    let (width, height) = (raster.width as usize, raster.height as usize);
    let same = raster.depth == picture.depth
        && raster.channels == picture.channels
        && raster.space == picture.space
        && (layer.mask.width(), layer.mask.height()) == (width, height)
        && raster.bytes.len() == width * height * raster.bytes_per_pixel();
    if same {
        Ok(())
    } else {
        Err(Error::caller(format!(
            "the layer “{}” was expected in the picture's own format, with a mask of its size",
            layer.name
        )))
    }
}

fn put_over(out: &mut Raster, layer: &Layer) {
    let format = Format::of(out);
    let size = format.bytes();
    let (x, y) = (layer.x as usize, layer.y as usize);
    let width = layer
        .mask
        .width()
        .min((out.width as usize).saturating_sub(x));
    let height = layer
        .mask
        .height()
        .min((out.height as usize).saturating_sub(y));
    if width == 0 || height == 0 {
        return;
    }
    let stride = out.width as usize * size;
    out.bytes[y * stride..(y + height) * stride]
        .par_chunks_mut(stride)
        .enumerate()
        .for_each(|(row, below)| {
            let below = below[x * size..(x + width) * size].chunks_exact_mut(size);
            let above = samples::row(&layer.raster, row, 0, width).chunks_exact(size);
            for ((below, above), &mask) in below.zip(above).zip(layer.mask.row(row)) {
                blend(format, below, above, mask);
            }
        });
}

/// One pixel of "over".
fn blend(format: Format, below: &mut [u8], above: &[u8], mask: f32) {
    let cover = f64::from(mask) * f64::from(format.alpha(above));
    if cover.is_nan() || cover <= 0.0 {
        return;
    }
    if cover >= 1.0 {
        below.copy_from_slice(above);
        return;
    }
    let under = f64::from(format.alpha(below)) * (1.0 - cover);
    let alpha = cover + under;
    let (top, bottom) = (format.colour(above), format.colour(below));
    let colour = [0, 1, 2].map(|i| {
        let (t, b) = (f64::from(top[i]), f64::from(bottom[i]));
        (cover * t + under * b) / alpha
    });
    format.set_colour(below, colour);
    format.set_alpha(below, alpha);
}
