//! The plug-ins inside the real editors: GIMP 2.10, GIMP 3.0, Krita 5.1, Krita 5.2, as `.ci/hosts` installs them.
//!
//! An editor that is not installed is a reason to skip its tests on a developer's machine, and a failure in CI.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod editor;
mod gimp;
mod krita;
mod layers;
mod packages;
#[path = "../support/tiny.rs"]
mod tiny;
mod together;
