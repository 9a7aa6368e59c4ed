//! The autoencoder between pictures and latents: diffusers' `AutoencoderKL`; and TAESD for previews.
//!
//! Pictures are `[batch, 3, height, width]` with values from −1 to 1, encoded as the model was trained (sRGB); latents are
//! `[batch, 4, height / 8, width / 8]`. Both are computed in the float type they come in; SDXL's own autoencoder overflows
//! in half precision ([`VaeConfig::force_upcast`]).

mod decoder;
mod encoder;
mod mid;
mod taesd;
#[cfg(test)]
mod tests;
mod tiles;

use candle_core::Tensor;

use self::decoder::Decoder;
use self::encoder::Encoder;
use super::config::VaeConfig;
use super::nn::Conv2d;
use super::weights::Weights;
use crate::{Error, Result};

pub use taesd::Taesd;
pub use tiles::Tiling;

/// An autoencoder.
#[derive(Debug)]
pub struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
    decoder: Decoder,
}

/// A normal distribution over latents: what a picture is encoded to.
#[derive(Debug, Clone)]
pub struct Latents {
    /// The most likely latents, unscaled.
    pub mean: Tensor,
    /// ln σ², from −30 to 20.
    pub logvar: Tensor,
}

impl Latents {
    /// mean + σ · `noise`, for standard normal noise of the mean's shape.
    ///
    /// # Errors
    /// If the shapes differ, or the device fails.
    pub fn sample(&self, noise: &Tensor) -> Result<Tensor> {
        let sigma = (&self.logvar * 0.5)?.exp()?;
        Ok((&self.mean + (sigma * noise.to_dtype(self.mean.dtype())?)?)?)
    }
}

impl Vae {
    /// The autoencoder of these weights.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(config: &VaeConfig, weights: &Weights) -> Result<Self> {
        let latent = config.latent_channels;
        let pointwise = |wanted: bool, name, channels| match wanted {
            true => Conv2d::pointwise(&weights.at(name), channels, channels).map(Some),
            false => Ok(None),
        };
        Ok(Self {
            config: config.clone(),
            encoder: Encoder::new(config, &weights.at("encoder"))?,
            quant: pointwise(config.use_quant_conv, "quant_conv", 2 * latent)?,
            post_quant: pointwise(config.use_post_quant_conv, "post_quant_conv", latent)?,
            decoder: Decoder::new(config, &weights.at("decoder"))?,
        })
    }

    /// What the autoencoder was built from.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// Encodes pictures whose sides are multiples of [`VaeConfig::factor`].
    ///
    /// # Errors
    /// `Caller` for other shapes.
    pub fn encode(&self, pictures: &Tensor) -> Result<Latents> {
        self.check_pictures(pictures)?;
        let mut moments = self.encoder.forward(pictures)?;
        if let Some(quant) = &self.quant {
            moments = quant.forward(&moments)?;
        }
        let channels = self.config.latent_channels;
        Ok(Latents {
            mean: moments.narrow(1, 0, channels)?.contiguous()?,
            logvar: moments
                .narrow(1, channels, channels)?
                .clamp(-30f64, 20f64)?,
        })
    }

    /// Decodes unscaled latents to pictures, whose values may go a little beyond −1 and 1.
    ///
    /// # Errors
    /// `Caller` if the shape does not fit.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        check_latents(latents, self.config.latent_channels)?;
        match &self.post_quant {
            Some(post_quant) => self.decoder.forward(&post_quant.forward(latents)?),
            None => self.decoder.forward(latents),
        }
    }

    /// Latents as the U-Net knows them, of about unit variance.
    ///
    /// # Errors
    /// If the device fails.
    pub fn scale(&self, latents: &Tensor) -> Result<Tensor> {
        let shift = self.config.shift_factor.unwrap_or(0.0);
        Ok(((latents - shift)? * self.config.scaling_factor)?)
    }

    /// The reverse of [`scale`](Self::scale).
    ///
    /// # Errors
    /// If the device fails.
    pub fn unscale(&self, latents: &Tensor) -> Result<Tensor> {
        let shift = self.config.shift_factor.unwrap_or(0.0);
        Ok(((latents / self.config.scaling_factor)? + shift)?)
    }

    fn check_pictures(&self, pictures: &Tensor) -> Result<()> {
        let (factor, wanted) = (self.config.factor(), self.config.in_channels);
        match *pictures.dims() {
            [_, channels, height, width]
                if channels == wanted
                    && height > 0
                    && width > 0
                    && height.is_multiple_of(factor)
                    && width.is_multiple_of(factor) =>
            {
                Ok(())
            }
            _ => Err(Error::caller(format!(
                "pictures of shape {:?}; expected [batch, {wanted}, height, width] with sides that are multiples of {factor}",
                pictures.dims()
            ))),
        }
    }
}

fn check_latents(latents: &Tensor, channels: usize) -> Result<()> {
    match *latents.dims() {
        [_, c, height, width] if c == channels && height > 0 && width > 0 => Ok(()),
        _ => Err(Error::caller(format!(
            "latents of shape {:?}; expected [batch, {channels}, height, width]",
            latents.dims()
        ))),
    }
}
