//! SingleInsert (arXiv 2310.08094): from one picture and its mask. First an image encoder alone, which gives the word, then the
//! encoder with LoRA on U-Net and text encoder. The encoder sees the whole picture. The error counts inside the mask (L_fg);
//! outside, the subject's words are to give what the class's words gave in the untouched model (L_bg); in the second stage the
//! class's words as such, too (L_sm). All on the clean picture that a prediction means, λ = 1, rank 4, rates 1e-4 and 5e-5,
//! four noisy samples a step.
//!
//! Differences: the encoder's size is that of the model's text encoder where this is smaller than the paper's ViT-B/32, and its
//! word begins as long as the class's word. Of several pictures the mean of their words is kept. The targets of L_bg and L_sm
//! come from the text encoder as it was, where the authors' code takes the one in training, so that its drift costs nothing.
//! Weights are bounded by 5: without, 84 % of all weight lies on the last fifth of the noise levels.

use super::{Adapters, Background, Course, Lesson, Projections};
use crate::learn::train::Weighting;

pub(super) fn course() -> Course {
    let inversion = Lesson {
        steps: 50,
        batch: 4,
        word: Some(5e-3),
        encoder: Some(1e-4),
        weighting: Weighting::Clean(5.0),
        background: Background::AsBefore(1.0),
        ..Lesson::default()
    };
    let tuning = Lesson {
        steps: 100,
        word: Some(5e-5),
        encoder: Some(5e-5),
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
