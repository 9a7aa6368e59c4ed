//! A result: pixels and a mask to be put above the picture.

use super::{Mask, Raster, SelectionDepth};

/// What a layer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Role {
    /// The restored background; goes below the subject.
    Background = 1,
    /// The subject in its new pose.
    Subject = 2,
}

/// Pixels + mask + offset + name, in the document's own format.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Name for the host's layer list.
    pub name: String,
    /// Which candidate it belongs to, from 0. Layers of one candidate go together, in the order given, bottom first.
    pub candidate: u32,
    /// What it shows.
    pub role: Role,
    /// Left edge in the picture.
    pub x: u32,
    /// Top edge in the picture.
    pub y: u32,
    /// Pixels, in exactly the format of the picture. Where `mask` is 0 they are the picture's own bytes.
    pub raster: Raster,
    /// Coverage, same size as `raster`; every value is exactly representable in `mask_depth`.
    pub mask: Mask,
    /// The format the mask goes back in.
    pub mask_depth: SelectionDepth,
}
