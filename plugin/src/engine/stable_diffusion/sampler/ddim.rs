//! Denoising diffusion implicit models (arXiv 2010.02502), as diffusers' `DDIMScheduler`.

use candle_core::Tensor;

use super::coefficients::combine;
use super::levels::{Counting, timesteps};
use super::method::Step;
use super::prediction::{Level, Prediction};
use super::schedule::Schedule;
use crate::Result;
use crate::engine::stable_diffusion::config::TimestepSpacing;

#[derive(Debug, Clone)]
pub(super) struct Ddim {
    pub(super) timesteps: Vec<f32>,
    /// ᾱ before and after each step. With trailing spacing "after" need not be "before" of the next step.
    alpha_bars: Vec<(f32, f32)>,
    pub(super) eta: f32,
    prediction: Prediction,
}

impl Ddim {
    pub(super) fn new(schedule: &Schedule, steps: usize) -> Result<Self> {
        let timesteps = timesteps(schedule, steps, Counting::Whole, TimestepSpacing::Leading)?;
        let stride = schedule.train_steps() / steps;
        let all = schedule.alpha_bars();
        let last = if schedule.ends_clean { 1.0 } else { all[0] };
        let alpha_bars = timesteps
            .iter()
            .map(|t| {
                let t = *t as usize;
                let after = t.checked_sub(stride).map_or(last, |t| all[t]);
                (all[t], after)
            })
            .collect();
        Ok(Self {
            timesteps,
            alpha_bars,
            eta: 0.0,
            prediction: schedule.prediction(),
        })
    }

    pub(super) fn level(&self, index: usize) -> Level {
        match self.alpha_bars.get(index) {
            Some((before, _)) => Level::of(*before),
            None => Level::of(self.alpha_bars.last().map_or(1.0, |(_, after)| *after)),
        }
    }

    /// Equation 12, with σ of equation 16.
    pub(super) fn step(
        &self,
        output: &Tensor,
        index: usize,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Step> {
        let (before, after) = self.alpha_bars[index];
        let level = Level::of(before);
        let denoised = self.prediction.denoised(output, sample, level)?;
        let direction = self.prediction.noise(output, sample, level)?;
        let variance = (1.0 - after) / (1.0 - before) * (1.0 - before / after);
        let sigma = self.eta * variance.sqrt();
        let mut terms = vec![
            (after.sqrt(), &denoised),
            ((1.0 - after - sigma * sigma).sqrt(), &direction),
        ];
        terms.extend(noise.map(|noise| (sigma, noise)));
        Ok(Step {
            sample: combine(&terms)?,
            denoised,
        })
    }
}
