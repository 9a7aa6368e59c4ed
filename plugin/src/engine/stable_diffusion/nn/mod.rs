//! The layers that all networks here are made of.

mod adapter;
mod checkpoint;
mod conv;
mod heads;
mod linear;
mod norm;
mod resnet;

pub use adapter::{Adapter, Slot};
pub use checkpoint::{Checkpoint, checkpoint};
pub use conv::Conv2d;
pub use heads::{Scores, scores};
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};
pub use resnet::Resnet;
