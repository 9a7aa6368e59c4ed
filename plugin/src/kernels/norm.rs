//! Normalisation over groups of channels, and over the last dimension.

use candle_core::{Result, Tensor, bail};

use super::reference;

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
    reference::group_norm(x, weight, bias, groups, eps, silu)
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
    reference::layer_norm(x, weight, bias, eps)
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
