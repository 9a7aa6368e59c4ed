//! Embeddings of time steps and sizes.

use candle_core::{Device, Tensor};

use crate::engine::stable_diffusion::nn::Linear;
use crate::engine::stable_diffusion::weights::Weights;
use crate::{Result, kernels};

/// How numbers become waves: diffusers' `Timesteps`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waves {
    pub(super) width: usize,
    pub(super) cosines_first: bool,
    pub(super) shift: f64,
}

impl Waves {
    /// `[numbers, width]`: cosines and sines of each number at frequencies from 1 down to about 1/10000. In single
    /// precision from the start, as the reference has it: at a phase of 1000 the rounding shows.
    pub(super) fn embed(&self, numbers: &[f32], device: &Device) -> Result<Tensor> {
        let half = self.width / 2;
        let step = half as f32 - self.shift as f32;
        let slope = -(10000f64.ln()) as f32;
        let mut values = Vec::with_capacity(numbers.len() * self.width);
        for number in numbers {
            let phases = (0..half).map(|i| number * (slope * i as f32 / step).exp());
            let (first, second): (Vec<f32>, Vec<f32>) = phases
                .map(|phase| match self.cosines_first {
                    true => (phase.cos(), phase.sin()),
                    false => (phase.sin(), phase.cos()),
                })
                .unzip();
            values.extend(first);
            values.extend(second);
        }
        Ok(Tensor::from_vec(values, (numbers.len(), 2 * half), device)?)
    }
}

/// Two projections with silu between: diffusers' `TimestepEmbedding`.
#[derive(Debug)]
pub(super) struct Embedding {
    first: Linear,
    second: Linear,
}

impl Embedding {
    pub(super) fn new(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            first: Linear::new(&weights.at("linear_1"), inputs, outputs, true)?,
            second: Linear::new(&weights.at("linear_2"), outputs, outputs, true)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.second
            .forward(&kernels::silu(&self.first.forward(x)?)?)
    }
}
