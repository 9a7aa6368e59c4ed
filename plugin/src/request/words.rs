//! How a text model is asked to make a pose.

use serde::{Deserialize, Serialize};

use super::check;
use crate::Result;
use crate::repose::prompt::Variant;

/// What a text model is told beside the prompt. `None`: the default of the model or of
/// [`repose::prompt`](crate::repose::prompt).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// Name, path, or Hugging Face id; `None`: the only model there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What must not be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
    /// What the picture shows now; `None`: the subject's caption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The words of the prompt that mean the subject; `None`: the subject's own, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// The sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampler: Option<String>,
    /// Its steps, 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// How far the picture may change, above 0, up to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<f32>,
    /// Classifier-free guidance, 1 to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f32>,
    /// Guidance rescale, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rescale: Option<f32>,
    /// Weight of the subject's own look (ω), 0 to 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<f32>,
    /// Last layers of the text encoder to leave out, at most 11.
    pub clip_skip: u32,
    /// Longer side of the part that is diffused, in pixels, 64 to 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<u32>,
    /// Share of the steps, from the start, that are guided, 0 to 1; the others look at the prompt alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guided: Option<f32>,
    /// Of so many steps, 1 to 10, one computes all of the network; the others reuse its deep features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reuse: Option<u32>,
    /// Names of what is left out or put in, joined by commas, see [`Variant`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Words {
    /// # Errors
    /// `Caller` for a number out of its range, a text that is too long, or a variant that there is not.
    pub(super) fn check(&self) -> Result<()> {
        let texts = [
            (&self.model, "the model's name"),
            (&self.negative, "the negative prompt"),
            (&self.source, "the source caption"),
            (&self.word, "the subject's word"),
            (&self.sampler, "the sampler's name"),
        ];
        for (text, what) in texts {
            if let Some(text) = text {
                check::text(text, what)?;
            }
        }
        self.variant
            .as_deref()
            .unwrap_or_default()
            .parse::<Variant>()?;
        check::ranges(&[
            ("steps", self.steps.map(|n| n as f32), 1.0, 1000.0),
            ("strength", self.strength, 0.01, 1.0),
            ("guidance", self.guidance, 1.0, 50.0),
            ("guidance rescale", self.rescale, 0.0, 1.0),
            ("identity", self.identity, 0.0, 20.0),
            ("clip skip", Some(self.clip_skip as f32), 0.0, 11.0),
            ("side", self.side.map(|n| n as f32), 64.0, 4096.0),
            ("the guided share of the steps", self.guided, 0.0, 1.0),
            ("reuse", self.reuse.map(|n| n as f32), 1.0, 10.0),
        ])
    }
}
