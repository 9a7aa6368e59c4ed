//! Smaller pictures for looking at: thumbnails and before/after.

use crate::picture::{Channels, Depth, Picture};

/// `picture` scaled down by area averaging so that its longest side is at most `side`; a smaller one is copied.
/// Colours are averaged with their alpha, in the picture's own encoding.
pub fn fit(picture: &Picture, side: u32) -> Picture {
    let (w, h) = (picture.width as usize, picture.height as usize);
    let longest = w.max(h);
    let side = side.max(1) as usize;
    if longest <= side {
        return picture.clone();
    }
    let (nw, nh) = ((w * side / longest).max(1), (h * side / longest).max(1));
    let n = picture.channels.count();
    let colours = picture.channels.colours();
    let mut small = Picture {
        width: nw as u32,
        height: nh as u32,
        depth: picture.depth,
        channels: picture.channels,
        icc: picture.icc.clone(),
        bytes: vec![0; nw * nh * picture.bytes_per_pixel()],
    };
    for y in 0..nh {
        let rows = y * h / nh..((y + 1) * h / nh).max(y * h / nh + 1);
        for x in 0..nw {
            let columns = x * w / nw..((x + 1) * w / nw).max(x * w / nw + 1);
            let mut sum = [0.0f64; 3];
            let mut coverage = 0.0;
            for sy in rows.clone() {
                for sx in columns.clone() {
                    let i = sy * w + sx;
                    let alpha = f64::from(picture.alpha(i));
                    coverage += alpha;
                    for (c, s) in sum.iter_mut().enumerate().take(colours) {
                        *s += alpha * f64::from(picture.sample(i * n + c));
                    }
                }
            }
            let to = (y * nw + x) * n;
            if coverage > 0.0 {
                for (c, s) in sum.iter().enumerate().take(colours) {
                    small.set_sample(to + c, (s / coverage) as f32);
                }
            }
            if picture.channels.has_alpha() {
                let area = (rows.len() * columns.len()) as f64;
                small.set_sample(to + n - 1, (coverage / area) as f32);
            }
        }
    }
    small
}

/// The picture with 8-bit samples. Floats without a profile are linear light and get sRGB's curve.
pub fn to_eight_bit(picture: &Picture) -> Picture {
    if picture.depth == Depth::U8 {
        return picture.clone();
    }
    let linear = picture.depth.is_float() && picture.icc.is_none();
    let n = picture.channels.count();
    let colours = picture.channels.colours();
    let mut out = Picture {
        depth: Depth::U8,
        icc: picture.icc.clone(),
        bytes: vec![0; picture.pixels() * n],
        ..*picture
    };
    for i in 0..picture.pixels() * n {
        let value = picture.sample(i);
        out.set_sample(
            i,
            if linear && i % n < colours {
                srgb(value)
            } else {
                value
            },
        );
    }
    out
}

/// sRGB's transfer curve (IEC 61966-2-1), from linear light.
fn srgb(linear: f32) -> f32 {
    if linear <= 0.003_130_8 {
        12.92 * linear
    } else {
        1.055 * linear.powf(1.0 / 2.4) - 0.055
    }
}

/// Width of the line between before and after, in pixels.
const DIVIDER: u32 = 6;

/// Before and after side by side, each at most `side` long, on white, 8-bit, in the picture's own colours.
pub fn side_by_side(before: &Picture, after: &Picture, side: u32) -> Picture {
    let halves = [before, after].map(|p| to_eight_bit(&fit(p, side)));
    let colours = halves[0].channels.colours();
    let channels = if colours == 1 {
        Channels::Grey
    } else {
        Channels::Rgb
    };
    let width = halves[0].width + DIVIDER + halves[1].width;
    let height = halves[0].height.max(halves[1].height);
    let mut out = Picture {
        width,
        height,
        depth: Depth::U8,
        channels,
        icc: halves[0].icc.clone(),
        bytes: vec![255; width as usize * height as usize * colours],
    };
    let mut left = 0;
    for half in &halves {
        let n = half.channels.count();
        for y in 0..half.height as usize {
            for x in 0..half.width as usize {
                let i = y * half.width as usize + x;
                let alpha = half.alpha(i);
                for c in 0..colours {
                    let value = half.sample(i * n + c) * alpha + (1.0 - alpha);
                    let to = (y * width as usize + left + x) * colours + c;
                    out.set_sample(to, value);
                }
            }
        }
        left += (half.width + DIVIDER) as usize;
    }
    out
}
