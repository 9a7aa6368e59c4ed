//! Repose beside diffusers: everything that a folder made by `make.py` can be compared with.

pub mod adapters;
pub mod golden;
pub mod gradients;
pub mod model;
pub mod networks;
pub mod pipelines;
pub mod subjects;

pub use golden::{Goldens, Outcome, Result};
pub use model::{Layout, Model};
