//! Textual Inversion (arXiv 2208.01618): a word's vector is found under which the frozen model makes the subject.
//!
//! Loss: equation 2, over the whole picture. Rate 5e-3 and mirror images as in the authors' code; they take up to
//! 6100 steps of 2 pictures.

use super::{Augment, Course, Lesson};

pub(super) fn course() -> Course {
    Course::of(Lesson {
        steps: 1000,
        batch: 2,
        word: Some(5e-3),
        augment: Augment::Mirrored,
        ..Lesson::default()
    })
}
