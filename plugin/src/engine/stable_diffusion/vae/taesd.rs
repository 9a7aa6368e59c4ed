//! TAESD: a small decoder whose pictures are good enough to watch a run by.

use std::path::Path;

use candle_core::{Device, Tensor};

use super::check_latents;
use crate::engine::stable_diffusion::config::TaesdConfig;
use crate::engine::stable_diffusion::nn::Conv2d;
use crate::engine::stable_diffusion::weights::{Weights, taesd};
use crate::{Result, kernels};

/// The decoder of diffusers' `AutoencoderTiny`.
#[derive(Debug)]
pub struct Taesd {
    channels: usize,
    layers: Vec<Layer>,
}

#[derive(Debug)]
enum Layer {
    Conv(Conv2d),
    Relu,
    Block([Conv2d; 3]),
    Larger,
}

impl Taesd {
    /// The decoder of these weights (`decoder.layers.0.weight`, …).
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(config: &TaesdConfig, weights: &Weights) -> Result<Self> {
        let at = |layers: &[Layer]| weights.at("decoder.layers").at(layers.len());
        let channels = &config.decoder_block_out_channels;
        let first = Conv2d::same(&at(&[]), config.latent_channels, channels[0])?;
        let mut layers = vec![Layer::Conv(first), Layer::Relu];
        for (level, &width) in channels.iter().enumerate() {
            for _ in 0..config.num_decoder_blocks[level] {
                let block = at(&layers).at("conv");
                let conv = |i: usize| Conv2d::same(&block.at(i), width, width);
                layers.push(Layer::Block([conv(0)?, conv(2)?, conv(4)?]));
            }
            if level + 1 < channels.len() {
                layers.push(Layer::Larger);
                let conv = Conv2d::same_without_bias(&at(&layers), width, width)?;
                layers.push(Layer::Conv(conv));
            } else {
                let conv = Conv2d::same(&at(&layers), width, config.out_channels)?;
                layers.push(Layer::Conv(conv));
            }
        }
        Ok(Self {
            channels: config.latent_channels,
            layers,
        })
    }

    /// Opens a decoder's file, see [`weights::taesd`](crate::engine::stable_diffusion::weights::taesd).
    ///
    /// # Errors
    /// `Files` if it is damaged or another network's.
    pub fn open(path: &Path, device: &Device) -> Result<Self> {
        let part = taesd::open(path)?;
        Self::new(&part.config, &part.weights(device))
    }

    /// Decodes latents, scaled as the U-Net knows them, to pictures with values of about -1 to 1, as diffusers gives them.
    ///
    /// # Errors
    /// `Caller` if the shape does not fit.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        check_latents(latents, self.channels)?;
        let mut x = ((latents / 3.0)?.tanh()? * 3.0)?;
        for layer in &self.layers {
            x = match layer {
                Layer::Conv(conv) => conv.forward(&x)?,
                Layer::Relu => x.relu()?,
                Layer::Larger => kernels::upsample_nearest_2x(&x)?,
                Layer::Block([a, b, c]) => {
                    let y = a.forward(&x)?.relu()?;
                    let y = b.forward(&y)?.relu()?;
                    (c.forward(&y)? + &x)?.relu()?
                }
            };
        }
        // Its authors' values go from 0 to 1.
        Ok(x.affine(2.0, -1.0)?)
    }
}
