//! The Hugging Face cache on disk: `models--ORG--NAME/{refs,snapshots,blobs}`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// The cache's folder: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else
/// `~/.cache/huggingface/hub`, as huggingface_hub looks for it on every system.
pub fn cache() -> Option<PathBuf> {
    let set = |name: &str| -> Option<PathBuf> {
        std::env::var_os(name)
            .filter(|v: &OsString| !v.is_empty())
            .map(PathBuf::from)
    };
    set("HF_HUB_CACHE")
        .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(set("HF_HOME")?.join("hub")))
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| {
            let home = directories::BaseDirs::new()?.home_dir().to_owned();
            Some(home.join(".cache/huggingface/hub"))
        })
}

/// Whether `id` can name a repository: `ORG/NAME` of letters, digits, `-`, `_` and `.`.
pub fn is_repository(id: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.len() <= 96
            && !p.starts_with(['-', '.'])
            && !p.contains("--")
            && !p.contains("..")
            && p.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    id.split_once('/')
        .is_some_and(|(org, name)| part(org) && part(name))
}

/// The folder of a repository's name in a cache.
pub fn folder(cache: &Path, id: &str) -> PathBuf {
    cache.join(format!("models--{}", id.replace('/', "--")))
}

/// The repository's name, from its folder in the cache.
pub fn repository(folder: &Path) -> Option<String> {
    let name = folder.file_name()?.to_str()?.strip_prefix("models--")?;
    let (org, name) = name.split_once("--")?;
    Some(format!("{org}/{name}"))
}

/// The snapshot that a repository's folder means: that of the branch `main`, else the newest.
pub fn snapshot(folder: &Path) -> Option<PathBuf> {
    repository(folder)?;
    let snapshots = folder.join("snapshots");
    let named = fs::read_to_string(folder.join("refs").join("main"))
        .ok()
        .and_then(|revision| {
            let revision = revision.trim();
            let plain = !revision.is_empty() && revision.chars().all(|c| c.is_ascii_alphanumeric());
            plain.then(|| snapshots.join(revision))
        });
    named.filter(|path| path.is_dir()).or_else(|| {
        fs::read_dir(&snapshots)
            .ok()?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let when = entry.metadata().ok()?.modified().ok()?;
                entry.path().is_dir().then(|| (when, entry.path()))
            })
            .max()
            .map(|(_, path)| path)
    })
}

/// The repositories of a cache, by their names.
pub fn repositories(cache: &Path) -> Vec<(String, PathBuf)> {
    let Ok(entries) = fs::read_dir(cache) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((repository(&path)?, path))
        })
        .collect();
    found.sort();
    found
}
