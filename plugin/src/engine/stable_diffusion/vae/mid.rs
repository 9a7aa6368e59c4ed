//! The coarsest level of encoder and decoder.

use candle_core::Tensor;

use crate::Result;
use crate::engine::stable_diffusion::config::VaeConfig;
use crate::engine::stable_diffusion::nn::{GroupNorm, Linear, Resnet};
use crate::engine::stable_diffusion::weights::Weights;
use crate::kernels::{self, Precision};

/// Added to the variance in all norms of autoencoders.
pub(super) const EPS: f64 = 1e-6;

/// Residual blocks around an attention.
#[derive(Debug)]
pub(super) struct Mid {
    first: Resnet,
    attention: Option<Attention>,
    second: Resnet,
}

impl Mid {
    pub(super) fn new(config: &VaeConfig, weights: &Weights, channels: usize) -> Result<Self> {
        let groups = config.norm_num_groups;
        let resnet = |i: usize| {
            let weights = weights.at("resnets").at(i);
            Resnet::new(&weights, (channels, channels), None, groups, EPS)
        };
        let attention = match config.mid_block_add_attention {
            true => Some(Attention::new(
                &weights.at("attentions.0"),
                channels,
                groups,
            )?),
            false => None,
        };
        Ok(Self {
            first: resnet(0)?,
            attention,
            second: resnet(1)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.first.forward(x, None)?;
        if let Some(attention) = &self.attention {
            x = attention.forward(&x)?;
        }
        self.second.forward(&x, None)
    }
}

/// Self-attention of all places, with one head.
#[derive(Debug)]
struct Attention {
    norm: GroupNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl Attention {
    fn new(weights: &Weights, channels: usize, groups: usize) -> Result<Self> {
        // Before 0.13, diffusers had other names.
        let project = |new: &str, old: &str| {
            let named = match weights.at(old).has("weight") {
                true => weights.at(old),
                false => weights.at(new),
            };
            Linear::new(&named, channels, channels, true)
        };
        Ok(Self {
            norm: GroupNorm::new(&weights.at("group_norm"), channels, groups, EPS)?,
            query: project("to_q", "query")?,
            key: project("to_k", "key")?,
            value: project("to_v", "value")?,
            out: project("to_out.0", "proj_attn")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        let tokens = kernels::transpose(&self.norm.forward(x)?.flatten_from(2)?)?;
        let head =
            |projection: &Linear| Ok::<_, crate::Error>(projection.forward(&tokens)?.unsqueeze(1)?);
        let (q, k, v) = (head(&self.query)?, head(&self.key)?, head(&self.value)?);
        let scale = 1.0 / (channels as f64).sqrt();
        let seen =
            kernels::attention(&q, &k, &v, scale, None, false, Precision::F32)?.squeeze(1)?;
        let seen = kernels::transpose(&self.out.forward(&seen)?)?;
        Ok(kernels::add(
            &seen.reshape((batch, channels, height, width))?,
            x,
        )?)
    }
}
