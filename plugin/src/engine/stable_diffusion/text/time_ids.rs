//! SDXL's size conditioning.

use candle_core::{Device, Tensor};

use crate::Result;

/// What SDXL is told about a picture of `size` (width, height, in pixels) that is meant to look like the part at `corner`
/// (left, top) of one that was `original` (width, height): `[1, 6]`, heights first, as diffusers' `_get_add_time_ids`. A whole
/// picture has `original` = `size` and corner (0, 0).
///
/// # Errors
/// `Device` if the device has no room.
pub fn time_ids(
    original: (u32, u32),
    corner: (u32, u32),
    size: (u32, u32),
    device: &Device,
) -> Result<Tensor> {
    let numbers = [original.1, original.0, corner.1, corner.0, size.1, size.0];
    let numbers = numbers.map(|n| n as f32);
    Ok(Tensor::new(&numbers, device)?.unsqueeze(0)?)
}
