//! The layers that all networks here are made of.

mod adapter;
mod checkpoint;
mod conv;
mod linear;
mod norm;
mod resnet;
mod scores;

pub use adapter::{Adapter, Slot, put};
pub use checkpoint::{Checkpoint, checkpoint};
pub use conv::Conv2d;
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm};
pub use resnet::Resnet;
pub use scores::{Scores, scores};
