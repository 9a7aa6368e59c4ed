//! The loop.

use std::path::Path;
use std::time::{Duration, Instant};

use candle_core::Tensor;

use super::parts::Parts;
use crate::Result;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::progress::Progress;

/// How training goes.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Steps in all, those before an interruption among them.
    pub steps: u64,
    /// The gradients of all parts together are made no longer than this: 1 in all recipes.
    pub clip: f64,
    /// Share of the running average of what is learned that stays at each step, if one is kept.
    pub average: Option<f64>,
    /// Of all that is drawn.
    pub seed: u64,
    /// How often the state is written.
    pub keep: Duration,
}

/// One step, as a recipe's loss sees it.
#[derive(Debug)]
pub struct Step {
    /// Its number, from 0.
    pub number: u64,
    /// Random numbers of this step alone: the same after an interruption as without one.
    pub noise: Noise,
}

/// What a loss is made of.
#[derive(Debug)]
pub struct Losses {
    /// What the gradients are of.
    pub total: Tensor,
    /// Its summands, by name, as they are told to the user.
    pub summands: Vec<(&'static str, Tensor)>,
}

/// Hears of each step: its number, and name and value of each summand.
pub type Told<'a> = dyn FnMut(u64, &[(&'static str, f32)]) -> Result<()> + 'a;

impl Plan {
    /// Steps `parts` along the gradients of `loss` until all steps are done. `state` is a file that the state is kept in,
    /// and what the training is of; where it has one already, training goes on from there, and draws what it would have drawn.
    ///
    /// # Errors
    /// `Cancelled` within a step of a cancel, the state being kept; what `loss` gives; `Refused` if a gradient is no number any
    /// more; `Files` if the state cannot be kept.
    pub fn run(
        &self,
        parts: &mut Parts,
        state: Option<(&Path, &str)>,
        progress: &Progress,
        loss: &mut dyn FnMut(&mut Step) -> Result<Losses>,
        told: &mut Told<'_>,
    ) -> Result<()> {
        if let Some((path, of)) = state {
            parts.resume(path, of)?;
        }
        let keep = |parts: &Parts| match state {
            Some((path, of)) => parts.save(path, of),
            None => Ok(()),
        };
        let mut kept = Instant::now();
        while parts.count() < self.steps {
            if progress.is_cancelled() {
                keep(parts)?;
                progress.check()?;
            }
            let number = parts.count();
            let mut step = Step {
                number,
                noise: Noise::new(self.seed, number),
            };
            let made = match loss(&mut step) {
                Ok(made) => made,
                Err(error) => {
                    // Cancelled within a step, or the device is full: what was learned until here is not lost.
                    keep(parts)?;
                    return Err(error);
                }
            };
            if !parts
                .step(&made.total, self.clip, self.average)?
                .is_finite()
            {
                continue;
            }
            let mut values = Vec::with_capacity(made.summands.len());
            for (name, value) in &made.summands {
                values.push((*name, value.to_scalar::<f32>()?));
            }
            told(number, &values)?;
            if kept.elapsed() >= self.keep {
                keep(parts)?;
                kept = Instant::now();
            }
        }
        keep(parts)
    }
}
