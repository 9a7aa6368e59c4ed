//! What a network predicts, turned into what is wanted.

use candle_core::Tensor;

use super::coefficients::combine;
use crate::Result;
pub use crate::engine::stable_diffusion::config::PredictionType as Prediction;

/// How much of a noisy sample is signal and how much noise: x = `signal` · x₀ + `noise` · ε.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// α: 1 without noise.
    pub signal: f32,
    /// σ: 0 without noise.
    pub noise: f32,
}

impl Level {
    /// The level of a schedule that keeps the variance at 1: α = √ᾱ, σ = √(1−ᾱ).
    pub fn of(alpha_bar: f32) -> Self {
        Self {
            signal: alpha_bar.sqrt(),
            noise: (1.0 - alpha_bar).sqrt(),
        }
    }

    /// The same for σ' = σ/α, as solvers of the differential equation count it.
    pub fn of_ratio(sigma: f32) -> Self {
        let signal = 1.0 / (sigma * sigma + 1.0).sqrt();
        Self {
            signal,
            noise: sigma * signal,
        }
    }

    /// λ = ln α − ln σ, half the logarithm of the signal-to-noise ratio; infinite without noise.
    pub(super) fn lambda(self) -> f32 {
        self.signal.ln() - self.noise.ln()
    }

    /// A clean sample with this much noise.
    ///
    /// # Errors
    /// `Bug` if the shapes differ.
    pub fn add_noise(self, clean: &Tensor, noise: &Tensor) -> Result<Tensor> {
        combine(&[(self.signal, clean), (self.noise, noise)])
    }
}

impl Prediction {
    /// x₀, the sample without noise, from the network's `output` for a `sample` of this level.
    ///
    /// # Errors
    /// `Bug` if the shapes differ.
    pub fn denoised(self, output: &Tensor, sample: &Tensor, level: Level) -> Result<Tensor> {
        let (a, s) = (level.signal, level.noise);
        match self {
            Self::Epsilon => combine(&[(1.0 / a, sample), (-s / a, output)]),
            Self::V => combine(&[(a, sample), (-s, output)]),
            Self::Sample => Ok(output.clone()),
        }
    }

    /// ε, the noise in the sample. For a network that predicts x₀ the level must have noise.
    ///
    /// # Errors
    /// `Bug` if the shapes differ.
    pub fn noise(self, output: &Tensor, sample: &Tensor, level: Level) -> Result<Tensor> {
        let (a, s) = (level.signal, level.noise);
        match self {
            Self::Epsilon => Ok(output.clone()),
            Self::V => combine(&[(a, output), (s, sample)]),
            Self::Sample => combine(&[(1.0 / s, sample), (-a / s, output)]),
        }
    }

    /// What the network should have predicted for a `clean` sample and the `noise` that was added to it: the target of
    /// training. v = α ε − σ x₀ (arXiv 2202.00512, appendix D).
    ///
    /// # Errors
    /// `Bug` if the shapes differ.
    pub fn target(self, clean: &Tensor, noise: &Tensor, level: Level) -> Result<Tensor> {
        match self {
            Self::Epsilon => Ok(noise.clone()),
            Self::V => combine(&[(level.signal, noise), (-level.noise, clean)]),
            Self::Sample => Ok(clean.clone()),
        }
    }
}
