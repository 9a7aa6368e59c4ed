//! A pose painted by the user: a rough edit whose structure stays and whose texture is made real.

use super::Posed;
use super::grow::renew_from;
use crate::canvas::{Canvas, Grid, Image, Mask, Raster, Rect, context};
use crate::{Error, Result};

/// Share of the guide's longer side that is looked at around it, and the smallest side in pixels.
const CONTEXT: f32 = 0.5;
const CONTEXT_MIN: usize = 256;

/// What the guide shows, where its alpha is not 0.
pub(super) fn painted(canvas: &Canvas<'_>, guide: &Raster) -> Result<Posed> {
    let all = canvas.bounds();
    if (guide.width as usize, guide.height as usize) != (all.width, all.height) {
        return Err(Error::caller(format!(
            "the guide is {}×{}, the picture {}×{}: paint the guide on a layer of the picture's size",
            guide.width, guide.height, all.width, all.height
        )));
    }
    let painted = Canvas::new(guide)?;
    let Some(alpha) = painted.alpha(painted.bounds()) else {
        return Err(Error::caller(
            "the guide has no transparency: paint it on a transparent layer of its own",
        ));
    };
    let rect = alpha.support();
    if rect.width == 0 {
        return Err(Error::caller(
            "the guide is empty: paint the new pose on it first",
        ));
    }
    let matte = alpha.crop(rect);
    Ok(Posed {
        colours: painted.image(rect)?,
        stretch: matte.map(|_| 1.0),
        matte,
        rect,
    })
}

/// The guide's colours with texture from the picture and from `sources`. `below` is the restored background
/// and where it lies, if anything was removed.
pub(super) fn renew(
    canvas: &Canvas<'_>,
    posed: &Posed,
    below: Option<&(Rect, Image)>,
    sources: &[(&Image, &Mask)],
    seed: u64,
    report: &mut dyn FnMut(f32) -> Result<()>,
) -> Result<Image> {
    let all = canvas.bounds();
    let around = context((all.width, all.height), posed.rect, CONTEXT, CONTEXT_MIN);
    let picture = canvas.image(around)?;
    let shown = match below {
        Some((rect, restored)) => over(&picture, around, *rect, restored),
        None => picture.clone(),
    };
    let (dx, dy) = (posed.rect.x - around.x, posed.rect.y - around.y);
    let inside = |x: usize, y: usize| {
        (x >= dx && y >= dy && x < dx + posed.rect.width && y < dy + posed.rect.height)
            .then(|| (x - dx, y - dy))
    };
    let guess = Grid::from_fn(around.width, around.height, |x, y| match inside(x, y) {
        None => shown.at(x, y),
        Some((gx, gy)) => {
            let (a, g, s) = (
                posed.matte.at(gx, gy),
                posed.colours.at(gx, gy),
                shown.at(x, y),
            );
            std::array::from_fn(|c| a * g[c] + (1.0 - a) * s[c])
        }
    });
    let hole = Grid::from_fn(around.width, around.height, |x, y| {
        inside(x, y).is_some_and(|(gx, gy)| posed.matte.at(gx, gy) > 0.0)
    });
    let known = hole.map(|h| !h);
    // The picture as it was: the subject's patches in their own surroundings.
    let whole: Mask = Grid::new(around.width, around.height, 1.0);
    let mut from = vec![(&picture, &whole)];
    from.extend_from_slice(sources);
    let renewed = renew_from(&guess, &hole, &known, &from, seed, report)?;
    Ok(renewed.crop(Rect {
        x: dx,
        y: dy,
        ..posed.rect
    }))
}

/// `picture` (the pixels of `around`) with the restored pixels of another rectangle in it.
fn over(picture: &Image, around: Rect, rect: Rect, restored: &Image) -> Image {
    Grid::from_fn(around.width, around.height, |x, y| {
        let column = (x + around.x)
            .checked_sub(rect.x)
            .filter(|&v| v < rect.width);
        let row = (y + around.y)
            .checked_sub(rect.y)
            .filter(|&v| v < rect.height);
        match (column, row) {
            (Some(column), Some(row)) => restored.at(column, row),
            _ => picture.at(x, y),
        }
    })
}
