//! What was behind the subject: the old silhouette filled with background.

use crate::Result;
use crate::canvas::{Canvas, Grid, Image, Mask, Rect, context};
use crate::engine::patch::fill::{Fill, fill};
use crate::engine::patch::level::{Level, Start};
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
pub fn restore(
    canvas: &Canvas<'_>,
    rect: Rect,
    removal: &Mask,
    seed: u64,
    report: &mut dyn FnMut(f32, &Level) -> Result<()>,
) -> Result<Image> {
    let all = canvas.bounds();
    let around = context((all.width, all.height), rect, CONTEXT, CONTEXT_MIN);
    let image = canvas.image(around)?;
    let (dx, dy) = (rect.x - around.x, rect.y - around.y);
    let hole = Grid::from_fn(around.width, around.height, |x, y| {
        let inside = x >= dx && y >= dy && x < dx + rect.width && y < dy + rect.height;
        inside && removal.at(x - dx, y - dy) >= FAINT
    });
    let clear = match canvas.alpha(around) {
        Some(alpha) => alpha.map(|&a| a <= 0.0),
        None => Grid::new(around.width, around.height, false),
    };
    let how = Fill {
        start: Start::Unknown,
        nearness: NEARNESS,
        seed,
    };
    let filled = fill(&image, &hole, &clear, &how, report)?;
    Ok(filled.crop(Rect {
        x: dx,
        y: dy,
        width: rect.width,
        height: rect.height,
    }))
}
