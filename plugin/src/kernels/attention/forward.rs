//! Attention forward: for a tile of queries, softmax is built up over tiles of keys (Milakov and Gimelshein,
//! arXiv 1805.02867).

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::matrix::{Matrix, Tile};
use super::super::scratch::Scratch;
use super::super::vector;
use super::{FAINT, Inputs, Precision, Problem, half};

/// Queries of a tile.
const QUERIES: usize = 256;
/// Keys of a tile.
pub const KEYS: usize = 256;

/// Writes the result `y` and ln Σ exp(score) of each query, +∞ for one that sees nothing.
pub fn run(p: &Problem, inputs: Inputs<'_>, y: &mut [f32], sums: &mut [f32]) {
    let (n, d) = (p.n, p.d);
    // Tiles of equal size, and enough of them.
    let heads = sums.len() / n;
    let packed = match p.precision {
        Precision::F32 => None,
        Precision::Bf16(instructions) => Some(half::Packed::new(instructions, p, inputs, heads)),
    };
    let wanted = (2 * rayon::current_num_threads()).div_ceil(heads);
    let step = n.div_ceil(n.div_ceil(QUERIES).max(wanted)).max(16);
    let heads = y.chunks_mut(n * d).zip(sums.chunks_mut(n)).enumerate();
    let tasks: Vec<_> = heads
        .flat_map(|(head, (y, sums))| {
            let tiles = y.chunks_mut(step * d).zip(sums.chunks_mut(step));
            let tiles = tiles.enumerate();
            tiles.map(move |(i, (y, sums))| (head, i * step, y, sums))
        })
        .collect();
    tasks.into_par_iter().for_each(|(head, first, y, sums)| {
        let inputs = inputs.head(head, p);
        let q = &inputs.q[first * d..][..y.len()];
        let operands = match &packed {
            None => Operands::Whole(Inputs { q, ..inputs }),
            Some(packed) => Operands::Half(packed.head(head, q)),
        };
        queries(p, operands, p.mask(head), first, y, sums);
    });
}

/// What is multiplied for a tile of queries.
enum Operands<'a> {
    /// These queries, and the head's keys and values.
    Whole(Inputs<'a>),
    Half(half::Head<'a>),
}

impl Operands<'_> {
    /// Queries × keys `start..start + width`.
    fn scores(&mut self, (start, width): (usize, usize), p: &Problem, mut scores: Tile<'_>) {
        match self {
            Self::Whole(inputs) => {
                let q = Matrix::new(inputs.q, scores.rows(), p.d, p.d);
                let k = Matrix::new(&inputs.k[start * p.d..], width, p.d, p.d);
                scores.multiply(q, k.transposed(), false);
            }
            Self::Half(head) => head.scores(start, scores),
        }
    }

    /// Weights × values `start..start + width`, added to what `y` holds unless they are the first.
    fn values(&mut self, start: usize, weights: Matrix<'_>, p: &Problem, mut y: Tile<'_>) {
        match self {
            Self::Whole(inputs) => {
                let v = Matrix::new(&inputs.v[start * p.d..], weights.columns(), p.d, p.d);
                y.multiply(weights, v, start > 0);
            }
            Self::Half(head) => head.values(start, weights, y),
        }
    }
}

/// The queries from `first` on.
fn queries(
    p: &Problem,
    mut operands: Operands<'_>,
    mask: Option<&[f32]>,
    first: usize,
    y: &mut [f32],
    sums: &mut [f32],
) {
    let (count, d) = (sums.len(), p.d);
    let mut scores = Scratch::of(count * KEYS.min(p.m));
    let mut tops = [f32::NEG_INFINITY; QUERIES];
    let tops = &mut tops[..count];
    sums.fill(0.0);
    let last = p.seen(first + count - 1, 0, p.m);
    for start in (0..last).step_by(KEYS) {
        let width = KEYS.min(last - start);
        let scores = &mut scores[..count * width];
        operands.scores((start, width), p, Tile::new(scores, width));
        vector::run(Soften {
            p,
            first,
            start,
            width,
            mask: mask.map(|mask| &mask[start..start + width]),
            scores,
            tops,
            sums,
            y,
        });
        let weights = Matrix::new(scores, count, width, width);
        operands.values(start, weights, p, Tile::new(y, d));
    }
    for ((y, sum), top) in y.chunks_exact_mut(d).zip(sums).zip(tops) {
        if *sum == 0.0 {
            y.fill(0.0);
            *sum = f32::INFINITY;
        } else {
            let share = 1.0 / *sum;
            y.iter_mut().for_each(|y| *y *= share);
            *sum = *top + sum.ln();
        }
    }
}

/// Makes scores of a tile to weights relative to the largest score so far, and brings what was summed before to that.
struct Soften<'a> {
    p: &'a Problem,
    first: usize,
    start: usize,
    width: usize,
    mask: Option<&'a [f32]>,
    scores: &'a mut [f32],
    tops: &'a mut [f32],
    sums: &'a mut [f32],
    y: &'a mut [f32],
}

impl WithSimd for Soften<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.scores.chunks_exact_mut(self.width).enumerate();
        for (r, scores) in rows {
            let seen = self.p.seen(self.first + r, self.start, self.width);
            let (scores, hidden) = scores.split_at_mut(seen);
            hidden.fill(0.0);
            let before = self.tops[r];
            let top = scale(simd, scores, self.p.scale, self.mask).max(before);
            if top == f32::NEG_INFINITY {
                scores.fill(0.0);
                continue;
            }
            let sum = weigh(simd, scores, top);
            let kept = (before - top).exp();
            self.tops[r] = top;
            self.sums[r] = self.sums[r] * kept + sum;
            if self.start > 0 && kept != 1.0 {
                let y = &mut self.y[r * self.p.d..(r + 1) * self.p.d];
                y.iter_mut().for_each(|y| *y *= kept);
            }
        }
    }
}

/// Scales scores, adds the mask, and returns the largest.
#[inline(always)]
fn scale<S: Simd>(simd: S, scores: &mut [f32], by: f32, mask: Option<&[f32]>) -> f32 {
    if let Some(mask) = mask {
        for (score, mask) in scores.iter_mut().zip(mask) {
            *score = *score * by + mask;
        }
    } else {
        for score in scores.iter_mut() {
            *score *= by;
        }
    }
    let (vectors, rest) = S::as_simd_f32s(scores);
    let (pairs, one) = vectors.as_chunks::<2>();
    let mut tops = [simd.splat_f32s(f32::NEG_INFINITY); 2];
    for pair in pairs {
        tops[0] = simd.max_f32s(tops[0], pair[0]);
        tops[1] = simd.max_f32s(tops[1], pair[1]);
    }
    for one in one {
        tops[0] = simd.max_f32s(tops[0], *one);
    }
    let top = simd.reduce_max_f32s(simd.max_f32s(tops[0], tops[1]));
    rest.iter().fold(top, |top, v| top.max(*v))
}

#[inline(always)]
fn weight<S: Simd>(simd: S, score: S::f32s, top: S::f32s) -> S::f32s {
    let off = simd.sub_f32s(score, top);
    let faint = simd.less_than_f32s(off, simd.splat_f32s(FAINT));
    simd.select_f32s(faint, simd.splat_f32s(0.0), vector::exp(simd, off))
}

/// exp(score − top), and its sum.
#[inline(always)]
fn weigh<S: Simd>(simd: S, scores: &mut [f32], top: f32) -> f32 {
    let tops = simd.splat_f32s(top);
    let (vectors, rest) = S::as_mut_simd_f32s(scores);
    let mut sum = simd.splat_f32s(0.0);
    for v in vectors {
        *v = weight(simd, *v, tops);
        sum = simd.add_f32s(sum, *v);
    }
    if !rest.is_empty() {
        let weights = weight(simd, vector::load(simd, rest), tops);
        vector::store(simd, rest, weights);
    }
    simd.reduce_sum_f32s(sum) + rest.iter().sum::<f32>()
}
