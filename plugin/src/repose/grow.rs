//! Texture that came into view is grown from the subject's own patches instead of being stretched.

use super::Posed;
use crate::Result;
use crate::canvas::{Grid, Image, Mask, gaussian_blur};
use crate::engine::patch::fill::{Fill, fill};
use crate::engine::patch::level::{Part, Start};
use crate::learn::WHOLE;

/// Stretch from which texture is renewed: below it, resampling blurs less than the eye sees.
const TOO_MUCH: f32 = 1.6;
/// Gaussian width, in pixels, above which colours are the guess's.
const SCALE: f32 = 4.0;
/// Root mean square difference, beyond colour shift, at which a renewed place is no longer trusted.
const MISFIT: f32 = 0.06;
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
    // What is not the subject says nothing about its texture.
    let mut roles = Grid::new(width, height, Part::Veiled);
    let mut top = 0;
    for (part, usable) in parts.iter().zip(&usable) {
        for y in 0..part.height() {
            sheet.row_mut(top + y)[..part.width()].copy_from_slice(part.row(y));
            for x in 0..part.width() {
                if usable.at(x, y) {
                    roles.set(x, top + y, Part::Source);
                }
            }
        }
        top += part.height();
    }
    for y in 0..hole.height() {
        for (x, _) in hole.row(y).iter().enumerate().filter(|(_, open)| **open) {
            roles.set(x, y, Part::Open);
        }
    }
    let how = Fill {
        start: Start::Guess,
        nearness: 0.0,
        seed,
    };
    let filled = fill(&sheet, &roles, &how, &mut |done, _| report(done))?;
    Ok(faithful(guess, &filled.crop(guess.bounds()), hole))
}

/// `renewed` with the colours and the structure of `guess` inside `hole`: over more than a few pixels its colours are the
/// guess's, and where no patch fitted (an eye, a letter) the guess itself stays.
fn faithful(guess: &Image, renewed: &Image, hole: &Grid<bool>) -> Image {
    let (w, h) = (guess.width(), guess.height());
    let inside: Mask = hole.map(|&open| f32::from(u8::from(open)));
    let difference = Grid::from_fn(w, h, |x, y| {
        let (g, r) = (guess.at(x, y), renewed.at(x, y));
        std::array::from_fn(|c| (g[c] - r[c]) * inside.at(x, y))
    });
    // Only the hole counts, so that nothing of its surroundings bleeds in.
    let weight = gaussian_blur(&inside, SCALE);
    let shift = gaussian_blur(&difference, SCALE);
    let within = |x: usize, y: usize| shift.at(x, y).map(|v| v / weight.at(x, y).max(1e-6));
    let misfit = Grid::from_fn(w, h, |x, y| {
        let (d, s) = (difference.at(x, y), within(x, y));
        (0..3).map(|c| (d[c] - s[c]).powi(2)).sum::<f32>() / 3.0 * inside.at(x, y)
    });
    let misfit = gaussian_blur(&misfit, SCALE);
    Grid::from_fn(w, h, |x, y| {
        let (g, r) = (guess.at(x, y), renewed.at(x, y));
        if !hole.at(x, y) {
            return r;
        }
        let s = within(x, y);
        let trust =
            1.0 / (1.0 + (misfit.at(x, y) / weight.at(x, y).max(1e-6) / (MISFIT * MISFIT)).powi(2));
        std::array::from_fn(|c| trust * (r[c] + s[c]) + (1.0 - trust) * g[c])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_the_guess_s_and_grain_is_the_renewed_one_s() {
        let hole = Grid::from_fn(40, 40, |x, y| (8..32).contains(&x) && (8..32).contains(&y));
        let grain = |x: usize, y: usize| {
            if (x + y).is_multiple_of(2) {
                0.02
            } else {
                -0.02
            }
        };
        let guess: Image = Grid::new(40, 40, [0.6, 0.5, 0.4]);
        // The renewed texture has grain, and a tint that bled in from the border.
        let renewed: Image = Grid::from_fn(40, 40, |x, y| {
            [0.7 + grain(x, y), 0.45 + grain(x, y), 0.3 + grain(x, y)]
        });
        let out = faithful(&guess, &renewed, &hole);
        for (x, y) in [(9, 9), (20, 20), (31, 12)] {
            for c in 0..3 {
                let wanted = guess.at(x, y)[c] + grain(x, y);
                assert!(
                    (out.at(x, y)[c] - wanted).abs() < 0.01,
                    "{:?}",
                    out.at(x, y)
                );
            }
        }
        assert_eq!(out.at(2, 2), renewed.at(2, 2));
    }

    #[test]
    fn where_nothing_fits_the_guess_stays() {
        let hole = Grid::new(30, 30, true);
        let letter: Image = Grid::from_fn(30, 30, |x, _| {
            if (12..18).contains(&x) {
                [0.0; 3]
            } else {
                [1.0; 3]
            }
        });
        let mangled: Image = Grid::from_fn(30, 30, |_, y| {
            if (12..18).contains(&y) {
                [0.0; 3]
            } else {
                [1.0; 3]
            }
        });
        let out = faithful(&letter, &mangled, &hole);
        assert!((out.at(15, 4)[0] - 0.0).abs() < 0.02 && (out.at(4, 15)[0] - 1.0).abs() < 0.02);
    }
}
