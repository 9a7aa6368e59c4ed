//! Repose: learn a subject from a selection, re-pose it in any picture, and leave every other pixel alone.
//!
//! The life of a job, in the order of the modules:
//!
//! 1. [`export`]: a host calls through the C table or the `abi_stable` root module; pixels are copied in.
//! 2. [`request`]: the call becomes an owned, checked [`Request`](request::Request) that can be saved and replayed.
//! 3. [`job`]: the request waits in the engine's queue; on the background thread, [`work`] does what it asks.
//! 4. [`canvas`]: the context around the selection is cropped and converted to the working colour space.
//! 5. [`learn`], [`repose`], [`erase`]: the work, done by an [`engine`], with [`subject`] as what is learned.
//! 6. [`canvas`] again: results become layers in the document's own format; the host polls and takes them.

pub mod canvas;
pub mod engine;
pub mod erase;
pub mod error;
pub mod export;
pub mod job;
pub mod kernels;
pub mod learn;
pub mod models;
pub mod outcome;
pub mod progress;
pub mod repose;
pub mod request;
pub mod subject;
pub mod work;

pub use error::{Error, ErrorKind, Result};
