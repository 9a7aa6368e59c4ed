//! Normalisations.

use candle_core::Tensor;

use crate::engine::stable_diffusion::weights::Weights;
use crate::{Result, kernels};

/// Group normalisation of `[batch, channels, ..]`.
#[derive(Debug)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

impl GroupNorm {
    /// The norm that `weights` point to.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(weights: &Weights, channels: usize, groups: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: weights.tensor("weight", &[channels])?,
            bias: weights.tensor("bias", &[channels])?,
            groups,
            eps,
        })
    }

    /// Normalises.
    ///
    /// # Errors
    /// If the device fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (&self.weight, &self.bias);
        Ok(kernels::group_norm(
            x,
            weight,
            bias,
            self.groups,
            self.eps,
            false,
        )?)
    }

    /// Normalises, then y · sigmoid(y).
    ///
    /// # Errors
    /// If the device fails.
    pub fn forward_silu(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (&self.weight, &self.bias);
        Ok(kernels::group_norm(
            x,
            weight,
            bias,
            self.groups,
            self.eps,
            true,
        )?)
    }
}

/// Normalisation of the last dimension.
#[derive(Debug)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// The norm that `weights` point to.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(weights: &Weights, width: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: weights.tensor("weight", &[width])?,
            bias: weights.tensor("bias", &[width])?,
            eps,
        })
    }

    /// Normalises `[.., width]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(kernels::layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}
