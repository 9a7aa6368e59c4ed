//! A picture in memory, in the precision and colours of its file.

use std::sync::Arc;

/// The most pixels a picture may have; the plugin's own limit.
pub const MAX_PIXELS: u64 = 1 << 29;

/// The most bytes of samples a picture may have here.
pub const MAX_BYTES: u64 = 8 << 30;

/// Type of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// 8-bit unsigned.
    U8,
    /// 16-bit unsigned.
    U16,
    /// IEEE half.
    F16,
    /// IEEE single.
    F32,
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

    /// Whether samples are floating point.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32)
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "8-bit",
            Self::U16 => "16-bit",
            Self::F16 => "16-bit float",
            Self::F32 => "32-bit float",
        }
    }
}

/// Samples of one pixel, in memory order; alpha is straight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// Grey.
    Grey,
    /// Grey, alpha.
    GreyAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
}

impl Channels {
    /// Samples of one pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Samples of one pixel without alpha.
    pub fn colours(self) -> usize {
        match self {
            Self::Grey | Self::GreyAlpha => 1,
            Self::Rgb | Self::Rgba => 3,
        }
    }

    /// Whether the last sample is alpha.
    pub fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }

    /// The same with alpha.
    pub fn with_alpha(self) -> Self {
        match self {
            Self::Grey | Self::GreyAlpha => Self::GreyAlpha,
            Self::Rgb | Self::Rgba => Self::Rgba,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::GreyAlpha => "grey with alpha",
            Self::Rgb => "RGB",
            Self::Rgba => "RGB with alpha",
        }
    }
}

/// Pixels in rows without gaps, top left first, native endian.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Pixels per row, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// Type of one sample.
    pub depth: Depth,
    /// Samples of one pixel.
    pub channels: Channels,
    /// The file's colour profile. Without one, integers are sRGB and floats are sRGB in linear light.
    pub icc: Option<Arc<[u8]>>,
    /// `width × height × bytes_per_pixel` bytes.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Bytes of one pixel.
    pub fn bytes_per_pixel(&self) -> usize {
        self.depth.bytes() * self.channels.count()
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Sample number `index`, counted over the whole picture: integers as 0 to 1, floats as they are.
    pub fn sample(&self, index: usize) -> f32 {
        let at = index * self.depth.bytes();
        match self.depth {
            Depth::U8 => f32::from(self.bytes[at]) / 255.0,
            Depth::U16 => {
                f32::from(u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]])) / 65535.0
            }
            Depth::F16 => half::f16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]).to_f32(),
            Depth::F32 => f32::from_ne_bytes([
                self.bytes[at],
                self.bytes[at + 1],
                self.bytes[at + 2],
                self.bytes[at + 3],
            ]),
        }
    }

    /// Sets sample number `index`; integers are rounded to the nearest and clamped.
    pub fn set_sample(&mut self, index: usize, value: f32) {
        let at = index * self.depth.bytes();
        match self.depth {
            Depth::U8 => self.bytes[at] = (value * 255.0).round().clamp(0.0, 255.0) as u8,
            Depth::U16 => {
                let v = (value * 65535.0).round().clamp(0.0, 65535.0) as u16;
                self.bytes[at..at + 2].copy_from_slice(&v.to_ne_bytes());
            }
            Depth::F16 => {
                self.bytes[at..at + 2].copy_from_slice(&half::f16::from_f32(value).to_ne_bytes())
            }
            Depth::F32 => self.bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes()),
        }
    }

    /// Coverage of pixel number `index`: its alpha, or 1 without alpha.
    pub fn alpha(&self, index: usize) -> f32 {
        if self.channels.has_alpha() {
            let n = self.channels.count();
            self.sample(index * n + n - 1)
        } else {
            1.0
        }
    }

    /// Whether every pixel is opaque.
    pub fn is_opaque(&self) -> bool {
        !self.channels.has_alpha() || (0..self.pixels()).all(|i| self.alpha(i) >= 1.0)
    }
}
