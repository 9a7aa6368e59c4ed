//! From latents to pictures.

use candle_core::Tensor;

use super::mid::{EPS, Mid};
use crate::engine::stable_diffusion::config::VaeConfig;
use crate::engine::stable_diffusion::nn::{Conv2d, GroupNorm, Resnet};
use crate::engine::stable_diffusion::weights::Weights;
use crate::{Result, kernels};

/// Levels of residual blocks, each but the last ending in a doubling of the size and a convolution.
#[derive(Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    mid: Mid,
    levels: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    pub(super) fn new(config: &VaeConfig, weights: &Weights) -> Result<Self> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let groups = config.norm_num_groups;
        let mut inputs = last;
        let mut levels = Vec::new();
        for (i, &outputs) in channels.iter().rev().enumerate() {
            let level = weights.at("up_blocks").at(i);
            let mut resnets = Vec::new();
            for j in 0..=config.layers_per_block {
                let weights = level.at("resnets").at(j);
                resnets.push(Resnet::new(&weights, (inputs, outputs), None, groups, EPS)?);
                inputs = outputs;
            }
            let larger = match i + 1 < channels.len() {
                true => Some(Conv2d::same(
                    &level.at("upsamplers.0.conv"),
                    outputs,
                    outputs,
                )?),
                false => None,
            };
            levels.push((resnets, larger));
        }
        Ok(Self {
            conv_in: Conv2d::same(&weights.at("conv_in"), config.latent_channels, last)?,
            mid: Mid::new(config, &weights.at("mid_block"), last)?,
            levels,
            norm_out: GroupNorm::new(&weights.at("conv_norm_out"), first, groups, EPS)?,
            conv_out: Conv2d::same(&weights.at("conv_out"), first, config.out_channels)?,
        })
    }

    pub(super) fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let mut x = self.mid.forward(&self.conv_in.forward(latents)?)?;
        for (resnets, larger) in &self.levels {
            for resnet in resnets {
                x = resnet.forward(&x, None)?;
            }
            if let Some(larger) = larger {
                x = kernels::upsample_nearest_2x(&x)?;
                x = larger.forward(&x)?;
            }
        }
        x = self.norm_out.forward_silu(&x)?;
        self.conv_out.forward(&x)
    }
}
