//! Activation functions, value by value.

use candle_core::{Result, Tensor, bail};

use super::reference;

/// x · sigmoid(x).
///
/// # Errors
/// If the device has no room.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    reference::silu(x)
}

/// x · Φ(x) with the normal distribution function Φ, exact (not the tanh approximation).
///
/// # Errors
/// If the device has no room.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    reference::gelu_erf(x)
}

/// x · sigmoid(1.702 x), as OpenAI's CLIP has it.
///
/// # Errors
/// If the device has no room.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    reference::quick_gelu(x)
}

/// h · gelu(g) for `x` `[.., 2n]` = (h, g): `[.., n]` (arXiv 2002.05202), with the exact [`gelu_erf`].
///
/// # Errors
/// If the last dimension is odd or missing, or the device has no room.
pub fn geglu(x: &Tensor) -> Result<Tensor> {
    match x.dims().last() {
        Some(n) if n % 2 == 0 && x.elem_count() > 0 => reference::geglu(x),
        _ => bail!("geglu: input of shape {:?}; expected [.., 2 n]", x.dims()),
    }
}
