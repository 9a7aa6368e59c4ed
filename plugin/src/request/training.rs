//! How a text model is asked to learn a subject.

use serde::{Deserialize, Serialize};

use super::check;
use crate::learn::recipe::Variant;
use crate::{Error, Result};

/// Most steps of training.
const MAX_STEPS: u32 = 100_000;
/// Highest rank of changes of projections.
const MAX_RANK: u32 = 256;
/// Most earlier versions that are learned from as well.
const MAX_EARLIER: u32 = 32;

/// How a text model learns a subject. `None`: the recipe's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Training {
    /// The recipe's name, perhaps with `-no-` and a part that is left out; `None`: the default one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Name, path, or Hugging Face id; `None`: the only model there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Steps in all, 1 to 100 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Rank of changes of projections, 1 to 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// How many earlier versions of the subject, newest first, it is learned from as well, at most 32.
    pub earlier: u32,
    /// Same request and seed learn the same.
    pub seed: u64,
}

impl Training {
    /// # Errors
    /// `Caller` for a number out of its range or that the recipe has not, a text that is too long, or a recipe that there is
    /// not.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(model) = &self.model {
            check::text(model, "the model's name")?;
        }
        let recipe = self.recipe()?;
        if recipe.course().lessons.is_empty() && (self.steps.is_some() || self.rank.is_some()) {
            return Err(Error::caller(format!(
                "the recipe {} trains nothing: leave steps and rank out, or name another recipe",
                recipe.name()
            )));
        }
        check::ranges(&[
            ("steps", self.steps, 1, MAX_STEPS),
            ("rank", self.rank, 1, MAX_RANK),
            ("earlier versions", Some(self.earlier), 0, MAX_EARLIER),
        ])
    }

    /// The recipe.
    ///
    /// # Errors
    /// `Caller` if there is none of that name.
    pub fn recipe(&self) -> Result<Variant> {
        match &self.recipe {
            Some(name) => name.parse(),
            None => Ok(Variant::default()),
        }
    }
}
