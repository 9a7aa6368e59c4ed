//! Turning a picture the way its camera was held.

use image::metadata::Orientation;

use crate::picture::Picture;

/// The orientation of a TIFF or EXIF number; anything out of range means upright.
pub fn from_number(value: u16) -> Orientation {
    u8::try_from(value)
        .ok()
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

fn swaps(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The size of a picture after `orientation` is applied.
pub fn size(width: u32, height: u32, orientation: Orientation) -> (u32, u32) {
    if swaps(orientation) {
        (height, width)
    } else {
        (width, height)
    }
}

/// The picture with `orientation` applied: pixels move, no sample changes.
pub fn apply(picture: Picture, orientation: Orientation) -> Picture {
    if orientation == Orientation::NoTransforms {
        return picture;
    }
    let (w, h) = (picture.width as usize, picture.height as usize);
    let (nw, nh) = if swaps(orientation) { (h, w) } else { (w, h) };
    let n = picture.bytes_per_pixel();
    let mut bytes = Vec::with_capacity(picture.bytes.len());
    for y in 0..nh {
        for x in 0..nw {
            let (sx, sy) = match orientation {
                Orientation::NoTransforms => (x, y),
                Orientation::FlipHorizontal => (w - 1 - x, y),
                Orientation::Rotate180 => (w - 1 - x, h - 1 - y),
                Orientation::FlipVertical => (x, h - 1 - y),
                Orientation::Rotate90 => (y, h - 1 - x),
                Orientation::Rotate270 => (w - 1 - y, x),
                // Rotated first, then mirrored.
                Orientation::Rotate90FlipH => (y, x),
                Orientation::Rotate270FlipH => (w - 1 - y, h - 1 - x),
            };
            let at = (sy * w + sx) * n;
            bytes.extend_from_slice(&picture.bytes[at..at + n]);
        }
    }
    Picture {
        width: nw as u32,
        height: nh as u32,
        bytes,
        ..picture
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Channels, Depth};

    /// Every orientation gives what the image crate gives for the same pixels.
    #[test]
    fn agrees_with_the_image_crate() {
        let picture = Picture {
            width: 3,
            height: 2,
            depth: Depth::U8,
            channels: Channels::Grey,
            icc: None,
            bytes: vec![1, 2, 3, 4, 5, 6],
        };
        for number in 1..=8u8 {
            let orientation = from_number(u16::from(number));
            let mut theirs = image::DynamicImage::from(
                image::GrayImage::from_raw(3, 2, picture.bytes.clone()).expect("six pixels"),
            );
            theirs.apply_orientation(orientation);
            let ours = apply(picture.clone(), orientation);
            assert_eq!(
                (ours.width, ours.height, ours.bytes),
                (theirs.width(), theirs.height(), theirs.into_bytes()),
                "orientation {number}"
            );
        }
    }
}
