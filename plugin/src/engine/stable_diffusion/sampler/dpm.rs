//! DPM-Solver++ 2M (arXiv 2211.01095), as diffusers' `DPMSolverMultistepScheduler`: order 2, midpoint, σ = 0 at the end.

use candle_core::Tensor;

use super::coefficients::combine;
use super::levels::{Counting, karras, ratios_at, timesteps};
use super::method::Step;
use super::prediction::{Level, Prediction};
use super::schedule::Schedule;
use crate::Result;
use crate::engine::stable_diffusion::config::TimestepSpacing;

#[derive(Debug, Clone)]
pub(super) struct Dpm {
    pub(super) timesteps: Vec<f32>,
    /// σ/α before each step, and 0.
    sigmas: Vec<f32>,
    prediction: Prediction,
    /// The last step's index and its x₀.
    before: Option<(usize, Tensor)>,
}

impl Dpm {
    pub(super) fn new(schedule: &Schedule, steps: usize, by_karras: bool) -> Result<Self> {
        let (sigmas, timesteps) = if by_karras {
            karras(schedule, steps)?
        } else {
            let spacing = TimestepSpacing::Linspace;
            let timesteps = timesteps(schedule, steps, Counting::OneMore, spacing)?;
            (ratios_at(&schedule.ratios(), &timesteps), timesteps)
        };
        Ok(Self {
            timesteps,
            sigmas,
            prediction: schedule.prediction(),
            before: None,
        })
    }

    pub(super) fn level(&self, index: usize) -> Level {
        Level::of_ratio(self.sigmas[index])
    }

    /// Algorithm 2 of the paper; of first order at the beginning and, since σ ends at 0, at the end.
    pub(super) fn step(&mut self, output: &Tensor, index: usize, sample: &Tensor) -> Result<Step> {
        let (from, to) = (self.level(index), self.level(index + 1));
        let denoised = self.prediction.denoised(output, sample, from)?;
        let h = to.lambda() - from.lambda();
        let rate = -to.signal * ((-h).exp() - 1.0);
        let keep = to.noise / from.noise;
        let before = self.before.take().filter(|(i, _)| i + 1 == index);
        let next = match before {
            Some((_, before)) if index + 1 < self.timesteps.len() => {
                let ratio = (from.lambda() - self.level(index - 1).lambda()) / h;
                let half = 0.5 * rate / ratio;
                combine(&[(keep, sample), (rate + half, &denoised), (-half, &before)])?
            }
            _ => combine(&[(keep, sample), (rate, &denoised)])?,
        };
        self.before = Some((index, denoised.clone()));
        Ok(Step {
            sample: next,
            denoised,
        })
    }
}
