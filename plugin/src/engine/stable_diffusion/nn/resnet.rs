//! The residual block of U-Nets and autoencoders.

use candle_core::Tensor;

use super::{Conv2d, GroupNorm, Linear, Slot};
use crate::engine::stable_diffusion::weights::Weights;
use crate::{Result, kernels};

/// Two normed convolutions, between which the time embedding is added, beside a shortcut: diffusers' `ResnetBlock2D`.
#[derive(Debug)]
pub struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Resnet {
    /// The block of `inputs` to `outputs` channels that `weights` point to; `time` is the width of time embeddings, where
    /// it sees them.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(
        weights: &Weights,
        (inputs, outputs): (usize, usize),
        time: Option<usize>,
        groups: usize,
        eps: f64,
    ) -> Result<Self> {
        let time = match time {
            Some(width) => Some(Linear::new(
                &weights.at("time_emb_proj"),
                width,
                outputs,
                true,
            )?),
            None => None,
        };
        let shortcut = match inputs == outputs {
            true => None,
            false => Some(Conv2d::pointwise(
                &weights.at("conv_shortcut"),
                inputs,
                outputs,
            )?),
        };
        Ok(Self {
            norm1: GroupNorm::new(&weights.at("norm1"), inputs, groups, eps)?,
            conv1: Conv2d::same(&weights.at("conv1"), inputs, outputs)?,
            time,
            norm2: GroupNorm::new(&weights.at("norm2"), outputs, groups, eps)?,
            conv2: Conv2d::same(&weights.at("conv2"), outputs, outputs)?,
            shortcut,
        })
    }

    /// `[batch, inputs, height, width]` to `[batch, outputs, height, width]`. `time` is `[batch, width]`, after its
    /// activation.
    ///
    /// # Errors
    /// If an adapter does not fit, or the device fails.
    pub fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let mut y = self.conv1.forward(&self.norm1.forward_silu(x)?)?;
        if let (Some(projection), Some(time)) = (&self.time, time) {
            y = kernels::add_channels(&y, &projection.forward(time)?)?;
        }
        y = self.norm2.forward_silu(&y)?;
        y = self.conv2.forward(&y)?;
        Ok(match &self.shortcut {
            Some(shortcut) => kernels::add(&shortcut.forward(x)?, &y)?,
            None => kernels::add(x, &y)?,
        })
    }

    /// The slots of its projections.
    pub fn slots(&self) -> Vec<Slot> {
        let convs = [Some(&self.conv1), Some(&self.conv2), self.shortcut.as_ref()];
        let mut slots: Vec<Slot> = convs
            .into_iter()
            .flatten()
            .map(|c| c.slot().clone())
            .collect();
        slots.extend(self.time.iter().map(|time| time.slot().clone()));
        slots
    }
}
