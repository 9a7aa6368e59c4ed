//! Filling a hole from the rest of the picture by patch diffusion, coarse to fine.
//!
//! The score of the model is exact (arXiv 2606.04299): the denoised value of a patch y at noise σ is the posterior mean
//! Σ softmax(−‖y − pᵢ‖² / 2σ²) pᵢ over the picture's own patches pᵢ. On each scale the estimate is noised, each patch
//! finds its nearest known patches (those of all overlapping queries take part in the mean, weighted by the softmax), and
//! the mean becomes the next estimate with less noise. As σ → 0 the mean becomes one nearest patch, which is what the
//! last rounds copy; the copies are then joined along their gradients.

use rayon::prelude::*;

use super::field::{Field, NONE, Search, mix};
use super::level::{Level, Part, RADIUS, Start, Texel, pyramid};
use super::{blend, copies};
use crate::canvas::{Grid, Image};
use crate::{Error, Result};

/// Rounds of noising and denoising on the coarsest scale, where everything is decided.
const COARSE_ROUNDS: usize = 20;
/// Rounds on every finer scale.
const ROUNDS: usize = 4;
/// Sweeps of the search in each round.
const SWEEPS: usize = 4;
/// Rounds of copying at the end.
const COPY_ROUNDS: usize = 2;
/// Noise at the start of the coarsest scale, in units of the working space; half of it on finer scales.
const NOISE: f32 = 0.03;
/// Width of the votes, in texels: a Gaussian that favours the middle of a patch.
const VOTE_WIDTH: f32 = 3.0;

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
    // A sweep costs about the same per query on every scale; joining costs about as much as one round of the finest.
    let rounds = |l: usize| if l == top { COARSE_ROUNDS } else { ROUNDS };
    let work: usize = levels
        .iter()
        .enumerate()
        .map(|(l, v)| v.queries.len() * rounds(l))
        .sum();
    let work = (work + 2 * levels[0].queries.len()).max(1) as f32;
    let mut done = 0.0f32;
    let mut field: Option<Field> = None;
    // The estimate of the finest level that was worked on, in the order of its `open`.
    let mut mean: Vec<Texel> = Vec::new();
    for l in (0..=top).rev() {
        let seed = mix(how.seed ^ ((l as u64) << 32));
        let (finer, coarser) = levels.split_at_mut(l + 1);
        let level = &mut finer[l];
        if level.queries.is_empty() || level.sources.is_empty() {
            // Too small for patches: the harmonic guess stands.
            mean = open_texels(level);
            continue;
        }
        let mut f = match (&field, coarser.first()) {
            (Some(f), Some(coarse)) => {
                let f = f.refined(coarse, level, seed);
                vote(level, &f, Softmax::Off);
                f
            }
            _ => Field::random(level, seed),
        };
        let rounds = rounds(l);
        for round in 0..rounds {
            let sigma =
                NOISE * (1.0 - round as f32 / rounds as f32) * if l == top { 1.0 } else { 0.5 };
            let seed = mix(seed ^ round as u64);
            let clean = add_noise(level, sigma, seed);
            let (global, radius) = if l == top {
                (8, level.width.max(level.height) / 2)
            } else {
                (1, 16)
            };
            f.search(
                level,
                &Search {
                    sweeps: SWEEPS,
                    nearness: how.nearness,
                    global,
                    radius,
                    seed,
                },
            );
            put(level, &clean);
            vote(level, &f, Softmax::On);
            done += level.queries.len() as f32;
            report(done / work, level)?;
        }
        if l == 0 {
            mean = open_texels(level);
            for round in 0..COPY_ROUNDS {
                copies::copy(level, &f);
                let seed = mix(seed ^ 0x0C0F ^ round as u64);
                f.search(
                    level,
                    &Search {
                        sweeps: 2,
                        nearness: how.nearness,
                        global: 0,
                        radius: 4,
                        seed,
                    },
                );
            }
            done += level.queries.len() as f32;
            report(done / work, level)?;
        }
        field = Some(f);
    }
    let from = match &field {
        Some(f) if f.slot.len() == levels[0].parts.len() => copies::agreed(&levels[0], f),
        _ => vec![NONE; levels[0].open.len()],
    };
    // The scales are the largest part of the memory, and joining needs its own.
    drop((levels, field));
    blend::join(image, parts, &from, &mean, how.start)
}

/// Puts Gaussian-like noise of standard deviation `sigma` on the hole's colours. Returns the clean ones, in the order of
/// `Level::open`.
fn add_noise(level: &mut Level, sigma: f32, seed: u64) -> Vec<Texel> {
    let clean = open_texels(level);
    let noisy: Vec<Texel> = clean
        .par_iter()
        .zip(&level.open)
        .map(|(t, &p)| {
            let mut t = *t;
            for (c, v) in t.iter_mut().enumerate().take(3) {
                // The sum of four uniform numbers, scaled to variance 1.
                let h = mix(seed ^ (u64::from(p) << 2) ^ c as u64);
                let sum: f32 = (0..4)
                    .map(|k| ((h >> (16 * k)) & 0xffff) as f32 / 65536.0 - 0.5)
                    .sum();
                *v += sigma * sum * 1.732;
            }
            t
        })
        .collect();
    put(level, &noisy);
    clean
}

/// The hole's texels, in the order of `Level::open`.
fn open_texels(level: &Level) -> Vec<Texel> {
    let texel = |&p: &u32| level.texels[p as usize];
    level.open.iter().map(texel).collect()
}

/// Sets the hole's texels, in the order of `Level::open`.
fn put(level: &mut Level, texels: &[Texel]) {
    for (&p, &t) in level.open.iter().zip(texels) {
        level.texels[p as usize] = t;
    }
}

/// Whether votes are weighted by how well their patch fits.
#[derive(Clone, Copy, PartialEq)]
enum Softmax {
    On,
    Off,
}

/// Each unknown texel becomes the posterior mean: what the patches over it say, weighted by fit and by closeness to the
/// patch's middle.
fn vote(level: &mut Level, field: &Field, softmax: Softmax) {
    let (w, h) = (level.width, level.height);
    let r = RADIUS as isize;
    let fit = match softmax {
        Softmax::Off => vec![1.0; field.distance.len()],
        Softmax::On => fits(field),
    };
    let middle = copies::window(VOTE_WIDTH);
    let told = |&p: &u32| -> Texel {
        let (x, y) = (p as usize % w, p as usize / w);
        let (mut sum, mut total) = ([0.0f32; 4], 0.0f32);
        for dy in -r..=r {
            for dx in -r..=r {
                let (Some(qx), Some(qy)) = (x.checked_add_signed(dx), y.checked_add_signed(dy))
                else {
                    continue;
                };
                if qx >= w || qy >= h || field.slot[qy * w + qx] == NONE {
                    continue;
                }
                let slot = field.slot[qy * w + qx] as usize;
                let at = field.source[slot] as isize - dy * w as isize - dx;
                let weight = middle[((dy + r) * (2 * r + 1) + dx + r) as usize] * fit[slot];
                let t = level.texels[at as usize];
                for c in 0..4 {
                    sum[c] += weight * t[c];
                }
                total += weight;
            }
        }
        if total > 0.0 {
            sum.map(|v| v / total)
        } else {
            level.texels[p as usize]
        }
    };
    let means: Vec<Texel> = level.open.par_iter().map(told).collect();
    put(level, &means);
}

/// The softmax weight of each patch of the field, up to a common factor.
pub(super) fn fits(field: &Field) -> Vec<f32> {
    let finite = |d: &f32| d.is_finite();
    let mut d: Vec<f32> = field.distance.iter().copied().filter(finite).collect();
    if d.is_empty() {
        return vec![1.0; field.distance.len()];
    }
    // 2σ² is the third quartile of the distances: most patches take part, misfits do not.
    let k = d.len() * 3 / 4;
    let beta = 1.0 / d.select_nth_unstable_by(k, f32::total_cmp).1.max(1e-6);
    let fit = |d: &f32| (-(d * beta).min(20.0)).exp();
    field.distance.iter().map(fit).collect()
}
