//! Configurations of single files, told from names and shapes.
//!
//! The number of heads and the groups of norms are in no shape. Here they are the published models': 8 heads in SD 1.x, 64
//! channels a head elsewhere, 32 groups. Fine-tunes keep them.

use std::collections::HashMap;

use serde::Serialize;

use super::super::config::{
    AdditionEmbed, ClipConfig, DownBlock, PerLevel, UNetConfig, UpBlock, VaeConfig,
};
use super::checkpoint::Family;
use super::keys;
use crate::kernels::Frozen;
use crate::{Error, Result};

type Tensors = HashMap<String, Frozen>;

/// A size of a weight; `Files` if it is missing.
fn size(tensors: &Tensors, source: &str, name: &str, axis: usize) -> Result<usize> {
    let found = tensors.get(name).and_then(|w| w.shape().get(axis));
    found.copied().ok_or_else(|| {
        Error::files(format!(
            "{source} is not a whole checkpoint: its weight {name} is missing or has too few dimensions"
        ))
    })
}

/// How many names there are that `name` makes of 0, 1, …
fn count(tensors: &Tensors, name: impl Fn(usize) -> String) -> usize {
    (0..)
        .take_while(|i| tensors.contains_key(&name(*i)))
        .count()
}

/// Through the check that a file's configuration passes as well.
fn checked<T: Serialize>(
    config: &T,
    read: impl Fn(&str, &str) -> Result<T>,
    source: &str,
) -> Result<T> {
    let json = serde_json::to_string(config).map_err(|e| Error::bug(e.to_string()))?;
    read(&json, source)
}

fn groups(channels: &[usize]) -> usize {
    [32, 16, 8, 4, 2]
        .into_iter()
        .find(|groups| channels.iter().all(|c| c % groups == 0))
        .unwrap_or(1)
}

/// The U-Net's. `pooled`: width of the pooled text, where there is a second encoder.
pub fn unet(
    tensors: &Tensors,
    family: Family,
    layers: usize,
    pooled: Option<usize>,
    source: &str,
) -> Result<UNetConfig> {
    let size = |name: &str, axis| size(tensors, source, name, axis);
    let levels = count(tensors, |i| {
        format!("down_blocks.{i}.resnets.0.conv1.weight")
    });
    let channels: Vec<usize> = (0..levels)
        .map(|i| size(&format!("down_blocks.{i}.resnets.0.conv1.weight"), 0))
        .collect::<Result<_>>()?;
    let depth = |place: &str| {
        count(tensors, |i| {
            format!("{place}.attentions.0.transformer_blocks.{i}.attn2.to_k.weight")
        })
    };
    let down: Vec<usize> = (0..levels)
        .map(|i| depth(&format!("down_blocks.{i}")))
        .collect();
    let middle = depth("mid_block");
    let first = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    let in_channels = size("conv_in.weight", 1)?;
    if in_channels != 4 && in_channels != 9 {
        return Err(Error::refused(format!(
            "{source}: its U-Net takes {in_channels} channels; models of 4 (text to image) and 9 (inpainting) are run"
        )));
    }
    let mut config = UNetConfig {
        in_channels,
        out_channels: size("conv_out.weight", 0)?,
        sample_size: PerLevel::All(if family == Family::Sdxl { 128 } else { 64 }),
        layers_per_block: PerLevel::All(layers),
        cross_attention_dim: size(first, 1)?,
        norm_num_groups: groups(&channels),
        use_linear_projection: tensors
            .get("mid_block.attentions.0.proj_in.weight")
            .is_some_and(|w| w.shape().len() == 2),
        down_block_types: down
            .iter()
            .map(|n| [DownBlock::CrossAttention, DownBlock::Plain][usize::from(*n == 0)])
            .collect(),
        up_block_types: (0..levels)
            .map(|i| {
                let plain = depth(&format!("up_blocks.{i}")) == 0;
                [UpBlock::CrossAttention, UpBlock::Plain][usize::from(plain)]
            })
            .collect(),
        // A level without transformers has no say, except that the middle has as many as the last.
        transformer_layers_per_block: PerLevel::Each(
            (0..levels)
                .map(|i| match down[i] {
                    0 if i + 1 == levels => middle.max(1),
                    n => n.max(1),
                })
                .collect(),
        ),
        attention_head_dim: match family {
            Family::Sd1 => PerLevel::All(8),
            _ => PerLevel::Each(channels.iter().map(|c| (c / 64).max(1)).collect()),
        },
        block_out_channels: channels,
        ..UNetConfig::default()
    };
    if let Some(pooled) = pooled {
        let width = size("add_embedding.linear_1.weight", 1)?;
        config.addition_embed_type = Some(AdditionEmbed::TextTime);
        config.projection_class_embeddings_input_dim = Some(width);
        // Six numbers: the original size, the crop's corner, the target size.
        config.addition_time_embed_dim = Some(width.saturating_sub(pooled) / 6);
    }
    checked(&config, UNetConfig::from_json, source)
}

/// The autoencoder's.
pub fn vae(tensors: &Tensors, family: Family, source: &str) -> Result<VaeConfig> {
    let size = |name: &str, axis| size(tensors, source, name, axis);
    let levels = count(tensors, |i| {
        format!("encoder.down_blocks.{i}.resnets.0.conv1.weight")
    });
    let channels: Vec<usize> = (0..levels)
        .map(|i| {
            size(
                &format!("encoder.down_blocks.{i}.resnets.0.conv1.weight"),
                0,
            )
        })
        .collect::<Result<_>>()?;
    let xl = family == Family::Sdxl;
    let config = VaeConfig {
        in_channels: size("encoder.conv_in.weight", 1)?,
        out_channels: size("decoder.conv_out.weight", 0)?,
        layers_per_block: count(tensors, |i| {
            format!("encoder.down_blocks.0.resnets.{i}.conv1.weight")
        }),
        latent_channels: size("decoder.conv_in.weight", 1)?,
        norm_num_groups: groups(&channels),
        sample_size: PerLevel::All(if xl { 1024 } else { 512 }),
        scaling_factor: if xl { 0.13025 } else { 0.18215 },
        block_out_channels: channels,
        ..VaeConfig::default()
    };
    checked(&config, VaeConfig::from_json, source)
}

/// How many layers a text encoder has.
pub fn layers(tensors: &Tensors) -> usize {
    let layers = tensors.keys().filter_map(|name| keys::clip::layer(name));
    layers.max().map_or(0, |last| last.saturating_add(1))
}

/// A text encoder's, by OpenAI.
pub fn open_ai(tensors: &Tensors, source: &str) -> Result<ClipConfig> {
    clip(tensors, source, ClipConfig::vit_l())
}

/// A text encoder's, by OpenCLIP: with a projection it is SDXL's.
pub fn open_clip(tensors: &Tensors, source: &str) -> Result<ClipConfig> {
    let projected = tensors.contains_key("text_projection.weight");
    let like = if projected {
        ClipConfig::vit_big_g()
    } else {
        ClipConfig::vit_h()
    };
    clip(tensors, source, like)
}

fn clip(tensors: &Tensors, source: &str, like: ClipConfig) -> Result<ClipConfig> {
    let size = |name: &str, axis| size(tensors, source, name, axis);
    let words = "text_model.embeddings.token_embedding.weight";
    let width = size(words, 1)?;
    let vocab = size(words, 0)?;
    let config = ClipConfig {
        vocab_size: vocab,
        hidden_size: width,
        intermediate_size: size("text_model.encoder.layers.0.mlp.fc1.weight", 0)?,
        projection_dim: match tensors.get("text_projection.weight") {
            Some(projection) => *projection.shape().first().unwrap_or(&0),
            None => like.projection_dim,
        },
        num_hidden_layers: layers(tensors),
        num_attention_heads: (width / 64).max(1),
        max_position_embeddings: size("text_model.embeddings.position_embedding.weight", 0)?,
        bos_token_id: u32::try_from(vocab.saturating_sub(2)).unwrap_or(0),
        eos_token_id: u32::try_from(vocab.saturating_sub(1)).unwrap_or(0),
        ..like
    };
    checked(&config, ClipConfig::from_json, source)
}
