//! A contact sheet: a row for each case, a column for what was learned, the source, each recipe, and the truth.

use std::path::Path;

use image::{RgbImage, imageops};

use crate::Result;
use crate::case::SIDE;

/// Pixels between pictures.
const GAP: usize = 2;

/// Writes rows of pictures, all rows as long as the first.
///
/// # Errors
/// As the file.
pub fn save(rows: &[Vec<Vec<[u8; 3]>>], to: &Path) -> Result<()> {
    let across = rows.first().map_or(0, Vec::len);
    let step = SIDE + GAP;
    let (width, height) = ((across * step) as u32, (rows.len() * step) as u32);
    let mut sheet = RgbImage::from_pixel(width, height, image::Rgb([255; 3]));
    for (y, row) in rows.iter().enumerate() {
        for (x, rgb) in row.iter().enumerate() {
            imageops::replace(
                &mut sheet,
                &image(rgb)?,
                (x * step) as i64,
                (y * step) as i64,
            );
        }
    }
    Ok(sheet.save(to)?)
}

/// Pixels as a picture.
///
/// # Errors
/// If they are not of a case.
pub fn image(rgb: &[[u8; 3]]) -> Result<RgbImage> {
    let bytes = rgb.as_flattened().to_vec();
    let made = RgbImage::from_raw(SIDE as u32, SIDE as u32, bytes);
    Ok(made.ok_or("a picture of another size")?)
}
