//! Made-up documents and selections, in every format a host may hand over.

use std::sync::LazyLock;

use half::f16;
use moxcms::ColorProfile;
use repose_host::{Channels, Depth, Picture, SelectionRef, Space};

static RGB_PROFILE: LazyLock<Vec<u8>> =
    LazyLock::new(|| ColorProfile::new_display_p3().encode().unwrap());
static GREY_PROFILE: LazyLock<Vec<u8>> =
    LazyLock::new(|| ColorProfile::new_gray_with_gamma(1.8).encode().unwrap());

/// One of the formats of the contract; `space` is 0 for sRGB, 1 for linear light, 2 for a profile.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    depth: Depth,
    channels: Channels,
    space: usize,
}

impl Format {
    pub fn new(depth: Depth, channels: Channels, space: usize) -> Self {
        Self {
            depth,
            channels,
            space,
        }
    }
}

/// Every depth with every order of channels, each with two of the three spaces.
pub fn formats() -> Vec<Format> {
    let mut all = Vec::new();
    for depth in [Depth::U8, Depth::U16, Depth::F16, Depth::F32] {
        for channels in [
            Channels::Grey,
            Channels::GreyAlpha,
            Channels::Rgb,
            Channels::Rgba,
            Channels::Bgra,
        ] {
            let first = all.len() / 2;
            all.extend([first, first + 1].map(|s| Format::new(depth, channels, s % 3)));
        }
    }
    all
}

/// A number from 0 to 1 that looks random.
pub fn noise(seed: usize) -> f32 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f32 / (1u64 << 24) as f32
}

/// A host's buffer: rows with padding that must not matter.
#[derive(Debug)]
pub struct Document {
    format: Format,
    width: u32,
    height: u32,
    stride: usize,
    bytes: Vec<u8>,
}

impl Document {
    /// A textured background with a striped disc on it, `padding` bytes after each row. Float documents reach beyond 0
    /// to 1 and have an infinity and a NaN in their top left corner.
    pub fn new(format: Format, width: u32, height: u32, padding: usize) -> Self {
        let count = format.channels.count();
        let mut bytes = Vec::new();
        for y in 0..height as usize {
            for x in 0..width as usize {
                let from_centre = (x as f32 - 20.0).hypot(y as f32 - 19.0);
                for c in 0..count {
                    let grain = 0.2 * noise((y * 64 + x) * 4 + c);
                    let value = if from_centre < 11.0 {
                        0.9 - 0.5 * ((x / 3) % 2) as f32 - grain
                    } else {
                        0.2 + 0.1 * c as f32 + x as f32 / 150.0 + grain
                    };
                    push(&mut bytes, format.depth, alpha_or(format, c, x, value));
                }
            }
            // Padding differs in every row and with every padding.
            bytes.extend((0..padding).map(|i| (i * 31 + y * 17 + padding) as u8));
        }
        let stride = width as usize * count * format.depth.bytes() + padding;
        let mut document = Self {
            format,
            width,
            height,
            stride,
            bytes,
        };
        document.spoil_a_corner();
        document
    }

    fn spoil_a_corner(&mut self) {
        if matches!(self.format.depth, Depth::F16 | Depth::F32) {
            let mut odd = Vec::new();
            push(&mut odd, self.format.depth, f32::INFINITY);
            push(&mut odd, self.format.depth, f32::NAN);
            self.bytes[..odd.len()].copy_from_slice(&odd);
        }
    }

    pub fn picture(&self) -> Picture<'_> {
        let grey = matches!(self.format.channels, Channels::Grey | Channels::GreyAlpha);
        Picture {
            width: self.width,
            height: self.height,
            depth: self.format.depth,
            channels: self.format.channels,
            space: match self.format.space {
                0 => Space::Srgb,
                1 => Space::LinearSrgb,
                _ if grey => Space::Icc(&GREY_PROFILE),
                _ => Space::Icc(&RGB_PROFILE),
            },
            pixels: &self.bytes,
            stride: self.stride,
        }
    }

    /// The bytes of one pixel.
    pub fn pixel(&self, x: u32, y: u32) -> &[u8] {
        super::show::pixel(&self.picture(), x, y)
    }
}

/// Alpha has soft and clear parts at the left; the rest is opaque.
fn alpha_or(format: Format, channel: usize, x: usize, value: f32) -> f32 {
    let has_alpha = matches!(
        format.channels,
        Channels::GreyAlpha | Channels::Rgba | Channels::Bgra
    );
    if has_alpha && channel + 1 == format.channels.count() {
        return (x as f32 / 6.0).min(1.0);
    }
    match format.depth {
        Depth::U8 | Depth::U16 => value.clamp(0.0, 1.0),
        Depth::F16 | Depth::F32 => value * 1.5 - 0.2,
    }
}

fn push(bytes: &mut Vec<u8>, depth: Depth, v: f32) {
    match depth {
        Depth::U8 => bytes.push((v * 255.0).round() as u8),
        Depth::U16 => bytes.extend(((v * 65535.0).round() as u16).to_ne_bytes()),
        Depth::F16 => bytes.extend(f16::from_f32(v).to_ne_bytes()),
        Depth::F32 => bytes.extend(v.to_ne_bytes()),
    }
}

/// A host's selection.
#[derive(Debug)]
pub struct Marquee {
    depth: Depth,
    x: i32,
    y: i32,
    width: u32,
    height: u32,
    samples: Vec<u8>,
}

impl Marquee {
    /// A disc over the document's, soft over four pixels; one of the three depths, moved a little with `index`.
    pub fn soft(index: usize) -> Self {
        let depth = [Depth::U8, Depth::U16, Depth::F32][index % 3];
        let (x, y) = (6 + (index % 4) as i32, 5 + (index % 5) as i32);
        let mut samples = Vec::new();
        for sy in 0..28 {
            for sx in 0..28 {
                let (cx, cy) = (sx + x - 20, sy + y - 19);
                let distance = (cx as f32).hypot(cy as f32);
                push(
                    &mut samples,
                    depth,
                    ((13.0 - distance) / 4.0).clamp(0.0, 1.0),
                );
            }
        }
        Self {
            depth,
            x,
            y,
            width: 28,
            height: 28,
            samples,
        }
    }

    /// All zero.
    pub fn nothing() -> Self {
        Self {
            depth: Depth::U8,
            x: 3,
            y: 4,
            width: 9,
            height: 7,
            samples: vec![0; 63],
        }
    }

    /// The same selection with `margin` zeros on every side, and `padding` bytes after each row.
    pub fn framed(&self, margin: u32, padding: usize) -> Self {
        let (width, height) = (self.width + 2 * margin, self.height + 2 * margin);
        let size = self.depth.bytes();
        let stride = width as usize * size + padding;
        let mut samples = vec![0; stride * height as usize];
        for y in 0..self.height as usize {
            let row = self.width as usize * size;
            let at = (y + margin as usize) * stride + margin as usize * size;
            samples[at..at + row].copy_from_slice(&self.samples[y * row..(y + 1) * row]);
        }
        Self {
            depth: self.depth,
            x: self.x - margin as i32,
            y: self.y - margin as i32,
            width,
            height,
            samples,
        }
    }

    pub fn selection(&self) -> SelectionRef<'_> {
        SelectionRef {
            depth: self.depth,
            x: self.x,
            y: self.y,
            width: self.width,
            height: self.height,
            samples: &self.samples,
            stride: self.samples.len() / self.height as usize,
        }
    }

    /// How far a place of the picture is selected.
    pub fn at(&self, x: u32, y: u32) -> f64 {
        let (x, y) = (x as i32 - self.x, y as i32 - self.y);
        if x < 0 || y < 0 || x >= self.width as i32 || y >= self.height as i32 {
            return 0.0;
        }
        let stride = self.samples.len() / self.height as usize;
        super::show::sample(self.depth, &self.samples[y as usize * stride..], x as usize)
    }
}
