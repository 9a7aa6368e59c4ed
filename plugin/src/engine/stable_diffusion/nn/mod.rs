//! The layers that all networks here are made of.

mod adapter;

pub use adapter::{Adapter, Slot};
