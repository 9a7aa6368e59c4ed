//! What a host shows: layers over a document, by the host's own arithmetic.

use half::f16;
use repose_host::{Channels, Depth, Layer, Picture};

use super::document::Document;

/// The sample number `index` of a row; integers as parts of their range.
pub fn sample(depth: Depth, row: &[u8], index: usize) -> f64 {
    let bytes = &row[index * depth.bytes()..][..depth.bytes()];
    match *bytes {
        [v] => f64::from(v) / 255.0,
        [a, b] if depth == Depth::U16 => f64::from(u16::from_ne_bytes([a, b])) / 65535.0,
        [a, b] => f16::from_ne_bytes([a, b]).to_f64(),
        [a, b, c, d] => f64::from(f32::from_ne_bytes([a, b, c, d])),
        _ => unreachable!("samples have 1, 2 or 4 bytes"),
    }
}

fn store(depth: Depth, pixel: &mut [u8], index: usize, v: f64) {
    let bytes = &mut pixel[index * depth.bytes()..][..depth.bytes()];
    match depth {
        Depth::U8 => bytes[0] = (v * 255.0).round() as u8,
        Depth::U16 => bytes.copy_from_slice(&((v * 65535.0).round() as u16).to_ne_bytes()),
        Depth::F16 => bytes.copy_from_slice(&f16::from_f64(v).to_ne_bytes()),
        Depth::F32 => bytes.copy_from_slice(&(v as f32).to_ne_bytes()),
    }
}

/// The bytes of one pixel.
pub fn pixel<'a>(picture: &Picture<'a>, x: u32, y: u32) -> &'a [u8] {
    let size = picture.channels.count() * picture.depth.bytes();
    let at = y as usize * picture.stride + x as usize * size;
    &picture.pixels[at..at + size]
}

/// A layer's coverage at one of its places.
pub fn mask(layer: &Layer<'_>, x: u32, y: u32) -> f64 {
    let row = &layer.mask[y as usize * layer.mask_stride..];
    sample(layer.mask_depth, row, x as usize)
}

/// A document with layers over it: tight rows, and how far any layer covers each place.
#[derive(Debug, PartialEq)]
pub struct Shown {
    width: u32,
    pixel_size: usize,
    bytes: Vec<u8>,
    cover: Vec<f64>,
}

impl Shown {
    pub fn pixel(&self, x: u32, y: u32) -> &[u8] {
        let at = (y * self.width + x) as usize * self.pixel_size;
        &self.bytes[at..at + self.pixel_size]
    }

    /// The largest mask over this place.
    pub fn cover(&self, x: u32, y: u32) -> f64 {
        self.cover[(y * self.width + x) as usize]
    }

    pub fn covered(&self, x: u32, y: u32) -> bool {
        self.cover(x, y) > 0.0
    }
}

/// Puts the layers of one candidate over the document, first at the bottom.
pub fn flatten(document: &Document, layers: &[Layer<'_>], candidate: u32) -> Shown {
    let picture = document.picture();
    let mut shown = Shown {
        width: picture.width,
        pixel_size: picture.channels.count() * picture.depth.bytes(),
        bytes: Vec::new(),
        cover: vec![0.0; (picture.width * picture.height) as usize],
    };
    for y in 0..picture.height {
        for x in 0..picture.width {
            shown.bytes.extend_from_slice(document.pixel(x, y));
        }
    }
    for layer in layers.iter().filter(|l| l.candidate == candidate) {
        for y in 0..layer.picture.height {
            for x in 0..layer.picture.width {
                let place = ((layer.y + y) * shown.width + layer.x + x) as usize;
                let mask = mask(layer, x, y);
                shown.cover[place] = shown.cover[place].max(mask);
                let at = place * shown.pixel_size;
                let below = &mut shown.bytes[at..at + shown.pixel_size];
                over(&picture, below, pixel(&layer.picture, x, y), mask);
            }
        }
    }
    shown
}

/// Straight-alpha "over" of one pixel, in the document's own numbers.
fn over(format: &Picture<'_>, below: &mut [u8], above: &[u8], mask: f64) {
    let (depth, count) = (format.depth, format.channels.count());
    let has_alpha = !matches!(format.channels, Channels::Grey | Channels::Rgb);
    let alpha_of = |pixel: &[u8]| {
        if has_alpha {
            sample(depth, pixel, count - 1)
        } else {
            1.0
        }
    };
    let cover = mask * alpha_of(above);
    let under = alpha_of(below) * (1.0 - cover);
    if cover == 0.0 {
        return;
    }
    let colours = if has_alpha { count - 1 } else { count };
    for i in 0..colours {
        let (a, b) = (sample(depth, above, i), sample(depth, below, i));
        store(depth, below, i, (cover * a + under * b) / (cover + under));
    }
    if has_alpha {
        store(depth, below, count - 1, cover + under);
    }
}
