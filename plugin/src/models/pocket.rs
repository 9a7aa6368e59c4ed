//! Pocket: the Stable Diffusion that comes with the plugin. It knows the toys of `examples/world` and nothing else: it shows
//! how poses in words work, and whether they work, where no other model is.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use super::Models;
use crate::Result;
use crate::subject::disk::{self, failed};

/// What it is asked for by.
pub const NAME: &str = "pocket";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../pocket/", $name)) as &[u8])),*]
    };
}

/// Its folder in the layout of diffusers.
static FILES: [(&str, &[u8]); 12] = files![
    "model_index.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
];

impl Models {
    /// Pocket's folder, written at the first use and mended where its files are not the plugin's own.
    ///
    /// # Errors
    /// `Files` if it cannot be written.
    pub fn pocket(&self) -> Result<PathBuf> {
        // One per version, so that two plugins of different age do not take turns. Dotted: it is no model of the user's.
        let folder = self
            .own()
            .join(concat!(".built-in-", env!("CARGO_PKG_VERSION")))
            .join(NAME);
        for (name, bytes) in FILES {
            let path = folder.join(name);
            if fs::read(&path).is_ok_and(|there| there == bytes) {
                continue;
            }
            if let Some(parent) = path.parent() {
                disk::make_folder(parent)?;
            }
            // Whoever reads at the same time finds the whole file or none.
            disk::replace(&path, |draft| {
                let written = draft.as_file().write_all(bytes);
                written.map_err(|e| failed("write the built-in model to", &path, e))
            })?;
        }
        Ok(folder)
    }
}
