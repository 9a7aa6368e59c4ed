//! Attention's probabilities, where somebody wants to see them.

use candle_core::{D, DType, Tensor};

use crate::Result;

/// What [`scores`] gives.
#[derive(Debug)]
pub struct Scores {
    /// softmax(scale · q kᵀ + log_mask) v: `[batch, heads, n, d]`.
    pub output: Tensor,
    /// The probabilities, averaged over heads: `[batch, n, m]`.
    pub map: Tensor,
}

/// Attention as [`kernels::attention`](crate::kernels::attention) computes it, by way of all its probabilities, and their
/// mean over heads. Differentiable in both; takes the memory of `[batch, heads, n, m]` several times.
///
/// # Errors
/// If the device fails.
pub fn scores(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    log_mask: Option<&Tensor>,
) -> Result<Scores> {
    let dtype = q.dtype();
    let wide = match dtype {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let logits = (q.matmul(&k.t()?.contiguous()?)? * scale)?.to_dtype(wide)?;
    let logits = match log_mask {
        Some(mask) => {
            let m = mask.dim(1)?;
            logits.broadcast_add(&mask.to_dtype(wide)?.reshape(((), 1, 1, m))?)?
        }
        None => logits,
    };
    // The result does not depend on the largest score, so it needs no gradient.
    let top = logits.detach().max_keepdim(D::Minus1)?;
    let weights = logits.broadcast_sub(&top)?.exp()?;
    let probabilities = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    Ok(Scores {
        output: probabilities.to_dtype(dtype)?.matmul(v)?,
        map: probabilities.mean(1)?,
    })
}
