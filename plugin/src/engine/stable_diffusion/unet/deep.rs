//! Deep features, kept from step to step: DeepCache (Ma, Fang, Wang, arXiv 2312.00858).
//!
//! From one step of a run to the next a U-Net's coarse features hardly change. A fine pass takes them from the last whole
//! pass, and computes the rest: the first [`FINE`] steps of the finest level on the way down, and the last ones of the way
//! up that are given their outputs and the first convolution's.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use super::{Controls, Input, Layer};

/// Steps of the finest level that fine passes compute on the way down: the paper's shallowest branch. On the way up it is
/// one more.
pub(super) const FINE: usize = 1;

/// What a pass does with deep features.
#[derive(Debug, Clone)]
pub enum Deep {
    /// A whole pass, which keeps them.
    Keep(DeepMemory),
    /// A fine pass, which takes them. It is a whole one that keeps them where there are none of latents of the same shape,
    /// where attentions are read or fed that a fine pass does not compute (see [`Layer::fine`]), and where gradients are
    /// wanted.
    Take(DeepMemory),
}

/// The deep features of a run's last whole pass. For one kind of pass: one U-Net, one set of adapters, one text, and latents
/// that change little from pass to pass. Passes with gradients leave it as it is.
#[derive(Debug, Clone, Default)]
pub struct DeepMemory(Arc<Mutex<Option<Kept>>>);

#[derive(Debug)]
struct Kept {
    /// Shape of the latents.
    latents: Vec<usize>,
    /// What the first of a fine pass's steps on the way up is given.
    features: Tensor,
}

impl Deep {
    /// The features for this pass, where it can be a fine one.
    pub(super) fn taken(
        &self,
        input: &Input<'_>,
        controls: &Controls,
        layers: &[Layer],
    ) -> Option<Tensor> {
        let Self::Take(memory) = self else {
            return None;
        };
        let tracked = input.latents.track_op() || input.context.track_op();
        let named = |layer: &Layer| controls.touch(&layer.name);
        if tracked || controls.checkpoint || layers.iter().any(|l| !l.fine && named(l)) {
            return None;
        }
        let kept = memory.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|kept| kept.latents == input.latents.dims())
            .map(|kept| kept.features.clone())
    }

    /// Keeps those of a whole pass.
    pub(super) fn keep(&self, input: &Input<'_>, features: &Tensor) {
        if features.track_op() {
            return;
        }
        let (Self::Keep(memory) | Self::Take(memory)) = self;
        let kept = Kept {
            latents: input.latents.dims().to_vec(),
            features: features.clone(),
        };
        *memory.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}
