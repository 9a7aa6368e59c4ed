//! Texture that came into view is grown from the subject's own patches instead of being stretched.

use super::Posed;
use crate::Result;
use crate::canvas::{Grid, Image, Mask, gaussian_blur};
use crate::engine::patch::fill::{Fill, fill};
use crate::engine::patch::level::Start;
use crate::learn::WHOLE;

/// Stretch from which texture is renewed: below it, resampling blurs less than the eye sees.
const TOO_MUCH: f32 = 1.6;
/// The most pixels of other pictures that patches are searched in.
const MOST_SOURCE: usize = 1 << 21;

/// The colours of `posed` with its stretched parts renewed by low-noise patch diffusion, from its own unstretched parts
/// and from `sources` (colours and matte of one size each).
pub(super) fn renew(
    posed: &Posed,
    sources: &[(&Image, &Mask)],
    seed: u64,
    report: &mut dyn FnMut(f32) -> Result<()>,
) -> Result<Image> {
    let soft = gaussian_blur(&posed.stretch, 2.0);
    let hole = Grid::from_fn(soft.width(), soft.height(), |x, y| {
        posed.matte.at(x, y) > 0.0 && soft.at(x, y) > TOO_MUCH
    });
    if !hole.data().contains(&true) {
        report(1.0)?;
        return Ok(posed.colours.clone());
    }
    let known = Grid::from_fn(hole.width(), hole.height(), |x, y| {
        !hole.at(x, y) && posed.matte.at(x, y) >= WHOLE
    });
    renew_from(&posed.colours, &hole, &known, sources, seed, report)
}

/// `guess` with the texture of `hole` renewed from where `known` is set and from `sources`: all are laid under each other
/// on one sheet, so that one search sees them all.
pub(super) fn renew_from(
    guess: &Image,
    hole: &Grid<bool>,
    known: &Grid<bool>,
    sources: &[(&Image, &Mask)],
    seed: u64,
    report: &mut dyn FnMut(f32) -> Result<()>,
) -> Result<Image> {
    let mut parts = vec![guess];
    let mut usable: Vec<Grid<bool>> = vec![known.clone()];
    let mut room = MOST_SOURCE;
    for (image, matte) in sources {
        let size = image.width() * image.height();
        if size <= room && !parts.contains(image) {
            room -= size;
            parts.push(image);
            usable.push(matte.map(|&v| v >= WHOLE));
        }
    }
    if usable.iter().all(|u| !u.data().contains(&true)) {
        // Nothing of the subject is whole enough to grow from: the stretched texture is the best there is.
        report(1.0)?;
        return Ok(guess.clone());
    }
    let width = parts.iter().map(|p| p.width()).max().unwrap_or(0);
    let height = parts.iter().map(|p| p.height()).sum();
    let mut sheet = Grid::new(width, height, [0.5f32; 3]);
    let mut excluded = Grid::new(width, height, true);
    let mut open = Grid::new(width, height, false);
    let mut top = 0;
    for (part, usable) in parts.iter().zip(&usable) {
        for y in 0..part.height() {
            sheet.row_mut(top + y)[..part.width()].copy_from_slice(part.row(y));
            for x in 0..part.width() {
                excluded.set(x, top + y, !usable.at(x, y));
            }
        }
        top += part.height();
    }
    for y in 0..hole.height() {
        open.row_mut(y)[..hole.width()].copy_from_slice(hole.row(y));
    }
    let how = Fill {
        start: Start::Guess,
        nearness: 0.0,
        seed,
    };
    let filled = fill(&sheet, &open, &excluded, &how, &mut |done, _| report(done))?;
    Ok(filled.crop(guess.bounds()))
}
