//! What a diffusion network computes most, as custom operations for the CPU.
//!
//! Every function here works on any device and any float type; on the CPU in `f32` it takes the fast path, elsewhere
//! candle's own operations. Each has a gradient for its activations. Weights are [`Frozen`]: they live inside the
//! operation, so candle's backward pass neither computes nor keeps anything for them.

mod frozen;

pub use frozen::{Bytes, Frozen, Values};
