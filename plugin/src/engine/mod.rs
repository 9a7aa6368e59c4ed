//! Diffusion models behind one interface.

pub mod patch;
pub mod stable_diffusion;
