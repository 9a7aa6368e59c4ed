//! A projection with a frozen weight.
#![allow(unsafe_code, reason = "threads fill their own tiles of one output")]

use candle_core::{DType, Result, Tensor, bail};
use rayon::prelude::*;

use super::bf16::{self, Instructions};
use super::matrix::{Matrix, Shared};
use super::op::{self, Kernel};
use super::path::choose;
use super::product::{self, Product};
use super::scratch::Scratch;
use super::weight::{PART, Weight};
use super::{Frozen, Precision, reference};

/// Rows of a tile where there are many.
const ROWS: usize = 512;
/// Rows for each thread from which on it pays to lay a weight out in panels for all, rather than to share its columns.
const MANY: usize = 96;
/// Values that a thread widens at once for itself.
const BLOCK: usize = 1 << 19;

/// y = x Wᵀ + bias over the last dimension: `x` is `[.., k]`, `w` is `[n, k]`, `bias` is `[n]`; the result is `[.., n]`.
/// The gradient goes to `x` alone.
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn linear(x: &Tensor, w: &Frozen, bias: Option<&Tensor>) -> Result<Tensor> {
    let (n, k) = check("linear", x, w, bias)?;
    choose(
        x,
        |x| {
            let bias = bias.map(parameters).transpose()?;
            op::apply(Linear::new(w, (n, k), bias), x)
        },
        |x| reference::linear(x, w, bias),
    )
}

/// That an input, a weight and a bias fit; n and k.
pub(super) fn check(
    what: &str,
    x: &Tensor,
    w: &Frozen,
    bias: Option<&Tensor>,
) -> Result<(usize, usize)> {
    let &[n, k] = w.shape() else {
        bail!("{what}: a weight of shape {:?}; expected [n, k]", w.shape());
    };
    if x.dims().last() != Some(&k) {
        bail!("{what}: input of shape {:?}; expected [.., {k}]", x.dims());
    }
    check_bias(what, bias, n)?;
    Ok((n, k))
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

/// The projection alone, of contiguous `f32` on the CPU.
pub(super) struct Linear {
    w: Frozen,
    n: usize,
    k: usize,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// `w` is `[n, k]`, `bias` `[n]`.
    pub(super) fn new(w: &Frozen, (n, k): (usize, usize), bias: Option<Vec<f32>>) -> Self {
        let w = w.clone();
        Self { w, n, k, bias }
    }

    /// n and k.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.n, self.k)
    }
}

impl Linear {
    /// Forward in bfloat16.
    fn halves(&self, instructions: Instructions, w: Weight<'_>, x: &[f32], y: &mut [f32]) {
        let (n, k) = (self.n, self.k);
        let (rows, pairs) = (x.len() / k, bf16::pairs(k));
        let y = Shared::new(y);
        let step = (PART / k).max(bf16::SIDE) / bf16::SIDE * bf16::SIDE;
        let mut panels = Scratch::of(pairs * bf16::padded(step.min(n)));
        for first in (0..n).step_by(step) {
            let count = step.min(n - first);
            let panels = &mut panels.pairs()[..pairs * bf16::padded(count)];
            w.half_columns(first, count, panels);
            tiles(rows, rayon::current_num_threads()).for_each(|(row, rows)| {
                let mut left = Scratch::of(pairs * bf16::padded(rows));
                bf16::rows(Matrix::new(&x[row * k..], rows, k, k), left.pairs());
                bf16::Product {
                    instructions,
                    pairs,
                    left: left.pairs(),
                    right: panels,
                    bias: self.bias.as_deref().map(|bias| &bias[first..]),
                    add: false,
                    // SAFETY: tasks have ranges of rows to themselves.
                    to: unsafe { y.tile(row * n + first, rows, count, n) },
                }
                .run();
            });
        }
    }
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
        let threads = rayon::current_num_threads();
        if let Precision::Bf16(instructions) = self.w.precision()
            && rows >= MANY * threads
        {
            return self.halves(instructions, w, x, y);
        }
        let y = Shared::new(y);
        if rows >= MANY * threads {
            let step = panel_columns(k, n);
            let mut panels = Scratch::of(k * product::padded(step));
            for first in (0..n).step_by(step) {
                let count = step.min(n - first);
                let panels = &mut panels[..k * product::padded(count)];
                w.columns(first, count, panels);
                tiles(rows, threads).for_each(|(row, rows)| {
                    Product {
                        left: Matrix::new(&x[row * k..], rows, k, k),
                        right: panels,
                        bias: self.bias.as_deref().map(|bias| &bias[first..]),
                        add: false,
                        // SAFETY: tasks have ranges of rows to themselves.
                        to: unsafe { y.tile(row * n + first, rows, count, n) },
                    }
                    .run();
                });
            }
        } else {
            let width = n.div_ceil(2 * threads).max(16).min((BLOCK / k).max(1));
            (0..n.div_ceil(width)).into_par_iter().for_each(|i| {
                let (first, width) = (i * width, width.min(n - i * width));
                let mut scratch = Scratch::of(w.scratch(width * k));
                let w = w.block((first, width), (0, k), &mut scratch);
                // SAFETY: tasks have ranges of columns to themselves.
                let mut tile = unsafe { y.tile(first, rows, width, n) };
                if let Some(bias) = &self.bias {
                    for r in 0..rows {
                        tile.row(r).copy_from_slice(&bias[first..first + width]);
                    }
                }
                let x = Matrix::new(x, rows, k, k);
                tile.multiply(x, w.transposed(), self.bias.is_some());
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
        let threads = rayon::current_num_threads();
        if rows >= MANY * threads {
            let step = (PART / product::padded(k)).clamp(1, n);
            let mut panels = Scratch::of(step * product::padded(k));
            for from in (0..n).step_by(step) {
                let depth = step.min(n - from);
                let panels = &mut panels[..depth * product::padded(k)];
                w.panels(from, depth, panels);
                tiles(rows, threads).for_each(|(row, rows)| {
                    Product {
                        left: Matrix::new(&dy[row * n + from..], rows, depth, n),
                        right: panels,
                        bias: None,
                        add: from > 0,
                        // SAFETY: tasks have ranges of rows to themselves.
                        to: unsafe { dx.tile(row * k, rows, k, k) },
                    }
                    .run();
                });
            }
        } else {
            let width = k.div_ceil(2 * threads).max(16);
            let step = (BLOCK / width).clamp(1, n);
            (0..k.div_ceil(width)).into_par_iter().for_each(|i| {
                let (first, width) = (i * width, width.min(k - i * width));
                let mut scratch = Scratch::of(w.scratch(step * width));
                // SAFETY: tasks have ranges of columns to themselves.
                let mut tile = unsafe { dx.tile(first, rows, width, k) };
                for from in (0..n).step_by(step) {
                    let depth = step.min(n - from);
                    let w = w.block((from, depth), (first, width), &mut scratch);
                    let dy = Matrix::new(&dy[from..], rows, depth, n);
                    tile.multiply(dy, w, from > 0);
                }
            });
        }
    }
}

/// How many of `n` columns of `k` values are worked on at once: whole panels.
fn panel_columns(k: usize, n: usize) -> usize {
    let width = product::width();
    ((PART / k).max(width) / width * width).min(n)
}

/// Ranges of rows, start and count, for as many tasks as pay.
pub(super) fn tiles(
    rows: usize,
    threads: usize,
) -> impl IndexedParallelIterator<Item = (usize, usize)> {
    let step = ROWS.min(rows.div_ceil(threads));
    (0..rows.div_ceil(step))
        .into_par_iter()
        .map(move |i| (i * step, step.min(rows - i * step)))
}
