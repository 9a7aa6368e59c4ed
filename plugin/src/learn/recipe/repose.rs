//! Repose's own, for one selection: of the methods' parts those that kept poses and took the least time on pocket's benchmark.
//!
//! A word and small changes of all attentions (DreamBooth's with LoRA, here with a learned word), which learn the subject alone:
//! the error counts inside the mask, and outside the subject's words are to give what the class's words gave in the untouched
//! model (SingleInsert's L_fg and L_bg, arXiv 2310.08094), as are the class's words as such (its L_sm). So no pictures of the
//! class need to be made, and poses stay with the words. Each picture is seen mirrored, too, as Custom Diffusion's authors do
//! (arXiv 2212.04488): what it does is then one thing less that all views have in common.
//!
//! Unlike in SingleInsert, errors count as the model was trained, not on the clean picture that a prediction means, and text
//! encoders stay as they are. Steps and rates: as many as take no longer than the quickest of the others.
//!
//! Where prompts describe the subject, the model needs to learn little: of 24 subjects, 4 poses each, success was 68 % and identity
//! 0.82, 66 % and 0.82 with nothing learned. Where they say what it is and no more, there is a plateau: of 8 subjects, 6 poses
//! each, identity was 0.78 and success 54 %, and nothing changed that by more than 0.01 or 4 points that was tried alone: 200
//! steps, or 4 samples in each; rank 16; text encoders, too; min-SNR or the error of the clean picture; L_bg at 0.3; no L_sm; no
//! mirror images; attention to the mask; the word at 1e-2. Half the steps of twice the samples (48 %), pictures on white in turn
//! (46 %), other sizes as Custom Diffusion sees them, and a rate three times as high with the word at 1e-3 (44 % both) did worse.
//! L_sm is kept for what this does not measure: that other things of the class stay as they were.

use super::{Adapters, Augment, Background, Course, Lesson, Projections};

pub(super) fn course() -> Course {
    Course::of(Lesson {
        steps: 100,
        batch: 2,
        word: Some(5e-3),
        augment: Augment::Mirrored,
        adapters: Some(Adapters {
            of: Projections::Attentions,
            rank: 4,
            rate: 1e-4,
        }),
        background: Background::AsBefore(1.0),
        class_words: 1.0,
        ..Lesson::default()
    })
}
