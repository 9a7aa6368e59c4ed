//! Classifier-free guidance.

use candle_core::Tensor;

use crate::Result;

/// The usual scale of guidance, as in diffusers' pipelines.
pub const GUIDANCE: f64 = 7.5;

/// Guided output: `without` + `scale` · (`with` − `without`), of the network's outputs with and without the prompt
/// (arXiv 2207.12598). 1 is no guidance.
///
/// # Errors
/// `Bug` if the shapes differ.
pub fn guide(without: &Tensor, with: &Tensor, scale: f64) -> Result<Tensor> {
    Ok((without + ((with - without)? * scale)?)?)
}

/// Takes back the contrast that guidance adds: each sample of `guided` is brought to the standard deviation of `with`, and
/// mixed with `guided` by `share` from 0 (nothing) to 1 (arXiv 2305.08891, section 3.4, equations 15 and 16; 0.7 there).
///
/// # Errors
/// `Bug` if the shapes differ.
pub fn rescale(guided: &Tensor, with: &Tensor, share: f64) -> Result<Tensor> {
    if share == 0.0 {
        return Ok(guided.clone());
    }
    let deviation = |t: &Tensor| -> Result<Tensor> {
        let flat = t.flatten_from(1)?;
        Ok(flat.var_keepdim(1)?.sqrt()?)
    };
    let ratio = (deviation(with)? / deviation(guided)?)?;
    let factor = ratio.affine(share, 1.0 - share)?;
    let shape: Vec<usize> = (0..guided.rank())
        .map(|i| if i == 0 { guided.dims()[0] } else { 1 })
        .collect();
    Ok(guided.broadcast_mul(&factor.reshape(shape)?)?)
}
