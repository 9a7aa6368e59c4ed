//! Gradient checkpointing (arXiv 1604.06174): keep a block's inputs, and compute the block again in the backward pass.

use std::sync::{Arc, PoisonError};

use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, DType, Layout, MetalStorage, Shape, Tensor, Var,
};

use super::adapter::{Adapter, Slot, adapters};
use crate::Result;
use crate::kernels::Known;

/// A block that can be computed again: a function of one large input and some small ones, and of the adapters in slots.
pub trait Checkpoint: Send + Sync + 'static {
    /// Computes the block.
    ///
    /// # Errors
    /// As its layers.
    fn forward(&self, x: &Tensor, small: &[Tensor]) -> Result<Tensor>;

    /// The slots of the block's projections.
    fn slots(&self) -> Vec<Slot>;
}

/// `block.forward(x, small)`, keeping for the backward pass only `x` and a copy of what is small; the gradients of `x`, of
/// all in `small` and of the adapters are the same. Where nothing asks for a gradient, the plain result.
///
/// The block is computed again in the backward pass with the adapters that were in the slots now; while that happens, they
/// lie in the slots as copies.
///
/// # Errors
/// As the block, or if the device has no room.
pub fn checkpoint<B: Checkpoint>(block: &Arc<B>, x: &Tensor, small: &[Tensor]) -> Result<Tensor> {
    let y = block.forward(x, small)?;
    if !y.track_op() {
        return Ok(y);
    }
    let held: Vec<(Slot, Vec<Adapter>)> = block
        .slots()
        .into_iter()
        .map(|slot| {
            let adapters = adapters(&slot);
            (slot, adapters)
        })
        .filter(|(_, adapters)| !adapters.is_empty())
        .collect();
    let mut parts = small.to_vec();
    for (_, adapters) in &held {
        for adapter in adapters {
            parts.extend([adapter.down.clone(), adapter.up.clone()]);
        }
    }
    let wide = match x.dtype() {
        DType::F64 => DType::F64,
        _ => DType::F32,
    };
    let flat = parts
        .iter()
        .map(|part| part.to_dtype(wide)?.flatten_all())
        .collect::<candle_core::Result<Vec<_>>>()?;
    let packed = match flat.is_empty() {
        true => Tensor::zeros(1, wide, x.device())?,
        false => Tensor::cat(&flat, 0)?,
    };
    let again = Again {
        block: Arc::clone(block),
        known: Known::new(&y),
        small: small.len(),
        parts: parts
            .iter()
            .map(|part| (part.shape().clone(), part.dtype()))
            .collect(),
        held,
    };
    Ok(x.apply_op2(&packed, again)?)
}

struct Again<B> {
    block: Arc<B>,
    known: Known,
    /// How many of `parts` are inputs; the others are adapters.
    small: usize,
    parts: Vec<(Shape, DType)>,
    held: Vec<(Slot, Vec<Adapter>)>,
}

impl<B: Checkpoint> Again<B> {
    /// Leaves with the values that were packed.
    fn unpack(&self, packed: &Tensor) -> candle_core::Result<Vec<Var>> {
        let mut start = 0;
        let mut leaves = Vec::with_capacity(self.parts.len());
        for (shape, dtype) in &self.parts {
            let count = shape.elem_count();
            let part = packed.detach().narrow(0, start, count)?;
            let part = part.reshape(shape)?.to_dtype(*dtype)?;
            leaves.push(Var::from_tensor(&part.copy()?)?);
            start += count;
        }
        Ok(leaves)
    }
}

impl<B: Checkpoint> CustomOp2 for Again<B> {
    fn name(&self) -> &'static str {
        "checkpoint"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.known.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        self.known.cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> candle_core::Result<(MetalStorage, Shape)> {
        self.known.metal()
    }

    fn bwd(
        &self,
        x: &Tensor,
        packed: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let leaves = self.unpack(packed)?;
        let input = Var::from_tensor(&x.detach().copy()?)?;
        let small: Vec<Tensor> = leaves[..self.small]
            .iter()
            .map(|leaf| leaf.as_tensor().clone())
            .collect();
        let swapped = Swapped::new(&self.held, &leaves[self.small..]);
        let y = self
            .block
            .forward(input.as_tensor(), &small)
            .map_err(|e| candle_core::Error::Msg(e.message))?;
        drop(swapped);
        let grads = (y * grad)?.sum_all()?.backward()?;
        let of = |leaf: &Var| match grads.get(leaf.as_tensor()) {
            Some(grad) => Ok(grad.clone()),
            None => leaf.as_tensor().zeros_like(),
        };
        let flat = leaves
            .iter()
            .map(|leaf| of(leaf)?.to_dtype(packed.dtype())?.flatten_all())
            .collect::<candle_core::Result<Vec<_>>>()?;
        let packed = match flat.is_empty() {
            true => packed.zeros_like()?,
            false => Tensor::cat(&flat, 0)?,
        };
        Ok((Some(of(&input)?), Some(packed)))
    }
}

/// Slots that hold other adapters until this is dropped.
struct Swapped(Vec<(Slot, Vec<Adapter>)>);

impl Swapped {
    /// Puts leaves (down, up, down, up…) in the places of the adapters that were held.
    fn new(held: &[(Slot, Vec<Adapter>)], leaves: &[Var]) -> Self {
        let mut leaves = leaves.iter().map(|leaf| leaf.as_tensor().clone());
        let mut before = Vec::new();
        for (slot, adapters) in held {
            let copies = adapters
                .iter()
                .filter_map(|adapter| {
                    Some(Adapter {
                        down: leaves.next()?,
                        up: leaves.next()?,
                        scale: adapter.scale,
                    })
                })
                .collect();
            before.push((Arc::clone(slot), put(slot, copies)));
        }
        Self(before)
    }
}

impl Drop for Swapped {
    fn drop(&mut self) {
        for (slot, adapters) in self.0.drain(..) {
            put(&slot, adapters);
        }
    }
}

fn put(slot: &Slot, adapters: Vec<Adapter>) -> Vec<Adapter> {
    let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut held, adapters)
}
