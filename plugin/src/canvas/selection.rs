//! Selections and masks in the host's number formats.

use super::{Grid, Mask, Rect, Selection, SelectionDepth};
use crate::{Error, Result};

/// The nearest value that `depth` can hold. Only an exact 0 or a value that rounds to 0 becomes 0.
fn quantised(value: f32, depth: SelectionDepth) -> f32 {
    // NaN becomes 0: nothing is selected where nobody knows.
    let v = if value > 0.0 { value.min(1.0) } else { 0.0 };
    match depth {
        SelectionDepth::U8 => (v * 255.0).round() / 255.0,
        SelectionDepth::U16 => (v * 65535.0).round() / 65535.0,
        SelectionDepth::F32 => v,
    }
}

/// Every value rounded to the nearest that `depth` can hold; outside 0 to 1 is clamped, NaN becomes 0.
pub fn quantise(mask: &Mask, depth: SelectionDepth) -> Mask {
    mask.map(|&v| quantised(v, depth))
}

/// The mask's samples as a host takes them: native endian, tight rows. Exact for a mask that came from `depth`.
pub fn mask_to_bytes(mask: &Mask, depth: SelectionDepth) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(mask.data().len() * depth.bytes());
    for &v in mask.data() {
        let v = quantised(v, depth);
        match depth {
            SelectionDepth::U8 => bytes.push((v * 255.0).round() as u8),
            SelectionDepth::U16 => {
                bytes.extend_from_slice(&((v * 65535.0).round() as u16).to_ne_bytes());
            }
            SelectionDepth::F32 => bytes.extend_from_slice(&v.to_ne_bytes()),
        }
    }
    bytes
}

/// A host's samples (native endian, tight rows) as a mask; floats outside 0 to 1 are clamped, NaN becomes 0.
/// A caller error if the number of bytes does not fit.
pub fn mask_from_bytes(
    width: usize,
    height: usize,
    bytes: &[u8],
    depth: SelectionDepth,
) -> Result<Mask> {
    let expected = width
        .checked_mul(height)
        .and_then(|n| n.checked_mul(depth.bytes()));
    if expected != Some(bytes.len()) {
        return Err(Error::caller(format!(
            "a selection of {width}×{height} with {} bytes a sample was expected, {} bytes came",
            depth.bytes(),
            bytes.len()
        )));
    }
    let values = match depth {
        SelectionDepth::U8 => bytes.iter().map(|&b| f32::from(b) / 255.0).collect(),
        SelectionDepth::U16 => bytes
            .chunks_exact(2)
            .map(|b| f32::from(u16::from_ne_bytes([b[0], b[1]])) / 65535.0)
            .collect(),
        SelectionDepth::F32 => bytes
            .chunks_exact(4)
            .map(|b| quantised(f32::from_ne_bytes([b[0], b[1], b[2], b[3]]), depth))
            .collect(),
    };
    Grid::from_vec(width, height, values)
}

impl Selection {
    /// A mask over the whole picture as a selection: rounded to `depth`, then cut to where it is not 0.
    pub fn from_mask(mask: &Mask, depth: SelectionDepth) -> Self {
        let mask = quantise(mask, depth);
        let rect = mask.support();
        Self {
            depth,
            rect,
            mask: mask.crop(rect),
        }
    }

    /// The selection's values inside `rect` of the picture; 0 where it has none.
    pub fn place(&self, rect: Rect) -> Mask {
        self.mask.placed(self.rect, rect)
    }
}

impl Mask {
    /// The values of a mask that lies on `from` of the picture, inside `rect` of it; 0 where it has none.
    pub fn placed(&self, from: Rect, rect: Rect) -> Mask {
        let mut out = Mask::new(rect.width, rect.height, 0.0);
        let (left, right) = overlap(from.x, from.width, rect.x, rect.width);
        let (top, bottom) = overlap(from.y, from.height, rect.y, rect.height);
        if left >= right {
            return out;
        }
        for y in top..bottom {
            let source = &self.row(y - from.y)[left - from.x..right - from.x];
            out.row_mut(y - rect.y)[left - rect.x..right - rect.x].copy_from_slice(source);
        }
        out
    }
}

/// Where two stretches meet: first place and one past the last; empty if the second is not above the first.
fn overlap(a: usize, a_length: usize, b: usize, b_length: usize) -> (usize, usize) {
    (a.max(b), (a + a_length).min(b + b_length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_sample_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mask = mask_from_bytes(16, 16, &all, SelectionDepth::U8).unwrap();
        assert_eq!(mask_to_bytes(&mask, SelectionDepth::U8), all);
        assert_eq!(quantise(&mask, SelectionDepth::U8), mask);
        let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
        let mask = mask_from_bytes(256, 256, &all, SelectionDepth::U16).unwrap();
        assert_eq!(mask_to_bytes(&mask, SelectionDepth::U16), all);
        assert_eq!(quantise(&mask, SelectionDepth::U16), mask);
    }

    #[test]
    fn floats_are_clamped_and_nan_selects_nothing() {
        let bytes: Vec<u8> = [f32::NAN, -1.0, 7.0, 1e-45]
            .iter()
            .flat_map(|v| v.to_ne_bytes())
            .collect();
        let mask = mask_from_bytes(2, 2, &bytes, SelectionDepth::F32).unwrap();
        assert_eq!(mask.data(), [0.0, 0.0, 1.0, 1e-45]);
    }

    #[test]
    fn a_wrong_number_of_bytes_is_refused() {
        assert!(mask_from_bytes(2, 2, &[0; 5], SelectionDepth::U8).is_err());
        assert!(mask_from_bytes(usize::MAX, 2, &[0; 5], SelectionDepth::F32).is_err());
    }

    proptest! {
        #[test]
        fn placing_keeps_values(
            x in 0usize..9, y in 0usize..9, w in 0usize..9, h in 0usize..9,
            values in proptest::collection::vec(0u8..4, 81),
        ) {
            let whole = Mask::from_fn(9, 9, |x, y| f32::from(values[y * 9 + x].saturating_sub(1)) / 3.0);
            let selection = Selection::from_mask(&whole, SelectionDepth::F32);
            prop_assert_eq!(selection.place(whole.bounds()), whole.clone());
            let rect = Rect { x, y, width: w.min(9 - x), height: h.min(9 - y) };
            prop_assert_eq!(selection.place(rect), whole.crop(rect));
        }
    }
}
