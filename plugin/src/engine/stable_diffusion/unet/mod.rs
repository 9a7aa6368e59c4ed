//! The U-Net that predicts noise: diffusers' `UNet2DConditionModel` as SD 1.x, SD 2.x and SDXL have it.
//!
//! Its attentions can be read and fed ([`Controls`]); its projections take adapters through the slots of its
//! [`Weights`]. Everything is differentiable: latents, text, adapters, maps.

mod attention;
mod controls;
mod deep;
mod level;
#[cfg(test)]
mod tests;
mod time;
mod transformer;

use std::ops::Range;

use candle_core::{DType, Tensor};

use self::controls::Pass;
use self::deep::FINE;
use self::level::{Down, Given, Mid, Up};
use self::time::{Embedding, Waves};
use super::config::{DownBlock, UNetConfig, UpBlock};
use super::nn::{Conv2d, GroupNorm};
use super::weights::Weights;
use crate::{Error, Result, kernels};

pub use controls::{Controls, Features, Feed, Layer, Map, Place, Seen, TextMemory};
pub use deep::{Deep, DeepMemory};

/// A U-Net.
#[derive(Debug)]
pub struct UNet {
    config: UNetConfig,
    weights: Weights,
    dtype: DType,
    conv_in: Conv2d,
    time_embedding: Embedding,
    add_embedding: Option<Embedding>,
    down: Vec<Down>,
    mid: Mid,
    up: Vec<Up>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    layers: Vec<Layer>,
}

/// What a U-Net is given.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Noisy latents, `[batch, channels, height, width]`; for inpainting models with the mask and the latents of the masked
    /// picture behind them.
    pub latents: &'a Tensor,
    /// The time step of each sample, or one for all; may lie between whole steps.
    pub timesteps: &'a [f32],
    /// The text's hidden states, `[batch, tokens, width]`.
    pub context: &'a Tensor,
    /// SDXL's added conditioning.
    pub added: Option<&'a Added>,
}

/// SDXL's added conditioning (arXiv 2307.01952, §2.2).
#[derive(Debug, Clone)]
pub struct Added {
    /// The pooled and projected text, `[batch, width]`.
    pub pooled: Tensor,
    /// Sizes in pixels, `[batch, 6]`: height and width of the original, top and left of the crop, height and width of the
    /// target.
    pub sizes: Tensor,
}

impl UNet {
    /// The U-Net of these weights, computing in `dtype`.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(config: &UNetConfig, weights: &Weights, dtype: DType) -> Result<Self> {
        let channels = &config.block_out_channels;
        let (first, time) = (channels[0], 4 * channels[0]);
        let levels = config.levels();
        let add_embedding = match config.addition() {
            Some((_, all)) => Some(Embedding::new(&weights.at("add_embedding"), all, time)?),
            None => None,
        };
        Ok(Self {
            config: config.clone(),
            weights: weights.clone(),
            dtype,
            conv_in: Conv2d::same(&weights.at("conv_in"), config.in_channels, first)?,
            time_embedding: Embedding::new(&weights.at("time_embedding"), first, time)?,
            add_embedding,
            down: (0..levels)
                .map(|i| Down::new(config, &weights.at("down_blocks").at(i), i))
                .collect::<Result<_>>()?,
            mid: Mid::new(config, &weights.at("mid_block"))?,
            up: (0..levels)
                .map(|i| Up::new(config, &weights.at("up_blocks").at(i), i))
                .collect::<Result<_>>()?,
            norm_out: GroupNorm::new(
                &weights.at("conv_norm_out"),
                first,
                config.norm_num_groups,
                config.norm_eps,
            )?,
            conv_out: Conv2d::same(&weights.at("conv_out"), first, config.out_channels)?,
            layers: layers(config),
        })
    }

    /// What the U-Net was built from.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// What it computes in.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The weights it was built from, which know its slots for adapters.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Its attentions, in the order in which they are computed.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// What the noise in the latents is, or v, whichever it was trained to predict: `[batch, 4, height, width]`.
    ///
    /// # Errors
    /// `Caller` if the shapes do not fit.
    pub fn forward(&self, input: &Input<'_>) -> Result<Tensor> {
        Ok(self.forward_with(input, &Controls::default())?.0)
    }

    /// The same, reading and feeding attentions.
    ///
    /// # Errors
    /// `Caller` if the shapes do not fit, or `controls` name attentions that are not there.
    pub fn forward_with(&self, input: &Input<'_>, controls: &Controls) -> Result<(Tensor, Seen)> {
        self.check(input)?;
        controls.check(&self.layers)?;
        let mut pass = Pass {
            controls,
            seen: Seen::default(),
        };
        let time = kernels::silu(&self.time(input)?)?;
        let context = input.context.to_dtype(self.dtype)?.contiguous()?;
        let given = Given {
            time: &time,
            context: &context,
        };
        let latents = input.latents.to_dtype(self.dtype)?.contiguous()?;
        let mut x = self.conv_in.forward(&latents)?;
        let mut skips = vec![x.clone()];
        let deep = controls.deep.as_ref();
        x = match deep.and_then(|deep| deep.taken(input, controls, &self.layers)) {
            Some(features) => {
                pass.seen.fine = true;
                self.down[0].part(FINE, x, &mut skips, &given, &mut pass)?;
                features
            }
            None => {
                let features = self.coarse(x, &mut skips, &given, &mut pass)?;
                if let Some(deep) = deep {
                    deep.keep(input, &features);
                }
                features
            }
        };
        #[cfg(test)]
        super::testing::note(input.latents.dim(0)?, pass.seen.fine);
        let (finest, last) = self.last();
        x = finest.part(last, x, &mut skips, &given, &mut pass)?;
        x = self.norm_out.forward_silu(&x)?;
        Ok((self.conv_out.forward(&x)?, pass.seen))
    }

    /// From the first convolution's output to what the last steps of the way up are given ([`FINE`]). Their skips stay
    /// on `skips`.
    fn coarse(
        &self,
        mut x: Tensor,
        skips: &mut Vec<Tensor>,
        given: &Given<'_>,
        pass: &mut Pass<'_>,
    ) -> Result<Tensor> {
        for down in &self.down {
            x = down.forward(x, skips, given, pass)?;
        }
        x = self.mid.forward(x, given, pass)?;
        for up in &self.up[..self.up.len() - 1] {
            x = up.forward(x, skips, given, pass)?;
        }
        let (finest, last) = self.last();
        finest.part(0..last.start, x, skips, given, pass)
    }

    /// The steps of the way up that fine passes compute, and their level, which has no finer one to enlarge for.
    fn last(&self) -> (&Up, Range<usize>) {
        let finest = &self.up[self.up.len() - 1];
        let all = finest.len();
        // Each takes one skip; the first convolution's is one more.
        (finest, all - (FINE + 1)..all)
    }

    /// The embedding of time steps and, where the U-Net has it, of the added conditioning.
    fn time(&self, input: &Input<'_>) -> Result<Tensor> {
        let batch = input.latents.dim(0)?;
        let device = self.weights.device();
        let waves = |width| Waves {
            width,
            cosines_first: self.config.flip_sin_to_cos,
            shift: self.config.freq_shift,
        };
        let steps = match *input.timesteps {
            [one] => vec![one; batch],
            ref each => each.to_vec(),
        };
        let steps = waves(self.config.block_out_channels[0]).embed(&steps, device)?;
        let time = self.time_embedding.forward(&steps.to_dtype(self.dtype)?)?;
        let (Some(embedding), Some(added), Some((each, _))) =
            (&self.add_embedding, input.added, self.config.addition())
        else {
            return Ok(time);
        };
        let sizes = added.sizes.to_dtype(DType::F32)?.flatten_all()?;
        let sizes = waves(each).embed(&sizes.to_vec1::<f32>()?, device)?;
        let sizes = sizes.reshape((batch, ()))?.to_dtype(self.dtype)?;
        let pooled = added.pooled.to_dtype(self.dtype)?;
        let all = Tensor::cat(&[&pooled, &sizes], 1)?;
        Ok((time + embedding.forward(&all)?)?)
    }

    fn check(&self, input: &Input<'_>) -> Result<()> {
        let config = &self.config;
        let wrong = |what: String| Err(Error::caller(what));
        let batch = match *input.latents.dims() {
            [batch, channels, height, width]
                if channels == config.in_channels && batch * height * width > 0 =>
            {
                batch
            }
            _ => {
                return wrong(format!(
                    "latents of shape {:?}; the U-Net takes [batch, {}, height, width]",
                    input.latents.dims(),
                    config.in_channels
                ));
            }
        };
        match *input.context.dims() {
            [b, tokens, width]
                if b == batch && tokens > 0 && width == config.cross_attention_dim => {}
            _ => {
                return wrong(format!(
                    "a text of shape {:?}; the U-Net takes [{batch}, tokens, {}]",
                    input.context.dims(),
                    config.cross_attention_dim
                ));
            }
        }
        let steps = input.timesteps;
        if (steps.len() != 1 && steps.len() != batch) || steps.iter().any(|t| !t.is_finite()) {
            return wrong(format!("time steps {steps:?} for {batch} samples"));
        }
        match (config.addition(), input.added) {
            (None, None) => Ok(()),
            (Some((each, all)), Some(added)) => {
                let fits = |t: &Tensor| t.rank() == 2 && t.dims()[0] == batch;
                if fits(&added.pooled)
                    && fits(&added.sizes)
                    && added.pooled.dims()[1] + each * added.sizes.dims()[1] == all
                {
                    return Ok(());
                }
                wrong(format!(
                    "a pooled text {:?} and sizes {:?}; the U-Net takes {all} numbers of both together, {each} for each size, for {batch} samples",
                    added.pooled.dims(),
                    added.sizes.dims()
                ))
            }
            (Some(_), None) => {
                wrong("this U-Net needs added conditioning: the pooled text and sizes".into())
            }
            (None, Some(_)) => wrong("this U-Net has no added conditioning".into()),
        }
    }
}

/// The attentions of a U-Net in the order in which they are computed.
fn layers(config: &UNetConfig) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut add = |prefix: String, level: usize, place: Place, fine: bool| {
        for block in 0..config.transformer_layers(level) {
            for (part, cross) in [("attn1", false), ("attn2", true)] {
                layers.push(Layer {
                    name: format!("{prefix}.transformer_blocks.{block}.{part}"),
                    cross,
                    level,
                    place,
                    heads: config.heads(level),
                    fine,
                });
            }
        }
    };
    let levels = config.levels();
    for level in 0..levels {
        if config.down_block_types[level] == DownBlock::CrossAttention {
            for i in 0..config.layers(level) {
                add(
                    format!("down_blocks.{level}.attentions.{i}"),
                    level,
                    Place::Down,
                    level == 0 && i < FINE,
                );
            }
        }
    }
    add(
        "mid_block.attentions.0".into(),
        levels - 1,
        Place::Mid,
        false,
    );
    for index in 0..levels {
        let level = levels - 1 - index;
        if config.up_block_types[index] == UpBlock::CrossAttention {
            for i in 0..=config.layers(level) {
                add(
                    format!("up_blocks.{index}.attentions.{i}"),
                    level,
                    Place::Up,
                    level == 0 && i + FINE >= config.layers(level),
                );
            }
        }
    }
    layers
}
