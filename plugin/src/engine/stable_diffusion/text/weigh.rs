//! Weights of words.

use candle_core::Tensor;

use crate::Result;

/// Applies a sequence's word weights to what the text encoder made of it, `[1, 77, width]`: each place is multiplied by its
/// weight, then all of it by one number that brings the mean back. This is what A1111 calls "Original" and does unless asked
/// otherwise; each text encoder of SDXL is treated by itself. Nothing is touched where all weights are 1.
///
/// # Errors
/// `Bug` if there is not one weight for each place.
pub fn weigh(encoded: &Tensor, weights: &[f32]) -> Result<Tensor> {
    if weights.iter().all(|weight| *weight == 1.0) {
        return Ok(encoded.clone());
    }
    let shape = (1, weights.len(), 1);
    let weights =
        Tensor::from_slice(weights, shape, encoded.device())?.to_dtype(encoded.dtype())?;
    let weighted = encoded.broadcast_mul(&weights)?;
    let mean = weighted.mean_all()?;
    // All weights 0, say: there is no mean to bring back.
    if mean.to_dtype(candle_core::DType::F32)?.to_scalar::<f32>()? == 0.0 {
        return Ok(weighted);
    }
    Ok(weighted.broadcast_mul(&(encoded.mean_all()? / mean)?)?)
}
