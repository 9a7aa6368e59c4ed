//! How much of the picture around an edit is looked at.

use super::Rect;

/// The part of a picture of `size` (width, height) to work in when `edit` changes: `edit` grown on every side by
/// `share` of its longer side, and at least `min` wide and high where the picture is. What the picture's edge cuts off on
/// one side is added on the other, so that the context keeps its size. `edit` must lie inside the picture.
pub fn context(size: (usize, usize), edit: Rect, share: f32, min: usize) -> Rect {
    let margin = (edit.width.max(edit.height) as f32 * share.max(0.0)).ceil() as usize;
    let (x, width) = stretch(edit.x, edit.width, margin, min, size.0);
    let (y, height) = stretch(edit.y, edit.height, margin, min, size.1);
    Rect {
        x,
        y,
        width,
        height,
    }
}

/// One direction of [`context`].
fn stretch(at: usize, length: usize, margin: usize, min: usize, whole: usize) -> (usize, usize) {
    let wanted = length
        .saturating_add(margin.saturating_mul(2))
        .max(min)
        .min(whole);
    let before = wanted.saturating_sub(length) / 2;
    (at.saturating_sub(before).min(whole - wanted), wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rect(x: usize, y: usize, width: usize, height: usize) -> Rect {
        Rect {
            x,
            y,
            width,
            height,
        }
    }

    #[test]
    fn margins_grow_with_the_edit() {
        let edit = rect(400, 400, 100, 50);
        assert_eq!(
            context((1000, 1000), edit, 0.5, 0),
            rect(350, 350, 200, 150)
        );
        assert_eq!(
            context((1000, 1000), edit, 0.0, 300),
            rect(300, 275, 300, 300)
        );
    }

    #[test]
    fn the_edge_pushes_the_context_inwards() {
        let edit = rect(0, 950, 100, 50);
        assert_eq!(context((1000, 1000), edit, 1.0, 0), rect(0, 750, 300, 250));
    }

    proptest! {
        #[test]
        fn the_context_holds_the_edit_and_stays_inside(
            w in 1usize..200, h in 1usize..200, x in 0usize..200, y in 0usize..200,
            ew in 1usize..200, eh in 1usize..200, share in 0f32..4.0, min in 0usize..300,
        ) {
            let (x, y) = (x % w, y % h);
            let edit = rect(x, y, ew.min(w - x), eh.min(h - y));
            let c = context((w, h), edit, share, min);
            prop_assert_eq!(c.union(edit), c);
            prop_assert!(c.x + c.width <= w && c.y + c.height <= h);
            prop_assert!(c.width >= min.min(w) && c.height >= min.min(h));
        }
    }
}
