//! DETEX (arXiv 2312.11826): the subject's word is learned beside words for the pose and the background of each picture, which
//! take what is not the subject, together with the keys and values that the U-Net's attentions make of the text. The prompt is
//! the paper's, "with \[P\] pose in \[B\] background"; attention to the subject's words is drawn to the mask and attention to
//! the background's word to its inverse. Whole pictures and the subject alone are seen in turn: the joint training that the
//! abstract names, as its figure and its list of inputs let us understand it.
//!
//! These words come from mappers, one for poses and one for places, and stay with the subject: prompts take them up where they
//! have their names.
//!
//! Differences: the mappers see the latents of the model's own autoencoder, where the paper's see CLIP's image features, which
//! no checkpoint of Stable Diffusion has. They have two layers, and their words begin as "pose" and "background". The form of the
//! attention's loss and its weight of 0.01 are Break-A-Scene's (arXiv 2305.16311), as the paper's are not known to us; so are
//! the rates and the number of steps, which are [custom diffusion](super::custom_diffusion)'s: with 1e-3 for all, success was
//! 12 % (69 % with these), and 500 steps were worth no more than 250 (72 %), with poses that looked at the subject alone and
//! without mappers. What else it learns holds poses back: of 24 subjects success was 66 % where the first two thirds of a pose's
//! steps did without what was learned, 36 % where none did.

use super::{Adapters, Course, Lesson, Projections, Shown};

pub(super) fn course() -> Course {
    Course::of(Lesson {
        steps: 250,
        batch: 2,
        word: Some(5e-3),
        sinks: Some(1e-3),
        mappers: Some(1e-5),
        shown: Shown::InTurn,
        adapters: Some(Adapters {
            of: Projections::TextKeysAndValues,
            rank: 16,
            rate: 1e-4,
        }),
        attention: 0.01,
        ..Lesson::default()
    })
}
