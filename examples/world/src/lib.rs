//! Toys in procedural photographs: any subject in any pose, at any place, from any side, with its matte, its joints and a
//! caption. Everything follows from seeds, the same on every machine.
//!
//! [`Subject`] × [`Action`](words::Action) × [`View`](words::View) × [`Place`](words::Place) → [`Shot`] → [`render()`].

mod body;
mod paint;
pub mod pose;
pub mod random;
mod render;
mod scene;
mod shape;
mod shot;
mod skeleton;
mod subject;
#[cfg(test)]
mod tests;
pub mod words;

pub use render::{Picture, render, render_empty};
pub use scene::Scene;
pub use shot::{Shot, Style};
pub use skeleton::JOINTS;
pub use subject::{Build, Split, Subject};
