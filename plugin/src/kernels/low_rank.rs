//! A projection with a frozen weight and a low-rank change of it that is trained.
#![allow(unsafe_code, reason = "threads fill their own tiles of one output")]

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::linear::{Linear, check, parameters, tiles};
use super::matrix::{Matrix, Shared};
use super::op::{self, Kernel};
use super::path::choose;
use super::{Frozen, reference};

/// Columns of a gradient that one task sums up at least.
const COLUMNS: usize = 32;

/// y = x Wᵀ + bias + (x downᵀ) upᵀ over the last dimension (LoRA, arXiv 2106.09685, eq. 3): as [`linear`](super::linear), with
/// `down` `[rank, k]` and `up` `[n, rank]`, which get gradients.
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn linear_low_rank(
    x: &Tensor,
    w: &Frozen,
    bias: Option<&Tensor>,
    down: &Tensor,
    up: &Tensor,
) -> Result<Tensor> {
    let (n, k) = check("linear_low_rank", x, w, bias)?;
    let rank = down.dims().first().copied().unwrap_or(0);
    if n * k * rank == 0 || down.dims() != [rank, k] || up.dims() != [n, rank] {
        bail!(
            "linear_low_rank: down {:?} and up {:?}; expected [rank, {k}] and [{n}, rank]",
            down.dims(),
            up.dims()
        );
    }
    choose(
        x,
        |x| {
            let (down, up) = (down.to_dtype(x.dtype())?, up.to_dtype(x.dtype())?);
            let linear = Linear::new(w, (n, k), bias.map(parameters).transpose()?);
            let op = LowRank { linear, rank };
            x.apply_op3(&down.contiguous()?, &up.contiguous()?, op)
        },
        |x| reference::linear_low_rank(x, w, bias, down, up),
    )
}

struct LowRank {
    linear: Linear,
    rank: usize,
}

impl CustomOp3 for LowRank {
    fn name(&self) -> &'static str {
        "linear_low_rank"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        down: &CpuStorage,
        down_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = op::values(x, layout)?;
        let (down, up) = (op::values(down, down_layout)?, op::values(up, up_layout)?);
        let shape = Shape::from(self.linear.shape(layout.dims()));
        let mut y = vec![0.0; shape.elem_count()];
        self.linear.forward(layout.dims(), x, &mut y);
        let (n, k) = self.linear.sizes();
        let rows = x.len() / k;
        if rows > 0 {
            let low = self.matrix(down, k).transposed();
            let mut small = vec![0.0; rows * self.rank];
            product((x, k), low, false, &mut small);
            let wide = Matrix::new(up, n, self.rank, self.rank).transposed();
            product((&small, self.rank), wide, true, &mut y);
        }
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        down: &Tensor,
        up: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let all = [x.clone(), down.clone(), up.clone(), dy.contiguous()?];
        let held = all.each_ref().map(Tensor::storage_and_layout);
        let [x, down, up, dy] = held.each_ref().map(op::held);
        let (x, down, up, dy) = (x?, down?, up?, dy?);
        let ((n, k), rank) = (self.linear.sizes(), self.rank);
        let mut dx = vec![0.0; x.len()];
        let (mut d_down, mut d_up) = (vec![0.0; down.len()], vec![0.0; up.len()]);
        self.linear.backward(all[0].dims(), x, dy, &mut dx);
        let rows = x.len() / k;
        if rows > 0 {
            let (mut small, mut pull) = (vec![0.0; rows * rank], vec![0.0; rows * rank]);
            product((x, k), self.matrix(down, k).transposed(), false, &mut small);
            product((dy, n), Matrix::new(up, n, rank, rank), false, &mut pull);
            product((&pull, rank), self.matrix(down, k), true, &mut dx);
            // `down`'s columns, and `up`'s rows, are divided among threads.
            let pull = Matrix::new(&pull, rows, rank, rank).transposed();
            let to = Shared::new(&mut d_down);
            pieces(k).for_each(|(first, width)| {
                let x = Matrix::new(&x[first..], rows, width, k);
                // SAFETY: tasks have ranges of columns to themselves.
                unsafe { to.tile(first, rank, width, k) }.multiply(pull, x, false);
            });
            let small = Matrix::new(&small, rows, rank, rank);
            let to = Shared::new(&mut d_up);
            pieces(n).for_each(|(first, width)| {
                let dy = Matrix::new(&dy[first..], rows, width, n).transposed();
                // SAFETY: tasks have ranges of rows to themselves.
                unsafe { to.tile(first * rank, width, rank, rank) }.multiply(dy, small, false);
            });
        }
        let cpu = &Device::Cpu;
        Ok((
            Some(Tensor::from_vec(dx, all[0].shape(), cpu)?),
            Some(Tensor::from_vec(d_down, all[1].shape(), cpu)?),
            Some(Tensor::from_vec(d_up, all[2].shape(), cpu)?),
        ))
    }
}

impl LowRank {
    fn matrix<'a>(&self, down: &'a [f32], k: usize) -> Matrix<'a> {
        Matrix::new(down, self.rank, k, k)
    }
}

/// left × right, where `left` has rows of `depth` values; added to what `to` holds if `add`; by all threads.
fn product((left, depth): (&[f32], usize), right: Matrix<'_>, add: bool, to: &mut [f32]) {
    let columns = right.columns();
    let to = Shared::new(to);
    tiles(left.len() / depth, rayon::current_num_threads()).for_each(|(row, rows)| {
        let left = Matrix::new(&left[row * depth..], rows, depth, depth);
        // SAFETY: tasks have ranges of rows to themselves.
        unsafe { to.tile(row * columns, rows, columns, columns) }.multiply(left, right, add);
    });
}

/// Ranges of `all` columns for as many tasks as pay: start and count.
fn pieces(all: usize) -> impl ParallelIterator<Item = (usize, usize)> {
    let step = all
        .div_ceil(2 * rayon::current_num_threads())
        .max(COLUMNS)
        .min(all);
    (0..all.div_ceil(step))
        .into_par_iter()
        .map(move |i| (i * step, step.min(all - i * step)))
}
