//! LoRAs on a model: which it wears, and which of them some steps of a pose do without.

use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;

use super::super::text::LoraUse;
use super::super::weights::Weights;
use super::super::weights::lora::{Changes, Lora, Networks, Target};
use super::Model;
use crate::Result;

/// A LoRA as a model is to wear it.
#[derive(Debug, Clone)]
pub struct Worn {
    /// The file.
    pub lora: Lora,
    /// At which weights.
    pub used: LoraUse,
    /// What its matrices A are multiplied by first, `[inputs, inputs]`, where it shares projections with others.
    pub share: Option<Tensor>,
    /// Whether the first steps of a pose do without it, see [`Model::without_delayed`].
    pub delayed: bool,
}

impl Worn {
    /// As it is.
    pub fn new(lora: Lora, used: LoraUse) -> Self {
        Self {
            lora,
            used,
            share: None,
            delayed: false,
        }
    }
}

/// What a model wears.
#[derive(Debug, Default)]
pub(super) struct Wardrobe {
    fitted: Vec<Fitted>,
    /// Whether what is delayed is off now.
    bare: AtomicBool,
}

/// What a LoRA changes in this model, at its weights.
#[derive(Debug)]
struct Fitted {
    changes: Changes,
    delayed: bool,
}

impl Model {
    /// Puts these LoRAs on, at their weights, instead of those before. Returns names of theirs that mean nothing in this
    /// model.
    ///
    /// # Errors
    /// `Files` if one was made for another kind of model; then none is on.
    pub fn wear(&mut self, loras: &[Worn]) -> Result<Vec<String>> {
        self.wardrobe = Wardrobe::default();
        self.take_off();
        let text = self.text_weights();
        let mut fitted = Vec::new();
        let mut unmatched = Vec::new();
        for worn in loras {
            let mut changes = worn.lora.changes(&self.adaptable(&text))?;
            for change in &mut changes.changes {
                if let Some(share) = &worn.share {
                    change.adapter.down = change.adapter.down.matmul(share)?;
                }
                change.adapter.scale *= match change.target {
                    Target::UNet => worn.used.unet,
                    Target::Text(_) => worn.used.text_encoder,
                };
            }
            unmatched.append(&mut changes.unmatched);
            fitted.push(Fitted {
                changes,
                delayed: worn.delayed,
            });
        }
        self.wardrobe.fitted = fitted;
        self.put_on(true);
        Ok(unmatched)
    }

    /// Puts on what it wears: with what is delayed, or without. Each of both encodes texts its own way, and wants its own
    /// [`TextMemory`](super::super::unet::TextMemory).
    pub fn with_delayed(&self, on: bool) {
        let Wardrobe { fitted, bare } = &self.wardrobe;
        let delayed = fitted.iter().any(|one| one.delayed);
        if delayed && bare.swap(!on, Ordering::Relaxed) == on {
            self.take_off();
            self.put_on(on);
        }
    }

    /// What `make` gives while what is delayed is off; then it is put on again.
    pub fn without_delayed<T>(&self, make: impl FnOnce() -> T) -> T {
        self.with_delayed(false);
        let made = make();
        self.with_delayed(true);
        made
    }

    /// Takes all changes of projections off.
    pub fn take_off(&self) {
        for (_, weights) in self.networks() {
            weights.take_off();
        }
    }

    fn put_on(&self, delayed: bool) {
        let text = self.text_weights();
        let worn = self.wardrobe.fitted.iter();
        for one in worn.filter(|one| delayed || !one.delayed) {
            one.changes.put(&self.adaptable(&text), 1.0);
        }
    }

    fn text_weights(&self) -> Vec<Weights> {
        let encoders = self.text.iter();
        encoders.map(|(e, _)| e.weights().clone()).collect()
    }

    fn adaptable<'a>(&'a self, text: &'a [Weights]) -> Networks<'a> {
        Networks {
            unet: self.unet.weights(),
            layers: self.unet.config().layers(0),
            text,
        }
    }
}
