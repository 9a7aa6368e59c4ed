//! Copies a host's pixels and selections in, row by row, and refuses what cannot be true.
//!
//! The border first asks [`Pixels::needed`] how many bytes it must be able to read, then hands over exactly these.

use std::sync::Arc;

use super::check::empty_selection;
use crate::canvas::{
    Channels, Depth, Grid, MAX_PIXELS, Raster, Rect, Selection, SelectionDepth, Space,
};
use crate::{Error, Result};

/// How a host describes a picture; nothing in it is trusted yet.
#[derive(Debug, Clone, Copy)]
pub struct Pixels {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Number of a [`Depth`].
    pub depth: u32,
    /// Number of a [`Channels`].
    pub channels: u32,
    /// Number of a space in `repose.h`.
    pub space: u32,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes that the host says may be read.
    pub size: usize,
}

/// How a host describes a selection; nothing in it is trusted yet.
#[derive(Debug, Clone, Copy)]
pub struct Samples {
    /// Number of a [`SelectionDepth`].
    pub depth: u32,
    /// Left edge in the picture.
    pub x: i32,
    /// Top edge in the picture.
    pub y: i32,
    /// Samples per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes that the host says may be read.
    pub size: usize,
}

impl Pixels {
    /// Bytes from the first of the top left pixel to the last of the bottom right one.
    ///
    /// # Errors
    /// `Caller` where size, format, stride and `size` cannot all be true.
    pub fn needed(&self, what: &str) -> Result<usize> {
        let pixel = self.depth()?.bytes() * self.channels()?.count();
        needed(what, self.width, self.height, pixel, self.stride, self.size)
    }

    /// Copies the rows out of `bytes`, which must be [`Pixels::needed`] long, with a profile if the space asks for one.
    ///
    /// # Errors
    /// `Caller` where the description is wrong, `Device` if there is no memory for the copy.
    pub fn copy(&self, what: &str, bytes: &[u8], icc: &[u8]) -> Result<Raster> {
        if bytes.len() != self.needed(what)? {
            return Err(Error::bug("the border read another number of bytes"));
        }
        let (depth, channels) = (self.depth()?, self.channels()?);
        let space = match self.space {
            1 => Space::Srgb,
            2 => Space::LinearSrgb,
            3 => Space::Icc(Arc::from(icc)),
            other => {
                return Err(Error::caller(format!(
                    "the space of {what} must be 1 (sRGB), 2 (linear sRGB) or 3 (ICC), not {other}"
                )));
            }
        };
        let row = self.width as usize * depth.bytes() * channels.count();
        let mut tight = reserved(row * self.height as usize)?;
        for line in bytes.chunks(self.stride).take(self.height as usize) {
            tight.extend_from_slice(&line[..row]);
        }
        Ok(Raster {
            width: self.width,
            height: self.height,
            depth,
            channels,
            space,
            bytes: tight,
        })
    }

    fn depth(&self) -> Result<Depth> {
        Ok(match self.depth {
            1 => Depth::U8,
            2 => Depth::U16,
            3 => Depth::F16,
            4 => Depth::F32,
            other => {
                return Err(Error::caller(format!(
                    "a picture's depth is 1 (U8), 2 (U16), 3 (F16) or 4 (F32), not {other}"
                )));
            }
        })
    }

    fn channels(&self) -> Result<Channels> {
        Ok(match self.channels {
            1 => Channels::Grey,
            2 => Channels::GreyAlpha,
            3 => Channels::Rgb,
            4 => Channels::Rgba,
            5 => Channels::Bgra,
            other => {
                return Err(Error::caller(format!(
                    "a picture's channels are 1 (grey) to 5 (BGRA), not {other}"
                )));
            }
        })
    }
}

impl Samples {
    /// Bytes from the first of the top left sample to the last of the bottom right one.
    ///
    /// # Errors
    /// `Caller` where size, depth, stride and `size` cannot all be true.
    pub fn needed(&self) -> Result<usize> {
        let sample = self.depth()?.bytes();
        let what = "the selection";
        needed(
            what,
            self.width,
            self.height,
            sample,
            self.stride,
            self.size,
        )
    }

    /// The part of the selection that selects something of `picture`. NaN counts as not selected, and values beyond 0 to 1
    /// as the nearer end.
    ///
    /// # Errors
    /// `Caller` where the description is wrong or nothing is selected, `Device` if there is no memory for the copy.
    pub fn copy(&self, bytes: &[u8], picture: &Raster) -> Result<Selection> {
        if bytes.len() != self.needed()? {
            return Err(Error::bug("the border read another number of bytes"));
        }
        let depth = self.depth()?;
        // What lies inside the picture, in samples of the selection.
        let (left, right) = overlap(self.x, self.width, picture.width);
        let (top, bottom) = overlap(self.y, self.height, picture.height);
        if left >= right {
            return Err(empty_selection());
        }
        let step = depth.bytes();
        let line = |y: usize| &bytes[y * self.stride..][left * step..right * step];

        let mut found: Option<Rect> = None;
        for y in top..bottom {
            let mut selected = line(y)
                .chunks_exact(step)
                .map(|s| value(depth, s))
                .enumerate()
                .filter(|(_, v)| *v > 0.0)
                .map(|(x, _)| x);
            let Some(first) = selected.next() else {
                continue;
            };
            let last = selected.next_back().unwrap_or(first);
            let row = Rect {
                x: left + first,
                y,
                width: last - first + 1,
                height: 1,
            };
            found = Some(found.map_or(row, |so_far| so_far.union(row)));
        }
        let part = found.ok_or_else(empty_selection)?;

        let mut values = reserved(part.width * part.height)?;
        for y in part.y..part.y + part.height {
            let line = &bytes[y * self.stride..][part.x * step..(part.x + part.width) * step];
            values.extend(line.chunks_exact(step).map(|s| value(depth, s)));
        }
        let place = |start: i32, inside: usize| (i64::from(start) + inside as i64) as usize;
        Ok(Selection {
            depth,
            rect: Rect {
                x: place(self.x, part.x),
                y: place(self.y, part.y),
                ..part
            },
            mask: Grid::from_vec(part.width, part.height, values)?,
        })
    }

    fn depth(&self) -> Result<SelectionDepth> {
        Ok(match self.depth {
            1 => SelectionDepth::U8,
            2 => SelectionDepth::U16,
            4 => SelectionDepth::F32,
            other => {
                return Err(Error::caller(format!(
                    "a selection's depth is 1 (U8), 2 (U16) or 4 (F32), not {other}"
                )));
            }
        })
    }
}

/// One sample as coverage. `sample` has the depth's length.
fn value(depth: SelectionDepth, sample: &[u8]) -> f32 {
    match (depth, sample) {
        (SelectionDepth::U8, [a]) => f32::from(*a) / 255.0,
        (SelectionDepth::U16, [a, b]) => f32::from(u16::from_ne_bytes([*a, *b])) / 65535.0,
        (SelectionDepth::F32, [a, b, c, d]) => {
            let value = f32::from_ne_bytes([*a, *b, *c, *d]);
            // Also NaN and -0 become 0.
            if value > 0.0 { value.min(1.0) } else { 0.0 }
        }
        _ => 0.0,
    }
}

/// Which of the samples `0..length`, the first of which lies at `start`, fall into `0..limit`.
fn overlap(start: i32, length: u32, limit: u32) -> (usize, usize) {
    let start = i64::from(start);
    let first = (-start).clamp(0, i64::from(length));
    let end = (i64::from(limit) - start).clamp(0, i64::from(length));
    (first as usize, end as usize)
}

fn needed(
    what: &str,
    width: u32,
    height: u32,
    sample: usize,
    stride: usize,
    size: usize,
) -> Result<usize> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(Error::caller(format!(
            "{what} is {width}×{height}: 1 to {MAX_PIXELS} pixels were expected"
        )));
    }
    let row = width as usize * sample;
    if stride < row {
        return Err(Error::caller(format!(
            "{what} is {width} pixels wide: a stride of at least {row} bytes was expected, {stride} came"
        )));
    }
    let needed = (height as usize - 1)
        .checked_mul(stride)
        .and_then(|above| above.checked_add(row))
        .filter(|bytes| isize::try_from(*bytes).is_ok());
    match needed {
        Some(bytes) if bytes <= size => Ok(bytes),
        _ => Err(Error::caller(format!(
            "{what} is {width}×{height} with a stride of {stride}: more bytes were expected than the {size} that came"
        ))),
    }
}

/// An empty vector with room for `length` values.
fn reserved<T>(length: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(length).map_err(|_| {
        Error::device(format!(
            "not enough memory for a copy of {length} values: close other pictures or work on a smaller one"
        ))
    })?;
    Ok(values)
}

#[cfg(test)]
#[path = "pixels_tests.rs"]
mod tests;
