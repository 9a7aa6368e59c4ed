//! What a text model learned of a subject.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::words::stands;

/// What a text model learned of a subject, as files that other programs read too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextPart {
    /// By what and how.
    pub facts: TextFacts,
    /// Changes of the networks' projections: safetensors with the names of diffusers and PEFT. Empty: none.
    pub lora: Vec<u8>,
    /// The learned word: safetensors as diffusers' textual inversion writes them. Empty: none.
    pub word: Vec<u8>,
    /// Learned words for what pictures show beside the subject, [`TextFacts::beside`]: safetensors with a tensor for each word
    /// and text encoder. Empty: none.
    pub beside: Vec<u8>,
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
    /// What stands in prompts for learned words that mean the subject's pose or its surroundings in a picture, such as
    /// `my-toy-pose-0` and `my-toy-place-0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
}

impl TextFacts {
    /// Whether a prompt has the subject's pose or surroundings without the subject: one of the words beside it, not its own.
    pub fn lends(&self, prompt: &str) -> bool {
        !stands(prompt, &self.token) && self.is_beside(prompt)
    }

    /// Whether a prompt has the subject's pose or surroundings.
    pub fn is_beside(&self, prompt: &str) -> bool {
        self.beside.iter().any(|word| stands(prompt, word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pose_is_lent_where_the_subject_is_not_named() {
        let facts = TextFacts {
            token: "my-toy".to_owned(),
            beside: vec!["my-toy-pose-0".to_owned(), "my-toy-place-1".to_owned()],
            ..TextFacts::default()
        };
        assert!(facts.lends("a cat with my-toy-pose-0 pose"));
        assert!(facts.lends("a cat in My-Toy-place-1 background"));
        let both = "a my-toy cat with my-toy-pose-0 pose";
        assert!(!facts.lends(both) && facts.is_beside(both));
        assert!(!facts.is_beside("a my-toy cat"));
        assert!(!facts.lends("a cat in my-toy-place-10 background"));
        assert!(!facts.lends("a cat"));
    }
}
