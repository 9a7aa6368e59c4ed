//! Euler's method with ancestral noise, as diffusers' `EulerAncestralDiscreteScheduler` and k-diffusion.

use candle_core::Tensor;

use super::coefficients::combine;
use super::levels::{Counting, ratios_at, timesteps};
use super::method::Step;
use super::prediction::{Level, Prediction};
use super::schedule::Schedule;
use crate::Result;
use crate::engine::stable_diffusion::config::TimestepSpacing;

#[derive(Debug, Clone)]
pub(super) struct EulerAncestral {
    pub(super) timesteps: Vec<f32>,
    /// σ/α before each step, and 0.
    sigmas: Vec<f32>,
    /// Whether the first sample is noise alone; otherwise signal counts in its variance.
    from_pure_noise: bool,
    prediction: Prediction,
}

impl EulerAncestral {
    pub(super) fn new(schedule: &Schedule, steps: usize) -> Result<Self> {
        let spacing = TimestepSpacing::Linspace;
        let timesteps = timesteps(schedule, steps, Counting::Fractional, spacing)?;
        Ok(Self {
            sigmas: ratios_at(&schedule.ratios(), &timesteps),
            timesteps,
            from_pure_noise: schedule.spacing.unwrap_or(spacing) != TimestepSpacing::Leading,
            prediction: schedule.prediction(),
        })
    }

    /// The sample is x₀ + σ ε: its signal is not scaled.
    pub(super) fn level(&self, index: usize) -> Level {
        Level {
            signal: 1.0,
            noise: self.sigmas[index],
        }
    }

    pub(super) fn initial_sigma(&self) -> f32 {
        let most = self.sigmas.iter().copied().fold(0.0, f32::max);
        if self.from_pure_noise {
            most
        } else {
            (most * most + 1.0).sqrt()
        }
    }

    pub(super) fn step(
        &self,
        output: &Tensor,
        index: usize,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Step> {
        let (from, to) = (self.sigmas[index], self.sigmas[index + 1]);
        let denoised = match self.prediction {
            Prediction::Epsilon => combine(&[(1.0, sample), (-from, output)])?,
            // The network saw the sample divided by √(σ² + 1).
            Prediction::V => {
                let square = from * from + 1.0;
                combine(&[(1.0 / square, sample), (-from / square.sqrt(), output)])?
            }
            Prediction::Sample => output.clone(),
        };
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        let down = (to * to - up * up).sqrt();
        let rate = (down - from) / from;
        let mut terms = vec![(1.0 + rate, sample), (-rate, &denoised)];
        terms.extend(noise.map(|noise| (up, noise)));
        Ok(Step {
            sample: combine(&terms)?,
            denoised,
        })
    }
}
