//! Every step of every sampler is a linear combination of tensors.

use candle_core::Tensor;

use crate::Result;

/// Σ cᵢ · tᵢ; `terms` has at least one. Terms whose factor is 0 are left out, so that an unused tensor may hold anything.
///
/// # Errors
/// `Bug` if the shapes differ.
pub(super) fn combine(terms: &[(f32, &Tensor)]) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for (factor, tensor) in terms {
        if *factor == 0.0 {
            continue;
        }
        let term = tensor.affine(f64::from(*factor), 0.0)?;
        sum = Some(match sum {
            Some(sum) => (sum + term)?,
            None => term,
        });
    }
    match sum {
        Some(sum) => Ok(sum),
        None => Ok(terms[0].1.zeros_like()?),
    }
}
