//! From the field of nearest patches to one source for each place of the hole.

use rayon::prelude::*;

use super::field::{Field, NONE};
use super::level::{Level, RADIUS};
use super::scale::fits;

/// Width of the votes for a shift, in texels.
const VOTE_WIDTH: f32 = 2.0;

/// A Gaussian over the texels of a patch, row after row, 1 in its middle.
pub(super) fn window(width: f32) -> Vec<f32> {
    let r = RADIUS as i32;
    let value = |dx: i32, dy: i32| (-((dx * dx + dy * dy) as f32) / (2.0 * width * width)).exp();
    (-r..=r)
        .flat_map(|dy| (-r..=r).map(move |dx| value(dx, dy)))
        .collect()
}

/// For every place of the hole, in the order of `Level::open`: the place its texel is copied from, or [`NONE`].
fn origins(level: &Level, field: &Field) -> Vec<u32> {
    let (w, h) = (level.width, level.height);
    level
        .open
        .par_iter()
        .map(|&p| {
            // Patches do not reach over the picture's edge: there, the nearest one inside speaks.
            let (x, y) = (p as usize % w, p as usize / w);
            let (qx, qy) = (
                x.clamp(RADIUS, w - 1 - RADIUS),
                y.clamp(RADIUS, h - 1 - RADIUS),
            );
            let slot = field.slot[qy * w + qx];
            if slot == NONE {
                return NONE;
            }
            let source = field.source[slot as usize] as usize;
            ((source / w + y - qy) * w + source % w + x - qx) as u32
        })
        .collect()
}

/// Fills the hole with copies of the nearest patches' middles.
pub(super) fn copy(level: &mut Level, field: &Field) {
    for (i, from) in origins(level, field).into_iter().enumerate() {
        if from != NONE {
            level.texels[level.open[i] as usize] = level.texels[from as usize];
        }
    }
}

/// Like [`origins`], but each place takes the shift on which most of the patches over it agree, by closeness and fit: whole
/// pieces are copied, and a patch that none of its neighbours agrees with leaves no trace.
pub(super) fn agreed(level: &Level, field: &Field) -> Vec<u32> {
    let w = level.width;
    let (fit, middle, r) = (fits(field), window(VOTE_WIDTH), RADIUS as isize);
    let around: Vec<(isize, isize)> = (-r..=r)
        .flat_map(|dy| (-r..=r).map(move |dx| (dx, dy)))
        .collect();
    let shift = |p: u32| -> Option<isize> {
        let (x, y) = (p as usize % w, p as usize / w);
        let mut shifts: Vec<(isize, f32)> = Vec::with_capacity(around.len());
        for (&(dx, dy), closeness) in around.iter().zip(&middle) {
            let (Some(qx), Some(qy)) = (x.checked_add_signed(dx), y.checked_add_signed(dy)) else {
                continue;
            };
            if qx >= w || qy >= level.height || field.slot[qy * w + qx] == NONE {
                continue;
            }
            let slot = field.slot[qy * w + qx] as usize;
            let shift = field.source[slot] as isize - (qy * w + qx) as isize;
            let vote = closeness * fit[slot];
            match shifts.iter_mut().find(|s| s.0 == shift) {
                Some((_, votes)) => *votes += vote,
                None => shifts.push((shift, vote)),
            }
        }
        let most = shifts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        most.map(|(shift, _)| shift)
    };
    level
        .open
        .par_iter()
        .map(|&p| {
            // Every patch over the place lies wholly on sources, and so does the place it says.
            shift(p).map_or(NONE, |s| (p as isize + s) as u32)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{Grid, Image};
    use crate::engine::patch::level::{Part, Start, pyramid};

    #[test]
    fn a_patch_that_disagrees_with_all_others_leaves_no_trace() {
        let image: Image = Grid::new(60, 40, [0.5; 3]);
        let parts = Grid::from_fn(60, 40, |x, y| {
            let open = (40..50).contains(&x) && (15..25).contains(&y);
            if open { Part::Open } else { Part::Source }
        });
        let level = pyramid(&image, &parts, Start::Guess).swap_remove(0);
        let mut field = Field::random(&level, 1);
        for (source, &query) in field.source.iter_mut().zip(&level.queries) {
            *source = query - 25;
        }
        field.distance.fill(0.01);
        let odd = 20 * 60 + 45;
        field.source[field.slot[odd] as usize] = 10 * 60 + 10;
        let expected: Vec<u32> = level.open.iter().map(|p| p - 25).collect();
        assert_ne!(origins(&level, &field), expected);
        assert_eq!(agreed(&level, &field), expected);
    }
}
