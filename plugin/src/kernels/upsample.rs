//! Enlarging pictures.

use candle_core::{Result, Tensor, bail};

use super::reference;

/// Each pixel of `x` `[batch, channels, height, width]` twice in both directions: `[.., 2 height, 2 width]`.
///
/// # Errors
/// If `x` is no batch of pictures, or the device has no room.
pub fn upsample_nearest_2x(x: &Tensor) -> Result<Tensor> {
    if x.rank() != 4 {
        bail!(
            "upsample: input of shape {:?}; expected [batch, channels, height, width]",
            x.dims()
        );
    }
    reference::upsample_nearest_2x(x)
}
