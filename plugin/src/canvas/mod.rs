//! Pixels: documents in the host's format, pictures in the working space, and the way between them.

mod grid;
mod layer;
mod raster;

pub use grid::{Grid, Image, Mask, Rect, fit};
pub use layer::{Layer, Role};
pub use raster::{Channels, Depth, MAX_PIXELS, Raster, Selection, SelectionDepth, Space};
