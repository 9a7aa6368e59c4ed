//! A projection with a frozen weight.
#![allow(unsafe_code, reason = "threads fill their own tiles of one output")]

use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

use super::matrix::{Matrix, Shared};
use super::op::{self, Kernel};
use super::path::choose;
use super::scratch::Scratch;
use super::weight::Weight;
use super::{Frozen, reference};

/// Rows of a tile where there are many.
const ROWS: usize = 512;
/// Rows for each thread from which on it pays to share a widened weight among all, rather than the rows.
const MANY: usize = 96;
/// Values that a thread widens at once for itself.
const BLOCK: usize = 1 << 19;

/// y = x Wᵀ + bias over the last dimension: `x` is `[.., k]`, `w` is `[n, k]`, `bias` is `[n]`; the result is `[.., n]`.
/// The gradient goes to `x` alone.
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn linear(x: &Tensor, w: &Frozen, bias: Option<&Tensor>) -> Result<Tensor> {
    let &[n, k] = w.shape() else {
        bail!("linear: a weight of shape {:?}; expected [n, k]", w.shape());
    };
    if x.dims().last() != Some(&k) {
        bail!("linear: input of shape {:?}; expected [.., {k}]", x.dims());
    }
    check_bias("linear", bias, n)?;
    choose(
        x,
        |x| {
            let kernel = Linear {
                w: w.clone(),
                n,
                k,
                bias: bias.map(parameters).transpose()?,
            };
            op::apply(kernel, x)
        },
        |x| reference::linear(x, w, bias),
    )
}

/// That a bias, where there is one, is `[n]`.
pub(super) fn check_bias(what: &str, bias: Option<&Tensor>, n: usize) -> Result<()> {
    match bias {
        Some(bias) if bias.dims() != [n] => {
            bail!("{what}: a bias of shape {:?}; expected [{n}]", bias.dims())
        }
        _ => Ok(()),
    }
}

/// A bias or a norm's factors.
pub(super) fn parameters(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.to_dtype(DType::F32)?.to_vec1()
}

struct Linear {
    w: Frozen,
    n: usize,
    k: usize,
    bias: Option<Vec<f32>>,
}

impl Kernel for Linear {
    const NAME: &'static str = "linear";

    fn shape(&self, input: &[usize]) -> Vec<usize> {
        let rows = &input[..input.len() - 1];
        rows.iter().copied().chain([self.n]).collect()
    }

    fn forward(&self, _: &[usize], x: &[f32], y: &mut [f32]) {
        let (n, k) = (self.n, self.k);
        let rows = x.len() / k.max(1);
        if rows * n == 0 {
            return;
        }
        let w = Weight::new(self.w.values(), k);
        let y = Shared::new(y);
        let product = |(row, count): (usize, usize), (first, width): (usize, usize), w: Matrix| {
            // SAFETY: tasks have ranges of rows or of columns to themselves.
            let mut tile = unsafe { y.tile(row * n + first, count, width, n) };
            if let Some(bias) = &self.bias {
                for r in 0..count {
                    tile.row(r).copy_from_slice(&bias[first..first + width]);
                }
            }
            let x = Matrix::new(&x[row * k..], count, k, k);
            tile.multiply(x, w.transposed(), self.bias.is_some());
        };
        let threads = rayon::current_num_threads();
        if rows >= MANY * threads {
            let step = w.step(n);
            let mut scratch = Scratch::of(w.scratch(step * k));
            for first in (0..n).step_by(step) {
                let width = step.min(n - first);
                let w = w.rows(first, width, &mut scratch);
                tiles(rows, threads).for_each(|range| product(range, (first, width), w));
            }
        } else {
            let width = n.div_ceil(2 * threads).max(16).min((BLOCK / k).max(1));
            (0..n.div_ceil(width)).into_par_iter().for_each(|i| {
                let (first, width) = (i * width, width.min(n - i * width));
                let mut scratch = Scratch::of(w.scratch(width * k));
                let w = w.block((first, width), (0, k), &mut scratch);
                product((0, rows), (first, width), w);
            });
        }
    }

    fn backward(&self, _: &[usize], _: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (n, k) = (self.n, self.k);
        let rows = dy.len() / n.max(1);
        if rows * k == 0 {
            return;
        }
        let w = Weight::new(self.w.values(), k);
        let dx = Shared::new(dx);
        let product = |(row, count): (usize, usize),
                       (first, width): (usize, usize),
                       (from, depth): (usize, usize),
                       w: Matrix| {
            // SAFETY: tasks that run at the same time have ranges of rows or of columns to themselves.
            let mut tile = unsafe { dx.tile(row * k + first, count, width, k) };
            let dy = Matrix::new(&dy[row * n + from..], count, depth, n);
            tile.multiply(dy, w, from > 0);
        };
        let threads = rayon::current_num_threads();
        if rows >= MANY * threads {
            let step = w.step(n);
            let mut scratch = Scratch::of(w.scratch(step * k));
            for from in (0..n).step_by(step) {
                let depth = step.min(n - from);
                let w = w.rows(from, depth, &mut scratch);
                tiles(rows, threads).for_each(|range| product(range, (0, k), (from, depth), w));
            }
        } else {
            let width = k.div_ceil(2 * threads).max(16);
            let step = (BLOCK / width).clamp(1, n);
            (0..k.div_ceil(width)).into_par_iter().for_each(|i| {
                let (first, width) = (i * width, width.min(k - i * width));
                let mut scratch = Scratch::of(w.scratch(step * width));
                for from in (0..n).step_by(step) {
                    let depth = step.min(n - from);
                    let w = w.block((from, depth), (first, width), &mut scratch);
                    product((0, rows), (first, width), (from, depth), w);
                }
            });
        }
    }
}

/// Ranges of rows, start and count, for as many tasks as pay.
fn tiles(rows: usize, threads: usize) -> impl IndexedParallelIterator<Item = (usize, usize)> {
    let step = ROWS.min(rows.div_ceil(threads));
    (0..rows.div_ceil(step))
        .into_par_iter()
        .map(move |i| (i * step, step.min(rows - i * step)))
}
