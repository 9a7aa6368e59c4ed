//! The nearest-patch field: for each place of the unknown region, which known patch explains it best.
//!
//! Search is PatchMatch (Barnes et al. 2009) made parallel and repeatable: every sweep reads the field of the sweep
//! before it and draws its random numbers from a hash of seed, sweep and place, so the result does not depend on the
//! number of threads.

use rayon::prelude::*;

use super::level::{Level, Part, RADIUS};

const SIDE: usize = 2 * RADIUS + 1;

/// No source, or no slot.
pub const NONE: u32 = u32::MAX;

/// The field of one level.
#[derive(Debug, Clone)]
pub struct Field {
    /// Centre of the source patch for each of `Level::queries`.
    pub source: Vec<u32>,
    /// Its distance: mean squared difference per texel, the four values summed. Infinite before the first sweep.
    pub distance: Vec<f32>,
    /// For every place of the level: its index in `Level::queries`, or [`NONE`].
    pub slot: Vec<u32>,
}

/// How the search weighs and where it looks.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Sweeps over all queries.
    pub sweeps: usize,
    /// Price of distance: a source one picture side away must be this many times better, less one. Near sources share
    /// perspective, light and focus with the hole.
    pub nearness: f32,
    /// Random tries per sweep over all sources.
    pub global: usize,
    /// First radius of the local random search, in texels; it halves down to 1.
    pub radius: usize,
    /// Seed of the random numbers.
    pub seed: u64,
}

/// A well-mixed hash for repeatable random numbers (the finaliser of SplitMix64).
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `end` from 32 random bits, without a division.
fn below(random: u32, end: u32) -> u32 {
    ((u64::from(random) * u64::from(end)) >> 32) as u32
}

/// Mean squared difference of the patches around `a` and `b`, where the first is not veiled; infinite once it is above
/// `limit`.
fn distance(level: &Level, a: u32, b: u32, limit: f32) -> f32 {
    let w = level.width;
    if let Some(&seen) = level.unveiled.get(a as usize)
        && usize::from(seen) < SIDE * SIDE
    {
        return distance_seen(level, a, b, limit, f32::from(seen.max(1)));
    }
    let corner = |p: u32| p as usize - RADIUS * w - RADIUS;
    let (a, b) = (corner(a), corner(b));
    let stop = limit * (SIDE * SIDE) as f32;
    let texels = level.texels.as_flattened();
    let mut sum = 0.0f32;
    for down in (0..SIDE).map(|down| down * w) {
        sum += row(&texels[4 * (a + down)..], &texels[4 * (b + down)..]);
        if sum > stop {
            return f32::INFINITY;
        }
    }
    sum / (SIDE * SIDE) as f32
}

/// Squared difference of the first texels of both, as many as a patch has in a row.
#[inline(always)]
fn row(left: &[f32], right: &[f32]) -> f32 {
    let mut four = [0.0f32; 4];
    let (left, right) = (&left[..4 * SIDE], &right[..4 * SIDE]);
    for (p, q) in left.as_chunks::<4>().0.iter().zip(right.as_chunks::<4>().0) {
        for c in 0..4 {
            let d = p[c] - q[c];
            four[c] += d * d;
        }
    }
    (four[0] + four[1]) + (four[2] + four[3])
}

/// The same over the `seen` texels of the first patch that are not veiled.
fn distance_seen(level: &Level, a: u32, b: u32, limit: f32, seen: f32) -> f32 {
    let w = level.width;
    let corner = |p: u32| p as usize - RADIUS * w - RADIUS;
    let (a, b) = (corner(a), corner(b));
    let stop = limit * seen;
    let mut sum = 0.0f32;
    for row in (0..SIDE).map(|row| row * w) {
        for x in (row..row + SIDE).filter(|x| level.parts[a + x] != Part::Veiled) {
            let (p, q) = (&level.texels[a + x], &level.texels[b + x]);
            sum += (0..4).map(|c| (p[c] - q[c]).powi(2)).sum::<f32>();
        }
        if sum > stop {
            return f32::INFINITY;
        }
    }
    sum / seen
}

/// `place` moved by (dx, dy), if that is the centre of a usable patch. Over the side of the picture, the next row is as
/// good: any usable patch may be tried.
fn moved(level: &Level, place: u32, dx: isize, dy: isize) -> Option<u32> {
    let at = (place as usize).checked_add_signed(dy * level.width as isize + dx)?;
    (level.usable.get(at) == Some(&true)).then_some(at as u32)
}

impl Field {
    /// Every query gets a random source. The level must have sources.
    pub fn random(level: &Level, seed: u64) -> Self {
        let mut slot = vec![NONE; level.width * level.height];
        for (i, &q) in level.queries.iter().enumerate() {
            slot[q as usize] = i as u32;
        }
        let any = |q: &u32| {
            level.sources[(mix(seed ^ u64::from(*q)) % level.sources.len() as u64) as usize]
        };
        Self {
            source: level.queries.iter().map(any).collect(),
            distance: vec![f32::INFINITY; level.queries.len()],
            slot,
        }
    }

    /// The field on the next finer level: sources move with their places, so that detail is found where structure was.
    pub fn refined(&self, coarse: &Level, fine: &Level, seed: u64) -> Self {
        let mut next = Self::random(fine, seed);
        for (i, &q) in fine.queries.iter().enumerate() {
            let (x, y) = (q as usize % fine.width, q as usize / fine.width);
            if let Some(source) = self.carried(coarse, fine, x, y) {
                next.source[i] = source;
            }
        }
        next
    }

    fn carried(&self, coarse: &Level, fine: &Level, x: usize, y: usize) -> Option<u32> {
        let (cx, cy) = (x / 2, y / 2);
        // A query at the border of the region may have no coarse twin: its neighbours are asked.
        for reach in 0..3isize {
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    let (Some(nx), Some(ny)) =
                        (cx.checked_add_signed(dx), cy.checked_add_signed(dy))
                    else {
                        continue;
                    };
                    if nx >= coarse.width || ny >= coarse.height {
                        continue;
                    }
                    let slot = self.slot[ny * coarse.width + nx];
                    if slot == NONE {
                        continue;
                    }
                    let source = self.source[slot as usize] as usize;
                    let sx = (2 * (source % coarse.width) + x).checked_sub(2 * nx);
                    let sy = (2 * (source / coarse.width) + y).checked_sub(2 * ny);
                    if let (Some(sx), Some(sy)) = (sx, sy)
                        && sx < fine.width
                        && sy < fine.height
                        && fine.usable[sy * fine.width + sx]
                    {
                        return Some((sy * fine.width + sx) as u32);
                    }
                }
            }
        }
        None
    }

    /// Improves the field by sweeps of propagation and random search. `seen` is the level, perhaps with noise on it.
    pub fn search(&mut self, seen: &Level, how: &Search) {
        let mut better = vec![(NONE, f32::INFINITY); self.source.len()];
        for sweep in 0..how.sweeps {
            better
                .par_iter_mut()
                .enumerate()
                .for_each(|(i, out)| *out = self.improved(seen, how, sweep, i));
            for (i, (source, distance)) in better.iter().enumerate() {
                self.source[i] = *source;
                self.distance[i] = *distance;
            }
        }
    }

    /// The best source for query `i` among its own, its neighbours' and random ones.
    fn improved(&self, level: &Level, how: &Search, sweep: usize, i: usize) -> (u32, f32) {
        let w = level.width;
        let q = level.queries[i];
        let (x, y) = (q as usize % w, q as usize / w);
        let per_texel = how.nearness / w.max(level.height) as f32;
        let (stride, at) = (w as u32, (x as f32, y as f32));
        let price = |s: u32| {
            let (dx, dy) = (at.0 - (s % stride) as f32, at.1 - (s / stride) as f32);
            1.0 + per_texel * (dx * dx + dy * dy).sqrt()
        };
        let mut best = self.source[i];
        // The level is the same in all sweeps of a search: only the first has to look again.
        let mut d = match sweep {
            0 => distance(level, q, best, f32::INFINITY),
            _ => self.distance[i],
        };
        // The small constant lets price decide between perfect matches.
        let mut score = (d + 1e-6) * price(best);
        // Neighbours often say the same: what was tried lately is no better now.
        let (mut tried, mut turn) = ([NONE; 4], 0);
        let mut consider = |s: u32, best: &mut u32| {
            if s == *best || tried.contains(&s) {
                return;
            }
            tried[turn % 4] = s;
            turn += 1;
            let price = price(s);
            let e = distance(level, q, s, score / price);
            if (e + 1e-6) * price < score {
                (*best, d, score) = (s, e, (e + 1e-6) * price);
            }
        };
        let steps: &[isize] = [&[1][..], &[1, 4], &[1, 2], &[1, 8]][sweep % 4];
        for &step in steps {
            for (dx, dy) in [(step, 0), (-step, 0), (0, step), (0, -step)] {
                let (Some(nx), Some(ny)) = (x.checked_add_signed(dx), y.checked_add_signed(dy))
                else {
                    continue;
                };
                if nx >= w || ny >= level.height || self.slot[ny * w + nx] == NONE {
                    continue;
                }
                let theirs = self.source[self.slot[ny * w + nx] as usize];
                if let Some(s) = moved(level, theirs, -dx, -dy) {
                    consider(s, &mut best);
                }
            }
        }
        let mut h = mix(how.seed ^ (u64::from(q) << 20) ^ sweep as u64);
        let mut radius = how.radius as isize;
        while radius >= 1 {
            h = mix(h);
            let span = 2 * radius as u32 + 1;
            let (dx, dy) = (
                below(h as u32, span) as isize - radius,
                below((h >> 32) as u32, span) as isize - radius,
            );
            if let Some(s) = moved(level, best, dx, dy) {
                consider(s, &mut best);
            }
            radius /= 2;
        }
        for _ in 0..how.global {
            h = mix(h);
            consider(
                level.sources[below((h >> 32) as u32, level.sources.len() as u32) as usize],
                &mut best,
            );
        }
        (best, d)
    }
}
