//! What a text model learned of a subject.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a text model learned of a subject, as files that other programs read too.
#[derive(Debug, Clone, PartialEq)]
pub struct TextPart {
    /// By what and how.
    pub facts: TextFacts,
    /// Changes of the networks' projections: safetensors with the names of diffusers and PEFT. Empty: none.
    pub lora: Vec<u8>,
    /// The learned word: safetensors as diffusers' textual inversion writes them. Empty: none.
    pub word: Vec<u8>,
}

impl TextPart {
    /// Whether anything was trained: the recipe `reference` trains nothing.
    pub fn trained(&self) -> bool {
        !self.lora.is_empty() || !self.word.is_empty()
    }
}

/// By what and how a text part was learned.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TextFacts {
    /// The recipe.
    pub recipe: String,
    /// What the user calls the model.
    pub model: String,
    /// Its generation: `sd1`, `sd2` or `sdxl`.
    pub family: String,
    /// Names the model's weights, in hex.
    pub model_sha256: String,
    /// What stands in prompts for the learned word, before the word that says what the subject is.
    pub token: String,
    /// What the subject is.
    pub word: String,
    /// How many pictures it was learned from.
    pub pictures: u32,
    /// Steps of training.
    pub steps: u64,
    /// Of all that was drawn.
    pub seed: u64,
    /// Time that training took, in seconds.
    pub seconds: f32,
    /// Mean of each part of the loss over the last tenth of the steps.
    pub losses: BTreeMap<String, f32>,
}
