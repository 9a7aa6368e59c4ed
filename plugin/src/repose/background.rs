//! What was behind the subject: the old silhouette filled with background.

use crate::Result;
use crate::canvas::{Canvas, Grid, Image, Mask, Rect, context};
use crate::engine::patch::fill::{Fill, fill};
use crate::engine::patch::level::{Level, Part, Start};
use crate::learn::matte::FAINT;

/// Share of the edit's longer side that is looked at around it.
const CONTEXT: f32 = 1.5;
/// The context's smallest side, in pixels.
const CONTEXT_MIN: usize = 512;
/// See [`Search::nearness`](crate::engine::patch::field::Search::nearness); by measurement on 20 photos.
const NEARNESS: f32 = 10.0;

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
