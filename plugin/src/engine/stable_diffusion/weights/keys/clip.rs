//! Names in the text encoders.

use super::{numbered, replaced};

/// The parts of a layer: OpenCLIP's, transformers'. The fused projection `attn.in_proj` is not here: it becomes three.
const LAYER: [(&str, &str); 5] = [
    ("attn.out_proj", "self_attn.out_proj"),
    ("ln_1", "layer_norm1"),
    ("ln_2", "layer_norm2"),
    ("mlp.c_fc", "mlp.fc1"),
    ("mlp.c_proj", "mlp.fc2"),
];

/// Where a tensor of OpenCLIP's goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It has this name.
    Whole(String),
    /// Its rows are three weights of this layer: the projections of queries, keys and values, all `weight` or all `bias`.
    Fused(usize, &'static str),
    /// It is the transposed `text_projection.weight`.
    Projection,
}

/// Where what OpenCLIP calls `key` goes among transformers' names; `None` for what a text encoder does not need.
pub fn from_open_clip(key: &str) -> Option<Place> {
    let whole = |name: &str| Some(Place::Whole(name.to_owned()));
    match key {
        "token_embedding.weight" => return whole("text_model.embeddings.token_embedding.weight"),
        "positional_embedding" => return whole("text_model.embeddings.position_embedding.weight"),
        "ln_final.weight" => return whole("text_model.final_layer_norm.weight"),
        "ln_final.bias" => return whole("text_model.final_layer_norm.bias"),
        "text_projection" => return Some(Place::Projection),
        "text_projection.weight" => return whole("text_projection.weight"),
        _ => {}
    }
    let (layer, rest) = numbered(key.strip_prefix("transformer.resblocks.")?)?;
    match rest {
        "attn.in_proj_weight" => Some(Place::Fused(layer, "weight")),
        "attn.in_proj_bias" => Some(Place::Fused(layer, "bias")),
        _ => {
            let name = replaced(rest, &LAYER)?;
            Some(Place::Whole(format!(
                "text_model.encoder.layers.{layer}.{name}"
            )))
        }
    }
}

/// The name, with `text_model.`, of a weight of transformers' text encoders: version 5 and some early single files leave that
/// component out.
pub fn modern(name: &str) -> String {
    if name.starts_with("text_model.") || name.starts_with("text_projection.") {
        name.to_owned()
    } else {
        format!("text_model.{name}")
    }
}

/// The layer that a weight (with `text_model.`) belongs to.
pub fn layer(name: &str) -> Option<usize> {
    numbered(name.strip_prefix("text_model.encoder.layers.")?).map(|(layer, _)| layer)
}
