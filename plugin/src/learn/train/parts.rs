//! What is learned.

use candle_core::{DType, Tensor, Var};

use super::adamw::{AdamW, Moments};
use super::scale::Scale;
use crate::{Error, Result};

/// Named tensors in f32 that training moves: halves of adapters, vectors of words, weights of small networks.
#[derive(Debug, Default)]
pub struct Parts {
    pub(super) all: Vec<Part>,
    /// Steps taken.
    pub(super) count: u64,
    scale: Scale,
}

#[derive(Debug)]
pub(super) struct Part {
    pub name: String,
    pub value: Var,
    pub moments: Moments,
    /// The running average of the value, if one is kept.
    pub average: Option<Tensor>,
    optimiser: AdamW,
}

impl Parts {
    /// Nothing yet, for networks in `precision`.
    pub fn new(precision: DType) -> Self {
        Self {
            scale: Scale::new(precision),
            ..Self::default()
        }
    }

    /// Learns one more tensor from this start on. What is returned shows every later value: it goes into the network.
    ///
    /// # Errors
    /// `Bug` if the name is taken.
    pub fn add(&mut self, name: &str, start: &Tensor, optimiser: AdamW) -> Result<Tensor> {
        if self.all.iter().any(|p| p.name == name) {
            return Err(Error::bug(format!("two parts are called {name}")));
        }
        let value = Var::from_tensor(&start.to_dtype(DType::F32)?.copy()?)?;
        let live = value.as_tensor().clone();
        self.all.push(Part {
            name: name.to_owned(),
            moments: Moments::of(&value)?,
            average: None,
            optimiser,
            value,
        });
        Ok(live)
    }

    /// Steps taken so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many numbers are learned.
    pub fn numbers(&self) -> usize {
        self.all.iter().map(|p| p.value.elem_count()).sum()
    }

    /// Name and value of each part, the running average where one is kept: what is written into a subject.
    pub fn learned(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.all.iter().map(|p| {
            let value = p.average.clone();
            (p.name.as_str(), value.unwrap_or_else(|| p.value.detach()))
        })
    }

    /// Moves all parts along the gradients of a loss, which together are made no longer than `clip`. `average` is the share of
    /// the running average that stays. Returns the gradients' length. In half precision the loss is scaled, and where a
    /// gradient was too large for that, nothing moves, no step is counted, and the length is no number.
    ///
    /// # Errors
    /// `Refused` if a gradient is no number and that is not for its scale.
    pub(in crate::learn) fn step(
        &mut self,
        loss: &Tensor,
        clip: f64,
        average: Option<f64>,
    ) -> Result<f64> {
        let scale = self.scale.factor();
        let gradients = (loss * scale)?.backward()?;
        let mut square = 0.0;
        for part in &self.all {
            if let Some(gradient) = gradients.get(&part.value) {
                square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let length = square.sqrt() / scale;
        if !self.scale.fits(length.is_finite()) {
            return Err(Error::refused(
                "learning went astray: a gradient is no number any more. Lower the learning rate and start again",
            ));
        }
        if !length.is_finite() {
            return Ok(length);
        }
        // As torch.nn.utils.clip_grad_norm_.
        let share = (clip / (length + 1e-6)).min(1.0) / scale;
        self.count += 1;
        for part in &mut self.all {
            if let Some(gradient) = gradients.get(&part.value) {
                let gradient = (gradient * share)?;
                part.optimiser
                    .step(&part.value, &gradient, &mut part.moments, self.count)?;
            }
            if let Some(kept) = average {
                // Early on over fewer steps.
                let count = self.count as f64;
                let kept = kept.min((1.0 + count) / (10.0 + count));
                let value = part.value.detach();
                part.average = Some(match &part.average {
                    Some(average) => ((average * kept)? + (value * (1.0 - kept))?)?,
                    None => value.copy()?,
                });
            }
        }
        Ok(length)
    }
}
