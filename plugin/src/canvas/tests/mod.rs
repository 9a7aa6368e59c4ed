//! The laws of the canvas, and its colours.
#![allow(clippy::unwrap_used)]

mod colours;
mod hostile;
mod laws;
mod profiles;
mod tables;

use std::sync::Arc;

use moxcms::ColorProfile;

use super::*;

pub(super) const DEPTHS: [Depth; 4] = [Depth::U8, Depth::U16, Depth::F16, Depth::F32];
pub(super) const CHANNELS: [Channels; 5] = [
    Channels::Grey,
    Channels::GreyAlpha,
    Channels::Rgb,
    Channels::Rgba,
    Channels::Bgra,
];

pub(super) fn icc(profile: &ColorProfile) -> Space {
    Space::Icc(Arc::from(profile.encode().unwrap()))
}

/// Three spaces that fit the channels: sRGB, linear, a profile.
pub(super) fn space(channels: Channels, which: usize) -> Space {
    let grey = matches!(channels, Channels::Grey | Channels::GreyAlpha);
    match which {
        0 => Space::Srgb,
        1 => Space::LinearSrgb,
        _ if grey => icc(&ColorProfile::new_gray_with_gamma(2.2)),
        _ => icc(&ColorProfile::new_display_p3()),
    }
}

/// A raster of one row, or of `width` if given, over `bytes`.
pub(super) fn raster(
    width: usize,
    depth: Depth,
    channels: Channels,
    space: Space,
    bytes: Vec<u8>,
) -> Raster {
    let row = width * depth.bytes() * channels.count();
    Raster {
        width: width as u32,
        height: (bytes.len() / row) as u32,
        depth,
        channels,
        space,
        bytes,
    }
}
