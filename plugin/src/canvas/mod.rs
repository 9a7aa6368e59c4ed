//! Pixels: documents in the host's format, pictures in the working space, and the way between them.
//!
//! A [`Canvas`] gives any rectangle of a document as a working [`Image`] and makes a [`Layer`] of a result. The law it
//! keeps: where a layer's mask is exactly 0, [`flatten`] returns the document's own bytes.

mod blur;
mod colour;
mod composite;
mod context;
mod curve;
mod document;
mod grid;
mod invert;
mod layer;
mod morphology;
mod raster;
mod samples;
mod selection;
mod tables;

#[cfg(test)]
mod tests;

pub use blur::{Samples, gaussian_blur};
pub use colour::ColourTransform;
pub use composite::flatten;
pub use context::context;
pub use document::Canvas;
pub use grid::{Grid, Image, Mask, Rect, fit};
pub use layer::{Layer, Role};
pub use morphology::{erode, grow};
pub use raster::{Channels, Depth, MAX_PIXELS, Raster, Selection, SelectionDepth, Space};
pub use selection::{mask_from_bytes, mask_to_bytes, quantise};
