//! What the model is told, encoded, and what its network has made of it already.

use super::plan::{Plan, Wording};
use super::turns::Turn;
use crate::Result;
use crate::engine::stable_diffusion::model::{Model, Text};
use crate::engine::stable_diffusion::unet::TextMemory;

/// What steps with what was learned of the subject have, and what those without.
#[derive(Debug, Clone, Copy)]
pub struct Phases<T> {
    /// With.
    pub learned: T,
    /// Without; `None`: there are no such steps.
    pub unlearned: Option<T>,
}

impl<T> Phases<T> {
    /// What a step has.
    pub fn at(&self, turn: Turn) -> &T {
        match (turn.learned, &self.unlearned) {
            (false, Some(unlearned)) => unlearned,
            _ => &self.learned,
        }
    }
}

impl Phases<Told> {
    /// What the picture shows now.
    pub fn source(&self) -> Phases<&Caption> {
        Phases {
            learned: &self.learned.source,
            unlearned: self.unlearned.as_ref().map(|told| &told.source),
        }
    }
}

/// What a picture shows.
#[derive(Debug, Clone)]
pub struct Caption {
    /// In words.
    pub text: Text,
    /// What the network makes of them.
    pub memory: TextMemory,
}

impl Caption {
    /// Nothing is made of it yet.
    pub fn new(text: Text) -> Self {
        Self {
            text,
            memory: TextMemory::default(),
        }
    }
}

/// What a pose is made by. The model must stay as it is while this is in use.
#[derive(Debug, Clone)]
pub struct Told {
    /// What the picture shows now.
    pub source: Caption,
    /// What it shall show.
    pub target: Text,
    /// What it shall not show.
    pub negative: Text,
    /// What the network makes of `negative` and `target` together, of `target` twice, and of `target` alone.
    pub asked: TextMemory,
    /// See `asked`.
    pub twice: TextMemory,
    /// See `asked`.
    pub alone: TextMemory,
}

impl Told {
    /// What a plan says, in these words.
    ///
    /// # Errors
    /// As [`Model::texts`].
    pub fn new(model: &Model, wording: &Wording, plan: &Plan) -> Result<Self> {
        let texts = [&wording.prompt, &plan.negative, &wording.source].map(String::as_str);
        Ok(Self::of(model.texts(
            texts,
            &wording.subjects,
            plan.clip_skip,
        )?))
    }

    /// What shall be shown, what shall not, and what is shown now.
    pub fn of([target, negative, source]: [Text; 3]) -> Self {
        Self {
            source: Caption::new(source),
            target,
            negative,
            asked: TextMemory::default(),
            twice: TextMemory::default(),
            alone: TextMemory::default(),
        }
    }
}
