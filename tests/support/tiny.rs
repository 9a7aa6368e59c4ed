//! A whole text model that is small enough to run in a test: the parity suite's random checkpoint, with a vocabulary of
//! single letters, for its text encoder knows 400 words.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

/// The text encoder's last two tokens begin and end a sequence.
const BEGIN: u32 = 398;
const END: u32 = 399;

/// The parity suite's files; the plugin's own tests are built one folder below.
fn goldens() -> PathBuf {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    folders
        .find_map(|folder| Some(folder.join("tests/parity/goldens")).filter(|f| f.is_dir()))
        .unwrap()
}

/// Puts the model `name` into a folder of models (the engine's option): the one of `inpainting`, or the one that is not.
pub fn install(models: &Path, name: &str, inpainting: bool) {
    let goldens = goldens();
    let target = models.join("models").join(name);
    copy(&goldens.join("sd15/checkpoint"), &target);
    if inpainting {
        nine_channels(&target, &goldens.join("sd15-inpaint"));
    }
    let tokenizer = target.join("tokenizer");
    fs::create_dir_all(&tokenizer).unwrap();
    let mut vocabulary = BTreeMap::new();
    for (index, letter) in ('a'..='z').chain(['(', ')', ':', '.', ',']).enumerate() {
        vocabulary.insert(letter.to_string(), 2 * index as u32 + 3);
        vocabulary.insert(format!("{letter}</w>"), 2 * index as u32 + 4);
    }
    vocabulary.insert("<|startoftext|>".to_owned(), BEGIN);
    vocabulary.insert("<|endoftext|>".to_owned(), END);
    let vocabulary = serde_json::to_string(&vocabulary).unwrap();
    fs::write(tokenizer.join("vocab.json"), vocabulary).unwrap();
    fs::write(tokenizer.join("merges.txt"), "#version: 0.2\n").unwrap();
}

/// Says that an installed model was made for pictures of this side in pixels, a multiple of 64: smaller ones take less time,
/// where a test cannot ask for a side.
#[allow(dead_code, reason = "each test file uses its own part")]
pub fn set_side(models: &Path, name: &str, side: u32) {
    let file = models.join("models").join(name).join("unet/config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    config["sample_size"] = (side / 8).into();
    fs::write(file, config.to_string()).unwrap();
}

/// Puts the decoder for previews into a folder of models.
#[allow(dead_code, reason = "each test file uses its own part")]
pub fn install_glance(models: &Path) {
    let goldens = goldens();
    let file = "taesd_decoder.safetensors";
    fs::create_dir_all(models.join("vae_approx")).unwrap();
    fs::copy(
        goldens.join("taesd").join(file),
        models.join("vae_approx").join(file),
    )
    .unwrap();
}

/// Gives a checkpoint's U-Net the first layer and the configuration of its inpainting twin.
fn nine_channels(checkpoint: &Path, twin: &Path) {
    let file = "unet/diffusion_pytorch_model.safetensors";
    let config = "unet/config.json";
    let (all, first) = (
        fs::read(checkpoint.join(file)).unwrap(),
        fs::read(twin.join("conv_in.safetensors")).unwrap(),
    );
    let (all, first) = (
        SafeTensors::deserialize(&all).unwrap(),
        SafeTensors::deserialize(&first).unwrap(),
    );
    let own = |name: &str| first.tensor(name).ok();
    let tensors = all
        .tensors()
        .into_iter()
        .map(|(name, tensor)| (name.clone(), own(&name).unwrap_or(tensor)));
    let bytes = safetensors::serialize(tensors, None).unwrap();
    fs::write(checkpoint.join(file), bytes).unwrap();
    fs::copy(
        twin.join("checkpoint").join(config),
        checkpoint.join(config),
    )
    .unwrap();
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
