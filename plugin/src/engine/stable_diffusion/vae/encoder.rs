//! From pictures to latents.

use candle_core::Tensor;

use super::mid::{EPS, Mid};
use crate::Result;
use crate::engine::stable_diffusion::config::VaeConfig;
use crate::engine::stable_diffusion::nn::{Conv2d, GroupNorm, Resnet};
use crate::engine::stable_diffusion::weights::Weights;

/// Levels of residual blocks, each but the last ending in a convolution that halves the size.
#[derive(Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    levels: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    mid: Mid,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    pub(super) fn new(config: &VaeConfig, weights: &Weights) -> Result<Self> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let groups = config.norm_num_groups;
        let mut inputs = first;
        let mut levels = Vec::new();
        for (i, &outputs) in channels.iter().enumerate() {
            let level = weights.at("down_blocks").at(i);
            let mut resnets = Vec::new();
            for j in 0..config.layers_per_block {
                let weights = level.at("resnets").at(j);
                resnets.push(Resnet::new(&weights, (inputs, outputs), None, groups, EPS)?);
                inputs = outputs;
            }
            let smaller = match i + 1 < channels.len() {
                true => {
                    let weights = level.at("downsamplers.0.conv");
                    Some(Conv2d::new(&weights, (outputs, outputs), 3, 2, 0)?)
                }
                false => None,
            };
            levels.push((resnets, smaller));
        }
        let moments = 2 * config.latent_channels;
        Ok(Self {
            conv_in: Conv2d::same(&weights.at("conv_in"), config.in_channels, first)?,
            levels,
            mid: Mid::new(config, &weights.at("mid_block"), last)?,
            norm_out: GroupNorm::new(&weights.at("conv_norm_out"), last, groups, EPS)?,
            conv_out: Conv2d::same(&weights.at("conv_out"), last, moments)?,
        })
    }

    pub(super) fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut x = self.conv_in.forward(pictures)?;
        for (resnets, smaller) in &self.levels {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
            }
            if let Some(smaller) = smaller {
                // Zeros on the right and below alone, as the networks were trained.
                x = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
                x = smaller.forward(&x)?;
            }
        }
        x = self.mid.forward(&x)?;
        self.conv_out.forward(&self.norm_out.forward_silu(&x)?)
    }
}
