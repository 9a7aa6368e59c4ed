//! The optimiser.

use candle_core::{Tensor, Var};

use crate::Result;

/// AdamW (arXiv 1711.05101), with the numbers of PyTorch's `torch.optim.AdamW`. Moments are f32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f64,
    /// How much of the first and of the second moment stays at each step.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of the value, times the rate, that is taken off at each step.
    pub decay: f64,
}

impl AdamW {
    /// PyTorch's defaults at this rate.
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            decay: 1e-2,
        }
    }

    /// The same without decay: for word vectors, whose length means something.
    pub fn without_decay(self) -> Self {
        Self { decay: 0.0, ..self }
    }

    /// Moves `value` by step number `count` (from 1).
    pub(super) fn step(
        &self,
        value: &Var,
        gradient: &Tensor,
        moments: &mut Moments,
        count: u64,
    ) -> Result<()> {
        let (keep, keep_square) = self.betas;
        moments.first = ((&moments.first * keep)? + (gradient * (1.0 - keep))?)?;
        moments.second =
            ((&moments.second * keep_square)? + (gradient.sqr()? * (1.0 - keep_square))?)?;
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        let young = (1.0 - keep_square.powi(count)).sqrt();
        let denominator = ((moments.second.sqrt()? / young)? + self.epsilon)?;
        let step = ((&moments.first / denominator)? * (self.rate / (1.0 - keep.powi(count))))?;
        let shrunk = (value.as_tensor().detach() * (1.0 - self.rate * self.decay))?;
        Ok(value.set(&(shrunk - step)?)?)
    }
}

/// Running means of a part's gradients and of their squares.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub first: Tensor,
    pub second: Tensor,
}

impl Moments {
    pub fn of(value: &Tensor) -> Result<Self> {
        Ok(Self {
            first: value.zeros_like()?,
            second: value.zeros_like()?,
        })
    }
}
