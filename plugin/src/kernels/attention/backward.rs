//! Attention backward: weights are made again from the scores and ln Σ exp(score) that the forward pass kept.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::matrix::{Matrix, Tile};
use super::super::scratch::Scratch;
use super::super::vector;
use super::{FAINT, Inputs, Problem};

/// Queries and keys of a tile.
const QUERIES: usize = 128;
const KEYS: usize = 256;

/// What the forward pass and the layers behind it told: the result, its gradient, and ln Σ exp(score) of each query.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// `[batch · heads, n, d]`.
    pub y: &'a [f32],
    /// As `y`.
    pub dy: &'a [f32],
    /// `[batch · heads, n]`.
    pub sums: &'a [f32],
}

/// One head, and which of its queries and keys are worked on together.
#[derive(Clone, Copy)]
struct Head<'a> {
    p: &'a Problem,
    inputs: Inputs<'a>,
    known: Known<'a>,
    mask: Option<&'a [f32]>,
}

/// Weights and gradients of scores of a tile: `[queries, keys]` both.
struct Pair<'a> {
    weights: Matrix<'a>,
    slopes: Matrix<'a>,
}

/// Adds the gradients of queries, keys and values to zeros.
pub fn run(p: &Problem, inputs: Inputs<'_>, known: Known<'_>, [dq, dk, dv]: [&mut [f32]; 3]) {
    let (queries, keys) = (p.n * p.d, p.m * p.d);
    let head = |index: usize| Head {
        p,
        inputs: inputs.head(index, p),
        known: Known {
            y: &known.y[index * queries..][..queries],
            dy: &known.dy[index * queries..][..queries],
            sums: &known.sums[index * p.n..][..p.n],
        },
        mask: p.mask(index),
    };
    let heads = known.sums.len() / p.n;
    if heads >= rayon::current_num_threads() {
        // A head for each thread: the scores are made once.
        let parts = dq.par_chunks_mut(queries).zip(dk.par_chunks_mut(keys));
        let parts = parts.zip(dv.par_chunks_mut(keys)).enumerate();
        parts.for_each(|(i, ((dq, dk), dv))| {
            let head = head(i);
            for (q, dq) in dq.chunks_mut(QUERIES * p.d).enumerate() {
                let places = dk.chunks_mut(KEYS * p.d).zip(dv.chunks_mut(KEYS * p.d));
                for (k, (dk, dv)) in places.enumerate() {
                    head.pair(
                        q * QUERIES,
                        dq.len() / p.d,
                        k * KEYS,
                        dk.len() / p.d,
                        |pair| {
                            head.queries(&pair, k * KEYS, dq);
                            head.keys(&pair, q * QUERIES, dk, dv);
                        },
                    );
                }
            }
        });
        return;
    }
    // Few heads: the queries are divided among threads, and then the keys.
    let tasks: Vec<_> = (dq.chunks_mut(queries).enumerate())
        .flat_map(|(i, dq)| {
            let tiles = dq.chunks_mut(QUERIES * p.d).enumerate();
            tiles.map(move |(q, dq)| (i, q * QUERIES, dq))
        })
        .collect();
    tasks.into_par_iter().for_each(|(i, q, dq)| {
        let head = head(i);
        for k in (0..p.m).step_by(KEYS) {
            head.pair(q, dq.len() / p.d, k, KEYS.min(p.m - k), |pair| {
                head.queries(&pair, k, dq);
            });
        }
    });
    let tasks: Vec<_> = (dk.chunks_mut(keys).zip(dv.chunks_mut(keys)).enumerate())
        .flat_map(|(i, (dk, dv))| {
            let tiles = dk.chunks_mut(KEYS * p.d).zip(dv.chunks_mut(KEYS * p.d));
            tiles
                .enumerate()
                .map(move |(k, (dk, dv))| (i, k * KEYS, dk, dv))
        })
        .collect();
    tasks.into_par_iter().for_each(|(i, k, dk, dv)| {
        let head = head(i);
        for q in (0..p.n).step_by(QUERIES) {
            head.pair(q, QUERIES.min(p.n - q), k, dk.len() / p.d, |pair| {
                head.keys(&pair, q, dk, dv);
            });
        }
    });
}

impl Head<'_> {
    /// Makes the weights and slopes of the `count` queries from `q` on and the `width` keys from `k` on, unless none sees any.
    fn pair(&self, q: usize, count: usize, k: usize, width: usize, with: impl FnOnce(Pair<'_>)) {
        let (p, d) = (self.p, self.p.d);
        if p.seen(q + count - 1, k, width) == 0 {
            return;
        }
        let mut weights = Scratch::of(count * width);
        let mut slopes = Scratch::of(count * width);
        let queries = Matrix::new(&self.inputs.q[q * d..], count, d, d);
        let keys = Matrix::new(&self.inputs.k[k * d..], width, d, d);
        Tile::new(&mut weights, width).multiply(queries, keys.transposed(), false);
        let pulls = Matrix::new(&self.known.dy[q * d..], count, d, d);
        let values = Matrix::new(&self.inputs.v[k * d..], width, d, d);
        Tile::new(&mut slopes, width).multiply(pulls, values.transposed(), false);
        vector::run(Rows {
            head: *self,
            q,
            k,
            width,
            weights: &mut weights,
            slopes: &mut slopes,
        });
        with(Pair {
            weights: Matrix::new(&weights, count, width, width),
            slopes: Matrix::new(&slopes, count, width, width),
        });
    }

    /// Adds what the keys from `k` on pull at the pair's queries.
    fn queries(&self, pair: &Pair<'_>, k: usize, dq: &mut [f32]) {
        let d = self.p.d;
        let keys = Matrix::new(&self.inputs.k[k * d..], pair.slopes.columns(), d, d);
        Tile::new(dq, d).multiply(pair.slopes, keys, true);
    }

    /// Adds what the queries from `q` on pull at the pair's keys and values.
    fn keys(&self, pair: &Pair<'_>, q: usize, dk: &mut [f32], dv: &mut [f32]) {
        let d = self.p.d;
        let count = pair.slopes.rows();
        let queries = Matrix::new(&self.inputs.q[q * d..], count, d, d);
        Tile::new(dk, d).multiply(pair.slopes.transposed(), queries, true);
        let pulls = Matrix::new(&self.known.dy[q * d..], count, d, d);
        Tile::new(dv, d).multiply(pair.weights.transposed(), pulls, true);
    }
}

/// Scores become weights, and gradients of weights those of scores.
struct Rows<'a> {
    head: Head<'a>,
    q: usize,
    k: usize,
    width: usize,
    weights: &'a mut [f32],
    slopes: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Head { p, known, mask, .. } = self.head;
        let mask = mask.map(|mask| &mask[self.k..self.k + self.width]);
        let rows = self.weights.chunks_exact_mut(self.width);
        let rows = rows.zip(self.slopes.chunks_exact_mut(self.width));
        for (r, (weights, slopes)) in rows.enumerate() {
            let query = self.q + r;
            let place = query * p.d..(query + 1) * p.d;
            let pairs = known.y[place.clone()].iter().zip(&known.dy[place]);
            let drop = pairs.map(|(y, dy)| y * dy).sum::<f32>();
            let sum = known.sums[query];
            let seen = p.seen(query, self.k, self.width);
            let (weights, hidden) = weights.split_at_mut(seen);
            hidden.fill(0.0);
            let (slopes, hidden) = slopes.split_at_mut(seen);
            hidden.fill(0.0);
            row(simd, (p.scale, sum, drop), mask, weights, slopes);
        }
    }
}

#[inline(always)]
fn row<S: Simd>(
    simd: S,
    (scale, sum, drop): (f32, f32, f32),
    mask: Option<&[f32]>,
    weights: &mut [f32],
    slopes: &mut [f32],
) {
    vector::steps(
        simd,
        weights.len(),
        #[inline(always)]
        |at| {
            let mut score = simd.mul_f32s(
                vector::load(simd, &weights[at.clone()]),
                simd.splat_f32s(scale),
            );
            if let Some(mask) = mask {
                score = simd.add_f32s(score, vector::load(simd, &mask[at.clone()]));
            }
            let off = simd.sub_f32s(score, simd.splat_f32s(sum));
            let weight = vector::exp(simd, off);
            let faint = simd.less_than_f32s(off, simd.splat_f32s(FAINT));
            let weight = simd.select_f32s(faint, simd.splat_f32s(0.0), weight);
            let pull = vector::load(simd, &slopes[at.clone()]);
            let slope = simd.mul_f32s(weight, simd.sub_f32s(pull, simd.splat_f32s(drop)));
            vector::store(simd, &mut weights[at.clone()], weight);
            vector::store(
                simd,
                &mut slopes[at],
                simd.mul_f32s(slope, simd.splat_f32s(scale)),
            );
        },
    );
}
