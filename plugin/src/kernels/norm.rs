//! Normalisation over groups of channels, and over the last dimension.

use candle_core::{Result, Tensor, bail};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::linear::parameters;
use super::op::{self, Kernel};
use super::path::choose;
use super::{gpu, reference, vector};

/// Values that one task takes at least, in whole rows.
const PIECE: usize = 1 << 14;

/// Normalises each of `groups` groups of channels of each sample of `x` `[batch, channels, ..]` to mean 0 and variance 1,
/// then multiplies with `weight` and adds `bias`, both `[channels]` (arXiv 1803.08494); with `silu`, y · sigmoid(y) of that.
///
/// # Errors
/// If the shapes do not fit, the groups do not divide the channels, or the device has no room.
pub fn group_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    groups: usize,
    eps: f64,
    silu: bool,
) -> Result<Tensor> {
    let &[_, channels, ..] = x.dims() else {
        bail!(
            "group_norm: input of shape {:?}; expected [batch, channels, ..]",
            x.dims()
        );
    };
    if groups == 0 || channels % groups != 0 || x.elem_count() == 0 {
        bail!(
            "group_norm: {groups} groups for an input of shape {:?}",
            x.dims()
        );
    }
    check_affine("group_norm", weight, bias, channels)?;
    choose(
        x,
        |x| {
            let kernel = GroupNorm {
                affine: Affine::of(weight, bias)?,
                groups,
                eps,
                silu,
            };
            op::apply(kernel, x)
        },
        |x| match x.device().is_cpu() {
            true => reference::group_norm(x, weight, bias, groups, eps, silu),
            false => gpu::group_norm(x, weight, bias, groups, eps, silu),
        },
    )
}

/// Normalises each row of `x` `[.., n]` to mean 0 and variance 1, then multiplies with `weight` and adds `bias`, both `[n]`
/// (arXiv 1607.06450).
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let n = x.dims().last().copied().unwrap_or(0);
    if x.elem_count() == 0 || n == 0 {
        bail!(
            "layer_norm: input of shape {:?}; expected [.., n]",
            x.dims()
        );
    }
    check_affine("layer_norm", weight, bias, n)?;
    choose(
        x,
        |x| {
            let affine = Affine::of(weight, bias)?;
            op::apply(LayerNorm { affine, eps }, x)
        },
        |x| match x.device().is_cpu() {
            true => reference::layer_norm(x, weight, bias, eps),
            false => gpu::layer_norm(x, weight, bias, eps),
        },
    )
}

fn check_affine(what: &str, weight: &Tensor, bias: &Tensor, n: usize) -> Result<()> {
    if weight.dims() != [n] || bias.dims() != [n] {
        bail!(
            "{what}: a weight of shape {:?} and a bias of {:?}; expected [{n}] twice",
            weight.dims(),
            bias.dims()
        );
    }
    Ok(())
}

struct Affine {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Affine {
    fn of(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        Ok(Self {
            weight: parameters(weight)?,
            bias: parameters(bias)?,
        })
    }
}

/// Mean and 1 / √(variance + eps).
#[inline(always)]
fn standard<S: Simd>(simd: S, x: &[f32], eps: f64) -> (f32, f32) {
    let (mean, spread) = vector::moments(simd, x);
    let deviation = (spread / x.len() as f64 + eps).sqrt();
    (mean as f32, (1.0 / deviation) as f32)
}

struct GroupNorm {
    affine: Affine,
    groups: usize,
    eps: f64,
    silu: bool,
}

impl GroupNorm {
    /// Channels of a group and values of a channel.
    fn sizes(&self, dims: &[usize]) -> (usize, usize) {
        (dims[1] / self.groups, dims[2..].iter().product())
    }

    fn group(&self, index: usize, channels: usize) -> Group<'_> {
        let first = index % self.groups * channels;
        Group {
            weight: &self.affine.weight[first..first + channels],
            bias: &self.affine.bias[first..first + channels],
            eps: self.eps,
            silu: self.silu,
        }
    }
}

impl Kernel for GroupNorm {
    const NAME: &'static str = "group_norm";

    fn shape(&self, input: &[usize]) -> Vec<usize> {
        input.to_vec()
    }

    fn forward(&self, dims: &[usize], x: &[f32], y: &mut [f32]) {
        let (channels, plane) = self.sizes(dims);
        let size = channels * plane;
        let groups = y.par_chunks_mut(size).zip(x.par_chunks(size));
        groups.enumerate().for_each(|(i, (y, x))| {
            let group = self.group(i, channels);
            vector::run(Normalise { group, plane, x, y });
        });
    }

    fn backward(&self, dims: &[usize], x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (channels, plane) = self.sizes(dims);
        let size = channels * plane;
        let groups = dx
            .par_chunks_mut(size)
            .zip(x.par_chunks(size))
            .zip(dy.par_chunks(size));
        groups.enumerate().for_each(|(i, ((dx, x), dy))| {
            let group = self.group(i, channels);
            vector::run(Pull {
                group,
                plane,
                x,
                dy,
                dx,
            });
        });
    }
}

struct Group<'a> {
    weight: &'a [f32],
    bias: &'a [f32],
    eps: f64,
    silu: bool,
}

struct Normalise<'a> {
    group: Group<'a>,
    plane: usize,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let group = self.group;
        let (mean, scale) = standard(simd, self.x, group.eps);
        let planes = self.y.chunks_exact_mut(self.plane);
        let planes = planes.zip(self.x.chunks_exact(self.plane));
        for (c, (y, x)) in planes.enumerate() {
            let factor = group.weight[c] * scale;
            let offset = simd.splat_f32s(group.bias[c] - mean * factor);
            let factor = simd.splat_f32s(factor);
            vector::steps(
                simd,
                y.len(),
                #[inline(always)]
                |at| {
                    let x = vector::load(simd, &x[at.clone()]);
                    let mut z = simd.mul_add_f32s(x, factor, offset);
                    if group.silu {
                        z = simd.mul_f32s(z, vector::sigmoid(simd, z));
                    }
                    vector::store(simd, &mut y[at], z);
                },
            );
        }
    }
}

struct Pull<'a> {
    group: Group<'a>,
    plane: usize,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for Pull<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let group = self.group;
        let (mean, scale) = standard(simd, self.x, group.eps);
        let one = simd.splat_f32s(1.0);
        let (mut pulls, mut turns) = (0.0f64, 0.0f64);
        for (c, dx) in self.dx.chunks_exact_mut(self.plane).enumerate() {
            let at = c * self.plane;
            let weight = simd.splat_f32s(group.weight[c]);
            let bias = simd.splat_f32s(group.bias[c]);
            let (x, dy) = (&self.x[at..at + dx.len()], &self.dy[at..at + dx.len()]);
            let sums = pull(
                simd,
                (mean, scale),
                x,
                dx,
                #[inline(always)]
                |at, standard| {
                    let mut pull = vector::load(simd, &dy[at]);
                    if group.silu {
                        let z = simd.mul_add_f32s(standard, weight, bias);
                        let gate = vector::sigmoid(simd, z);
                        let rise = simd.mul_add_f32s(z, simd.sub_f32s(one, gate), one);
                        pull = simd.mul_f32s(pull, simd.mul_f32s(gate, rise));
                    }
                    simd.mul_f32s(pull, weight)
                },
            );
            pulls += sums.0;
            turns += sums.1;
        }
        settle(simd, (mean, scale), (pulls, turns), self.x, self.dx);
    }
}

/// Writes to `dx` the gradient of each standardised value, which `gradient` tells for a place and the values there, and
/// returns its sum and its sum times those values.
#[inline(always)]
fn pull<S: Simd>(
    simd: S,
    (mean, scale): (f32, f32),
    x: &[f32],
    dx: &mut [f32],
    gradient: impl Fn(std::ops::Range<usize>, S::f32s) -> S::f32s,
) -> (f64, f64) {
    let (mean, scale) = (simd.splat_f32s(mean), simd.splat_f32s(scale));
    let (mut pulls, mut turns) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
    vector::steps(
        simd,
        dx.len(),
        #[inline(always)]
        |at| {
            let x = vector::load(simd, &x[at.clone()]);
            let standard = simd.mul_f32s(simd.sub_f32s(x, mean), scale);
            // Beyond a row's end the gradient loads as zero.
            let pull = gradient(at.clone(), standard);
            pulls = simd.add_f32s(pulls, pull);
            turns = simd.mul_add_f32s(pull, standard, turns);
            vector::store(simd, &mut dx[at], pull);
        },
    );
    (
        f64::from(simd.reduce_sum_f32s(pulls)),
        f64::from(simd.reduce_sum_f32s(turns)),
    )
}

/// Turns gradients of standardised values into those of the values: without their part along 1 and along the values.
#[inline(always)]
fn settle<S: Simd>(
    simd: S,
    (mean, scale): (f32, f32),
    (pulls, turns): (f64, f64),
    x: &[f32],
    dx: &mut [f32],
) {
    let n = x.len() as f64;
    let (pulls, turns) = ((pulls / n) as f32, (turns / n) as f32);
    let (mean, pulls) = (simd.splat_f32s(mean), simd.splat_f32s(pulls));
    let along = simd.splat_f32s(-turns * scale);
    let scale = simd.splat_f32s(scale);
    vector::steps(
        simd,
        dx.len(),
        #[inline(always)]
        |at| {
            let x = simd.sub_f32s(vector::load(simd, &x[at.clone()]), mean);
            let pull = simd.sub_f32s(vector::load(simd, &dx[at.clone()]), pulls);
            let pull = simd.mul_f32s(scale, simd.mul_add_f32s(x, along, pull));
            vector::store(simd, &mut dx[at], pull);
        },
    );
}

struct LayerNorm {
    affine: Affine,
    eps: f64,
}

impl Kernel for LayerNorm {
    const NAME: &'static str = "layer_norm";

    fn shape(&self, input: &[usize]) -> Vec<usize> {
        input.to_vec()
    }

    fn forward(&self, _: &[usize], x: &[f32], y: &mut [f32]) {
        let n = self.affine.weight.len();
        let piece = (PIECE / n).max(1) * n;
        let pieces = y.par_chunks_mut(piece).zip(x.par_chunks(piece));
        pieces.for_each(|(y, x)| vector::run(Rows { norm: self, x, y }));
    }

    fn backward(&self, _: &[usize], x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let n = self.affine.weight.len();
        let piece = (PIECE / n).max(1) * n;
        let pieces = dx
            .par_chunks_mut(piece)
            .zip(x.par_chunks(piece))
            .zip(dy.par_chunks(piece));
        pieces.for_each(|((dx, x), dy)| {
            let norm = self;
            vector::run(RowsPull { norm, x, dy, dx });
        });
    }
}

struct Rows<'a> {
    norm: &'a LayerNorm,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Affine { weight, bias } = &self.norm.affine;
        let rows = self.y.chunks_exact_mut(weight.len());
        for (y, x) in rows.zip(self.x.chunks_exact(weight.len())) {
            let (mean, scale) = standard(simd, x, self.norm.eps);
            let (mean, scale) = (simd.splat_f32s(mean), simd.splat_f32s(scale));
            vector::steps(
                simd,
                y.len(),
                #[inline(always)]
                |at| {
                    let x = vector::load(simd, &x[at.clone()]);
                    let weight = vector::load(simd, &weight[at.clone()]);
                    let bias = vector::load(simd, &bias[at.clone()]);
                    let standard = simd.mul_f32s(simd.sub_f32s(x, mean), scale);
                    let z = simd.mul_add_f32s(standard, weight, bias);
                    vector::store(simd, &mut y[at.clone()], z);
                },
            );
        }
    }
}

struct RowsPull<'a> {
    norm: &'a LayerNorm,
    x: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for RowsPull<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let weight = &self.norm.affine.weight;
        let n = weight.len();
        let rows = self.dx.chunks_exact_mut(n).zip(self.x.chunks_exact(n));
        for ((dx, x), dy) in rows.zip(self.dy.chunks_exact(n)) {
            let moments = standard(simd, x, self.norm.eps);
            let sums = pull(
                simd,
                moments,
                x,
                dx,
                #[inline(always)]
                |at, _| {
                    let dy = vector::load(simd, &dy[at.clone()]);
                    simd.mul_f32s(dy, vector::load(simd, &weight[at]))
                },
            );
            settle(simd, moments, sums, x, dx);
        }
    }
}
