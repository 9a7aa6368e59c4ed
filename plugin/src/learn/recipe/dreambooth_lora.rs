//! DreamBooth (arXiv 2208.12242) with LoRA (arXiv 2106.09685): the model learns that a rare word before the class's name means
//! the subject, and, from pictures of its own making, that the class's name alone means what it meant (equation 2, λ = 1).
//!
//! Rank 4, rate 1e-4 and 500 steps of one picture as in diffusers' script. The rare word is a vector drawn at random, as long as
//! the class's and not learned, where the paper looks for a rare token. Of the class 32 pictures are made, where the paper makes 1000 and diffusers 100.

use super::{Adapters, Course, Lesson, Projections};

pub(super) fn course() -> Course {
    let lesson = Lesson {
        steps: 500,
        adapters: Some(Adapters {
            of: Projections::Attentions,
            rank: 4,
            rate: 1e-4,
        }),
        class_pictures: 1.0,
        ..Lesson::default()
    };
    Course {
        class_pictures: 32,
        ..Course::of(lesson)
    }
}
