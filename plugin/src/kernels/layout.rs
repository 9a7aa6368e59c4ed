//! Tensors laid out anew: two dimensions exchanged, and two tensors joined.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::op::{self, Kernel};
use super::path::fits;

/// Values that one task copies at least.
const PIECE: usize = 1 << 15;
/// Side of a square of single values that is turned at once: a cache line.
const SIDE: usize = 16;

/// `[batch, tokens, heads · d]` as `[batch, heads, tokens, d]`.
///
/// # Errors
/// If the shape does not fit, or the device has no room.
pub fn split_heads(x: &Tensor, heads: usize) -> Result<Tensor> {
    let &[batch, tokens, width] = x.dims() else {
        bail!(
            "split_heads: input of shape {:?}; expected [batch, tokens, heads · d]",
            x.dims()
        );
    };
    if heads == 0 || width % heads != 0 {
        bail!("split_heads: {heads} heads for a width of {width}; expected a divisor");
    }
    let d = width / heads;
    swapped(x, [batch, tokens, heads, d], &[batch, heads, tokens, d])
}

/// `[batch, heads, tokens, d]` as `[batch, tokens, heads · d]`.
///
/// # Errors
/// If the shape does not fit, or the device has no room.
pub fn merge_heads(x: &Tensor) -> Result<Tensor> {
    let &[batch, heads, tokens, d] = x.dims() else {
        bail!(
            "merge_heads: input of shape {:?}; expected [batch, heads, tokens, d]",
            x.dims()
        );
    };
    swapped(x, [batch, heads, tokens, d], &[batch, tokens, heads * d])
}

/// `[batch, n, m]` as `[batch, m, n]`, in one piece.
///
/// # Errors
/// If the shape does not fit, or the device has no room.
pub fn transpose(x: &Tensor) -> Result<Tensor> {
    let &[batch, rows, columns] = x.dims() else {
        bail!(
            "transpose: input of shape {:?}; expected [batch, n, m]",
            x.dims()
        );
    };
    swapped(x, [batch, rows, columns, 1], &[batch, columns, rows])
}

/// `x`, seen as `sizes`, with the two in the middle exchanged, seen as `shape`.
fn swapped(x: &Tensor, sizes: [usize; 4], shape: &[usize]) -> Result<Tensor> {
    if !fast(x) {
        let x = x.reshape(sizes.as_slice())?.transpose(1, 2)?;
        return x.contiguous()?.reshape(shape);
    }
    let [_, rows, columns, inner] = sizes;
    let swap = Swap {
        rows,
        columns,
        inner,
        shape: shape.to_vec(),
    };
    op::apply(swap, &x.contiguous()?)
}

/// The channels of `a` `[batch, n, ..]` before those of `b` `[batch, m, ..]`: `[batch, n + m, ..]`.
///
/// # Errors
/// If the shapes do not fit, the types differ, or the device has no room.
pub fn join(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let fits = a.rank() == b.rank()
        && a.rank() >= 2
        && a.dims()[0] == b.dims()[0]
        && a.dims()[2..] == b.dims()[2..];
    if !fits {
        bail!(
            "join: inputs of shapes {:?} and {:?}; expected [batch, n, ..] and [batch, m, ..]",
            a.dims(),
            b.dims()
        );
    }
    if !(fast(a) && fast(b)) {
        return Tensor::cat(&[a, b], 1);
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, Join)
}

fn fast(x: &Tensor) -> bool {
    fits(x) && x.elem_count() > 0
}

/// `[.., rows, columns, inner]` becomes `[.., columns, rows, inner]`, called `shape`.
struct Swap {
    rows: usize,
    columns: usize,
    inner: usize,
    shape: Vec<usize>,
}

impl Kernel for Swap {
    const NAME: &'static str = "swap";

    fn shape(&self, _: &[usize]) -> Vec<usize> {
        self.shape.clone()
    }

    fn forward(&self, _: &[usize], x: &[f32], y: &mut [f32]) {
        swap((self.rows, self.columns, self.inner), x, y);
    }

    fn backward(&self, _: &[usize], _: &[f32], dy: &[f32], dx: &mut [f32]) {
        swap((self.columns, self.rows, self.inner), dy, dx);
    }
}

fn swap((rows, columns, inner): (usize, usize, usize), x: &[f32], y: &mut [f32]) {
    if inner == 1 {
        return turn(rows, columns, x, y);
    }
    let all = rows * columns * inner;
    let lines = y.par_chunks_mut(rows * inner).enumerate();
    let least = (PIECE / (rows * inner)).max(1);
    lines.with_min_len(least).for_each(|(i, y)| {
        let x = &x[i / columns * all..][..all];
        let places = x.chunks_exact(inner).skip(i % columns).step_by(columns);
        for (y, x) in y.chunks_exact_mut(inner).zip(places) {
            y.copy_from_slice(x);
        }
    });
}

/// Single values: squares, so that each cache line that is fetched is used whole.
fn turn(rows: usize, columns: usize, x: &[f32], y: &mut [f32]) {
    let all = rows * columns;
    for (x, y) in x.chunks_exact(all).zip(y.chunks_exact_mut(all)) {
        let bands = y.par_chunks_mut(SIDE * rows).enumerate();
        let least = (PIECE / (SIDE * rows)).max(1);
        bands.with_min_len(least).for_each(|(band, y)| {
            let first = band * SIDE;
            for row in (0..rows).step_by(SIDE) {
                let count = SIDE.min(rows - row);
                for (c, y) in y.chunks_exact_mut(rows).enumerate() {
                    let places = x[row * columns + first + c..].iter().step_by(columns);
                    for (y, x) in y[row..row + count].iter_mut().zip(places) {
                        *y = *x;
                    }
                }
            }
        });
    }
}

struct Join;

impl CustomOp2 for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        layout: &Layout,
        b: &CpuStorage,
        other: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (a, b) = (op::values(a, layout)?, op::values(b, other)?);
        let mut shape = layout.dims().to_vec();
        shape[1] += other.dims()[1];
        let samples = shape[0];
        let (first, second) = (a.len() / samples, b.len() / samples);
        let mut y = vec![0.0; a.len() + b.len()];
        for (i, y) in y.chunks_exact_mut(first + second).enumerate() {
            let (to_a, to_b) = y.split_at_mut(first);
            copy(&a[i * first..][..first], to_a);
            copy(&b[i * second..][..second], to_b);
        }
        Ok((CpuStorage::F32(y), Shape::from(shape)))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (n, m) = (a.dim(1)?, b.dim(1)?);
        let part = |start, count| dy.narrow(1, start, count)?.contiguous();
        Ok((Some(part(0, n)?), Some(part(n, m)?)))
    }
}

/// Copies with all threads.
fn copy(from: &[f32], to: &mut [f32]) {
    let pieces = to.par_chunks_mut(PIECE).zip(from.par_chunks(PIECE));
    pieces.for_each(|(to, from)| to.copy_from_slice(from));
}
