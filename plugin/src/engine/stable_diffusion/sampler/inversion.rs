//! DDIM inversion: from a latent to the noise that DDIM would have made it of, as diffusers' `DDIMInverseScheduler`.

use candle_core::Tensor;

use super::coefficients::combine;
use super::levels::{Counting, timesteps};
use super::method::Step;
use super::prediction::{Level, Prediction};
use super::schedule::Schedule;
use crate::engine::stable_diffusion::config::TimestepSpacing;
use crate::{Error, Result};

/// One run up the noise levels.
///
/// After step `i` the sample is at [`timesteps`](Self::timesteps)`[i]`. So after the last step it is what [`Sampler`] of
/// [`Method::Ddim`] with as many steps starts from, and the sample after step `i` belongs to that run's index
/// `steps − 1 − i`.
///
/// [`Sampler`]: super::Sampler
/// [`Method::Ddim`]: super::Method::Ddim
#[derive(Debug, Clone)]
pub struct Inversion {
    timesteps: Vec<f32>,
    /// ᾱ before and after each step.
    alpha_bars: Vec<(f32, f32)>,
    prediction: Prediction,
}

impl Inversion {
    /// A run of `steps` steps; 50 is usual.
    ///
    /// # Errors
    /// `Caller` if the schedule has not so many levels; `Files` if it is spaced by `linspace`, which has no inversion.
    pub fn new(schedule: &Schedule, steps: usize) -> Result<Self> {
        if schedule.spacing == Some(TimestepSpacing::Linspace) {
            return Err(Error::files(
                "the model's scheduler spaces its time steps by linspace, which cannot be inverted; leading or trailing was \
                 expected",
            ));
        }
        let mut timesteps = timesteps(schedule, steps, Counting::Whole, TimestepSpacing::Leading)?;
        timesteps.reverse();
        let stride = schedule.train_steps() / steps;
        let all = schedule.alpha_bars();
        let first = if schedule.ends_clean { 1.0 } else { all[0] };
        let alpha_bars = timesteps
            .iter()
            .map(|t| {
                let t = *t as usize;
                (t.checked_sub(stride).map_or(first, |t| all[t]), all[t])
            })
            .collect();
        Ok(Self {
            timesteps,
            alpha_bars,
            prediction: schedule.prediction(),
        })
    }

    /// Number of steps, and of evaluations of the network.
    pub fn steps(&self) -> usize {
        self.timesteps.len()
    }

    /// What the network is told before each step, rising: the level that the step leads to.
    pub fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    /// Step `index`, from the `sample` before it and the network's `output` for it.
    ///
    /// # Errors
    /// `Bug` if the index is beyond the run or the shapes differ.
    pub fn step(&self, output: &Tensor, index: usize, sample: &Tensor) -> Result<Step> {
        let Some(&(before, after)) = self.alpha_bars.get(index) else {
            return Err(Error::bug(format!(
                "step {index} of an inversion of {} steps was asked for",
                self.steps()
            )));
        };
        let level = Level::of(before);
        let denoised = self.prediction.denoised(output, sample, level)?;
        let direction = self.prediction.noise(output, sample, level)?;
        let next = Level::of(after);
        Ok(Step {
            sample: combine(&[(next.signal, &denoised), (next.noise, &direction)])?,
            denoised,
        })
    }
}
