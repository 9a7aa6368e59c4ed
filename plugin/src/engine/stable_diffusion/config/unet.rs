//! U-Nets.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Checked, PerLevel, WIDEST, divides, real, within};
use crate::Result;

/// The `config.json` of a `UNet2DConditionModel`. Lists have the finest level first, `up_block_types` alone the coarsest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UNetConfig {
    /// Channels of the input: the latents', 4 in published models; 9 in inpainting ones (noisy latents, mask, latents of the
    /// masked picture).
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Side of the latents it was trained on.
    pub sample_size: PerLevel<usize>,
    /// Channels of each level; each level but the last halves the size.
    pub block_out_channels: Vec<usize>,
    /// Kinds of the levels on the way down.
    pub down_block_types: Vec<DownBlock>,
    /// Kinds of the levels on the way up, the coarsest first.
    pub up_block_types: Vec<UpBlock>,
    /// Residual blocks of each level on the way down; there is one more on the way up.
    pub layers_per_block: PerLevel<usize>,
    /// Width of the text's hidden states.
    pub cross_attention_dim: usize,
    /// The *number of heads* of each level's attentions, despite its name: diffusers kept the name of an early mistake.
    pub attention_head_dim: PerLevel<usize>,
    /// Transformer blocks after each residual block of a level; the middle has as many as the last level.
    pub transformer_layers_per_block: PerLevel<usize>,
    /// Whether tokens are projected by a linear layer instead of a 1×1 convolution.
    pub use_linear_projection: bool,
    /// Whether attention is computed in single precision.
    pub upcast_attention: bool,
    /// Groups of each group norm.
    pub norm_num_groups: usize,
    /// Added to the variance in residual blocks' group norms.
    pub norm_eps: f64,
    /// `text_time`: SDXL's added conditioning on the pooled text and on sizes.
    pub addition_embed_type: Option<AdditionEmbed>,
    /// Width of each size's embedding.
    pub addition_time_embed_dim: Option<usize>,
    /// Width of the pooled text and all sizes' embeddings together.
    pub projection_class_embeddings_input_dim: Option<usize>,
    /// Whether time embeddings have their cosines first.
    pub flip_sin_to_cos: bool,
    /// Subtracted from half the embedding's width where frequencies are spread.
    pub freq_shift: f64,
}

/// A level on the way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownBlock {
    /// Residual blocks.
    #[serde(rename = "DownBlock2D")]
    Plain,
    /// Residual blocks, each with a transformer.
    #[serde(rename = "CrossAttnDownBlock2D")]
    CrossAttention,
}

/// A level on the way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpBlock {
    /// Residual blocks.
    #[serde(rename = "UpBlock2D")]
    Plain,
    /// Residual blocks, each with a transformer.
    #[serde(rename = "CrossAttnUpBlock2D")]
    CrossAttention,
}

/// Kinds of added conditioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdditionEmbed {
    /// Pooled text and sizes.
    #[serde(rename = "text_time")]
    TextTime,
}

impl Default for UNetConfig {
    /// diffusers' defaults.
    fn default() -> Self {
        Self {
            in_channels: 4,
            out_channels: 4,
            sample_size: PerLevel::All(64),
            block_out_channels: vec![320, 640, 1280, 1280],
            down_block_types: vec![
                DownBlock::CrossAttention,
                DownBlock::CrossAttention,
                DownBlock::CrossAttention,
                DownBlock::Plain,
            ],
            up_block_types: vec![
                UpBlock::Plain,
                UpBlock::CrossAttention,
                UpBlock::CrossAttention,
                UpBlock::CrossAttention,
            ],
            layers_per_block: PerLevel::All(2),
            cross_attention_dim: 1280,
            attention_head_dim: PerLevel::All(8),
            transformer_layers_per_block: PerLevel::All(1),
            use_linear_projection: false,
            upcast_attention: false,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            addition_embed_type: None,
            addition_time_embed_dim: None,
            projection_class_embeddings_input_dim: None,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
        }
    }
}

impl UNetConfig {
    /// Reads `unet/config.json`; `source` is what errors call it.
    ///
    /// # Errors
    /// `Files` if it is no such configuration or its sizes make no sense; `Refused` if it is of a network not built here.
    pub fn from_json(text: &str, source: &str) -> Result<Self> {
        Self::read(text, source)
    }

    /// SD 1.x.
    pub fn sd15() -> Self {
        Self {
            cross_attention_dim: 768,
            ..Self::default()
        }
    }

    /// SD 2.x; `sample_size` is 64 for the base model, 96 for the one of 768 pixels.
    pub fn sd21(sample_size: usize) -> Self {
        Self {
            sample_size: PerLevel::All(sample_size),
            cross_attention_dim: 1024,
            attention_head_dim: PerLevel::Each(vec![5, 10, 20, 20]),
            use_linear_projection: true,
            upcast_attention: sample_size == 96,
            ..Self::default()
        }
    }

    /// SDXL's base model.
    pub fn sdxl() -> Self {
        Self {
            sample_size: PerLevel::All(128),
            block_out_channels: vec![320, 640, 1280],
            down_block_types: vec![
                DownBlock::Plain,
                DownBlock::CrossAttention,
                DownBlock::CrossAttention,
            ],
            up_block_types: vec![
                UpBlock::CrossAttention,
                UpBlock::CrossAttention,
                UpBlock::Plain,
            ],
            cross_attention_dim: 2048,
            attention_head_dim: PerLevel::Each(vec![5, 10, 20]),
            transformer_layers_per_block: PerLevel::Each(vec![1, 2, 10]),
            use_linear_projection: true,
            addition_embed_type: Some(AdditionEmbed::TextTime),
            addition_time_embed_dim: Some(256),
            projection_class_embeddings_input_dim: Some(2816),
            ..Self::default()
        }
    }

    /// The same for inpainting: 9 channels in.
    #[must_use]
    pub fn inpainting(self) -> Self {
        Self {
            in_channels: 9,
            ..self
        }
    }

    /// Number of levels.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Heads of a level's attentions.
    pub fn heads(&self, level: usize) -> usize {
        self.attention_head_dim.at(level)
    }

    /// Residual blocks of a level on the way down.
    pub fn layers(&self, level: usize) -> usize {
        self.layers_per_block.at(level)
    }

    /// Transformer blocks after each residual block of a level that has transformers.
    pub fn transformer_layers(&self, level: usize) -> usize {
        self.transformer_layers_per_block.at(level)
    }

    /// For added conditioning: the width of each size's embedding, and of the pooled text and all those together.
    pub fn addition(&self) -> Option<(usize, usize)> {
        self.addition_embed_type?;
        Some((
            self.addition_time_embed_dim?,
            self.projection_class_embeddings_input_dim?,
        ))
    }
}

impl Checked for UNetConfig {
    fn only() -> Vec<(&'static str, Value)> {
        let (no, null) = (json!(false), Value::Null);
        vec![
            ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
            ("act_fn", json!("silu")),
            ("attention_type", json!("default")),
            ("center_input_sample", no.clone()),
            ("class_embed_type", null.clone()),
            ("class_embeddings_concat", no.clone()),
            ("conv_in_kernel", json!(3)),
            ("conv_out_kernel", json!(3)),
            ("cross_attention_norm", null.clone()),
            ("downsample_padding", json!(1)),
            ("dual_cross_attention", no.clone()),
            ("encoder_hid_dim", null.clone()),
            ("encoder_hid_dim_type", null.clone()),
            ("mid_block_only_cross_attention", no.clone()),
            ("mid_block_scale_factor", json!(1)),
            ("num_attention_heads", null.clone()),
            ("num_class_embeds", null.clone()),
            ("only_cross_attention", no.clone()),
            ("resnet_out_scale_factor", json!(1)),
            ("resnet_skip_time_act", no),
            ("resnet_time_scale_shift", json!("default")),
            ("reverse_transformer_layers_per_block", null.clone()),
            ("time_cond_proj_dim", null.clone()),
            ("time_embedding_act_fn", null.clone()),
            ("time_embedding_dim", null.clone()),
            ("time_embedding_type", json!("positional")),
            ("timestep_post_act", null),
        ]
    }

    fn check(&self) -> std::result::Result<(), String> {
        let levels = self.levels();
        within("the number of levels", levels, 1..=8)?;
        within(
            "the length of down_block_types",
            self.down_block_types.len(),
            levels..=levels,
        )?;
        within(
            "the length of up_block_types",
            self.up_block_types.len(),
            levels..=levels,
        )?;
        within("in_channels", self.in_channels, 1..=64)?;
        within("out_channels", self.out_channels, 1..=64)?;
        within("cross_attention_dim", self.cross_attention_dim, 1..=WIDEST)?;
        real("norm_eps", self.norm_eps, 0.0..=1.0)?;
        real("freq_shift", self.freq_shift, 0.0..=1.0)?;
        for (level, &channels) in self.block_out_channels.iter().enumerate() {
            within("block_out_channels", channels, 4..=WIDEST)?;
            divides(
                ("norm_num_groups", self.norm_num_groups),
                ("block_out_channels", channels),
            )?;
            divides(
                (
                    "attention_head_dim, which is the number of heads",
                    self.heads(level),
                ),
                ("block_out_channels", channels),
            )?;
            within("layers_per_block", self.layers(level), 1..=16)?;
            within(
                "transformer_layers_per_block",
                self.transformer_layers(level),
                1..=64,
            )?;
        }
        // Sines and cosines of each frequency.
        divides(
            ("two", 2),
            ("block_out_channels", self.block_out_channels[0]),
        )?;
        if self.addition_embed_type.is_some() {
            let Some((each, all)) = self.addition() else {
                return Err("addition_embed_type needs addition_time_embed_dim and projection_class_embeddings_input_dim".into());
            };
            within("addition_time_embed_dim", each, 4..=WIDEST)?;
            divides(("two", 2), ("addition_time_embed_dim", each))?;
            within(
                "projection_class_embeddings_input_dim",
                all,
                each + 1..=WIDEST,
            )?;
        }
        Ok(())
    }
}
