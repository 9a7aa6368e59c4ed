//! Custom Diffusion (arXiv 2212.04488): a word, and the keys and values that the U-Net's attentions make of the text (§3.2),
//! the class held by pictures of it.
//!
//! Pictures are seen mirrored, from farther away and from nearer, too, with words for that before the caption, and errors count
//! where the picture is: as in the authors' code, from a few views of each picture instead of ever new ones.
//!
//! Steps are the authors' 250; with 500 the benchmark saw no more than chance tells (success 81 %, and 75 % with 250). The
//! authors' rate is 1e-5 times 8 pictures in a step, with 200 pictures of the class. Here keys and values change by matrices of
//! rank 16 instead of whole ones, at LoRA's usual rate, and the word at textual inversion's: of the rates that were tried, 1e-3
//! for both lost the poses (success 34 %). Of the class 32 pictures are made by the model itself; without them and with
//! SingleInsert's L_bg in their place success was 62 %. (All this with poses that looked at the subject alone, and before there
//! were other views. These are the authors'; the benchmark does not favour them: of 6 subjects, 4 poses each, success was 46 %
//! without, 25 % with them, subject by subject a difference of 21 points with an error of 23.)

use super::{Adapters, Augment, Course, Lesson, Projections};

pub(super) fn course() -> Course {
    let lesson = Lesson {
        steps: 250,
        batch: 2,
        word: Some(5e-3),
        augment: Augment::Resized,
        adapters: Some(Adapters {
            of: Projections::TextKeysAndValues,
            rank: 16,
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
