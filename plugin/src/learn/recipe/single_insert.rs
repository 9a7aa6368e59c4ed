//! SingleInsert (arXiv 2310.08094): from one picture and its mask. First a word alone, then the word with LoRA on U-Net and
//! text encoder. The error counts inside the mask (L_fg); outside, the subject's words are to give what the class's words gave
//! in the untouched model (L_bg); in the second stage the class's words as such, too (L_sm). All on the clean picture that a
//! prediction means, λ = 1, rank 4, rate 5e-5 in the second stage, four noisy samples a step.
//!
//! Differences: the word's vector is learned itself, where the paper trains an image encoder of random weights to give it,
//! which for one picture is the same word by a longer way. The targets of L_bg and L_sm come from the text encoder as it was,
//! where the authors' code takes the one in training, so that its drift costs nothing. Weights are bounded by 5: without,
//! 84 % of all weight lies on the last fifth of the noise levels.

use super::{Adapters, Background, Course, Lesson, Projections};
use crate::learn::train::Weighting;

pub(super) fn course() -> Course {
    let inversion = Lesson {
        steps: 50,
        batch: 4,
        word: Some(5e-3),
        weighting: Weighting::Clean(5.0),
        background: Background::AsBefore(1.0),
        ..Lesson::default()
    };
    let tuning = Lesson {
        steps: 100,
        word: Some(5e-5),
        adapters: Some(Adapters {
            of: Projections::AttentionsAndText,
            rank: 4,
            rate: 5e-5,
        }),
        class_words: 1.0,
        ..inversion.clone()
    };
    Course {
        lessons: vec![inversion, tuning],
        ..Course::default()
    }
}
