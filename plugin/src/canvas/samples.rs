//! A document's bytes as numbers, and back.
//!
//! Integers map their whole range to 0 to 1; floats are taken as they are. Every finite value survives the way there
//! and back exactly; what is not finite becomes finite, since nothing downstream could use it.

use half::f16;

use super::{Channels, Depth, Raster};

/// The largest finite half: what an infinite sample becomes.
const LARGEST: f32 = 65504.0;

/// `v`, or the nearest usable number: 0 for NaN, ±65504 for an infinity.
pub(super) fn finite(v: f32) -> f32 {
    if v.is_finite() {
        v
    } else if v.is_nan() {
        0.0
    } else {
        LARGEST.copysign(v)
    }
}

/// The sample in the first bytes of `bytes`.
fn get(depth: Depth, bytes: &[u8]) -> f32 {
    match depth {
        Depth::U8 => f32::from(bytes[0]) / 255.0,
        Depth::U16 => f32::from(u16::from_ne_bytes([bytes[0], bytes[1]])) / 65535.0,
        Depth::F16 => finite(f16::from_ne_bytes([bytes[0], bytes[1]]).to_f32()),
        Depth::F32 => finite(f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
    }
}

/// Writes `v`, rounded to the nearest value the depth can hold.
fn put(depth: Depth, bytes: &mut [u8], v: f64) {
    // `as` turns NaN into 0 and saturates, which is what an integer sample wants.
    match depth {
        Depth::U8 => bytes[0] = (v * 255.0).round() as u8,
        Depth::U16 => bytes.copy_from_slice(&((v * 65535.0).round() as u16).to_ne_bytes()),
        Depth::F16 => {
            let v = f64::from(finite(v as f32)).clamp(-f64::from(LARGEST), f64::from(LARGEST));
            bytes.copy_from_slice(&f16::from_f64(v).to_ne_bytes());
        }
        Depth::F32 => bytes.copy_from_slice(&finite(v as f32).to_ne_bytes()),
    }
}

/// Where red, green and blue are among a pixel's samples.
fn order(channels: Channels) -> [usize; 3] {
    match channels {
        Channels::Grey | Channels::GreyAlpha => [0, 0, 0],
        Channels::Rgb | Channels::Rgba => [0, 1, 2],
        Channels::Bgra => [2, 1, 0],
    }
}

/// How a raster's pixels lie in its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    depth: Depth,
    channels: Channels,
}

impl Format {
    pub(super) fn of(raster: &Raster) -> Self {
        Self {
            depth: raster.depth,
            channels: raster.channels,
        }
    }

    /// Bytes of one pixel.
    pub(super) fn bytes(self) -> usize {
        self.depth.bytes() * self.channels.count()
    }

    fn alpha_at(self) -> Option<usize> {
        let last = self.channels.count() - 1;
        self.channels
            .has_alpha()
            .then_some(last * self.depth.bytes())
    }

    /// A pixel's colour samples as red, green, blue; grey three times.
    pub(super) fn colour(self, pixel: &[u8]) -> [f32; 3] {
        order(self.channels).map(|i| get(self.depth, &pixel[i * self.depth.bytes()..]))
    }

    /// A pixel's alpha, 0 to 1; 1 where the format has none.
    pub(super) fn alpha(self, pixel: &[u8]) -> f32 {
        self.alpha_at()
            .map_or(1.0, |at| get(self.depth, &pixel[at..]).clamp(0.0, 1.0))
    }

    /// Writes a pixel's colour samples; a grey pixel takes the first.
    pub(super) fn set_colour(self, pixel: &mut [u8], colour: [f64; 3]) {
        let size = self.depth.bytes();
        let count = if order(self.channels) == [0, 0, 0] {
            1
        } else {
            3
        };
        for (i, &v) in order(self.channels).iter().zip(&colour).take(count) {
            put(self.depth, &mut pixel[i * size..(i + 1) * size], v);
        }
    }

    /// Writes a pixel's alpha; nothing where the format has none.
    pub(super) fn set_alpha(self, pixel: &mut [u8], alpha: f64) {
        if let Some(at) = self.alpha_at() {
            put(self.depth, &mut pixel[at..at + self.depth.bytes()], alpha);
        }
    }
}

/// The bytes of pixels `x` to `x + width` of row `y`.
pub(super) fn row(raster: &Raster, y: usize, x: usize, width: usize) -> &[u8] {
    let size = raster.bytes_per_pixel();
    let start = (y * raster.width as usize + x) * size;
    &raster.bytes[start..start + width * size]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(depth: Depth, bytes: &[u8]) -> bool {
        let mut back = vec![0; bytes.len()];
        put(depth, &mut back, f64::from(get(depth, bytes)));
        back == bytes
    }

    #[test]
    fn every_integer_and_half_comes_back() {
        for v in 0..=u8::MAX {
            assert!(kept(Depth::U8, &[v]), "{v}");
        }
        for v in 0..=u16::MAX {
            assert!(kept(Depth::U16, &v.to_ne_bytes()), "{v}");
            let half = f16::from_bits(v);
            assert_eq!(
                kept(Depth::F16, &v.to_ne_bytes()),
                half.is_finite(),
                "{half}"
            );
        }
    }

    #[test]
    fn singles_come_back_down_to_the_smallest() {
        for v in [
            0.0,
            -0.0,
            f32::from_bits(1),
            f32::MIN_POSITIVE,
            1.5e-42,
            f32::MAX,
            -7.25,
        ] {
            assert!(kept(Depth::F32, &v.to_ne_bytes()), "{v}");
        }
    }

    #[test]
    fn what_is_not_finite_becomes_usable() {
        assert_eq!(get(Depth::F32, &f32::NAN.to_ne_bytes()), 0.0);
        assert_eq!(get(Depth::F32, &f32::INFINITY.to_ne_bytes()), LARGEST);
        assert_eq!(get(Depth::F16, &f16::NEG_INFINITY.to_ne_bytes()), -LARGEST);
        let mut byte = [9];
        put(Depth::U8, &mut byte, f64::NAN);
        assert_eq!(byte, [0]);
        put(Depth::U8, &mut byte, f64::INFINITY);
        assert_eq!(byte, [255]);
    }

    #[test]
    fn bgra_is_read_in_its_order() {
        let format = Format {
            depth: Depth::U8,
            channels: Channels::Bgra,
        };
        let mut pixel = [51, 102, 255, 0];
        assert_eq!(format.colour(&pixel), [1.0, 0.4, 0.2]);
        assert_eq!(format.alpha(&pixel), 0.0);
        format.set_colour(&mut pixel, [0.0, 1.0, 0.2]);
        format.set_alpha(&mut pixel, 1.0);
        assert_eq!(pixel, [51, 255, 0, 255]);
    }
}
