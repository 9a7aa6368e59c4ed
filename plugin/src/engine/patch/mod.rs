//! The embedded engine: closed-form patch diffusion, no weights.
//!
//! [`fill`](fill::fill) is the way in; [`level`] holds the scales, `scale` what is done on each, [`field`] the search, `copies` the pieces, [`blend`] the seams.

pub mod blend;
mod copies;
pub mod field;
pub mod fill;
pub mod level;
mod scale;

#[cfg(test)]
mod tests;
