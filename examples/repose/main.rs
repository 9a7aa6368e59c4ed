//! `repose`: the command line.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod failure;
mod flatten;
mod io;
mod picture;
mod pins;
mod select;
mod shrink;

fn main() {}
