//! What is selected: a mask file, the picture's own alpha, a rectangle or a polygon.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::io;
use crate::picture::{Depth, Picture};

/// A selection as the user wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A grey or RGB picture: white is selected.
    File(PathBuf),
    /// The alpha channel of the picture itself.
    Alpha,
    /// A shape by its corners, even-odd, with soft edges where they cross pixels.
    Polygon(Vec<[f64; 2]>),
}

/// A selection of the whole picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// U8, U16 or F32.
    pub depth: Depth,
    /// One value per pixel of the picture, native endian.
    pub bytes: Vec<u8>,
}

/// Reads what follows `--selection`.
pub fn parse(text: &str) -> std::result::Result<Source, String> {
    if text == "alpha" {
        return Ok(Source::Alpha);
    }
    if let Some(rest) = text.strip_prefix("rect:") {
        let n = numbers(rest)?;
        let [x, y, w, h] = n[..] else {
            return Err(format!(
                "rect: wants X,Y,WIDTH,HEIGHT, as in rect:40,30,200,120; {rest:?} came"
            ));
        };
        if w <= 0.0 || h <= 0.0 {
            return Err(format!("the rectangle {rest} has no area"));
        }
        return Ok(Source::Polygon(vec![
            [x, y],
            [x + w, y],
            [x + w, y + h],
            [x, y + h],
        ]));
    }
    if let Some(rest) = text.strip_prefix("polygon:") {
        let mut corners = Vec::new();
        for corner in rest.split([';', ' ']).filter(|c| !c.is_empty()) {
            let n = numbers(corner)?;
            let [x, y] = n[..] else {
                return Err(format!("a corner is X,Y; {corner:?} came"));
            };
            corners.push([x, y]);
        }
        if corners.len() < 3 {
            return Err(
                "a polygon has at least three corners, as in \"polygon:10,10;90,10;50,80\"".into(),
            );
        }
        return Ok(Source::Polygon(corners));
    }
    if text.is_empty() {
        return Err("a file, alpha, rect:X,Y,W,H or polygon:X,Y;X,Y;X,Y is expected".into());
    }
    Ok(Source::File(text.into()))
}

/// Numbers with commas between them; all finite and of a size that belongs to a picture.
pub fn numbers(text: &str) -> std::result::Result<Vec<f64>, String> {
    text.split(',')
        .map(|part| match part.trim().parse::<f64>() {
            Ok(v) if v.is_finite() && v.abs() <= 1e7 => Ok(v),
            _ => Err(format!("{part:?} is not a coordinate in pixels")),
        })
        .collect()
}

impl Source {
    /// The selection for `picture`. With `use_alpha` a mask file's alpha is taken instead of its brightness.
    pub fn mask(&self, picture: &Picture, use_alpha: bool) -> Result<Mask> {
        let mask = match self {
            Self::File(path) => from_file(path, picture, use_alpha)?,
            Self::Alpha => {
                if !picture.channels.has_alpha() {
                    return Err(Failure::usage(
                        "the picture has no alpha channel to select with; give a mask file, rect: or polygon:",
                    ));
                }
                collect(picture, |i| picture.alpha(i))
            }
            Self::Polygon(corners) => Mask {
                depth: Depth::U8,
                bytes: polygon(corners, picture.width as usize, picture.height as usize),
            },
        };
        if mask.is_empty() {
            return Err(Failure::usage(match self {
                Self::File(path) => format!(
                    "{}: nothing is selected (every value is 0); white is what is selected",
                    path.display()
                ),
                Self::Alpha => "nothing is selected: the picture is transparent everywhere".into(),
                Self::Polygon(_) => format!(
                    "nothing is selected: the shape lies outside the picture, which is {}×{} pixels",
                    picture.width, picture.height
                ),
            }));
        }
        Ok(mask)
    }
}

impl Mask {
    fn is_empty(&self) -> bool {
        match self.depth {
            // A float's bytes may be those of −0 or of a negative number.
            Depth::F16 | Depth::F32 => !self
                .bytes
                .chunks_exact(4)
                .any(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]) > 0.0),
            Depth::U8 | Depth::U16 => self.bytes.iter().all(|b| *b == 0),
        }
    }
}

fn from_file(path: &Path, picture: &Picture, use_alpha: bool) -> Result<Mask> {
    let opened = io::read(path)?;
    let mask = &opened.picture;
    if (mask.width, mask.height) != (picture.width, picture.height) {
        return Err(Failure::usage(format!(
            "{}: the mask is {}×{} pixels, the picture {}×{}; a mask has the size of its picture",
            path.display(),
            mask.width,
            mask.height,
            picture.width,
            picture.height
        )));
    }
    if use_alpha {
        if !mask.channels.has_alpha() {
            return Err(Failure::usage(format!(
                "{}: it has no alpha channel; leave --selection-alpha out to use its brightness",
                path.display()
            )));
        }
        return Ok(collect(mask, |i| mask.alpha(i)));
    }
    let n = mask.channels.count();
    let grey = mask.channels.colours() == 1;
    // Brightness over black, so that transparent parts are not selected.
    Ok(collect(mask, |i| {
        let [r, g, b] = if grey {
            [mask.sample(i * n); 3]
        } else {
            [0, 1, 2].map(|c| mask.sample(i * n + c))
        };
        let light = if r == g && g == b {
            r
        } else {
            // Luma of ITU-R BT.709.
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        light * mask.alpha(i)
    }))
}

/// A mask in the precision of `like`, from a value per pixel.
fn collect(like: &Picture, value: impl Fn(usize) -> f32) -> Mask {
    let pixels = 0..like.pixels();
    match like.depth {
        Depth::U8 => Mask {
            depth: Depth::U8,
            bytes: pixels
                .map(|i| (value(i) * 255.0).round().clamp(0.0, 255.0) as u8)
                .collect(),
        },
        Depth::U16 => Mask {
            depth: Depth::U16,
            bytes: pixels
                .flat_map(|i| {
                    ((value(i) * 65535.0).round().clamp(0.0, 65535.0) as u16).to_ne_bytes()
                })
                .collect(),
        },
        Depth::F16 | Depth::F32 => Mask {
            depth: Depth::F32,
            bytes: pixels
                .flat_map(|i| value(i).clamp(0.0, 1.0).to_ne_bytes())
                .collect(),
        },
    }
}

/// Lines per pixel at which a polygon's edges are cut; along the line coverage is exact.
const LINES: usize = 16;

/// Coverage of an even-odd polygon, 0 to 255.
fn polygon(corners: &[[f64; 2]], width: usize, height: usize) -> Vec<u8> {
    let mut out = vec![0u8; width * height];
    let mut cuts = Vec::new();
    let mut cover = vec![0f64; width];
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        cover.fill(0.0);
        for line in 0..LINES {
            let at = y as f64 + (line as f64 + 0.5) / LINES as f64;
            cuts.clear();
            for (i, a) in corners.iter().enumerate() {
                let b = corners[(i + 1) % corners.len()];
                if (a[1] <= at) != (b[1] <= at) {
                    cuts.push(a[0] + (at - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
                }
            }
            cuts.sort_by(f64::total_cmp);
            for pair in cuts.chunks_exact(2) {
                let (left, right) = (pair[0].max(0.0), pair[1].min(width as f64));
                if left >= right {
                    continue;
                }
                let last = (right.ceil() as usize).min(width);
                for (x, c) in cover[..last]
                    .iter_mut()
                    .enumerate()
                    .skip(left.floor() as usize)
                {
                    let x = x as f64;
                    *c += (right.min(x + 1.0) - left.max(x)).max(0.0);
                }
            }
        }
        for (value, c) in row.iter_mut().zip(&cover) {
            *value = (c / LINES as f64 * 255.0).round().clamp(0.0, 255.0) as u8;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_of_whole_pixels_is_hard() {
        let Ok(Source::Polygon(corners)) = parse("rect:1,1,2,1") else {
            panic!("a rectangle was written");
        };
        assert_eq!(
            polygon(&corners, 4, 3),
            [0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_triangle_s_area_is_kept_by_its_soft_edge() {
        let Ok(Source::Polygon(corners)) = parse("polygon:2,2;28,4;9,27.5") else {
            panic!("a triangle was written");
        };
        let area: f64 = polygon(&corners, 32, 32)
            .iter()
            .map(|v| f64::from(*v) / 255.0)
            .sum();
        // Half the cross product of two sides.
        let expected = 0.5 * (26.0 * 25.5 - 2.0 * 7.0);
        assert!((area - expected).abs() < 1.0, "{area} against {expected}");
    }

    #[test]
    fn shapes_reach_over_the_edge_without_harm() {
        let Ok(Source::Polygon(corners)) = parse("rect:-1000000,-5,9000000,7") else {
            panic!("a rectangle was written");
        };
        assert_eq!(polygon(&corners, 2, 3), [255, 255, 255, 255, 0, 0]);
    }

    #[test]
    fn what_is_not_a_shape_is_refused() {
        for bad in [
            "rect:1,2,3",
            "rect:0,0,0,5",
            "polygon:1,1;2,2",
            "rect:NaN,0,1,1",
            "polygon:1,1;inf,2;3,3",
            "",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse("alpha"), Ok(Source::Alpha));
        assert_eq!(parse("m.png"), Ok(Source::File("m.png".into())));
    }
}
