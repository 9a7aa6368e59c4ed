//! Stable Diffusion 1.x, 2.x and XL, and their inpainting variants, equal in their numbers to diffusers.
//!
//! [`weights`] are the named weights of a checkpoint, stored once; everything else is built from them. Modules and weights
//! carry diffusers' state-dict names.

mod cache;
pub mod clip;
pub mod config;
pub mod frame;
mod merge;
pub mod model;
pub mod nn;
mod pace;
pub mod sampler;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod unet;
pub mod vae;
pub mod weights;

pub use cache::{Cache, Taught};
pub use pace::Pace;
