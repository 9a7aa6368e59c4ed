#![doc = include_str!("../README.md")]

pub mod abi;
mod error;
mod host;
pub mod library;
pub mod root;

pub use error::{Error, ErrorKind};
pub use host::{
    Channels, Depth, Engine, EraseRequest, Job, Layer, LearnRequest, Options, Picture, Pin, Plugin,
    Precision, Preview, Refine, ReposeRequest, Role, SelectionRef, Space, State, Status,
    TextOptions, Training,
};
pub use library::LoadError;
