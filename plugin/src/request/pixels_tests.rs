//! Descriptions that cannot be true, and what is copied.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::ErrorKind;
use proptest::prelude::*;

fn pixels(width: u32, height: u32, stride: usize, size: usize) -> Pixels {
    Pixels {
        width,
        height,
        depth: 2,
        channels: 3,
        space: 1,
        stride,
        size,
    }
}

#[test]
fn sizes_that_cannot_be_true_are_the_callers_mistake() {
    for bad in [
        pixels(0, 5, 100, 500),
        pixels(5, 0, 100, 500),
        pixels(100_000, 100_000, 600_000, usize::MAX),
        pixels(5, 5, 29, 150),
        pixels(5, 5, 30, 149),
        pixels(5, 5, usize::MAX, usize::MAX),
        pixels(5, 5, usize::MAX / 4, usize::MAX),
        Pixels {
            depth: 9,
            ..pixels(5, 5, 30, 150)
        },
        Pixels {
            channels: 0,
            ..pixels(5, 5, 30, 150)
        },
    ] {
        assert_eq!(
            bad.needed("it").unwrap_err().kind,
            ErrorKind::Caller,
            "{bad:?}"
        );
    }
    // The last row needs no padding.
    assert_eq!(pixels(5, 5, 40, 190).needed("it").unwrap(), 190);
}

fn picture(width: u32, height: u32) -> Raster {
    let bytes = vec![0; (width * height) as usize];
    let it = Pixels {
        depth: 1,
        channels: 1,
        ..pixels(width, height, width as usize, bytes.len())
    };
    it.copy("it", &bytes, &[]).unwrap()
}

#[test]
fn not_a_number_is_not_selected() {
    let values = [f32::NAN, 0.5, 7.0, -1.0, f32::INFINITY, -0.0];
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
    let samples = Samples {
        depth: 4,
        x: 0,
        y: 0,
        width: 6,
        height: 1,
        stride: 24,
        size: 24,
    };
    let got = samples.copy(&bytes, &picture(10, 1)).unwrap();
    assert_eq!((got.rect.x, got.rect.width), (1, 4));
    assert_eq!(got.mask.data(), [0.5, 1.0, 0.0, 1.0]);
}

proptest! {
    /// The mask, put back at its place, is the host's selection cut at the picture's edges.
    #[test]
    fn selection_lands_where_the_host_put_it(
        (w, h) in (1u32..12, 1u32..12), (x, y) in (-8i32..14, -8i32..14),
        (sw, sh) in (1u32..12, 1u32..12), pad in 0usize..5, seed in any::<u64>(),
    ) {
        let stride = sw as usize + pad;
        let size = (sh as usize - 1) * stride + sw as usize;
        let bytes: Vec<u8> = (0..size as u64)
            .map(|i| {
                let mixed = (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if mixed >> 62 == 0 { (mixed >> 32) as u8 } else { 0 }
            })
            .collect();
        let samples = Samples { depth: 1, x, y, width: sw, height: sh, stride, size };
        let want = |px: usize, py: usize| {
            let (sx, sy) = (px as i64 - i64::from(x), py as i64 - i64::from(y));
            if (0..i64::from(sw)).contains(&sx) && (0..i64::from(sh)).contains(&sy) {
                f32::from(bytes[sy as usize * stride + sx as usize]) / 255.0
            } else {
                0.0
            }
        };
        match samples.copy(&bytes, &picture(w, h)) {
            Ok(got) => {
                prop_assert_eq!(got.mask.support(), got.mask.bounds());
                for py in 0..h as usize {
                    for px in 0..w as usize {
                        let inside = px >= got.rect.x && px < got.rect.x + got.rect.width
                            && py >= got.rect.y && py < got.rect.y + got.rect.height;
                        let value = if inside {
                            got.mask.at(px - got.rect.x, py - got.rect.y)
                        } else {
                            0.0
                        };
                        prop_assert_eq!(value, want(px, py));
                    }
                }
            }
            Err(error) => {
                prop_assert_eq!(error.kind, ErrorKind::Caller);
                for py in 0..h as usize {
                    for px in 0..w as usize {
                        prop_assert_eq!(want(px, py), 0.0);
                    }
                }
            }
        }
    }

    /// Stride and padding do not change what is copied.
    #[test]
    fn padding_is_left_behind((w, h) in (1u32..9, 1u32..9), pad in 0usize..9) {
        let row = w as usize * 6;
        let stride = row + pad;
        let size = (h as usize - 1) * stride + row;
        let bytes: Vec<u8> = (0..size)
            .map(|i| if i % stride < row { (i / stride * row + i % stride) as u8 } else { 255 })
            .collect();
        let got = pixels(w, h, stride, size).copy("it", &bytes, &[]).unwrap();
        let want: Vec<u8> = (0..row * h as usize).map(|i| i as u8).collect();
        prop_assert_eq!(got.bytes, want);
    }
}
