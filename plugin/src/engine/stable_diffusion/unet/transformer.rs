//! Transformers over the places of a picture.

use std::sync::Arc;

use candle_core::Tensor;

use super::attention::Attention;
use super::controls::Pass;
use crate::engine::stable_diffusion::config::UNetConfig;
use crate::engine::stable_diffusion::nn::{
    Checkpoint, GroupNorm, LayerNorm, Linear, Slot, checkpoint,
};
use crate::engine::stable_diffusion::weights::Weights;
use crate::{Result, kernels};

/// diffusers' `Transformer2DModel`: norm, projection, blocks, projection, beside a shortcut.
#[derive(Debug)]
pub(super) struct Transformer {
    norm: GroupNorm,
    proj_in: Linear,
    blocks: Vec<Arc<Block>>,
    proj_out: Linear,
}

impl Transformer {
    pub(super) fn new(config: &UNetConfig, weights: &Weights, level: usize) -> Result<Self> {
        let channels = config.block_out_channels[level];
        // A 1×1 convolution, as models without `use_linear_projection` store it, is the same projection of tokens.
        let project = |name| Linear::new(&weights.at(name), channels, channels, true);
        let blocks = (0..config.transformer_layers(level))
            .map(|i| {
                Block::new(config, &weights.at("transformer_blocks").at(i), level).map(Arc::new)
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            norm: GroupNorm::new(&weights.at("norm"), channels, config.norm_num_groups, 1e-6)?,
            proj_in: project("proj_in")?,
            blocks,
            proj_out: project("proj_out")?,
        })
    }

    /// `x` is `[batch, channels, height, width]`, `context` `[batch, tokens, width]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        context: &Tensor,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor> {
        let (batch, channels, height, width) = x.dims4()?;
        let tokens = self.norm.forward(x)?.flatten_from(2)?;
        let mut tokens = self.proj_in.forward(&kernels::transpose(&tokens)?)?;
        for block in &self.blocks {
            tokens = if pass.controls.checkpoint && !pass.controls.touch(&block.name) {
                checkpoint(block, &tokens, std::slice::from_ref(context))?
            } else {
                block.run(&tokens, context, Some((pass, (height, width))))?
            };
        }
        let y = kernels::transpose(&self.proj_out.forward(&tokens)?)?;
        Ok(kernels::add(
            &y.reshape((batch, channels, height, width))?,
            x,
        )?)
    }
}

/// diffusers' `BasicTransformerBlock`: attention among places, to the text, and a gated feed-forward part.
#[derive(Debug)]
struct Block {
    /// With a dot at its end, so that it begins only its own layers' names.
    name: String,
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    wide: Linear,
    narrow: Linear,
}

impl Block {
    fn new(config: &UNetConfig, weights: &Weights, level: usize) -> Result<Self> {
        let channels = config.block_out_channels[level];
        let norm = |name| LayerNorm::new(&weights.at(name), channels, 1e-5);
        let attention = |name, text| {
            let (heads, upcast) = (config.heads(level), config.upcast_attention);
            Attention::new(&weights.at(name), channels, text, heads, upcast)
        };
        let forward = weights.at("ff.net");
        Ok(Self {
            name: format!("{}.", weights.path()),
            norm1: norm("norm1")?,
            attn1: attention("attn1", None)?,
            norm2: norm("norm2")?,
            attn2: attention("attn2", Some(config.cross_attention_dim))?,
            norm3: norm("norm3")?,
            wide: Linear::new(&forward.at("0.proj"), channels, 8 * channels, true)?,
            narrow: Linear::new(&forward.at("2"), 4 * channels, channels, true)?,
        })
    }

    fn run(
        &self,
        x: &Tensor,
        context: &Tensor,
        mut pass: Option<(&mut Pass<'_>, (usize, usize))>,
    ) -> Result<Tensor> {
        let normed = self.norm1.forward(x)?;
        let again = pass.as_mut().map(|(pass, size)| (&mut **pass, *size));
        let x = kernels::add(x, &self.attn1.forward(&normed, &normed, again)?)?;
        let normed = self.norm2.forward(&x)?;
        let x = kernels::add(&x, &self.attn2.forward(&normed, context, pass)?)?;
        let normed = self.norm3.forward(&x)?;
        let inner = kernels::geglu(&self.wide.forward(&normed)?)?;
        Ok(kernels::add(&x, &self.narrow.forward(&inner)?)?)
    }
}

impl Checkpoint for Block {
    fn forward(&self, x: &Tensor, small: &[Tensor]) -> Result<Tensor> {
        self.run(x, &small[0], None)
    }

    fn slots(&self) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self.attn1.slots().chain(self.attn2.slots()).collect();
        slots.extend([self.wide.slot().clone(), self.narrow.slot().clone()]);
        slots
    }
}
