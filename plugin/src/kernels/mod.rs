//! What a diffusion network computes most, as custom operations for the CPU.
//!
//! Every function here works on any device and any float type; on the CPU in `f32` it takes the fast path, elsewhere
//! candle's own operations (`reference`, and `gpu` where these are slow on GPUs). Each has a gradient for its activations.
//! Weights are [`Frozen`]: they live inside the operation, so candle's backward pass neither computes nor keeps anything
//! for them. Biases and the factors of norms are tensors, and get no gradient either.

mod activation;
mod attention;
mod bf16;
mod conv;
mod frozen;
mod gpu;
mod known;
mod layout;
mod linear;
mod low_rank;
mod matrix;
mod norm;
mod op;
mod patches;
mod path;
mod product;
pub mod reference;
mod scratch;
mod sum;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upsample;
mod vector;
mod weight;
mod winograd;

pub use activation::{geglu, gelu_erf, quick_gelu, silu};
pub use attention::attention;
pub use bf16::{Instructions, Precision};
pub use conv::conv2d;
pub use frozen::{Bytes, Frozen, Source, Values};
pub use known::Known;
pub use layout::{join, merge_heads, split_heads, transpose};
pub use linear::linear;
pub use low_rank::linear_low_rank;
pub use norm::{group_norm, layer_norm};
pub use sum::{add, add_channels};
pub use upsample::upsample_nearest_2x;
