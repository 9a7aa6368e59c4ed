//! The command line, run as its users run it: real files in, real files out.
#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod cli {
    pub mod bad_input;
    pub mod batch;
    pub mod results;
    pub mod tool;
}
