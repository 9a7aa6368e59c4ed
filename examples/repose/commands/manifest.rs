//! Which pictures a batch has: those of a folder, or those a manifest names.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Failure, Result};
use crate::pins::{Pin, read_text};
use crate::select::{self, Source};

/// The largest manifest that is read.
const MAX_FILE: u64 = 256 << 20;
/// Endings of pictures in a folder.
const PICTURES: [&str; 7] = ["png", "jpg", "jpeg", "tif", "tiff", "webp", "ora"];

/// One picture of a batch; what is `None` is as on the command line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The picture.
    pub photo: PathBuf,
    /// A mask file or a shape, as after `--selection`.
    pub selection: Option<String>,
    /// As `--pin`.
    pub pins: Option<Vec<Pin>>,
    /// As `--move`.
    #[serde(rename = "move")]
    pub offset: Option<[f32; 2]>,
    /// As `--scale`.
    pub scale: Option<f32>,
    /// As `--rotate`.
    pub rotate: Option<f32>,
    /// As `--guide`.
    pub guide: Option<PathBuf>,
    /// As `--prompt`.
    pub prompt: Option<String>,
    /// As `--subject`.
    pub subject: Option<String>,
    /// As `--version`.
    pub version: Option<u32>,
    /// As `--seed`.
    pub seed: Option<u64>,
    /// Name of the result in the output folder.
    pub out: Option<PathBuf>,
}

impl Item {
    /// The selection, read.
    pub fn source(&self) -> Result<Option<Source>> {
        self.selection
            .as_deref()
            .map(|text| select::parse(text).map_err(Failure::usage))
            .transpose()
    }
}

/// The pictures of `input`, in order of their names or of the manifest.
pub fn read(input: &Path, mask_suffix: &str) -> Result<Vec<Item>> {
    let items = if input.is_dir() {
        folder(input, mask_suffix)?
    } else {
        manifest(input)?
    };
    if items.is_empty() {
        return Err(Failure::file(
            input,
            format!(
                "no pictures in it; in a folder, PHOTO.jpg is selected by PHOTO{mask_suffix}.png beside it"
            ),
        ));
    }
    Ok(items)
}

fn folder(input: &Path, mask_suffix: &str) -> Result<Vec<Item>> {
    let unreadable = |e: std::io::Error| Failure::file(input, format!("cannot be read: {e}"));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(input).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let ending = path
            .extension()
            .map(|e| e.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        if path.is_file() && PICTURES.contains(&ending.as_str()) {
            paths.push(path);
        }
    }
    paths.sort();
    let stem = |path: &Path| {
        path.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let mut items = Vec::new();
    for path in &paths {
        let name = stem(path);
        let mask = paths
            .iter()
            .find(|other| stem(other) == format!("{name}{mask_suffix}"));
        // A picture without a mask is a mask itself, or none of this batch's business.
        if let Some(mask) = mask.filter(|mask| *mask != path) {
            items.push(Item {
                photo: path.clone(),
                selection: Some(mask.to_string_lossy().into_owned()),
                pins: None,
                offset: None,
                scale: None,
                rotate: None,
                guide: None,
                prompt: None,
                subject: None,
                version: None,
                seed: None,
                out: None,
            });
        }
    }
    Ok(items)
}

fn manifest(input: &Path) -> Result<Vec<Item>> {
    let text = read_text(input, MAX_FILE)?;
    let fail = |place: String, e: serde_json::Error| {
        Failure::file(
            input,
            format!(
                "{place}{e}; a picture is an object such as {{\"photo\": \"a.jpg\", \"selection\": \"a_mask.png\"}}"
            ),
        )
    };
    let mut items: Vec<Item> = if text.trim_start().starts_with('[') {
        serde_json::from_str(&text).map_err(|e| fail(String::new(), e))?
    } else {
        text.lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(n, line)| {
                serde_json::from_str(line).map_err(|e| fail(format!("line {}: ", n + 1), e))
            })
            .collect::<Result<_>>()?
    };
    let base = input.parent().unwrap_or(Path::new(""));
    for item in &mut items {
        item.photo = base.join(&item.photo);
        item.guide = item.guide.as_ref().map(|guide| base.join(guide));
        if let Some(Source::File(mask)) = item.source()? {
            item.selection = Some(base.join(mask).to_string_lossy().into_owned());
        }
    }
    Ok(items)
}
