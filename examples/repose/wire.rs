//! Between the plugin's borrowed pixels and the pictures here.

use std::sync::Arc;

use repose_host as host;

use crate::failure::{Failure, Kind};
use crate::flatten::Layer;
use crate::picture::{Channels, Depth, Picture};
use crate::pins::Pin;
use crate::select::Mask;

/// The picture as the plugin wants it; nothing is copied.
pub fn lend(picture: &Picture) -> host::Picture<'_> {
    host::Picture {
        width: picture.width,
        height: picture.height,
        depth: lend_depth(picture.depth),
        channels: match picture.channels {
            Channels::Grey => host::Channels::Grey,
            Channels::GreyAlpha => host::Channels::GreyAlpha,
            Channels::Rgb => host::Channels::Rgb,
            Channels::Rgba => host::Channels::Rgba,
        },
        space: match &picture.icc {
            Some(profile) => host::Space::Icc(profile),
            None if picture.depth.is_float() => host::Space::LinearSrgb,
            None => host::Space::Srgb,
        },
        pixels: &picture.bytes,
        stride: picture.width as usize * picture.bytes_per_pixel(),
    }
}

/// A selection of the whole of `picture`; nothing is copied.
pub fn lend_mask<'a>(mask: &'a Mask, picture: &Picture) -> host::SelectionRef<'a> {
    host::SelectionRef {
        depth: lend_depth(mask.depth),
        x: 0,
        y: 0,
        width: picture.width,
        height: picture.height,
        samples: &mask.bytes,
        stride: picture.width as usize * mask.depth.bytes(),
    }
}

/// A pin in the host's words.
pub fn lend_pin(pin: &Pin) -> host::Pin {
    host::Pin {
        from: pin.from,
        to: pin.to,
        angle: pin.angle,
        depth: pin.depth,
    }
}

fn lend_depth(depth: Depth) -> host::Depth {
    match depth {
        Depth::U8 => host::Depth::U8,
        Depth::U16 => host::Depth::U16,
        Depth::F16 => host::Depth::F16,
        Depth::F32 => host::Depth::F32,
    }
}

fn take_depth(depth: host::Depth) -> Depth {
    match depth {
        host::Depth::U8 => Depth::U8,
        host::Depth::U16 => Depth::U16,
        host::Depth::F16 => Depth::F16,
        host::Depth::F32 => Depth::F32,
    }
}

/// A copy of the plugin's picture. BGRA, which a replayed request of Krita's may hold, becomes RGBA.
pub fn take(picture: &host::Picture<'_>) -> Picture {
    let row = picture.row_bytes();
    let mut bytes = Vec::with_capacity(row * picture.height as usize);
    for y in 0..picture.height as usize {
        bytes.extend_from_slice(&picture.pixels[y * picture.stride..][..row]);
    }
    if picture.channels == host::Channels::Bgra {
        let sample = picture.depth.bytes();
        for pixel in bytes.chunks_exact_mut(4 * sample) {
            let (blue, rest) = pixel.split_at_mut(sample);
            blue.swap_with_slice(&mut rest[sample..2 * sample]);
        }
    }
    Picture {
        width: picture.width,
        height: picture.height,
        depth: take_depth(picture.depth),
        channels: match picture.channels {
            host::Channels::Grey => Channels::Grey,
            host::Channels::GreyAlpha => Channels::GreyAlpha,
            host::Channels::Rgb => Channels::Rgb,
            host::Channels::Rgba | host::Channels::Bgra => Channels::Rgba,
        },
        icc: match picture.space {
            host::Space::Icc(profile) => Some(Arc::from(profile)),
            host::Space::Srgb | host::Space::LinearSrgb => None,
        },
        bytes,
    }
}

/// A copy of one of the plugin's layers.
pub fn take_layer(layer: &host::Layer<'_>) -> Layer {
    let sample = layer.mask_depth.bytes();
    let row = layer.picture.width as usize * sample;
    let mask = (0..layer.picture.height as usize)
        .flat_map(|y| layer.mask[y * layer.mask_stride..][..row].chunks_exact(sample))
        .map(|b| match *b {
            [v] => f32::from(v) / 255.0,
            [a, b] => f32::from(u16::from_ne_bytes([a, b])) / 65535.0,
            [a, b, c, d] => f32::from_ne_bytes([a, b, c, d]),
            // Masks have one, two or four bytes a sample.
            _ => 0.0,
        })
        .collect();
    Layer {
        name: layer.name.to_owned(),
        candidate: layer.candidate,
        x: layer.x,
        y: layer.y,
        picture: take(&layer.picture),
        mask,
    }
}

impl From<host::Error> for Failure {
    fn from(error: host::Error) -> Self {
        Self {
            kind: match error.kind {
                host::ErrorKind::Caller => Kind::Usage,
                host::ErrorKind::Files => Kind::Files,
                host::ErrorKind::Refused => Kind::Refused,
                host::ErrorKind::Device | host::ErrorKind::Busy => Kind::Device,
                host::ErrorKind::Cancelled => Kind::Cancelled,
                host::ErrorKind::Bug => Kind::Bug,
            },
            message: error.message,
        }
    }
}

impl From<host::LoadError> for Failure {
    fn from(error: host::LoadError) -> Self {
        Self {
            kind: Kind::Files,
            message: error.to_string(),
        }
    }
}
