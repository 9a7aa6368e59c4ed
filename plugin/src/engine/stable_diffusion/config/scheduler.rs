//! Noise schedules.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checked, real, within};
use crate::Result;

/// What `scheduler_config.json` says about the noise that the model was trained on.
///
/// Options whose default depends on the scheduler's class are `None` where the file has none: the sampler that is chosen
/// has the word then, as in diffusers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SchedulerConfig {
    /// The class that diffusers would sample with.
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Number of noise levels.
    pub num_train_timesteps: usize,
    /// Variance of the noise added at the first level.
    pub beta_start: f64,
    /// And at the last.
    pub beta_end: f64,
    /// How the variance grows between.
    pub beta_schedule: BetaSchedule,
    /// What the U-Net predicts.
    pub prediction_type: PredictionType,
    /// Added to the time steps.
    pub steps_offset: usize,
    /// Whether the level below the first is free of noise.
    pub set_alpha_to_one: Option<bool>,
    /// How the time steps of a run are chosen.
    pub timestep_spacing: Option<TimestepSpacing>,
    /// Whether the last level is moved to zero signal (arXiv 2305.08891).
    pub rescale_betas_zero_snr: bool,
    /// Whether predicted pictures are clipped to `clip_sample_range`; false in every published latent model.
    pub clip_sample: Option<bool>,
    /// See `clip_sample`.
    pub clip_sample_range: f64,
    /// Whether σ follow Karras et al. 2022; `None` where the file does not say.
    pub use_karras_sigmas: Option<bool>,
}

/// How the variance of the added noise grows with the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BetaSchedule {
    /// Linearly.
    #[serde(rename = "linear")]
    Linear,
    /// Its root linearly.
    #[serde(rename = "scaled_linear")]
    ScaledLinear,
    /// As a squared cosine of the level (arXiv 2102.09672).
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredCos,
}

/// What the U-Net predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredictionType {
    /// The noise.
    #[serde(rename = "epsilon")]
    Epsilon,
    /// v = √ᾱ ε − √(1−ᾱ) x₀.
    #[serde(rename = "v_prediction")]
    V,
    /// The picture without noise.
    #[serde(rename = "sample")]
    Sample,
}

/// How the time steps of a run are chosen among those of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepSpacing {
    /// Evenly from the first to the last.
    Linspace,
    /// Multiples of a whole step, from 0.
    Leading,
    /// Multiples of a step, down from the last.
    Trailing,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            class_name: String::new(),
            num_train_timesteps: 1000,
            beta_start: 0.0001,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            prediction_type: PredictionType::Epsilon,
            steps_offset: 0,
            set_alpha_to_one: None,
            timestep_spacing: None,
            rescale_betas_zero_snr: false,
            clip_sample: None,
            clip_sample_range: 1.0,
            use_karras_sigmas: None,
        }
    }
}

impl SchedulerConfig {
    /// Reads `scheduler_config.json`; `source` is what errors call it.
    ///
    /// # Errors
    /// `Files` if it is no such configuration or its values make no sense; `Refused` for schedules not built here.
    pub fn from_json(text: &str, source: &str) -> Result<Self> {
        Self::read(text, source)
    }

    /// What all published SD 1.x, SD 2.x and SDXL models were trained on, for one that predicts this.
    pub fn stable_diffusion(prediction_type: PredictionType) -> Self {
        Self {
            beta_start: 0.00085,
            beta_end: 0.012,
            beta_schedule: BetaSchedule::ScaledLinear,
            prediction_type,
            steps_offset: 1,
            set_alpha_to_one: Some(false),
            clip_sample: Some(false),
            ..Self::default()
        }
    }
}

impl Checked for SchedulerConfig {
    fn only() -> Vec<(&'static str, Value)> {
        let no = Value::Bool(false);
        vec![
            ("trained_betas", Value::Null),
            ("thresholding", no.clone()),
            ("use_beta_sigmas", no.clone()),
            ("use_exponential_sigmas", no.clone()),
            ("use_flow_sigmas", no),
        ]
    }

    fn check(&self) -> std::result::Result<(), String> {
        within("num_train_timesteps", self.num_train_timesteps, 2..=100_000)?;
        within("steps_offset", self.steps_offset, 0..=1)?;
        real("beta_start", self.beta_start, f64::MIN_POSITIVE..=0.999)?;
        real("beta_end", self.beta_end, self.beta_start..=0.999)?;
        real("clip_sample_range", self.clip_sample_range, 1e-6..=1e6)
    }
}
