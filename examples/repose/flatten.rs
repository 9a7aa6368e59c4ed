//! Putting result layers over a picture, as an editor does.

use crate::picture::Picture;

/// A result layer in the picture's own format, with its mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Name for a layer list.
    pub name: String,
    /// Which candidate it belongs to, from 0.
    pub candidate: u32,
    /// Left edge in the picture.
    pub x: u32,
    /// Top edge in the picture.
    pub y: u32,
    /// Pixels, same format as the picture.
    pub picture: Picture,
    /// Coverage 0 to 1, one value per pixel.
    pub mask: Vec<f32>,
}

/// `under` with `layers` over it, bottom first. Where a mask is 0 the bytes stay as they are; where it is 1 and the
/// layer is opaque they are the layer's own bytes.
pub fn flatten<'a>(under: &Picture, layers: impl IntoIterator<Item = &'a Layer>) -> Picture {
    let mut out = under.clone();
    for layer in layers {
        lay(&mut out, layer);
    }
    out
}

fn lay(out: &mut Picture, layer: &Layer) {
    let n = out.channels.count();
    let colours = out.channels.colours();
    let pixel = out.bytes_per_pixel();
    let width = layer.picture.width as usize;
    for (i, &mask) in layer.mask.iter().enumerate() {
        let (x, y) = (layer.x as usize + i % width, layer.y as usize + i / width);
        if mask <= 0.0 || x >= out.width as usize || y >= out.height as usize {
            continue;
        }
        let at = y * out.width as usize + x;
        let over = layer.picture.alpha(i) * mask;
        if over >= 1.0 {
            out.bytes[at * pixel..(at + 1) * pixel]
                .copy_from_slice(&layer.picture.bytes[i * pixel..(i + 1) * pixel]);
            continue;
        }
        // The "over" of Porter and Duff (1984) with straight alpha, in the document's own encoding, as Krita and GIMP
        // blend integer layers.
        let under = out.alpha(at) * (1.0 - over);
        let sum = over + under;
        if sum <= 0.0 {
            continue;
        }
        for c in 0..colours {
            let value = layer.picture.sample(i * n + c) * over + out.sample(at * n + c) * under;
            out.set_sample(at * n + c, value / sum);
        }
        if out.channels.has_alpha() {
            out.set_sample(at * n + n - 1, sum);
        }
    }
}

/// The layer's pixels with the mask multiplied into their alpha.
pub fn bake(layer: &Layer) -> Picture {
    let from = &layer.picture;
    let channels = from.channels.with_alpha();
    let (n, m) = (from.channels.count(), channels.count());
    let sample = from.depth.bytes();
    let colours = from.channels.colours() * sample;
    let mut baked = Picture {
        channels,
        icc: from.icc.clone(),
        bytes: vec![0; from.pixels() * m * sample],
        ..*from
    };
    for (i, &mask) in layer.mask.iter().enumerate() {
        let (a, b) = (i * n * sample, i * m * sample);
        baked.bytes[b..b + colours].copy_from_slice(&from.bytes[a..a + colours]);
        baked.set_sample(i * m + m - 1, from.alpha(i) * mask);
    }
    baked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Channels, Depth};

    fn picture(channels: Channels, bytes: Vec<u8>) -> Picture {
        Picture {
            width: (bytes.len() / channels.count()) as u32,
            height: 1,
            depth: Depth::U8,
            channels,
            icc: None,
            bytes,
        }
    }

    fn layer(picture: Picture, mask: Vec<f32>) -> Layer {
        Layer {
            name: String::new(),
            candidate: 0,
            x: 0,
            y: 0,
            picture,
            mask,
        }
    }

    #[test]
    fn a_mask_of_zero_keeps_bytes_and_of_one_takes_them() {
        let under = picture(Channels::Grey, vec![10, 20, 30]);
        let over = layer(
            picture(Channels::Grey, vec![110, 120, 130]),
            vec![0.0, 0.5, 1.0],
        );
        assert_eq!(flatten(&under, [&over]).bytes, [10, 70, 130]);
    }

    #[test]
    fn transparent_pixels_take_the_layer_s_colour() {
        let under = picture(Channels::GreyAlpha, vec![10, 0]);
        let over = layer(picture(Channels::GreyAlpha, vec![200, 255]), vec![0.5]);
        assert_eq!(flatten(&under, [&over]).bytes, [200, 128]);
    }

    #[test]
    fn baking_multiplies_the_mask_into_alpha() {
        let grey = layer(picture(Channels::Grey, vec![7, 8]), vec![0.0, 1.0]);
        assert_eq!(bake(&grey).bytes, [7, 0, 8, 255]);
        let soft = layer(picture(Channels::GreyAlpha, vec![7, 128]), vec![0.5]);
        assert_eq!(bake(&soft).bytes, [7, 64]);
    }

    #[test]
    fn a_layer_beyond_the_edge_is_cut() {
        let under = picture(Channels::Grey, vec![1, 2]);
        let mut over = layer(picture(Channels::Grey, vec![9, 9]), vec![1.0, 1.0]);
        over.x = 1;
        assert_eq!(flatten(&under, [&over]).bytes, [1, 9]);
    }
}
