//! Accidents: what hosts do wrong, or at bad moments, through the contract only. Every test is named after its accident.
//!
//! Whoever calls through the table directly does so on purpose wrongly; a crash of the plugin would end this process, and
//! with it all tests here, which is why `cargo test` runs this folder as a process of its own.
#![allow(unsafe_code, reason = "wrong calls need the bare table")]
#![allow(
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]

mod bare;
mod calls;
mod loading;
mod moments;
mod numbers;
mod pictures;
#[path = "../support/mod.rs"]
mod support;
