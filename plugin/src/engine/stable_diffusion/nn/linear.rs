//! Projections of the last dimension.

use candle_core::Tensor;

use super::adapter::{Adapter, Slot, adapters};
use crate::engine::stable_diffusion::weights::Weights;
use crate::kernels::{self, Frozen};
use crate::{Error, Result};

/// y = W x + b + Σ scale · up(down(x)), over the last dimension.
#[derive(Debug)]
pub struct Linear {
    weight: Frozen,
    bias: Option<Tensor>,
    slot: Slot,
}

impl Linear {
    /// The projection of `inputs` to `outputs` channels that `weights` point to. A weight stored as a 1×1 convolution is the
    /// same projection, and is taken.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(weights: &Weights, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let shape = [outputs, inputs];
        let weight = match weights.get("weight", &shape) {
            Ok(weight) => weight,
            Err(error) => match weights.get("weight", &[outputs, inputs, 1, 1]) {
                Ok(weight) => weight.reshaped(&shape)?,
                Err(_) => return Err(error),
            },
        };
        let bias = match bias {
            true => Some(weights.tensor("bias", &[outputs])?),
            false => None,
        };
        Ok(Self {
            weight,
            bias,
            slot: weights.slot(),
        })
    }

    /// Projects `[.., inputs]` to `[.., outputs]`.
    ///
    /// # Errors
    /// `Caller` if an adapter does not fit; else if the device fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref();
        Ok(match self.change()? {
            Some((down, up)) => kernels::linear_low_rank(x, &self.weight, bias, &down, &up)?,
            None => kernels::linear(x, &self.weight, bias)?,
        })
    }

    /// The slot for adapters of this projection.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    /// All adapters as one: `[ranks, inputs]` and `[outputs, ranks]`.
    fn change(&self) -> Result<Option<(Tensor, Tensor)>> {
        let (outputs, inputs) = (self.weight.shape()[0], self.weight.shape()[1]);
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        for adapter in adapters(&self.slot) {
            let (down, up) = matrices(&adapter, outputs, inputs)?;
            downs.push(down);
            ups.push((up * adapter.scale)?);
        }
        Ok(match downs.len() {
            0 => None,
            1 => downs.pop().zip(ups.pop()),
            _ => Some((Tensor::cat(&downs, 0)?, Tensor::cat(&ups, 1)?)),
        })
    }
}

/// An adapter as matrices `[rank, inputs]` and `[outputs, rank]`, if it is one of such a projection.
pub(super) fn matrices(
    adapter: &Adapter,
    outputs: usize,
    inputs: usize,
) -> Result<(Tensor, Tensor)> {
    let (down, up) = (&adapter.down, &adapter.up);
    let rank = down.dims().first().copied().unwrap_or(0);
    let fits =
        |t: &Tensor, shape: [usize; 2]| t.dims() == shape || t.dims() == [shape[0], shape[1], 1, 1];
    if rank == 0 || !fits(down, [rank, inputs]) || !fits(up, [outputs, rank]) {
        return Err(misfit(adapter, outputs, inputs));
    }
    Ok((down.reshape((rank, inputs))?, up.reshape((outputs, rank))?))
}

/// The error for an adapter of another projection.
pub(super) fn misfit(adapter: &Adapter, outputs: usize, inputs: usize) -> Error {
    Error::caller(format!(
        "an adapter of shapes {:?} and {:?} on a projection of {inputs} inputs and {outputs} outputs: it belongs to another model",
        adapter.down.dims(),
        adapter.up.dims()
    ))
}
