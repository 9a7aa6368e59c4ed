//! `card.json`: what one version of a subject is, where it came from and who allowed it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::disk::{self, SCHEMA};
use super::file::Written;
use super::{Consent, Subject, SubjectWords, TextFacts, thumbnail};
use crate::Result;

/// The card's file name in a version's folder.
pub const CARD: &str = "card.json";
/// The tensors' file name in a version's folder.
pub const TENSORS: &str = "subject.safetensors";
/// The largest card that is read.
pub const MAX_CARD: u64 = 1 << 20;

/// What one version of a subject is. Sealed: see [`disk::sealed`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// Of this format.
    pub schema: u32,
    /// The subject's name when this version was made; a rename changes only `record.json`.
    pub name: String,
    /// From 1.
    pub version: u32,
    /// How it was learned: `patch`, or the recipe of a text model.
    pub recipe: String,
    /// The engine it was learned for: `patch`, or `stable-diffusion`, which has what `patch` needs as well.
    pub engine: String,
    /// SHA-256 of the base model's weights; the patch engine has none.
    pub base_model_sha256: Option<String>,
    /// By what and how a text model learned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextFacts>,
    /// The picture it was learned from.
    pub source: Source,
    /// Where the crop lay in it: x, y, width, height.
    pub rect: [usize; 4],
    /// What text models are told about it.
    #[serde(flatten)]
    pub words: SubjectWords,
    /// Who allowed it, as given when it was learned. Later changes stand in `record.json`.
    pub consent: Consent,
    /// When and by what it was made.
    pub provenance: Provenance,
    /// Sizes of what was learned.
    pub metrics: Metrics,
    /// PNG with the matte as alpha, at most 128 pixels a side, base64.
    pub thumbnail_png: String,
    /// Size of `subject.safetensors`.
    pub tensors_bytes: u64,
    /// SHA-256 of `subject.safetensors`.
    pub tensors_sha256: String,
}

/// The picture a subject was learned from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// SHA-256 of its size, format and samples.
    pub sha256: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

/// When and by what a version was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// UTC (RFC 3339).
    pub created: String,
    /// Tool and version.
    pub tool: String,
    /// SHA-256 of the learn request; empty if it was saved without one.
    pub request_sha256: String,
    /// UTC; set when this version came from an export of another library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<String>,
}

/// Sizes of what was learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Pixels of the crop.
    pub pixels: u64,
    /// Pixels with a matte above 0.
    pub covered: u64,
    /// Of the mesh.
    pub triangles: u64,
    /// Of the prior.
    pub patches: u64,
}

/// The name and version of this plugin.
pub fn tool() -> String {
    format!("Repose {}", env!("CARGO_PKG_VERSION"))
}

impl Card {
    /// The card of a subject that was just learned and written; `version` is not known yet and is 0.
    pub fn new(
        subject: &Subject,
        consent: &Consent,
        request: &str,
        tensors: &Written,
    ) -> Result<Self> {
        let text = subject.text.as_ref().map(|text| &text.facts);
        let engine = text.map_or("patch", |_| "stable-diffusion");
        Ok(Self {
            schema: SCHEMA,
            name: subject.name.clone(),
            version: 0,
            recipe: text.map_or("patch", |text| &text.recipe).into(),
            engine: engine.into(),
            base_model_sha256: text.map(|text| text.model_sha256.clone()),
            text: text.cloned(),
            source: Source {
                sha256: subject.source_hash.clone(),
                width: subject.source_size[0],
                height: subject.source_size[1],
            },
            rect: [
                subject.rect.x,
                subject.rect.y,
                subject.rect.width,
                subject.rect.height,
            ],
            words: subject.words.clone(),
            consent: consent.clone(),
            provenance: Provenance {
                created: disk::now(),
                tool: tool(),
                request_sha256: request.to_owned(),
                imported: None,
            },
            metrics: Metrics {
                pixels: subject.matte.data().len() as u64,
                covered: subject.matte.data().iter().filter(|&&v| v > 0.0).count() as u64,
                triangles: subject.mesh.triangles.len() as u64,
                patches: subject.prior.centres.len() as u64,
            },
            thumbnail_png: thumbnail::base64_png(subject)?,
            tensors_bytes: tensors.bytes,
            tensors_sha256: tensors.sha256.clone(),
        })
    }

    /// Reads the card in a version's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        disk::read_sealed(&folder.join(CARD), MAX_CARD)
    }

    /// Writes the card into a version's folder, which has none yet.
    pub fn write(&self, folder: &Path) -> Result<()> {
        disk::write_new(&folder.join(CARD), &disk::sealed(self)?)
    }
}
