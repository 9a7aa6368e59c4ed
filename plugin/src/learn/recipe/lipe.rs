//! LIPE (arXiv 2406.17236), its first stage: attention layers learn the subject from pictures whose captions say what it does,
//! and are held by pictures of the class that do many things, made by the model itself; so that pose stays with the words. Its
//! second stage, the blend of latents where attention finds the subject, is how every re-pose in words goes
//! ([`repose::prompt`](crate::repose)). Captions that tell the action are the user's part.
//!
//! Differences: attentions change by matrices of rank 16 instead of whole ones, at LoRA's usual rate; the word before the
//! class's name is DreamBooth's rare one; the prompts of the class are a list of actions, where the paper lets GPT-4 write them.
//! Steps and rates of the paper are not known to us.

use super::{Adapters, ClassOf, Course, Lesson, Projections};

pub(super) fn course() -> Course {
    let lesson = Lesson {
        steps: 500,
        adapters: Some(Adapters {
            of: Projections::Attentions,
            rank: 16,
            rate: 1e-4,
        }),
        class_pictures: 1.0,
        ..Lesson::default()
    };
    Course {
        class_pictures: 32,
        class_of: ClassOf::Actions,
        ..Course::of(lesson)
    }
}
