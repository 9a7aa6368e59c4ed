//! Small changes to a frozen projection that can be put on, weighed and trained.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::Tensor;

/// A low-rank change (LoRA, arXiv 2106.09685) of a linear or convolutional projection of `n` outputs and `k` inputs:
/// y = W x + scale · up(down(x)).
#[derive(Debug, Clone)]
pub struct Adapter {
    /// `[rank, k]`, or for a convolution `[rank, k, height, width]`: it has the projection's stride and padding.
    pub down: Tensor,
    /// `[n, rank]`, or for a convolution `[n, rank, 1, 1]`.
    pub up: Tensor,
    /// alpha / rank, times the weight that the user gives it.
    pub scale: f64,
}

/// Where adapters of one projection are put: shared between the projection, which applies them in this order, and the
/// network, which knows the projection by its module name.
pub type Slot = Arc<Mutex<Vec<Adapter>>>;

/// Puts one more adapter into a slot.
pub fn put(slot: &Slot, adapter: Adapter) {
    lock(slot).push(adapter);
}

/// The adapters that a slot holds now.
pub(in crate::engine::stable_diffusion) fn adapters(slot: &Slot) -> Vec<Adapter> {
    lock(slot).clone()
}

/// Poison is no danger here: a list of adapters is whole after every statement.
fn lock(slot: &Slot) -> MutexGuard<'_, Vec<Adapter>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
