//! The noise levels that a model was trained on.

use candle_core::Tensor;

use super::prediction::{Level, Prediction};
use crate::engine::stable_diffusion::config::{BetaSchedule, SchedulerConfig, TimestepSpacing};
use crate::{Error, Result};

/// The noise schedule of a model: ᾱ of each of its training time steps, in diffusers' `f32` arithmetic.
///
/// `clip_sample` of the configuration has no effect: diffusers' pipelines switch it off for latents as well.
#[derive(Debug, Clone)]
pub struct Schedule {
    alpha_bars: Vec<f32>,
    prediction: Prediction,
    pub(super) beta_schedule: BetaSchedule,
    pub(super) spacing: Option<TimestepSpacing>,
    pub(super) offset: usize,
    pub(super) ends_clean: bool,
    pub(super) zero_snr: bool,
}

impl Schedule {
    /// The schedule that a model's configuration describes.
    ///
    /// # Errors
    /// `Files` if a level would have no signal or more than all of it, or if a model whose last level is all noise predicts
    /// that noise: it would learn nothing there.
    pub fn new(config: &SchedulerConfig) -> Result<Self> {
        let count = config.num_train_timesteps;
        let mut betas = betas(config);
        if !betas.iter().all(|beta| (0.0..1.0).contains(beta)) || count < 2 {
            return Err(Error::files(format!(
                "the noise schedule of the model makes no sense: betas from {} to {} in {count} steps; at least 2 steps \
                 between 0 and 1 were expected",
                config.beta_start, config.beta_end
            )));
        }
        let zero_snr = config.rescale_betas_zero_snr;
        if zero_snr {
            if config.prediction_type == Prediction::Epsilon {
                return Err(Error::files(
                    "the noise schedule of the model ends in pure noise (rescale_betas_zero_snr), but its network predicts \
                     noise: prediction_type v_prediction was expected",
                ));
            }
            rescale_to_zero_snr(&mut betas);
        }
        Ok(Self {
            alpha_bars: alpha_bars(&betas),
            prediction: config.prediction_type,
            beta_schedule: config.beta_schedule,
            spacing: config.timestep_spacing,
            offset: config.steps_offset,
            ends_clean: config.set_alpha_to_one.unwrap_or(true),
            zero_snr,
        })
    }

    /// Number of training time steps.
    pub fn train_steps(&self) -> usize {
        self.alpha_bars.len()
    }

    /// What the network predicts.
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// ᾱ of each training time step, falling.
    pub fn alpha_bars(&self) -> &[f32] {
        &self.alpha_bars
    }

    /// The level of a training time step; of the last one beyond the end.
    pub fn level(&self, timestep: usize) -> Level {
        Level::of(self.alpha_bars[timestep.min(self.train_steps() - 1)])
    }

    /// The signal-to-noise ratio ᾱ / (1 − ᾱ) of a training time step, for losses weighted by it (arXiv 2303.09556).
    pub fn snr(&self, timestep: usize) -> f32 {
        let level = self.level(timestep);
        let ratio = level.signal / level.noise;
        ratio * ratio
    }

    /// A batch of clean samples, each noised to its own training time step.
    ///
    /// # Errors
    /// `Bug` if `clean` and `noise` differ in shape or there is not one time step for each sample.
    pub fn add_noise(&self, clean: &Tensor, noise: &Tensor, timesteps: &[usize]) -> Result<Tensor> {
        self.each(clean, noise, timesteps, Level::add_noise)
    }

    /// What the network should predict for a batch noised by [`add_noise`](Self::add_noise): the target of training.
    ///
    /// # Errors
    /// As there.
    pub fn target(&self, clean: &Tensor, noise: &Tensor, timesteps: &[usize]) -> Result<Tensor> {
        let prediction = self.prediction;
        self.each(clean, noise, timesteps, |level, clean, noise| {
            prediction.target(clean, noise, level)
        })
    }

    fn each(
        &self,
        clean: &Tensor,
        noise: &Tensor,
        timesteps: &[usize],
        f: impl Fn(Level, &Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let batch = clean.dim(0)?;
        if batch != timesteps.len() {
            return Err(Error::bug(format!(
                "{} time steps came for a batch of {batch}",
                timesteps.len()
            )));
        }
        let mut samples = Vec::with_capacity(batch);
        for (i, &timestep) in timesteps.iter().enumerate() {
            samples.push(f(
                self.level(timestep),
                &clean.narrow(0, i, 1)?,
                &noise.narrow(0, i, 1)?,
            )?);
        }
        Ok(Tensor::cat(&samples, 0)?)
    }

    /// σ/α of each training time step, for solvers that need it finite: where the last level is all noise, ᾱ = 2⁻²⁴ stands
    /// in for 0, the smallest number of half precision.
    pub(super) fn ratios(&self) -> Vec<f32> {
        let mut ratios: Vec<f32> = self
            .alpha_bars
            .iter()
            .map(|a| ((1.0 - a) / a).sqrt())
            .collect();
        if self.zero_snr
            && let Some(last) = ratios.last_mut()
        {
            let least = (-24.0f32).exp2();
            *last = ((1.0 - least) / least).sqrt();
        }
        ratios
    }
}

fn betas(config: &SchedulerConfig) -> Vec<f32> {
    let (from, to) = (config.beta_start, config.beta_end);
    let count = config.num_train_timesteps;
    match config.beta_schedule {
        BetaSchedule::Linear => linspace(from as f32, to as f32, count),
        BetaSchedule::ScaledLinear => linspace(from.sqrt() as f32, to.sqrt() as f32, count)
            .into_iter()
            .map(|root| root * root)
            .collect(),
        BetaSchedule::SquaredCos => (0..count)
            .map(|i| {
                let alpha_bar = |t: f64| {
                    let angle = (t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2;
                    angle.cos().powi(2)
                };
                let (t1, t2) = (i as f64 / count as f64, (i + 1) as f64 / count as f64);
                (1.0 - alpha_bar(t2) / alpha_bar(t1)).min(0.999) as f32
            })
            .collect(),
    }
}

/// `count` numbers from `from` to `to`, counted from the nearer end with one rounding each, as PyTorch does: 1 − β loses the
/// low bits of β, so that another rounding would be seen in σ of the first levels.
fn linspace(from: f32, to: f32, count: usize) -> Vec<f32> {
    let step = (to - from) / (count - 1).max(1) as f32;
    (0..count)
        .map(|i| {
            if i < count / 2 {
                step.mul_add(i as f32, from)
            } else {
                (-step).mul_add((count - 1 - i) as f32, to)
            }
        })
        .collect()
}

/// ∏ (1 − β), the product kept in `f64` and each factor and result rounded to `f32`, as PyTorch does.
fn alpha_bars(betas: &[f32]) -> Vec<f32> {
    let mut product = 1.0f64;
    betas
        .iter()
        .map(|beta| {
            product *= f64::from(1.0 - beta);
            product as f32
        })
        .collect()
}

/// Moves the last level to pure noise and keeps the first: algorithm 1 of arXiv 2305.08891.
fn rescale_to_zero_snr(betas: &mut [f32]) {
    let roots: Vec<f32> = alpha_bars(betas).iter().map(|a| a.sqrt()).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let scale = first / (first - last);
    let mut before = 1.0;
    for (beta, root) in betas.iter_mut().zip(roots) {
        let moved = (root - last) * scale;
        let alpha_bar = moved * moved;
        *beta = 1.0 - alpha_bar / before;
        before = alpha_bar;
    }
}
