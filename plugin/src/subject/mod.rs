//! What was learned, where it is kept, and who allowed it.

mod archive;
mod attach;
mod card;
pub mod command;
mod consent;
#[cfg(test)]
mod crash_tests;
pub(crate) mod disk;
pub mod file;
mod index;
mod interchange;
mod library;
mod log;
mod manage;
mod name;
pub mod provenance;
mod record;
#[cfg(test)]
mod testing;
mod text_part;
mod thumbnail;
mod verify;
mod words;

pub use consent::Consent;
pub(crate) use disk::{hex, read_bounded};
#[cfg(test)]
pub(crate) use interchange::Part;
pub use library::Library;
pub use log::{Action, Row};
pub use text_part::{TextFacts, TextPart};
pub use verify::{Problem, Report};
pub use words::{SubjectWords, marked, places, stands, unmarked};

use crate::canvas::{Image, Mask, Raster, Rect};
use serde::{Deserialize, Serialize};

/// Triangles over a silhouette, in pixels of the subject's crop.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mesh {
    /// Corners.
    pub vertices: Vec<[f32; 2]>,
    /// Three indices into `vertices` each.
    pub triangles: Vec<[u32; 3]>,
}

/// The patches a subject is made of: what the patch engine may grow it from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prior {
    /// Patch side in pixels, odd.
    pub patch: u32,
    /// Centres (x, y) of the patches that lie wholly on the subject, in pixels of the subject's crop.
    pub centres: Vec<[u32; 2]>,
}

/// A learned subject, as the engine uses it. All grids have the size of the crop.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its name in the library.
    pub name: String,
    /// Where the crop lay in the source picture.
    pub rect: Rect,
    /// Size of the source picture.
    pub source_size: [u32; 2],
    /// SHA-256 of the source picture's size, format and samples, in hex.
    pub source_hash: String,
    /// The crop in the document's own format: every pixel at full precision.
    pub raster: Raster,
    /// Coverage of the subject.
    pub matte: Mask,
    /// Colours of the subject alone, background light removed at the edge, in the working space.
    pub colours: Image,
    /// Mesh over the silhouette.
    pub mesh: Mesh,
    /// Its patches.
    pub prior: Prior,
    /// What text models are told about it.
    pub words: SubjectWords,
    /// What a text model learned of it.
    pub text: Option<TextPart>,
}

/// Names one version of a subject in a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectRef {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
}
