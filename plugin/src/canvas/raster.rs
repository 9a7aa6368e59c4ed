//! Pixels exactly as a host hands them over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Mask, Rect};

/// The most pixels a picture may have: 2²⁹ (about 23 000 × 23 000).
pub const MAX_PIXELS: u64 = 1 << 29;

/// Type of one sample. The numbers are those of `repose.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u32)]
pub enum Depth {
    /// 8-bit unsigned.
    U8 = 1,
    /// 16-bit unsigned.
    U16 = 2,
    /// IEEE half.
    F16 = 3,
    /// IEEE single.
    F32 = 4,
}

/// Samples of one pixel, in memory order; alpha is straight. The numbers are those of `repose.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
pub enum Channels {
    /// Grey.
    Grey = 1,
    /// Grey, alpha.
    GreyAlpha = 2,
    /// Red, green, blue.
    Rgb = 3,
    /// Red, green, blue, alpha.
    Rgba = 4,
    /// Blue, green, red, alpha (Krita's integer order).
    Bgra = 5,
}

/// Type of one selection sample. The numbers are those of `repose.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u32)]
pub enum SelectionDepth {
    /// 0 to 255.
    U8 = 1,
    /// 0 to 65535.
    U16 = 2,
    /// 0.0 to 1.0.
    F32 = 4,
}

/// What the samples mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Space {
    /// sRGB with its own transfer curve (grey: the same curve).
    Srgb,
    /// sRGB primaries, linear light (grey: linear).
    LinearSrgb,
    /// An ICC profile of the picture's own kind (RGB or grey).
    Icc(Arc<[u8]>),
}

/// A document's pixels: an owned copy with tight rows, in the host's own format (native endian).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    /// Pixels per row, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Type of one sample.
    pub depth: Depth,
    /// Samples of one pixel.
    pub channels: Channels,
    /// What the samples mean.
    pub space: Space,
    /// `width × height × bytes_per_pixel` bytes.
    pub bytes: Vec<u8>,
}

/// A host's selection: `mask` covers `rect` of the picture, and is 0 outside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Type the samples came in; layer masks go back in it.
    pub depth: SelectionDepth,
    /// Where the mask lies in the picture; wholly inside it. Empty if nothing is selected.
    pub rect: Rect,
    /// `rect.width × rect.height` values.
    pub mask: Mask,
}

impl Depth {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl Channels {
    /// Samples of one pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Bgra => 4,
        }
    }
    /// Whether the last sample is alpha.
    pub fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba | Self::Bgra)
    }
}

impl SelectionDepth {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
            Self::F32 => 4,
        }
    }
}

impl Raster {
    /// Bytes of one pixel.
    pub fn bytes_per_pixel(&self) -> usize {
        self.depth.bytes() * self.channels.count()
    }
}
