//! Stable Diffusion 1.x, 2.x and XL, and their inpainting variants, equal in their numbers to diffusers.
//!
//! [`weights`] are the named weights of a checkpoint, stored once; everything else is built from them. Modules and weights
//! carry diffusers' state-dict names.

pub mod config;
pub mod nn;
pub mod sampler;
pub mod text;
pub mod weights;
