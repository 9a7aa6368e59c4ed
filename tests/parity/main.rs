//! The text engine's numbers against diffusers, transformers and peft, on the small checkpoints in `goldens/` and on the model
//! that ships.
//!
//! `make.py` made them; no Python is needed here. An error is max |a − b| / max |b| over an output: at most 1e-4 for one
//! network, 1e-3 after 20 steps.
#![allow(clippy::unwrap_used)]

mod compare;

use std::path::Path;

use compare::model::checkpoint;
use compare::{
    Goldens, Layout, Model, Outcome, adapters, gradients, networks, pipelines, subjects,
};

const FAMILIES: [&str; 3] = ["sd15", "sd21", "sdxl"];
/// With the one that is trained.
const ALL: [&str; 4] = ["sd15", "sd21", "sdxl", "pocket"];
const INPAINTING: [&str; 3] = ["sd15-inpaint", "sd21-inpaint", "sdxl-inpaint"];

fn goldens(family: &str) -> Goldens {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/goldens");
    Goldens::open(&folder.join(family)).unwrap()
}

fn open(family: &str) -> (Goldens, Model) {
    let goldens = goldens(family);
    let model = Model::open(&goldens, Layout::of(&goldens)[0]).unwrap();
    (goldens, model)
}

/// There are outcomes, and all are within their tolerance.
fn assert_equal(family: &str, outcomes: compare::Result<Vec<Outcome>>) {
    let outcomes = outcomes.unwrap();
    assert!(!outcomes.is_empty(), "{family}: nothing was compared");
    let failed = outcomes.iter().filter(|o| !o.passed());
    let failed: Vec<_> = failed
        .map(|o| format!("{} by {:.1e}", o.name, o.error))
        .collect();
    assert!(failed.is_empty(), "{family} differs: {failed:#?}");
}

#[test]
fn text_encoders_equal() {
    for family in ALL {
        let (goldens, model) = open(family);
        assert_equal(family, networks::text(&goldens, &model));
    }
}

#[test]
fn u_nets_and_their_attention_maps_equal() {
    for family in ALL.into_iter().chain(INPAINTING) {
        let (goldens, model) = open(family);
        assert_equal(family, networks::unet(&goldens, &model));
    }
}

#[test]
fn u_nets_in_bf16_are_no_further_off_than_the_reference_in_bf16() {
    for family in ALL {
        let goldens = goldens(family);
        let layout = Layout::of(&goldens)[0];
        assert_equal(family, networks::half(&goldens, layout));
    }
}

#[test]
fn attention_to_a_reference_equals() {
    for family in ALL {
        let (goldens, model) = open(family);
        assert_equal(family, networks::reference(&goldens, &model));
    }
}

#[test]
fn autoencoders_equal() {
    for family in ALL {
        let (goldens, model) = open(family);
        assert_equal(family, networks::vae(&goldens, &model));
    }
    assert_equal("taesd", networks::taesd(&goldens("taesd")));
}

#[test]
fn every_sampler_inversion_and_start_equals_after_all_steps() {
    for family in ALL {
        let (goldens, model) = open(family);
        assert_equal(family, pipelines::run(&goldens, &model));
    }
}

#[test]
fn inpainting_equals_after_all_steps() {
    for family in INPAINTING {
        let (goldens, model) = open(family);
        assert_equal(family, pipelines::run(&goldens, &model));
    }
}

#[test]
fn loras_of_every_format_equal_in_text_encoders_alone_and_together() {
    for family in FAMILIES {
        let goldens = goldens(family);
        let layout = Layout::of(&goldens)[0];
        assert_equal(family, adapters::loras(&goldens, layout));
    }
}

#[test]
fn embeddings_of_every_format_equal() {
    for family in FAMILIES {
        let (goldens, model) = open(family);
        assert_equal(family, adapters::embeddings(&goldens, &model));
    }
}

#[test]
fn exported_subjects_are_the_files_that_diffusers_read_and_give_the_same() {
    assert_equal("subjects", subjects::exported(&goldens("subjects")));
}

#[test]
fn attached_files_of_diffusers_and_peft_give_the_same() {
    assert_equal("subjects", subjects::attached(&goldens("subjects")));
}

#[test]
fn noised_latents_and_training_targets_equal() {
    for family in FAMILIES {
        assert_equal(family, gradients::noising(&goldens(family)));
    }
}

#[test]
fn gradients_of_the_training_loss_equal() {
    for family in FAMILIES {
        let (goldens, model) = open(family);
        let layout = Layout::of(&goldens)[0];
        assert_equal(family, gradients::unet(&goldens, layout, false));
        assert_equal(family, gradients::unet(&goldens, layout, true));
        assert_equal(family, gradients::words(&goldens, &model));
    }
}

#[test]
fn both_layouts_hold_the_same_weights() {
    let goldens = goldens("sd15");
    assert_eq!(Layout::of(&goldens), [Layout::Folder, Layout::Single]);
    let folder = checkpoint(&goldens, Layout::Folder).unwrap();
    let single = checkpoint(&goldens, Layout::Single).unwrap();
    assert_eq!(folder.family, single.family);
    assert_eq!(folder.unet.config, single.unet.config);
    assert_eq!(folder.fingerprint(), single.fingerprint());
}
