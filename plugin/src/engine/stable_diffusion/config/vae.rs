//! Autoencoders between pictures and latents.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Checked, PerLevel, WIDEST, divides, real, within};
use crate::Result;

/// The `config.json` of an `AutoencoderKL`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Channels of pictures that are encoded.
    pub in_channels: usize,
    /// Channels of pictures that are decoded.
    pub out_channels: usize,
    /// Channels of each level, the finest first; each level but the last halves the size.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks of each level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Channels of latents.
    pub latent_channels: usize,
    /// Groups of each group norm.
    pub norm_num_groups: usize,
    /// Side of the pictures it was trained on.
    pub sample_size: PerLevel<usize>,
    /// What latents are multiplied by before the U-Net sees them.
    pub scaling_factor: f64,
    /// What is subtracted from latents before they are scaled.
    pub shift_factor: Option<f64>,
    /// Whether it overflows in half precision (SDXL's own does).
    pub force_upcast: bool,
    /// Whether a 1×1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1×1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the coarsest level has an attention.
    pub mid_block_add_attention: bool,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            block_out_channels: vec![64],
            layers_per_block: 1,
            latent_channels: 4,
            norm_num_groups: 32,
            sample_size: PerLevel::All(32),
            scaling_factor: 0.18215,
            shift_factor: None,
            force_upcast: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl VaeConfig {
    /// Reads `vae/config.json`; `source` is what errors call it.
    ///
    /// # Errors
    /// `Files` if it is no such configuration or its sizes make no sense; `Refused` if it is of a network not built here.
    pub fn from_json(text: &str, source: &str) -> Result<Self> {
        Self::read(text, source)
    }

    /// The autoencoder of SD 1.x and 2.x.
    pub fn sd() -> Self {
        Self {
            block_out_channels: vec![128, 256, 512, 512],
            layers_per_block: 2,
            sample_size: PerLevel::All(512),
            force_upcast: false,
            ..Self::default()
        }
    }

    /// The autoencoder of SDXL: the same network with other weights and another scale.
    pub fn sdxl() -> Self {
        Self {
            sample_size: PerLevel::All(1024),
            scaling_factor: 0.13025,
            force_upcast: true,
            ..Self::sd()
        }
    }

    /// How many pixels a latent is wide: 8 in all published models.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }
}

impl Checked for VaeConfig {
    fn only() -> Vec<(&'static str, Value)> {
        vec![
            ("down_block_types", json!("DownEncoderBlock2D")),
            ("up_block_types", json!("UpDecoderBlock2D")),
            ("act_fn", json!("silu")),
            ("latents_mean", Value::Null),
            ("latents_std", Value::Null),
        ]
    }

    fn check(&self) -> std::result::Result<(), String> {
        within("in_channels", self.in_channels, 1..=16)?;
        within("out_channels", self.out_channels, 1..=16)?;
        within("latent_channels", self.latent_channels, 1..=64)?;
        within("layers_per_block", self.layers_per_block, 1..=16)?;
        within("the number of levels", self.block_out_channels.len(), 1..=6)?;
        for channels in &self.block_out_channels {
            within("block_out_channels", *channels, 1..=WIDEST)?;
            divides(
                ("norm_num_groups", self.norm_num_groups),
                ("block_out_channels", *channels),
            )?;
        }
        real("scaling_factor", self.scaling_factor, 1e-6..=1e6)?;
        real("shift_factor", self.shift_factor.unwrap_or(0.0), -1e6..=1e6)
    }
}

/// The decoder's half of an `AutoencoderTiny` (TAESD): for previews.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaesdConfig {
    /// Channels of pictures.
    pub out_channels: usize,
    /// Channels of latents.
    pub latent_channels: usize,
    /// Channels of each level, the coarsest first; each level but the last doubles the size.
    pub decoder_block_out_channels: Vec<usize>,
    /// Blocks of each level.
    pub num_decoder_blocks: Vec<usize>,
    /// What latents are multiplied by before they are decoded.
    pub scaling_factor: f64,
}

impl Default for TaesdConfig {
    fn default() -> Self {
        Self {
            out_channels: 3,
            latent_channels: 4,
            decoder_block_out_channels: vec![64; 4],
            num_decoder_blocks: vec![3, 3, 3, 1],
            scaling_factor: 1.0,
        }
    }
}

impl TaesdConfig {
    /// Reads the `config.json` of an `AutoencoderTiny`; `source` is what errors call it.
    ///
    /// # Errors
    /// `Files` if it is no such configuration or its sizes make no sense; `Refused` if it is of a network not built here.
    pub fn from_json(text: &str, source: &str) -> Result<Self> {
        Self::read(text, source)
    }
}

impl Checked for TaesdConfig {
    fn only() -> Vec<(&'static str, Value)> {
        vec![
            ("act_fn", json!("relu")),
            ("upsample_fn", json!("nearest")),
            ("upsampling_scaling_factor", json!(2)),
            ("shift_factor", json!(0)),
            ("scaling_factor", json!(1)),
        ]
    }

    fn check(&self) -> std::result::Result<(), String> {
        within("out_channels", self.out_channels, 1..=16)?;
        within("latent_channels", self.latent_channels, 1..=64)?;
        let levels = self.decoder_block_out_channels.len();
        within("the number of levels", levels, 1..=6)?;
        if self.num_decoder_blocks.len() != levels {
            return Err(format!(
                "num_decoder_blocks has {} entries for {levels} levels",
                self.num_decoder_blocks.len()
            ));
        }
        for level in 0..levels {
            let channels = self.decoder_block_out_channels[level];
            within("decoder_block_out_channels", channels, 1..=WIDEST)?;
            // The convolution between two levels keeps the number.
            let first = self.decoder_block_out_channels[0];
            within("decoder_block_out_channels", channels, first..=first)?;
            within("num_decoder_blocks", self.num_decoder_blocks[level], 1..=16)?;
        }
        Ok(())
    }
}
