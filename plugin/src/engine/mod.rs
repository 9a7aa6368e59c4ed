//! Diffusion models behind one interface.

pub mod patch;
