//! Activation functions, value by value.

use candle_core::{Result, Tensor, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::op::{self, Kernel};
use super::path::choose;
use super::{reference, vector};

/// Values that one task takes.
const PIECE: usize = 1 << 14;

/// x · sigmoid(x).
///
/// # Errors
/// If the device has no room.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    choose(x, |x| op::apply(Activation::Silu, x), reference::silu)
}

/// x · Φ(x) with the normal distribution function Φ, exact (not the tanh approximation).
///
/// # Errors
/// If the device has no room.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    choose(x, |x| op::apply(Activation::Gelu, x), reference::gelu_erf)
}

/// x · sigmoid(1.702 x), as OpenAI's CLIP has it.
///
/// # Errors
/// If the device has no room.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    choose(
        x,
        |x| op::apply(Activation::QuickGelu, x),
        reference::quick_gelu,
    )
}

/// h · gelu(g) for `x` `[.., 2n]` = (h, g): `[.., n]` (arXiv 2002.05202), with the exact [`gelu_erf`].
///
/// # Errors
/// If the last dimension is odd or missing, or the device has no room.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    match x.dims().last() {
        Some(n) if n % 2 == 0 && x.elem_count() > 0 => {
            choose(x, |x| op::apply(Geglu, x), reference::geglu)
        }
        _ => bail!("geglu: input of shape {:?}; expected [.., 2 n]", x.dims()),
    }
}

#[derive(Debug, Clone, Copy)]
enum Activation {
    Silu,
    Gelu,
    QuickGelu,
}

/// The function and its slope.
#[inline(always)]
fn activate<S: Simd>(simd: S, which: Activation, x: S::f32s) -> (S::f32s, S::f32s) {
    match which {
        Activation::Silu => gate(simd, x, 1.0),
        Activation::QuickGelu => gate(simd, x, 1.702),
        Activation::Gelu => gelu(simd, x),
    }
}

/// x · sigmoid(factor · x) and its slope.
#[inline(always)]
fn gate<S: Simd>(simd: S, x: S::f32s, factor: f32) -> (S::f32s, S::f32s) {
    let factor = simd.splat_f32s(factor);
    let gate = vector::sigmoid(simd, simd.mul_f32s(x, factor));
    let value = simd.mul_f32s(x, gate);
    let left = simd.sub_f32s(simd.splat_f32s(1.0), gate);
    let rise = simd.mul_f32s(simd.mul_f32s(factor, value), left);
    (value, simd.add_f32s(gate, rise))
}

#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let (share, bell) = vector::normal(simd, x);
    let density = simd.mul_f32s(bell, simd.splat_f32s(0.398_942_3));
    (
        simd.mul_f32s(x, share),
        simd.mul_add_f32s(x, density, share),
    )
}

impl Kernel for Activation {
    const NAME: &'static str = "activation";

    fn shape(&self, input: &[usize]) -> Vec<usize> {
        input.to_vec()
    }

    fn forward(&self, _: &[usize], x: &[f32], y: &mut [f32]) {
        let pieces = y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE));
        pieces.for_each(|(y, x)| vector::run(Map { which: *self, x, y }));
    }

    fn backward(&self, _: &[usize], x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let pieces = dx
            .par_chunks_mut(PIECE)
            .zip(x.par_chunks(PIECE))
            .zip(dy.par_chunks(PIECE));
        pieces.for_each(|((dx, x), dy)| {
            let which = *self;
            vector::run(Slopes { which, x, dy, dx });
        });
    }
}

struct Map<'a> {
    which: Activation,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Map<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        vector::steps(
            simd,
            self.y.len(),
            #[inline(always)]
            |at| {
                let x = vector::load(simd, &self.x[at.clone()]);
                let (value, _) = activate(simd, self.which, x);
                vector::store(simd, &mut self.y[at], value);
            },
        );
    }
}

struct Slopes<'a> {
    which: Activation,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        vector::steps(
            simd,
            self.dx.len(),
            #[inline(always)]
            |at| {
                let x = vector::load(simd, &self.x[at.clone()]);
                let dy = vector::load(simd, &self.dy[at.clone()]);
                let (_, slope) = activate(simd, self.which, x);
                vector::store(simd, &mut self.dx[at], simd.mul_f32s(dy, slope));
            },
        );
    }
}

struct Geglu;

impl Kernel for Geglu {
    const NAME: &'static str = "geglu";

    fn shape(&self, input: &[usize]) -> Vec<usize> {
        let (last, rows) = input.split_last().unwrap_or((&0, &[]));
        rows.iter().copied().chain([last / 2]).collect()
    }

    fn forward(&self, dims: &[usize], x: &[f32], y: &mut [f32]) {
        let n = dims[dims.len() - 1] / 2;
        let rows = (PIECE / n).max(1);
        let pieces = y.par_chunks_mut(rows * n).zip(x.par_chunks(rows * 2 * n));
        pieces.for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(2 * n)) {
                let (h, g) = x.split_at(n);
                vector::run(Gate { h, g, y });
            }
        });
    }

    fn backward(&self, dims: &[usize], x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let n = dims[dims.len() - 1] / 2;
        let rows = (PIECE / n).max(1);
        let pieces = dx
            .par_chunks_mut(rows * 2 * n)
            .zip(x.par_chunks(rows * 2 * n))
            .zip(dy.par_chunks(rows * n));
        pieces.for_each(|((dx, x), dy)| {
            let rows = dx.chunks_exact_mut(2 * n).zip(x.chunks_exact(2 * n));
            for ((dx, x), dy) in rows.zip(dy.chunks_exact(n)) {
                let (h, g) = x.split_at(n);
                let (dh, dg) = dx.split_at_mut(n);
                vector::run(GateSlopes { h, g, dy, dh, dg });
            }
        });
    }
}

struct Gate<'a> {
    h: &'a [f32],
    g: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        vector::steps(
            simd,
            self.y.len(),
            #[inline(always)]
            |at| {
                let h = vector::load(simd, &self.h[at.clone()]);
                let g = vector::load(simd, &self.g[at.clone()]);
                let (value, _) = gelu(simd, g);
                vector::store(simd, &mut self.y[at], simd.mul_f32s(h, value));
            },
        );
    }
}

struct GateSlopes<'a> {
    h: &'a [f32],
    g: &'a [f32],
    dy: &'a [f32],
    dh: &'a mut [f32],
    dg: &'a mut [f32],
}

impl WithSimd for GateSlopes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        vector::steps(
            simd,
            self.dy.len(),
            #[inline(always)]
            |at| {
                let h = vector::load(simd, &self.h[at.clone()]);
                let g = vector::load(simd, &self.g[at.clone()]);
                let dy = vector::load(simd, &self.dy[at.clone()]);
                let (value, slope) = gelu(simd, g);
                vector::store(simd, &mut self.dh[at.clone()], simd.mul_f32s(dy, value));
                let dg = simd.mul_f32s(simd.mul_f32s(dy, h), slope);
                vector::store(simd, &mut self.dg[at], dg);
            },
        );
    }
}
