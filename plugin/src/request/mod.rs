//! What a host asks for: owned and checked once, so that nothing behind it meets a null, a stride or a wrong size.

mod check;
mod pixels;
mod saved;
mod training;
mod words;

pub use check::FURTHEST;
pub use pixels::{Pixels, Samples};
pub use training::Training;
pub use words::Words;

use crate::canvas::{Raster, Selection};
use crate::subject::Consent;
use serde::{Deserialize, Serialize};

/// One piece of work for a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Learn a subject from a selection.
    Learn(Learn),
    /// Re-pose a subject.
    Repose(Repose),
    /// Remove what is selected and restore the background.
    Erase(Erase),
}

impl Request {
    /// The picture to work on.
    pub fn picture(&self) -> &Raster {
        match self {
            Self::Learn(r) => &r.picture,
            Self::Repose(r) => &r.picture,
            Self::Erase(r) => &r.picture,
        }
    }
}

/// Learn what is selected under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Learn {
    /// The picture.
    pub picture: Raster,
    /// What to learn; may be rough.
    pub selection: Selection,
    /// The subject's name in the library: 1 to 80 characters, no control characters, no `/` or `\`.
    pub name: String,
    /// Who allowed it.
    pub consent: Consent,
    /// When to refine the selection's edge to a matte.
    pub refine: Refine,
    /// What the picture shows, for text models.
    pub caption: Option<String>,
    /// What the subject is, such as `teddy bear`; `None`: its name.
    pub word: Option<String>,
    /// How a text model learns the subject as well; `None`: none does.
    pub training: Option<Training>,
}

/// When a selection's edge is refined to a matte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u32)]
pub enum Refine {
    /// Refine hard-edged selections, keep soft ones as they are.
    #[default]
    Auto = 0,
    /// Always refine.
    Always = 1,
    /// Never refine: the selection is the matte.
    Never = 2,
}

/// Give a subject a new pose.
#[derive(Debug, Clone, PartialEq)]
pub struct Repose {
    /// The picture to change.
    pub picture: Raster,
    /// Where the subject is in this picture now. `None`: it is not there yet and is placed from the library.
    pub selection: Option<Selection>,
    /// The subject's name in the library.
    pub subject: String,
    /// Its version; `None` for the newest.
    pub version: Option<u32>,
    /// Points that move, points that stay.
    pub pins: Vec<Pin>,
    /// A rough edit painted by the user, same size as the picture; where its alpha is 0 nothing is asked.
    pub guide: Option<Raster>,
    /// Move, scale and rotate the whole subject.
    pub placement: Placement,
    /// A pose in words: asks for a text model.
    pub prompt: Option<String>,
    /// A text model makes the pose, also without a prompt of its own: then the subject's caption is the prompt.
    pub words: Option<Box<Words>>,
    /// How many results to make, 1 to 16, each from its own seed.
    pub candidates: u32,
    /// Same request and seed give the same pixels.
    pub seed: u64,
    /// The selection is grown by this many pixels first, 0 to 256.
    pub grow: u32,
    /// When to refine the selection's edge to a matte.
    pub refine: Refine,
}

/// One point of a pose, in picture pixels (0, 0 is the outer corner of the top left pixel).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    /// Where the point of the subject is now.
    pub from: [f32; 2],
    /// Where it goes.
    pub to: [f32; 2],
    /// Rotation of the subject at this point, in degrees, clockwise on screen; `None` leaves it free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub angle: Option<f32>,
    /// Where parts overlap, the larger depth is in front.
    #[serde(default)]
    pub depth: f32,
}

/// Moves the whole subject, about the centre of its silhouette.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// Moves by this many pixels, right and down.
    pub offset: [f32; 2],
    /// Factor of size, 0.05 to 20.
    pub scale: f32,
    /// Degrees, clockwise on screen.
    pub angle: f32,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            offset: [0.0, 0.0],
            scale: 1.0,
            angle: 0.0,
        }
    }
}

/// Remove what is selected.
#[derive(Debug, Clone, PartialEq)]
pub struct Erase {
    /// The picture.
    pub picture: Raster,
    /// What to remove; soft values fade.
    pub selection: Selection,
    /// How many results to make, 1 to 16.
    pub candidates: u32,
    /// Same request and seed give the same pixels.
    pub seed: u64,
    /// The selection is grown by this many pixels first, 0 to 256.
    pub grow: u32,
}
