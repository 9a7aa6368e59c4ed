//! A background layer that leaves nothing of the old subject where the selection is soft.

use crate::canvas::{Image, Mask};

/// A layer (pixels, mask) that shows `wanted` when it is put over `below` with its soft mask; all of one size.
///
/// A plain crossfade would leave part of the old subject where the selection is soft. The mask rises faster than the
/// selection (0 where that is 0, 1 where that is 1, soft where that is soft), and the layer's colours make up for the
/// rest: `(1 − m)·below + m·p = wanted`, so `p = below + (wanted − below)/m`, kept in range.
pub(super) fn lift(below: &Image, wanted: &Image, removal: &Mask) -> (Image, Mask) {
    let mask = removal.map(|&s| 1.0 - (1.0 - s).powi(4));
    let pixels = Image::from_fn(below.width(), below.height(), |x, y| {
        let (m, i, t) = (mask.at(x, y), below.at(x, y), wanted.at(x, y));
        if m <= 0.0 {
            return i;
        }
        if m >= 1.0 {
            return t;
        }
        std::array::from_fn(|c| {
            let (low, high) = (i[c].min(t[c]).min(0.0), i[c].max(t[c]).max(1.0));
            (i[c] + (t[c] - i[c]) / m).clamp(low, high)
        })
    });
    (pixels, mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::Grid;

    #[test]
    fn what_was_wanted_is_shown_and_nothing_where_nothing_was_selected() {
        let below: Image = Grid::new(5, 1, [0.9, 0.2, 0.4]);
        let wanted: Image = Grid::new(5, 1, [0.6, 0.4, 0.5]);
        let removal: Mask = Grid::from_fn(5, 1, |x, _| [0.0, 0.3, 0.5, 0.9, 1.0][x]);
        let (pixels, mask) = lift(&below, &wanted, &removal);
        assert_eq!(mask.at(0, 0), 0.0);
        assert_eq!(pixels.at(0, 0), below.at(0, 0));
        assert_eq!(pixels.at(4, 0), wanted.at(4, 0));
        assert!(mask.data().windows(2).all(|m| m[0] < m[1]));
        for x in 1..5 {
            for c in 0..3 {
                let m = mask.at(x, 0);
                let shown = (1.0 - m) * below.at(x, 0)[c] + m * pixels.at(x, 0)[c];
                assert!((shown - wanted.at(x, 0)[c]).abs() < 1e-5);
            }
        }
    }
}
