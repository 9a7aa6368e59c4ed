//! Laws of U-Nets, on one of a few channels. Their numbers are compared with diffusers' in the suite `parity`.

mod adapters;
mod controls;
mod deep;
mod gradients;
mod shapes;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::*;
use crate::engine::stable_diffusion::config::PerLevel;
use crate::engine::stable_diffusion::testing::{invent, random};
use crate::kernels::Frozen;

/// Two levels, both with transformers, convolutions as projections.
fn plain() -> UNetConfig {
    UNetConfig {
        block_out_channels: vec![8, 16],
        down_block_types: vec![DownBlock::CrossAttention; 2],
        up_block_types: vec![UpBlock::CrossAttention; 2],
        layers_per_block: PerLevel::All(1),
        cross_attention_dim: 12,
        attention_head_dim: PerLevel::Each(vec![2, 4]),
        norm_num_groups: 4,
        ..UNetConfig::default()
    }
}

/// The same as SDXL's are: added conditioning, linear projections, no transformers at the first level.
fn extended() -> UNetConfig {
    UNetConfig {
        down_block_types: vec![DownBlock::Plain, DownBlock::CrossAttention],
        up_block_types: vec![UpBlock::CrossAttention, UpBlock::Plain],
        transformer_layers_per_block: PerLevel::Each(vec![1, 2]),
        use_linear_projection: true,
        addition_embed_type: Some(crate::engine::stable_diffusion::config::AdditionEmbed::TextTime),
        addition_time_embed_dim: Some(4),
        projection_class_embeddings_input_dim: Some(10 + 6 * 4),
        ..plain()
    }
}

fn weights(config: &UNetConfig) -> Result<HashMap<String, Frozen>> {
    invent(|weights| UNet::new(config, weights, DType::F32))
}

fn build(config: &UNetConfig, dtype: DType) -> Result<UNet> {
    let weights = Weights::new("test", weights(config)?, Device::Cpu);
    UNet::new(config, &weights, dtype)
}

/// Latents `[2, 4, 6, 4]`, a text of 3 tokens, and what SDXL adds.
struct Given {
    latents: Tensor,
    context: Tensor,
    added: Added,
}

impl Given {
    fn new() -> Result<Self> {
        Ok(Self {
            latents: random(&[2, 4, 6, 4], 1)?,
            context: random(&[2, 3, 12], 2)?,
            added: Added {
                pooled: random(&[2, 10], 3)?,
                sizes: (random(&[2, 6], 4)? * 300.0)?,
            },
        })
    }

    fn input(&self) -> Input<'_> {
        Input {
            latents: &self.latents,
            timesteps: &[801.0, 37.25],
            context: &self.context,
            added: None,
        }
    }

    fn extended(&self) -> Input<'_> {
        Input {
            added: Some(&self.added),
            ..self.input()
        }
    }
}
