//! Convolution of pictures with a frozen weight.

use candle_core::{Result, Tensor, bail};

use super::linear::check_bias;
use super::path::choose;
use super::{Frozen, reference};

/// Cross-correlation of `x` `[batch, ci, height, width]` with `w` `[co, ci, kh, kw]` plus `bias` `[co]`, with `padding` rows
/// and columns of zeros on each side, kept at every `stride`-th place:
/// `[batch, co, (height + 2 padding − kh) / stride + 1, …]`. The gradient goes to `x` alone.
///
/// # Errors
/// If the shapes do not fit, the kernel is larger than the padded picture, the stride is 0, or the device has no room.
pub fn conv2d(
    x: &Tensor,
    w: &Frozen,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let &[co, ci, kh, kw] = w.shape() else {
        bail!(
            "conv2d: a weight of shape {:?}; expected [outputs, inputs, height, width]",
            w.shape()
        );
    };
    let &[_, channels, height, width] = x.dims() else {
        bail!(
            "conv2d: input of shape {:?}; expected [batch, {ci}, height, width]",
            x.dims()
        );
    };
    if channels != ci {
        bail!("conv2d: input of {channels} channels; the weight expects {ci}");
    }
    if stride == 0 || kh == 0 || kw == 0 {
        bail!("conv2d: a kernel of {kh}×{kw} with stride {stride}; expected at least 1");
    }
    // A padding as wide as the kernel would only add constants; the bound keeps sizes from overflowing.
    if padding >= kh.max(kw) || height + 2 * padding < kh || width + 2 * padding < kw {
        bail!("conv2d: a kernel of {kh}×{kw} on {height}×{width} with padding {padding}");
    }
    check_bias("conv2d", bias, co)?;
    let plain = |x: &Tensor| reference::conv2d(x, w, bias, stride, padding);
    choose(x, plain, plain)
}
