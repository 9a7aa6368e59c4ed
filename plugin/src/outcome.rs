//! What a finished job hands back.

use crate::canvas::Layer;
use crate::subject::SubjectRef;

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// New layers; empty for a learn.
    pub layers: Vec<Layer>,
    /// The subject that was learned or used.
    pub subject: Option<SubjectRef>,
}
