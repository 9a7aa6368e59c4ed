//! A projection with a frozen weight.

use candle_core::{Result, Tensor, bail};

use super::path::choose;
use super::{Frozen, reference};

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
    let plain = |x: &Tensor| reference::linear(x, w, bias);
    choose(x, plain, plain)
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
