//! Finds files of weights in folders, whoever laid them out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Kind, Models};
use crate::Result;
use crate::engine::stable_diffusion::weights::{folder, hub};

/// How deep folders are searched: users sort their models into a level or two.
const MAX_DEPTH: usize = 4;

/// The most entries that are looked at in one search.
const MAX_ENTRIES: usize = 50_000;

/// Something that may be used: it was found, not opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// What users call it: its path below the folder that was searched, less the ending; or `ORG/NAME`.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// What its place says it is for.
    pub kind: Kind,
}

/// Where programs keep each kind, below the folder that the user named: ComfyUI's, A1111's, and inside their `models`.
fn places(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Checkpoint => &[
            "models/checkpoints",
            "models/Stable-diffusion",
            "models/diffusers",
            "checkpoints",
            "Stable-diffusion",
            "diffusers",
        ],
        Kind::Lora => &["models/loras", "models/Lora", "loras", "Lora"],
        Kind::Embedding => &["models/embeddings", "embeddings"],
    }
}

/// Names of folders that hold something else.
fn is_other(name: &str) -> bool {
    [
        "loras",
        "lora",
        "embeddings",
        "vae",
        "vae_approx",
        "clip",
        "clip_vision",
        "controlnet",
        "hypernetworks",
        "upscale_models",
        "esrgan",
        "unet",
        "text_encoders",
        "outputs",
        "output",
        "venv",
    ]
    .contains(&name.to_ascii_lowercase().as_str())
}

impl Models {
    /// All of a kind, each file once, sorted by name.
    ///
    /// # Errors
    /// `Files` if the settings cannot be read. A folder that cannot be read has nothing in it.
    pub fn find(&self, kind: Kind) -> Result<Vec<Found>> {
        let settings = self.settings()?;
        let mut search = Search {
            kind,
            left: MAX_ENTRIES,
            seen: BTreeSet::new(),
            found: Vec::new(),
        };
        for root in std::iter::once(&self.own).chain(&settings.model_folders) {
            let inner: Vec<PathBuf> = places(kind)
                .iter()
                .map(|p| root.join(p))
                .filter(|p| p.is_dir())
                .collect();
            // Checkpoints lie in a folder itself where no known place is below it, and always in our own.
            let direct = kind == Kind::Checkpoint && (inner.is_empty() || *root == self.own);
            for folder in inner.iter().chain(direct.then_some(root)) {
                search.folder(folder, folder, 0);
            }
        }
        if let (Kind::Checkpoint, Some(cache)) = (kind, self.cache()) {
            for (name, path) in hub::repositories(cache) {
                if hub::snapshot(&path).is_some_and(|s| is_model(&s)) {
                    search.add(name, path);
                }
            }
        }
        search.found.sort();
        Ok(search.found)
    }
}

/// Whether a snapshot may be a text-to-image model: the cache holds models of all kinds.
fn is_model(snapshot: &Path) -> bool {
    if folder::is_one(snapshot) {
        return true;
    }
    // A single file beside a transformer's configuration is a language model.
    !snapshot.join("config.json").exists()
        && snapshot
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
            .any(|e| is_weights(&e.path()))
}

fn is_weights(path: &Path) -> bool {
    path.extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
}

struct Search {
    kind: Kind,
    left: usize,
    seen: BTreeSet<PathBuf>,
    found: Vec<Found>,
}

impl Search {
    fn add(&mut self, name: String, path: PathBuf) {
        let identity = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if self.seen.insert(identity) {
            self.found.push(Found {
                name,
                path,
                kind: self.kind,
            });
        }
    }

    fn folder(&mut self, root: &Path, folder_path: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(folder_path) else {
            return;
        };
        let mut paths: Vec<PathBuf> = entries
            .take(self.left)
            .flatten()
            .map(|e| e.path())
            .collect();
        self.left -= paths.len().min(self.left);
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            if name.starts_with('.') {
                continue;
            }
            // Links are followed: models are large, and users link them from one program's folder to another's.
            if path.is_dir() {
                if self.kind == Kind::Checkpoint && folder::is_one(&path) {
                    self.add(below(root, &path), path);
                } else if depth < MAX_DEPTH && !(self.kind == Kind::Checkpoint && is_other(name)) {
                    self.folder(root, &path, depth + 1);
                }
            } else if self.wants(&path) {
                self.add(below(root, &path.with_extension("")), path);
            }
        }
    }

    fn wants(&self, path: &Path) -> bool {
        let ending = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        match self.kind {
            // A pickle is listed with what is wrong about it, or users would look for it in vain.
            Kind::Checkpoint => matches!(ending.as_str(), "safetensors" | "ckpt"),
            Kind::Lora => ending == "safetensors",
            Kind::Embedding => matches!(ending.as_str(), "safetensors" | "pt" | "bin"),
        }
    }
}

/// A path below a folder, with `/` on every system.
fn below(root: &Path, path: &Path) -> String {
    let rest = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = rest.iter().map(|p| p.to_string_lossy()).collect();
    parts.join("/")
}
