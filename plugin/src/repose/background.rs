//! What was behind the subject: the old silhouette filled with background.

use crate::Result;
use crate::canvas::{Canvas, Grid, Image, Mask, Rect, context, grow};
use crate::engine::patch::fill::{Fill, fill};
use crate::engine::patch::level::{Level, Part, Start};
use crate::learn::matte::{FAINT, local_mean};

/// Share of the edit's longer side that is looked at around it.
const CONTEXT: f32 = 1.5;
/// The context's smallest side, in pixels.
const CONTEXT_MIN: usize = 512;
/// See [`Search::nearness`](crate::engine::patch::field::Search::nearness); by measurement on 20 photos.
const NEARNESS: f32 = 10.0;

/// Beyond what is removed, this many pixels may still show some of it: a tight outline, a lens, a camera's coarse colours.
const RIM: usize = 4;
/// Share of the removed in a pixel of the rim from which that pixel is no witness for the background.
const SOILED: f32 = 0.08;

/// The pixels of `rect` with everything under `removal` (same size) replaced by background;
/// where `removal` is faint there is nothing to replace, and the picture itself is what is wanted. Pixels under `removal` and
/// transparent pixels are never used as a source. `report` is told the share that is done and the estimate.
///
/// What `covered` (same size) marks will lie under the subject: it is filled last, so that it has no say in what is seen.
pub fn restore(
    canvas: &Canvas<'_>,
    rect: Rect,
    removal: &Mask,
    covered: Option<&Grid<bool>>,
    seed: u64,
    report: &mut dyn FnMut(f32, &Level) -> Result<()>,
) -> Result<Image> {
    let all = canvas.bounds();
    let around = context((all.width, all.height), rect, CONTEXT, CONTEXT_MIN);
    let image = canvas.image(around)?;
    let (dx, dy) = (rect.x - around.x, rect.y - around.y);
    let within = |x: usize, y: usize| {
        let inside = x >= dx && y >= dy && x < dx + rect.width && y < dy + rect.height;
        inside.then(|| (x - dx, y - dy))
    };
    let alpha = canvas.alpha(around);
    let clear = |x: usize, y: usize| alpha.as_ref().is_some_and(|a| a.at(x, y) <= 0.0);
    let mut parts = Grid::from_fn(around.width, around.height, |x, y| match within(x, y) {
        Some((x, y)) if removal.at(x, y) >= FAINT => match covered {
            Some(covered) if covered.at(x, y) => Part::Veiled,
            _ => Part::Open,
        },
        _ if clear(x, y) => Part::Veiled,
        _ => Part::Source,
    });
    soil(&image, &mut parts);
    let count = |parts: &Grid<Part>, part| parts.data().iter().filter(|p| **p == part).count();
    let seen = count(&parts, Part::Open);
    let how = Fill {
        start: Start::Unknown,
        nearness: NEARNESS,
        seed,
    };
    let hidden = Grid::from_fn(around.width, around.height, |x, y| {
        let inside = within(x, y).zip(covered);
        inside.is_some_and(|((x, y), covered)| removal.at(x, y) >= FAINT && covered.at(x, y))
    });
    let rest = hidden.data().iter().filter(|h| **h).count();
    let share = seen as f32 / (seen + rest).max(1) as f32;
    let mut filled = fill(&image, &parts, &how, &mut |done, level| {
        report(done * share, level)
    })?;
    if rest > 0 {
        for (part, hidden) in parts.data_mut().iter_mut().zip(hidden.data()) {
            *part = match *part {
                Part::Veiled if *hidden => Part::Open,
                Part::Open => Part::Source,
                as_it_is => as_it_is,
            };
        }
        filled = fill(&filled, &parts, &how, &mut |done, level| {
            report(share + done * (1.0 - share), level)
        })?;
    }
    Ok(filled.crop(Rect {
        x: dx,
        y: dy,
        width: rect.width,
        height: rect.height,
    }))
}

/// Opens what lies beside the removed and shows some of it: its colour must not spread over what is filled, and no patch
/// with it be copied. (Nothing there changes in the picture: the layer's mask is the removal's.)
fn soil(image: &Image, parts: &mut Grid<Part>) {
    let unknown = parts.map(|p| f32::from(u8::from(!p.known())));
    let near = grow(&unknown, RIM);
    let around = near.support().grown(4 * RIM, image.width(), image.height());
    let (image, near) = (image.crop(around), near.crop(around));
    let removed = unknown.crop(around);
    let sigma = RIM as f32;
    let front = local_mean(&image, &removed, sigma);
    let back = local_mean(&image, &near.map(|v| 1.0 - v), sigma);
    for y in 0..around.height {
        for x in 0..around.width {
            if near.at(x, y) > 0.0
                && removed.at(x, y) <= 0.0
                && soiled(image.at(x, y), front.at(x, y).0, back.at(x, y))
                && !seen_nearby(&image, &near, (x, y), back.at(x, y).0)
            {
                parts.set(x + around.x, y + around.y, Part::Open);
            }
        }
    }
}

/// Whether a colour lies off the background's (mean and variance), more than that varies by itself, and mainly towards the
/// removed one.
fn soiled(colour: [f32; 3], front: [f32; 3], (back, variance): ([f32; 3], f32)) -> bool {
    let axis: [f32; 3] = std::array::from_fn(|c| front[c] - back[c]);
    let off: [f32; 3] = std::array::from_fn(|c| colour[c] - back[c]);
    let dot = |a: [f32; 3], b: [f32; 3]| (0..3).map(|c| a[c] * b[c]).sum::<f32>();
    let length = dot(axis, axis).max(1e-6);
    let along = dot(off, axis);
    let square = along * along / length;
    along > SOILED * length && square > 2.0 * variance + 1e-4 && square > 0.5 * dot(off, off)
}

/// Whether a place's colour is also found, by half its distance to the mean, where nothing of the removed can be: then it
/// is the background's own.
fn seen_nearby(image: &Image, near: &Mask, (x, y): (usize, usize), mean: [f32; 3]) -> bool {
    let square = |a: [f32; 3], b: [f32; 3]| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f32>();
    let own = image.at(x, y);
    let limit = 0.25 * square(own, mean);
    let reach = 2 * RIM;
    let end = |v: usize, size: usize| (v + reach + 1).min(size);
    (y.saturating_sub(reach)..end(y, image.height())).any(|y| {
        (x.saturating_sub(reach)..end(x, image.width()))
            .any(|x| near.at(x, y) <= 0.0 && square(own, image.at(x, y)) < limit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rim_that_shows_the_removed_is_no_witness() {
        // Grey with a little grain, a red square of which the outline left two pixels over.
        let image = Grid::from_fn(60, 60, |x, y| {
            let red = (18..42).contains(&x) && (18..42).contains(&y);
            let grain = ((x * 7 + y * 5) % 4) as f32 * 0.01;
            if red {
                [0.8, 0.1, 0.1]
            } else {
                [0.5 + grain; 3]
            }
        });
        let mut parts = Grid::from_fn(60, 60, |x, y| {
            let removed = (20..40).contains(&x) && (20..40).contains(&y);
            if removed { Part::Open } else { Part::Source }
        });
        soil(&image, &mut parts);
        for y in 0..60 {
            for x in 0..60 {
                let red = (18..42).contains(&x) && (18..42).contains(&y);
                let wanted = if red { Part::Open } else { Part::Source };
                assert_eq!(parts.at(x, y), wanted, "{x}, {y}");
            }
        }
    }
}
