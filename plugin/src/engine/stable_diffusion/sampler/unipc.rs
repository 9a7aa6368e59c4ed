//! UniPC of order 2 (arXiv 2302.04867), as diffusers' `UniPCMultistepScheduler`: B(h) = eʰ − 1 ("bh2"), on x₀.

use candle_core::Tensor;

use super::coefficients::combine;
use super::levels::{Counting, ratios_at, timesteps};
use super::method::Step;
use super::prediction::{Level, Prediction};
use super::schedule::Schedule;
use crate::Result;
use crate::engine::stable_diffusion::config::TimestepSpacing;

#[derive(Debug, Clone)]
pub(super) struct UniPc {
    pub(super) timesteps: Vec<f32>,
    /// σ/α before each step, and 0.
    sigmas: Vec<f32>,
    prediction: Prediction,
    before: Option<Before>,
}

/// What is remembered of a step.
#[derive(Debug, Clone)]
struct Before {
    index: usize,
    /// The sample that it went on from, corrected.
    sample: Tensor,
    /// x₀ then.
    denoised: Tensor,
    /// x₀ one step earlier, if that was of the same run.
    earlier: Option<Tensor>,
    /// 1 or 2.
    order: usize,
}

impl UniPc {
    pub(super) fn new(schedule: &Schedule, steps: usize) -> Result<Self> {
        let timesteps = timesteps(
            schedule,
            steps,
            Counting::OneMore,
            TimestepSpacing::Linspace,
        )?;
        Ok(Self {
            sigmas: ratios_at(&schedule.ratios(), &timesteps),
            timesteps,
            prediction: schedule.prediction(),
            before: None,
        })
    }

    pub(super) fn level(&self, index: usize) -> Level {
        Level::of_ratio(self.sigmas[index])
    }

    /// Algorithms 5 and 6 of the paper: correct the last step by what the network says now, then go on.
    pub(super) fn step(&mut self, output: &Tensor, index: usize, sample: &Tensor) -> Result<Step> {
        let denoised = self
            .prediction
            .denoised(output, sample, self.level(index))?;
        let before = self.before.take().filter(|b| b.index + 1 == index);
        let (sample, earlier) = match before {
            Some(before) => (self.correct(&before, &denoised)?, Some(before.denoised)),
            None => (sample.clone(), None),
        };
        let left = self.timesteps.len() - index;
        let order = if earlier.is_some() { left.min(2) } else { 1 };
        let next = self.predict(index, &sample, &denoised, earlier.as_ref(), order)?;
        self.before = Some(Before {
            index,
            sample,
            denoised: denoised.clone(),
            earlier,
            order,
        });
        Ok(Step {
            sample: next,
            denoised,
        })
    }

    fn predict(
        &self,
        index: usize,
        sample: &Tensor,
        denoised: &Tensor,
        earlier: Option<&Tensor>,
        order: usize,
    ) -> Result<Tensor> {
        let path = Path::new(self.level(index), self.level(index + 1));
        let mut terms = vec![(path.keep, sample), (path.rate, denoised)];
        if let (2, Some(earlier)) = (order, earlier) {
            // rate · ½ · (m₁ − m₀) / r; half is diffusers' shortcut for order 2.
            let share = 0.5 * path.rate / path.share(self.level(index - 1));
            terms[1].0 -= share;
            terms.push((share, earlier));
        }
        combine(&terms)
    }

    /// The sample after step `before`, now that the network was asked there.
    fn correct(&self, before: &Before, now: &Tensor) -> Result<Tensor> {
        let path = Path::new(self.level(before.index), self.level(before.index + 1));
        let mut terms = vec![(path.keep, &before.sample), (path.rate, &before.denoised)];
        let mut last = 0.5;
        if let (2, Some(earlier)) = (before.order, &before.earlier) {
            let r = path.share(self.level(before.index - 1));
            let [b1, b2] = path.moments();
            // ρ₁ + ρ₂ = b₁ and r ρ₁ + ρ₂ = b₂.
            let first = (b2 - b1) / (r - 1.0);
            last = b1 - first;
            let share = path.rate * first / r;
            terms[1].0 -= share;
            terms.push((share, earlier));
        }
        terms[1].0 -= path.rate * last;
        terms.push((path.rate * last, now));
        combine(&terms)
    }
}

/// From one level to another.
struct Path {
    from: Level,
    h: f32,
    /// Factor of the sample.
    keep: f32,
    /// −α (e⁻ʰ − 1): the factor of x₀, and of its differences, since B(h) is the same.
    rate: f32,
}

impl Path {
    fn new(from: Level, to: Level) -> Self {
        let h = to.lambda() - from.lambda();
        Self {
            from,
            h,
            keep: to.noise / from.noise,
            rate: -to.signal * (-h).exp_m1(),
        }
    }

    /// r: where an earlier level lies, in units of this path; negative.
    fn share(&self, earlier: Level) -> f32 {
        (earlier.lambda() - self.from.lambda()) / self.h
    }

    /// k! h φₖ₊₁ / B(h) for k = 1, 2 (equation 11).
    fn moments(&self) -> [f32; 2] {
        let hh = -self.h;
        let b = hh.exp_m1();
        let phi2 = b / hh - 1.0;
        let phi3 = phi2 / hh - 0.5;
        [phi2 / b, phi3 * 2.0 / b]
    }
}
