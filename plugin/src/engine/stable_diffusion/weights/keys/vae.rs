//! Names in the autoencoder.

use super::{numbered, replaced, split};

/// The parts of the attention: LDM's (and diffusers' before 0.13), diffusers'.
const ATTENTION: [(&str, &str); 10] = [
    ("norm", "group_norm"),
    ("q", "to_q"),
    ("k", "to_k"),
    ("v", "to_v"),
    ("proj_out", "to_out.0"),
    ("query", "to_q"),
    ("key", "to_k"),
    ("value", "to_v"),
    ("proj_attn", "to_out.0"),
    ("group_norm", "group_norm"),
];

/// The diffusers name of what LDM calls `key` (less `first_stage_model.`) in an autoencoder of `levels` levels; `None` if it
/// is no name of one.
pub fn from_ldm(key: &str, levels: usize) -> Option<String> {
    let (half, rest) = split(key)?;
    if half == "quant_conv" || half == "post_quant_conv" {
        return Some(key.to_owned());
    }
    if half != "encoder" && half != "decoder" {
        return None;
    }
    let ends = [
        ("conv_in", "conv_in"),
        ("conv_out", "conv_out"),
        ("norm_out", "conv_norm_out"),
    ];
    if let Some(name) = replaced(rest, &ends) {
        return Some(format!("{half}.{name}"));
    }
    let (part, rest) = split(rest)?;
    if part == "mid" {
        let (what, rest) = split(rest)?;
        return match what {
            "block_1" => Some(format!("{half}.mid_block.resnets.0.{}", resnet(rest))),
            "block_2" => Some(format!("{half}.mid_block.resnets.1.{}", resnet(rest))),
            "attn_1" => {
                let name = replaced(rest, &ATTENTION)?;
                Some(format!("{half}.mid_block.attentions.0.{name}"))
            }
            _ => None,
        };
    }
    let (level, rest) = numbered(rest)?;
    let (way, level) = match part {
        "down" => ("down_blocks", level),
        // LDM counts the levels of the decoder from the finest.
        "up" => ("up_blocks", levels.checked_sub(level + 1)?),
        _ => return None,
    };
    let (what, rest) = split(rest)?;
    match what {
        "block" => {
            let (layer, rest) = numbered(rest)?;
            Some(format!(
                "{half}.{way}.{level}.resnets.{layer}.{}",
                resnet(rest)
            ))
        }
        "downsample" => Some(format!("{half}.{way}.{level}.downsamplers.0.{rest}")),
        "upsample" => Some(format!("{half}.{way}.{level}.upsamplers.0.{rest}")),
        _ => None,
    }
}

fn resnet(rest: &str) -> String {
    replaced(rest, &[("nin_shortcut", "conv_shortcut")]).unwrap_or_else(|| rest.to_owned())
}

/// The present diffusers name of a weight of a diffusers file, whichever version wrote it.
pub fn modern(name: &str) -> String {
    let old = |name: &str| {
        let (head, part) = name.split_once(".mid_block.attentions.0.")?;
        let part = replaced(part, &ATTENTION)?;
        Some(format!("{head}.mid_block.attentions.0.{part}"))
    };
    old(name).unwrap_or_else(|| name.to_owned())
}
