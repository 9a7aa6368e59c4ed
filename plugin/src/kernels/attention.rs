//! Softmax attention.

use candle_core::{DType, Result, Tensor, bail};

use super::path::choose;
use super::reference;

/// softmax(scale · q kᵀ + log_mask) v, for `q` `[batch, heads, n, d]`, `k` and `v` `[batch, heads, m, d]`.
///
/// `log_mask`, `[batch, m]` or `[1, m]`, is added to the scores of every head and query: 0 leaves a key as it is, ln w
/// weighs it by w, −∞ hides it (DreamTuner, arXiv 2312.13691, eq. 6). It gets no gradient. With `causal` (n = m), query i
/// sees the keys up to i. A query that sees no key at all gets zeros.
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
    let &[batch, heads, n, d] = q.dims() else {
        bail!(
            "attention: queries of shape {:?}; expected [batch, heads, n, d]",
            q.dims()
        );
    };
    let m = k.dims().get(2).copied().unwrap_or(0);
    let expected = [batch, heads, m, d];
    if k.dims() != expected || v.dims() != expected {
        bail!(
            "attention: keys {:?} and values {:?} for queries {:?}; expected [{batch}, {heads}, m, {d}] twice",
            k.dims(),
            v.dims(),
            q.dims()
        );
    }
    if k.dtype() != q.dtype() || v.dtype() != q.dtype() {
        bail!(
            "attention: queries of type {:?}, keys {:?}, values {:?}; expected one type",
            q.dtype(),
            k.dtype(),
            v.dtype()
        );
    }
    if batch * heads * n * m * d == 0 {
        bail!("attention: nothing to do for queries {:?}", q.dims());
    }
    if let Some(mask) = log_mask
        && mask.dims() != [batch, m]
        && mask.dims() != [1, m]
    {
        bail!(
            "attention: a mask of shape {:?}; expected [{batch}, {m}] or [1, {m}]",
            mask.dims()
        );
    }
    if causal && n != m {
        bail!("attention: {n} queries and {m} keys; causal attention has as many of both");
    }
    choose(
        q,
        |q| {
            let (k, v) = (k.to_dtype(DType::F32)?, v.to_dtype(DType::F32)?);
            reference::attention(q, &k, &v, scale, log_mask, causal)
        },
        |q| reference::attention(q, k, v, scale, log_mask, causal),
    )
}
