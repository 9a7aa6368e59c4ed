//! The training loop that every recipe for text models shares: a loss, the gradients of what is learned, a step; with cancel,
//! progress, and a state on disk from which it goes on after a crash.
//!
//! [`Parts`] are what is learned; [`Plan::run`] steps them along the gradients of a loss that the recipe computes.

mod adamw;
mod loss;
mod net;
mod parts;
mod run;
mod scale;
mod state;
#[cfg(test)]
mod tests;

pub use adamw::AdamW;
pub use loss::{Weighting, masked};
pub use net::Net;
pub use parts::Parts;
pub use run::{Losses, Plan, Step, Told};
