//! The safe way for a Rust host: [`Plugin`] → [`Engine`] → [`Job`] → [`Layer`].
//!
//! This module and its children are the only ones here that call through the table.

mod engine;
mod job;
mod types;

pub use engine::{Engine, Options, Plugin};
pub use job::Job;
pub use types::{
    Channels, Depth, EraseRequest, Layer, LearnRequest, Picture, Pin, Precision, Preview, Refine,
    ReposeRequest, Role, SelectionRef, Space, State, Status, TextOptions, Training,
};
