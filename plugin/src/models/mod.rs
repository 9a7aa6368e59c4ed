//! The user's models on disk: checkpoints, LoRAs and embeddings, wherever other programs keep them.
//!
//! ```text
//! CONFIG/repose/settings.json   the folders that the user named (of ComfyUI, A1111, or any)
//! DATA/repose/models/           our own: checkpoints, loras/, embeddings/
//! ~/.cache/huggingface/hub/     the Hugging Face cache
//! ```
//!
//! An engine's option can name another folder of models, which then has the settings in it, too; with `REPOSE_DATA` it is
//! `models` in that folder. One small model comes with the plugin ([`Models::pocket`]).

pub mod command;
mod glance;
mod pocket;
mod resolve;
mod scan;
mod settings;
mod verify;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub use scan::Found;
pub use settings::Settings;
pub use verify::{Care, Verdict, verify};

use crate::engine::stable_diffusion::weights::hub;

/// What a file of weights is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A whole model.
    Checkpoint,
    /// A change of a model.
    Lora,
    /// A word.
    Embedding,
}

impl Kind {
    /// For messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkpoint => "model",
            Self::Lora => "LoRA",
            Self::Embedding => "embedding",
        }
    }
}

/// Where models and settings are. Cheap to make; nothing is opened or made before it is needed.
#[derive(Debug, Clone)]
pub struct Models {
    settings: PathBuf,
    own: PathBuf,
    cache: Option<PathBuf>,
}

impl Models {
    /// Those in `folder`; for `None` in `models` of `REPOSE_DATA`, else the user's own. Touches no disk.
    pub fn of(folder: Option<&Path>) -> Self {
        let named = folder
            .filter(|path| !path.as_os_str().is_empty())
            .map(Path::to_owned)
            .or_else(|| {
                let data = std::env::var_os("REPOSE_DATA").filter(|v| !v.is_empty())?;
                Some(PathBuf::from(data).join("models"))
            });
        let cache = hub::cache();
        let dirs = directories::BaseDirs::new();
        match (named, dirs) {
            (None, Some(dirs)) => Self {
                settings: dirs.config_dir().join("repose").join("settings.json"),
                own: dirs.data_dir().join("repose").join("models"),
                cache,
            },
            (named, _) => Self::within(&named.unwrap_or_default(), cache),
        }
    }

    /// Those in one folder, with its settings, and in a Hugging Face cache.
    pub fn within(folder: &Path, cache: Option<PathBuf>) -> Self {
        Self {
            settings: folder.join("settings.json"),
            own: folder.to_owned(),
            cache,
        }
    }

    /// Our own folder of models.
    pub fn own(&self) -> &Path {
        &self.own
    }

    /// The Hugging Face cache.
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }
}

#[cfg(test)]
mod tests;
