//! Latent consistency models (arXiv 2310.04378), as diffusers' `LCMScheduler`.

use candle_core::Tensor;

use super::coefficients::combine;
use super::method::Step;
use super::prediction::{Level, Prediction};
use super::schedule::Schedule;
use crate::{Error, Result};

/// Steps that such models were distilled on, evenly spaced; a run visits some of them.
const DISTILLED: usize = 50;
/// What the time step is multiplied by in the boundary conditions.
const TIMESTEP_SCALING: f32 = 10.0;
/// σ_data of the boundary conditions.
const SIGMA_DATA: f32 = 0.5;

#[derive(Debug, Clone)]
pub(super) struct Lcm {
    pub(super) timesteps: Vec<f32>,
    alpha_bars: Vec<f32>,
    prediction: Prediction,
}

impl Lcm {
    pub(super) fn new(schedule: &Schedule, steps: usize) -> Result<Self> {
        let most = DISTILLED.min(schedule.train_steps());
        if steps == 0 || steps > most {
            return Err(Error::caller(format!(
                "{steps} steps were asked for; lcm takes 1 to {most}, and 4 to 8 are usual"
            )));
        }
        let stride = schedule.train_steps() / most;
        let chosen: Vec<usize> = (0..steps)
            .map(|i| {
                let place = (i as f64 * (most as f64 / steps as f64)).floor() as usize;
                (most - place) * stride - 1
            })
            .collect();
        let all = schedule.alpha_bars();
        Ok(Self {
            timesteps: chosen.iter().map(|t| *t as f32).collect(),
            alpha_bars: chosen.iter().map(|t| all[*t]).collect(),
            prediction: schedule.prediction(),
        })
    }

    pub(super) fn level(&self, index: usize) -> Level {
        Level::of(self.alpha_bars.get(index).copied().unwrap_or(1.0))
    }

    pub(super) fn step(
        &self,
        output: &Tensor,
        index: usize,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Step> {
        let predicted = self
            .prediction
            .denoised(output, sample, self.level(index))?;
        let t = self.timesteps[index] * TIMESTEP_SCALING;
        let sum = t * t + SIGMA_DATA * SIGMA_DATA;
        let (skip, out) = (SIGMA_DATA * SIGMA_DATA / sum, t / sum.sqrt());
        let denoised = combine(&[(out, &predicted), (skip, sample)])?;
        let sample = match noise {
            Some(noise) => self.level(index + 1).add_noise(&denoised, noise)?,
            None => denoised.clone(),
        };
        Ok(Step { sample, denoised })
    }
}
