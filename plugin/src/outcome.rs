//! What a finished job hands back.

use crate::canvas::Layer;
use crate::subject::SubjectRef;

/// Names a text model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRef {
    /// What the user calls it.
    pub name: String,
    /// Names its weights, in hex.
    pub sha256: String,
}

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// New layers; empty for a learn.
    pub layers: Vec<Layer>,
    /// The subject that was learned or used.
    pub subject: Option<SubjectRef>,
    /// The text model that was used.
    pub model: Option<ModelRef>,
}
