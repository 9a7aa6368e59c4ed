//! The same functions in candle's own operations: plain, on every device and float type, and differentiable in `f64` too.
//! They take shapes as they come; the functions of the module above check them first.
//!
//! Half-precision input is normalised and put through softmax in `f32`, as PyTorch does.

use candle_core::{D, DType, Result, Tensor};

use super::Frozen;

/// See [`super::linear`].
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn linear(x: &Tensor, w: &Frozen, bias: Option<&Tensor>) -> Result<Tensor> {
    let w = w.placed(x.dtype(), x.device())?;
    let rows = x.elem_count() / w.dim(1)?.max(1);
    let y = x.reshape((rows, w.dim(1)?))?.matmul(&w.t()?)?;
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = w.dim(0)?;
    }
    let y = y.reshape(shape)?;
    match bias {
        Some(bias) => y.broadcast_add(&bias.to_dtype(x.dtype())?),
        None => Ok(y),
    }
}

/// See [`super::linear_low_rank`].
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
    let y = linear(x, w, bias)?;
    let rows = x.reshape(((), down.dim(1)?))?;
    let low = rows.matmul(&down.to_dtype(x.dtype())?.t()?)?;
    let change = low.matmul(&up.to_dtype(x.dtype())?.t()?)?;
    &y + change.reshape(y.shape())?
}

/// See [`super::conv2d`].
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn conv2d(
    x: &Tensor,
    w: &Frozen,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let w = w.placed(x.dtype(), x.device())?;
    let y = if stride == 1 {
        x.conv2d(&w, padding, 1, 1, 1)?
    } else {
        // candle's gradient has the wrong size where the last rows or columns are not read: they are cut off first.
        let mut x = x
            .pad_with_zeros(2, padding, padding)?
            .pad_with_zeros(3, padding, padding)?;
        for dim in [2, 3] {
            let kernel = w.dim(dim)?;
            let read = (x.dim(dim)?.saturating_sub(kernel)) / stride * stride + kernel;
            x = x.narrow(dim, 0, read)?;
        }
        x.contiguous()?.conv2d(&w, 0, stride, 1, 1)?
    };
    match bias {
        Some(bias) => y.broadcast_add(&bias.to_dtype(x.dtype())?.reshape((1, (), 1, 1))?),
        None => Ok(y),
    }
}

/// Scores that are held at once, where queries can be taken in groups.
const SCORES: usize = 1 << 24;

/// See [`super::attention`]. Takes so many queries at a time that their scores stay below a fixed number; a backward pass
/// keeps them all.
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    log_mask: Option<&Tensor>,
    causal: bool,
) -> Result<Tensor> {
    let (batch, heads, n, _) = q.dims4()?;
    let m = k.dim(2)?;
    let inner = wide(q.dtype());
    let mask = match log_mask {
        Some(mask) => Some(mask.to_dtype(inner)?.reshape(((), 1, 1, m))?),
        None => None,
    };
    let keys = k.t()?.contiguous()?;
    let v = v.contiguous()?;
    let step = (SCORES / (batch * heads * m).max(1)).clamp(1, n.max(1));
    let mut parts = Vec::new();
    for start in (0..n).step_by(step) {
        let count = step.min(n - start);
        let part = q.narrow(2, start, count)?.contiguous()?;
        let mut scores = (part.matmul(&keys)?.to_dtype(inner)? * scale)?;
        if let Some(mask) = &mask {
            scores = scores.broadcast_add(mask)?;
        }
        if causal {
            let hidden: Vec<f32> = (start..start + count)
                .flat_map(|i| (0..m).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 }))
                .collect();
            let hidden = Tensor::from_vec(hidden, (1, 1, count, m), q.device())?;
            scores = scores.broadcast_add(&hidden.to_dtype(inner)?)?;
        }
        // The largest score of a row only guards against overflow: the result does not depend on it, nor its gradient. A
        // row of −∞ alone stays at 0.
        let top = scores.detach().max_keepdim(D::Minus1)?;
        let top = top.maximum(&top.ones_like()?.affine(-1e30, 0.0)?)?;
        let weights = scores.broadcast_sub(&top)?.exp()?;
        let sum = weights.sum_keepdim(D::Minus1)?;
        let none = sum.detach().eq(0.0)?.to_dtype(inner)?;
        let weights = weights.broadcast_div(&(sum + none)?)?;
        parts.push(weights.to_dtype(q.dtype())?.matmul(&v)?);
    }
    Tensor::cat(&parts, 2)
}

/// See [`super::group_norm`].
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn group_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    groups: usize,
    eps: f64,
    activate: bool,
) -> Result<Tensor> {
    let (batch, channels) = (x.dim(0)?, x.dim(1)?);
    let inner = wide(x.dtype());
    let y = x.to_dtype(inner)?.reshape((batch, groups, ()))?;
    let y = standardise(&y, eps)?.reshape((batch, channels, ()))?;
    let y = y
        .broadcast_mul(&weight.to_dtype(inner)?.reshape((1, channels, 1))?)?
        .broadcast_add(&bias.to_dtype(inner)?.reshape((1, channels, 1))?)?;
    let y = if activate { silu(&y)? } else { y };
    y.reshape(x.shape())?.to_dtype(x.dtype())
}

/// See [`super::layer_norm`].
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let inner = wide(x.dtype());
    standardise(&x.to_dtype(inner)?, eps)?
        .broadcast_mul(&weight.to_dtype(inner)?)?
        .broadcast_add(&bias.to_dtype(inner)?)?
        .to_dtype(x.dtype())
}

/// Rows of mean 0 and variance 1.
fn standardise(x: &Tensor, eps: f64) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(variance + eps)?.sqrt()?)
}

/// See [`super::silu`].
///
/// # Errors
/// If the device has no room.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    x.silu()
}

/// See [`super::gelu_erf`].
///
/// # Errors
/// If the device has no room.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    x.gelu_erf()
}

/// See [`super::quick_gelu`].
///
/// # Errors
/// If the device has no room.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    x * candle_nn::ops::sigmoid(&(x * 1.702)?)?
}

/// See [`super::geglu`].
///
/// # Errors
/// If the shape does not fit, or the device has no room.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    let n = x.dim(D::Minus1)? / 2;
    // Contiguous, which GPUs take several times faster.
    let half = |start| x.narrow(D::Minus1, start, n)?.contiguous();
    half(0)? * gelu_erf(&half(n)?)?
}

/// See [`super::upsample_nearest_2x`].
///
/// # Errors
/// If the shape does not fit, or the device has no room.
pub fn upsample_nearest_2x(x: &Tensor) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    // Not candle's `upsample_nearest2d`: its gradient overwrites what its input has received from elsewhere.
    x.reshape((b, c, h, 1, w, 1))?
        .broadcast_as((b, c, h, 2, w, 2))?
        .reshape((b, c, 2 * h, 2 * w))
}

/// The type in which sums over half-precision values are made.
pub(super) fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::BF16 => DType::F32,
        other => other,
    }
}
