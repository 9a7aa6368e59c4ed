//! Parts of losses.

use candle_core::Tensor;

use crate::Result;
use crate::engine::stable_diffusion::sampler::{Prediction, Schedule};

/// How much the error of a prediction counts at a noise level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weighting {
    /// The same everywhere, as the model was trained.
    Plain,
    /// No more than at this signal-to-noise ratio γ: min-SNR (arXiv 2303.09556, equation 4 and its form for v), 5 there.
    MinSnr(f64),
    /// As the error of the clean picture that the prediction means (SingleInsert, arXiv 2310.08094), but at most this many
    /// times the prediction's own: without a limit, 84 % of all weight lies on the last fifth of the levels.
    Clean(f64),
}

impl Weighting {
    /// The factor of the squared error of the network's own output at a training time step.
    pub fn factor(self, schedule: &Schedule, timestep: usize) -> f64 {
        let signal = f64::from(schedule.level(timestep).signal).powi(2);
        let noise = 1.0 - signal;
        let ratio = signal / noise.max(1e-12);
        // What the squared error of the clean picture is of the prediction's own: x̂₀ = (x − σ ε) / α, or α x − σ v.
        let clean = match schedule.prediction() {
            Prediction::Epsilon => 1.0 / ratio.max(1e-12),
            Prediction::V => noise,
            Prediction::Sample => 1.0,
        };
        match self {
            Self::Plain => 1.0,
            Self::MinSnr(limit) => clean * ratio.min(limit),
            Self::Clean(limit) => clean.min(limit),
        }
    }
}

/// Mean over all places and channels of `error` (`[n, c, h, w]`) times `mask` (`[n, 1, h, w]`): how the papers write masked
/// losses, a small subject counting little.
///
/// # Errors
/// If shapes do not fit.
pub fn masked(error: &Tensor, mask: &Tensor) -> Result<Tensor> {
    Ok(error.broadcast_mul(mask)?.mean_all()?)
}
