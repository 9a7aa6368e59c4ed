//! One scale of a fill: rounds of noising, searching and voting, which are the steps of the diffusion.

use rayon::prelude::*;

use super::copies;
use super::field::{Field, NONE, Search, mix};
use super::fill::Told;
use super::level::{Level, RADIUS, Texel};
use crate::Result;

/// Sweeps of the search in each round.
const SWEEPS: usize = 4;
/// Width of the votes, in texels: a Gaussian that favours the middle of a patch.
const VOTE_WIDTH: f32 = 3.0;
/// Deeper than this all patches count alike: their weights still fit an f32.
const DEEPEST: u32 = 60;

/// What is done on one scale.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// How many there are.
    pub count: usize,
    /// Standard deviation of the first round's noise, in units of the working space; it falls to 0 with the rounds.
    pub noise: f32,
    /// By what factor a patch counts less in the first round for every texel that it lies deeper in the hole, so that the
    /// known surroundings speak first (Wexler et al., "Space-Time Completion of Video", 2007, §3.3, whose factor is 1.3
    /// throughout); it falls to 1, all alike, with the rounds.
    pub inward: f32,
    /// See [`Search::global`].
    pub global: usize,
    /// See [`Search::radius`].
    pub radius: usize,
    /// See [`Search::nearness`].
    pub nearness: f32,
    /// Seed of the noise and of the search.
    pub seed: u64,
}

impl Rounds {
    /// Improves the estimate of a level and its field. `told` is called after each round.
    pub fn run(&self, level: &mut Level, field: &mut Field, told: &mut Told<'_>) -> Result<()> {
        for round in 0..self.count {
            let left = 1.0 - round as f32 / self.count as f32;
            let seed = mix(self.seed ^ round as u64);
            let clean = add_noise(level, self.noise * left, seed);
            let how = Search {
                sweeps: SWEEPS,
                nearness: self.nearness,
                global: self.global,
                radius: self.radius,
                seed,
            };
            field.search(level, &how);
            put(level, &clean);
            let mut weights = fits(field);
            let inward = 1.0 + (self.inward - 1.0) * left;
            if inward > 1.0 {
                let depth = level.depth();
                for (weight, &q) in weights.iter_mut().zip(&level.queries) {
                    *weight *= inward.powi(-(depth[q as usize].min(DEEPEST) as i32));
                }
            }
            vote(level, field, &weights);
            told(level)?;
        }
        Ok(())
    }
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
pub fn open_texels(level: &Level) -> Vec<Texel> {
    let texel = |&p: &u32| level.texels[p as usize];
    level.open.iter().map(texel).collect()
}

/// Sets the hole's texels, in the order of `Level::open`.
pub fn put(level: &mut Level, texels: &[Texel]) {
    for (&p, &t) in level.open.iter().zip(texels) {
        level.texels[p as usize] = t;
    }
}

/// Each unknown texel becomes the posterior mean: what the patches over it say, weighted by `weights` (one per query) and by
/// closeness to the patch's middle.
pub fn vote(level: &mut Level, field: &Field, weights: &[f32]) {
    let (w, h) = (level.width, level.height);
    let r = RADIUS as isize;
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
                let weight = middle[((dy + r) * (2 * r + 1) + dx + r) as usize] * weights[slot];
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
pub fn fits(field: &Field) -> Vec<f32> {
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
