//! What of DreamTuner (arXiv 2312.13691) needs no training: self-subject-attention (§3.2) alone. Nothing is learned but where the
//! subject is in its picture; each pose looks at that picture, noised as the sample is, under its own caption, beside the one that
//! is edited ([`repose::prompt`](crate::repose)). So learning takes a moment, and each step of a pose one pass more for each
//! picture.
//!
//! Differences: no subject encoder, whose weights were never published, and the edited picture is looked at as well.

use super::Course;

pub(super) fn course() -> Course {
    Course::default()
}
