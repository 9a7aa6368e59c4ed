//! A small picture of a subject for lists.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::Subject;
use crate::{Error, Result};

/// The longest side, in pixels.
pub const SIDE: usize = 128;

/// The subject's colours with its matte as alpha, PNG in base64 (RFC 4648).
pub fn base64_png(subject: &Subject) -> Result<String> {
    let (w, h) = (subject.matte.width(), subject.matte.height());
    let longest = w.max(h).max(1);
    let (nw, nh) = if longest <= SIDE {
        (w, h)
    } else {
        ((w * SIDE / longest).max(1), (h * SIDE / longest).max(1))
    };
    let mut bytes = Vec::with_capacity(nw * nh * 4);
    for y in 0..nh {
        let rows = y * h / nh..((y + 1) * h / nh).max(y * h / nh + 1);
        for x in 0..nw {
            let columns = x * w / nw..((x + 1) * w / nw).max(x * w / nw + 1);
            bytes.extend(average(subject, rows.clone(), columns));
        }
    }
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
        .write_image(&bytes, nw as u32, nh as u32, ExtendedColorType::Rgba8)
        .map_err(|e| Error::bug(format!("the thumbnail could not be written: {e}")))?;
    Ok(base64(&png))
}

/// Mean of a block as straight RGBA; colours are weighted by the matte, so that hidden ones do not bleed in.
fn average(
    subject: &Subject,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> [u8; 4] {
    let (mut sum, mut weight) = ([0.0f32; 3], 0.0f32);
    let count = (rows.len() * columns.len()) as f32;
    for y in rows {
        let colours = &subject.colours.row(y)[columns.clone()];
        for (colour, &alpha) in colours.iter().zip(&subject.matte.row(y)[columns.clone()]) {
            if alpha > 0.0 {
                for c in 0..3 {
                    sum[c] += colour[c] * alpha;
                }
                weight += alpha;
            }
        }
    }
    // Casts from float saturate, and make 0 of what is not a number.
    let byte = |v: f32| (v * 255.0 + 0.5) as u8;
    let colour = sum.map(|s| byte(if weight > 0.0 { s / weight } else { 0.0 }));
    [colour[0], colour[1], colour[2], byte(weight / count)]
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut bits = 0u32;
        for i in 0..3 {
            bits = bits << 8 | u32::from(group.get(i).copied().unwrap_or(0));
        }
        for i in 0..4 {
            let digit = (bits >> (18 - 6 * i)) & 63;
            text.push(if i <= group.len() {
                char::from(DIGITS[digit as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::canvas::Depth;
    use crate::subject::testing;

    #[test]
    fn base64_of_the_standards_examples() {
        // RFC 4648, section 10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn large_subjects_are_scaled_and_hidden_colours_stay_hidden() {
        let mut subject = testing::subject("Bear", 300, 200, Depth::U8);
        for (i, (colour, alpha)) in subject
            .colours
            .data_mut()
            .iter_mut()
            .zip(subject.matte.data_mut())
            .enumerate()
        {
            let shown = i % 2 == 0;
            *colour = if shown {
                [1.0, 0.0, 0.0]
            } else {
                [f32::NAN, 9.0, 9.0]
            };
            *alpha = if shown { 1.0 } else { 0.0 };
        }
        let block = average(&subject, 0..4, 0..4);
        assert_eq!(block, [255, 0, 0, 128]);
        let text = base64_png(&subject).unwrap();
        assert!(text.starts_with("iVBORw0KGgo"), "not a PNG: {text}");
        assert!(text.len() < 100_000);
    }
}
