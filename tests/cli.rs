//! The command line, run as its users run it: real files in, real files out.
#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]
#![allow(
    dead_code,
    unused_imports,
    reason = "the program's modules at the end are here for their unit tests alone"
)]

mod cli {
    pub mod bad_files;
    pub mod bad_input;
    pub mod batch;
    #[cfg(target_os = "linux")]
    pub mod doctor;
    pub mod exif;
    pub mod hostile;
    pub mod hub;
    pub mod kinds;
    pub mod models;
    pub mod results;
    pub mod tool;
}

// Cargo runs the unit tests of an example only if it is told not to build its program, which the tests above need.
#[path = "../examples/repose/failure.rs"]
mod failure;
#[path = "../examples/repose/flatten.rs"]
mod flatten;
#[path = "../examples/repose/io/mod.rs"]
mod io;
#[path = "../examples/repose/picture.rs"]
mod picture;
#[path = "../examples/repose/pins.rs"]
mod pins;
#[path = "../examples/repose/select.rs"]
mod select;
#[path = "../examples/repose/shrink.rs"]
mod shrink;
