//! One layer of a text encoder.

use candle_core::Tensor;

use crate::Result;
use crate::engine::stable_diffusion::config::{ClipConfig, HiddenAct};
use crate::engine::stable_diffusion::nn::{LayerNorm, Linear};
use crate::engine::stable_diffusion::weights::Weights;
use crate::kernels::{self, Precision};

/// Causal self-attention and a feed-forward part, each on a normed input and added to it.
#[derive(Debug)]
pub(super) struct Layer {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    act: HiddenAct,
}

impl Layer {
    pub(super) fn new(config: &ClipConfig, weights: &Weights) -> Result<Self> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let attention = weights.at("self_attn");
        let project = |name| Linear::new(&attention.at(name), width, width, true);
        let norm = |name| LayerNorm::new(&weights.at(name), width, config.layer_norm_eps);
        Ok(Self {
            norm1: norm("layer_norm1")?,
            query: project("q_proj")?,
            key: project("k_proj")?,
            value: project("v_proj")?,
            out: project("out_proj")?,
            norm2: norm("layer_norm2")?,
            fc1: Linear::new(&weights.at("mlp.fc1"), width, inner, true)?,
            fc2: Linear::new(&weights.at("mlp.fc2"), inner, width, true)?,
            heads: config.num_attention_heads,
            act: config.hidden_act,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normed = self.norm1.forward(x)?;
        let split = |projection: &Linear| {
            let y = projection.forward(&normed)?;
            Ok::<_, crate::Error>(kernels::split_heads(&y, self.heads)?)
        };
        let (q, k, v) = (split(&self.query)?, split(&self.key)?, split(&self.value)?);
        let scale = 1.0 / (q.dim(3)? as f64).sqrt();
        let seen = kernels::attention(&q, &k, &v, scale, None, true, Precision::F32)?;
        let x = (x + self.out.forward(&kernels::merge_heads(&seen)?)?)?;
        let inner = self.fc1.forward(&self.norm2.forward(&x)?)?;
        let inner = match self.act {
            HiddenAct::QuickGelu => kernels::quick_gelu(&inner)?,
            HiddenAct::Gelu => kernels::gelu_erf(&inner)?,
        };
        Ok((x + self.fc2.forward(&inner)?)?)
    }
}
