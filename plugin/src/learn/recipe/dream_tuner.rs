//! DreamTuner (arXiv 2312.13691), its fine-tuning (§3.4): pairs of the subject on white and of a regular picture, which the model
//! makes under the class's word while the subject's own keys and values are held up to it (self-subject-attention, ω = 3,
//! no mask), so that what is left to learn are the fine differences. 32 regular pictures and 800 steps as there; the word's rate
//! of 5e-3 and mirror images, too. Self-subject-attention while re-posing is how every re-pose in words goes.
//!
//! Differences: no subject encoder: its weights were never published. Instead of the whole U-Net and text encoder at 1e-6,
//! changes of rank 4 at LoRA's usual rate, which the paper says works as well.

use super::{Adapters, Augment, ClassOf, Course, Lesson, Projections, Shown};

pub(super) fn course() -> Course {
    let lesson = Lesson {
        steps: 800,
        word: Some(5e-3),
        shown: Shown::Alone,
        augment: Augment::Mirrored,
        adapters: Some(Adapters {
            of: Projections::AttentionsAndText,
            rank: 4,
            rate: 1e-4,
        }),
        class_pictures: 1.0,
        ..Lesson::default()
    };
    Course {
        class_pictures: 32,
        class_of: ClassOf::Lookalikes,
        ..Course::of(lesson)
    }
}
