//! Filling a hole from the rest of the picture by patch diffusion, coarse to fine.
//!
//! The score of the model is exact (arXiv 2606.04299): the denoised value of a patch y at noise σ is the posterior mean
//! Σ softmax(−‖y − pᵢ‖² / 2σ²) pᵢ over the picture's own patches pᵢ. On each scale the estimate is noised, each patch
//! finds its nearest known patches (those of all overlapping queries take part in the mean, weighted by the softmax), and
//! the mean becomes the next estimate with less noise. As σ → 0 the mean becomes one nearest patch, which is what the
//! last rounds copy; the copies are then joined along their gradients.

use std::ops::Range;

use super::field::{Field, NONE, Search, mix};
use super::level::{Level, Part, Start, Texel, pyramid};
use super::scale::{Rounds, open_texels, put, vote};
use super::{blend, copies};
use crate::canvas::{Grid, Image};
use crate::{Error, Result};

/// Rounds of noising and denoising on the coarsest scale, where everything is decided.
const COARSE_ROUNDS: usize = 20;
/// Rounds on every finer scale, and on the finest one of an unknown hole: it has most of the queries, and by measurement on
/// 20 photos more rounds there change nothing.
const ROUNDS: usize = 4;
const FINEST_ROUNDS: usize = 2;
/// Rounds of copying at the end.
const COPY_ROUNDS: usize = 2;
/// Noise at the start of the coarsest scale, in units of the working space; half of it on finer scales.
const NOISE: f32 = 0.03;
/// The most attempts at the coarsest scales. By measurement on 20 photos and 6 seeds: 0.2 dB better than one attempt, and 16 no
/// better than 8.
const ATTEMPTS: usize = 8;
/// How many scales an attempt goes through before attempts are compared: on the coarsest one alone, structures that are half
/// a texel off look right (two scales: 0.1 dB less).
const DECIDING: usize = 3;
/// What all attempts together may cost, in queries times rounds: about a second of one core. A long thin hole has few scales and
/// many queries on each, and leaves little to decide.
const BUDGET: usize = 250_000;
/// See [`Rounds::inward`]; of every second attempt, the others have 1.
const INWARD: f32 = 3.0;

/// What a fill may use and how it begins.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    /// What the hole holds at the start.
    pub start: Start,
    /// Price of distance between a place and its source (see [`Search::nearness`]); 10 by measurement for photos.
    pub nearness: f32,
    /// Same seed, same pixels.
    pub seed: u64,
}

/// Told after every round: the share of the work that is done (0 to 1), and the estimate at the present scale.
pub type Report<'a> = dyn FnMut(f32, &Level) -> Result<()> + 'a;

/// Told after every round on a level.
pub(super) type Told<'a> = dyn FnMut(&Level) -> Result<()> + 'a;

/// Fills what is [`Open`](Part::Open) in `parts` (of the picture's size) from its sources; every other pixel is returned
/// as it is. A caller error if there is nothing to fill from.
pub fn fill(
    image: &Image,
    parts: &Grid<Part>,
    how: &Fill,
    report: &mut Report<'_>,
) -> Result<Image> {
    if !parts.data().contains(&Part::Open) {
        return Ok(image.clone());
    }
    if !parts.data().contains(&Part::Source) {
        return Err(Error::caller(
            "there is nothing to restore the background from: the selection covers everything around it; select less",
        ));
    }
    let mut levels = pyramid(image, parts, how.start);
    let top = levels.len() - 1;
    let first = (top + 1).saturating_sub(DECIDING);
    // A sweep costs about the same per query on every scale; joining costs about as much as one round of the finest.
    let rounds = |l: usize| match (l, how.start) {
        _ if l == top => COARSE_ROUNDS,
        (0, Start::Unknown) => FINEST_ROUNDS,
        _ => ROUNDS,
    };
    let cost = |scales: Range<usize>| -> usize {
        scales.map(|l| levels[l].queries.len() * rounds(l)).sum()
    };
    let attempt = cost(first..top + 1);
    let attempts = match how.start {
        Start::Unknown => (BUDGET / attempt.max(1)).clamp(1, ATTEMPTS),
        Start::Guess => 1,
    };
    let work = attempts * attempt + cost(0..first) + 2 * levels[0].queries.len();
    let mut done = 0;
    let mut told = |level: &Level| {
        done += level.queries.len();
        report((done as f32 / work as f32).min(1.0), level)
    };
    let deciding: Vec<usize> = (first..=top).map(rounds).collect();
    let mut field = decided(&mut levels[first..], &deciding, attempts, how, &mut told)?;
    for l in (0..first).rev() {
        let begin = (how.seed, 1.0);
        field = scale(&mut levels[l..], field, rounds(l), how, begin, &mut told)?;
    }
    let finest = &mut levels[0];
    let mean = open_texels(finest);
    let from = match field {
        Some(mut field) => {
            copy(finest, &mut field, how);
            told(finest)?;
            copies::agreed(finest, &field)
        }
        // Too small for patches: the harmonic guess stands.
        None => vec![NONE; mean.len()],
    };
    // The scales are the largest part of the memory, and joining needs its own.
    drop(levels);
    blend::join(image, parts, &from, &mean, how.start)
}

/// The best of several attempts at the coarsest scales (`levels`, finest first, with so many `rounds` each), and the estimate that belongs to it: the one
/// whose patches are most like the picture's own. Where the field's first guess and the first votes lead decides which
/// lines go on through the hole. `None` where there is no patch.
fn decided(
    levels: &mut [Level],
    rounds: &[usize],
    attempts: usize,
    how: &Fill,
    told: &mut Told<'_>,
) -> Result<Option<Field>> {
    let coarsest = levels.len() - 1;
    let start = open_texels(&levels[coarsest]);
    let mut best: Option<(f32, Vec<Texel>, Field)> = None;
    for attempt in 0..attempts {
        put(&mut levels[coarsest], &start);
        let begin = match attempt % 2 {
            0 => (mix(how.seed ^ attempt as u64), 1.0),
            _ => (mix(how.seed ^ attempt as u64), INWARD),
        };
        let mut field = None;
        for l in (0..levels.len()).rev() {
            field = scale(&mut levels[l..], field, rounds[l], how, begin, told)?;
        }
        let Some(mut field) = field else {
            return Ok(None);
        };
        if attempts == 1 {
            return Ok(Some(field));
        }
        // The last search saw the estimate of the round before, with noise on it.
        let compare = Search {
            sweeps: 2,
            nearness: how.nearness,
            global: 8,
            radius: 8,
            seed: begin.0,
        };
        field.search(&levels[0], &compare);
        let cost = field.distance.iter().sum();
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, open_texels(&levels[0]), field));
        }
    }
    Ok(best.map(|(_, texels, field)| {
        put(&mut levels[0], &texels);
        field
    }))
}

/// Works `count` rounds on the finest of `levels` (finest first), from `field`, the next coarser one's, if there is one. `begin` is the seed
/// and, for a scale that begins from nothing, [`Rounds::inward`]. `None` where there is no patch.
fn scale(
    levels: &mut [Level],
    field: Option<Field>,
    count: usize,
    how: &Fill,
    (seed, inward): (u64, f32),
    told: &mut Told<'_>,
) -> Result<Option<Field>> {
    let seed = mix(seed ^ ((levels.len() as u64) << 32));
    let [level, coarser @ ..] = levels else {
        return Ok(field);
    };
    if level.queries.is_empty() || level.sources.is_empty() {
        return Ok(None);
    }
    let nearness = how.nearness;
    let (mut field, rounds) = match (field, coarser.first()) {
        (Some(field), Some(coarse)) => {
            let field = field.refined(coarse, level, seed);
            vote(level, &field, &vec![1.0; level.queries.len()]);
            let rounds = Rounds {
                count,
                noise: 0.5 * NOISE,
                inward: 1.0,
                global: 1,
                radius: 16,
                nearness,
                seed,
            };
            (field, rounds)
        }
        _ => {
            let rounds = Rounds {
                count,
                noise: NOISE,
                inward,
                global: 8,
                radius: level.width.max(level.height) / 2,
                nearness,
                seed,
            };
            (Field::random(level, seed), rounds)
        }
    };
    rounds.run(level, &mut field, told)?;
    Ok(Some(field))
}

/// Copies single patches into the hole, and looks again for patches that fit the copies.
fn copy(level: &mut Level, field: &mut Field, how: &Fill) {
    for round in 0..COPY_ROUNDS {
        copies::copy(level, field);
        let search = Search {
            sweeps: 2,
            nearness: how.nearness,
            global: 0,
            radius: 4,
            seed: mix(how.seed ^ 0x0C0F ^ round as u64),
        };
        field.search(level, &search);
    }
}
