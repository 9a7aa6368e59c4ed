//! Names in the U-Net.
//!
//! LDM numbers all blocks of a half through: with `n` layers a level, level `l` of the way down has the blocks
//! `l (n + 1) + 1` to `l (n + 1) + n` and its downsampler in the next; the way up has `n + 1` layers a level. Slot 0 of a
//! block is the residual block, slot 1 the transformer, and an upsampler has the first slot that is free.

use super::{numbered, replaced, split};

/// Both sides' names of what is not in a block: LDM's, diffusers'.
const ENDS: [(&str, &str); 8] = [
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("label_emb.0.0", "add_embedding.linear_1"),
    ("label_emb.0.2", "add_embedding.linear_2"),
    ("input_blocks.0.0", "conv_in"),
    ("out.0", "conv_norm_out"),
    ("out.2", "conv_out"),
    // Never in LDM's files, but adapters made for diffusers carry it under its own name.
    ("time_embed_cond", "time_embedding.cond_proj"),
];

/// The parts of a residual block: LDM's, diffusers'.
const RESNET: [(&str, &str); 6] = [
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
];

/// What decides where a block is: the layers of each level, and which levels of the way up (coarsest first) have
/// transformers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Residual blocks of a level on the way down.
    pub layers: usize,
    /// For each level of the way up, coarsest first.
    pub attention_up: Vec<bool>,
}

/// The diffusers name of what LDM calls `key` (a weight or a module, less `model.diffusion_model.`); `None` if it is no name
/// of a U-Net with `layers` residual blocks a level.
pub fn from_ldm(key: &str, layers: usize) -> Option<String> {
    if let Some(name) = replaced(key, &ENDS) {
        return Some(name);
    }
    let (half, rest) = split(key)?;
    if half == "middle_block" {
        return match numbered(rest)? {
            (0, rest) => Some(format!("mid_block.resnets.0.{}", replaced(rest, &RESNET)?)),
            (1, rest) => Some(format!("mid_block.attentions.0.{rest}")),
            (2, rest) => Some(format!("mid_block.resnets.1.{}", replaced(rest, &RESNET)?)),
            _ => None,
        };
    }
    let (block, rest) = numbered(rest)?;
    let (slot, rest) = numbered(rest)?;
    let (way, place) = match half {
        "input_blocks" => ("down_blocks", block.checked_sub(1)?),
        "output_blocks" => ("up_blocks", block),
        _ => return None,
    };
    let (level, layer) = (place / (layers + 1), place % (layers + 1));
    let at = format!("{way}.{level}");
    if way == "down_blocks" && layer == layers {
        let rest = replaced(rest, &[("op", "conv")])?;
        return (slot == 0).then(|| format!("{at}.downsamplers.0.{rest}"));
    }
    match slot {
        0 => Some(format!("{at}.resnets.{layer}.{}", replaced(rest, &RESNET)?)),
        1 | 2 if way == "up_blocks" && (rest == "conv" || rest.starts_with("conv.")) => {
            (layer == layers).then(|| format!("{at}.upsamplers.0.{rest}"))
        }
        1 => Some(format!("{at}.attentions.{layer}.{rest}")),
        _ => None,
    }
}

/// What LDM calls `name`, a weight or module under its diffusers name; `None` if it is not in a U-Net of this layout.
pub fn to_ldm(name: &str, layout: &Layout) -> Option<String> {
    let back = |rules: &[(&'static str, &'static str)], name: &str| {
        let rules: Vec<_> = rules
            .iter()
            .map(|(ldm, diffusers)| (*diffusers, *ldm))
            .collect();
        replaced(name, &rules)
    };
    if let Some(key) = back(&ENDS, name) {
        return Some(key);
    }
    let (half, rest) = split(name)?;
    if half == "mid_block" {
        let (kind, rest) = split(rest)?;
        let (index, rest) = numbered(rest)?;
        return match kind {
            "resnets" => Some(format!(
                "middle_block.{}.{}",
                2 * index,
                back(&RESNET, rest)?
            )),
            "attentions" if index == 0 => Some(format!("middle_block.1.{rest}")),
            _ => None,
        };
    }
    let (level, rest) = numbered(rest)?;
    let (kind, rest) = split(rest)?;
    let (layer, rest) = numbered(rest)?;
    let n = layout.layers;
    let (way, first, last) = match half {
        "down_blocks" => ("input_blocks", level * (n + 1) + 1, n - 1),
        "up_blocks" => ("output_blocks", level * (n + 1), n),
        _ => return None,
    };
    match kind {
        "resnets" if layer <= last => Some(format!(
            "{way}.{}.0.{}",
            first + layer,
            back(&RESNET, rest)?
        )),
        "attentions" if layer <= last => Some(format!("{way}.{}.1.{rest}", first + layer)),
        "downsamplers" if half == "down_blocks" => {
            let rest = replaced(rest, &[("conv", "op")])?;
            Some(format!("{way}.{}.0.{rest}", first + n))
        }
        "upsamplers" if half == "up_blocks" => {
            let slot = 1 + usize::from(*layout.attention_up.get(level)?);
            Some(format!("{way}.{}.{slot}.{rest}", first + n))
        }
        _ => None,
    }
}
