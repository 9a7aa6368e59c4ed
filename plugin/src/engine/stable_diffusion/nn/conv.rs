//! Convolutions of pictures.

use candle_core::Tensor;

use super::adapter::{Adapter, Slot, adapters};
use super::linear::{matrices, misfit};
use crate::Result;
use crate::engine::stable_diffusion::weights::Weights;
use crate::kernels::{self, Frozen};

/// y = W ∗ x + b + Σ scale · up ∗ (down ∗ x), over `[batch, channels, height, width]`.
#[derive(Debug)]
pub struct Conv2d {
    weight: Frozen,
    bias: Option<Tensor>,
    stride: usize,
    padding: usize,
    slot: Slot,
}

impl Conv2d {
    /// A convolution with a square kernel of side `side`, with `padding` zeros around the picture.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(
        weights: &Weights,
        (inputs, outputs): (usize, usize),
        side: usize,
        stride: usize,
        padding: usize,
    ) -> Result<Self> {
        Ok(Self {
            weight: weights.get("weight", &[outputs, inputs, side, side])?,
            bias: Some(weights.tensor("bias", &[outputs])?),
            stride,
            padding,
            slot: weights.slot(),
        })
    }

    /// 3×3 with one zero around: the picture keeps its size.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn same(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        Self::new(weights, (inputs, outputs), 3, 1, 1)
    }

    /// 1×1.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn pointwise(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        Self::new(weights, (inputs, outputs), 1, 1, 0)
    }

    /// The same convolution without its bias, which its file does not have.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn same_without_bias(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            weight: weights.get("weight", &[outputs, inputs, 3, 3])?,
            bias: None,
            stride: 1,
            padding: 1,
            slot: weights.slot(),
        })
    }

    /// Convolves `[batch, inputs, height, width]`.
    ///
    /// # Errors
    /// `Caller` if an adapter does not fit; else if the device fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let bias = self.bias.as_ref();
        let mut y = kernels::conv2d(x, &self.weight, bias, self.stride, self.padding)?;
        for adapter in adapters(&self.slot) {
            y = kernels::add(&y, &self.change(&adapter, x)?)?;
        }
        Ok(y)
    }

    /// The slot for adapters of this convolution.
    pub fn slot(&self) -> &Slot {
        &self.slot
    }

    fn change(&self, adapter: &Adapter, x: &Tensor) -> Result<Tensor> {
        let &[outputs, inputs, height, width] = self.weight.shape() else {
            unreachable!("`new` asks for four dimensions");
        };
        let dtype = x.dtype();
        let low = if (height, width, self.stride, self.padding) == (1, 1, 1, 0) {
            let (down, _) = matrices(adapter, outputs, inputs)?;
            project(&down.to_dtype(dtype)?, x)?
        } else {
            let rank = adapter.down.dims().first().copied().unwrap_or(0);
            if rank == 0 || adapter.down.dims() != [rank, inputs, height, width] {
                return Err(misfit(adapter, outputs, inputs));
            }
            let down = adapter.down.to_dtype(dtype)?;
            x.conv2d(&down, self.padding, self.stride, 1, 1)?
        };
        let rank = low.dim(1)?;
        let up = &adapter.up;
        if up.dims() != [outputs, rank] && up.dims() != [outputs, rank, 1, 1] {
            return Err(misfit(adapter, outputs, inputs));
        }
        let up = up.reshape((outputs, rank))?.to_dtype(dtype)?;
        Ok((project(&up, &low)? * adapter.scale)?)
    }
}

/// A 1×1 convolution with a weight `[n, k]` that may get a gradient.
fn project(weight: &Tensor, x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    let columns = x.reshape((batch, channels, height * width))?;
    let y = weight.broadcast_matmul(&columns)?;
    Ok(y.reshape((batch, weight.dim(0)?, height, width))?)
}
