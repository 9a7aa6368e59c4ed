//! What of DreamTuner (arXiv 2312.13691) needs no training: self-subject-attention (§3.2) alone. Nothing is learned but where
//! the subject is in its picture; each pose looks at that picture, noised as the sample is, under its own caption, beside the
//! one that is edited ([`repose::prompt`](crate::repose)). So learning takes a moment, and each step of a pose one pass more
//! for each picture.
//!
//! All pictures share one ω, where the paper has one picture: with an ω of its own for each, success on the benchmark was 44 %
//! (56 % with a shared one; 58 % where only the edited picture was looked at, and there the subject alone: what was learned helps
//! where the subject is not in that). Since all of the edited picture is looked at, it is 68 % of 24 subjects, identity 0.83, and
//! 66 % and 0.82 without what was learned. There is no subject encoder, whose weights were never published.

use super::Course;

pub(super) fn course() -> Course {
    Course::default()
}
