//! Text encoders.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checked, WIDEST, divides, real, within};
use crate::Result;

/// The `config.json` of a CLIP text encoder, by OpenAI or by OpenCLIP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipConfig {
    /// Classes this was saved from: `CLIPTextModelWithProjection` has a projection of the pooled state.
    pub architectures: Vec<String>,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of words and hidden states.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Width of the projected pooled state, where there is a projection.
    pub projection_dim: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Heads of each attention.
    pub num_attention_heads: usize,
    /// The most tokens of a sequence: 77.
    pub max_position_embeddings: usize,
    /// Activation of the feed-forward part.
    pub hidden_act: HiddenAct,
    /// Added to the variance in layer norms.
    pub layer_norm_eps: f64,
    /// The token that begins a sequence.
    pub bos_token_id: u32,
    /// The token that ends a sequence; 2 stands for "the highest id", see [`pooled_at`](Self::pooled_at).
    pub eos_token_id: u32,
    /// The token that fills a sequence up, as this file says; tokenizers have their own word on it.
    pub pad_token_id: u32,
}

/// Activation functions of text encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenAct {
    /// x · sigmoid(1.702 x): OpenAI.
    QuickGelu,
    /// x · Φ(x): OpenCLIP.
    Gelu,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            architectures: Vec::new(),
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            projection_dim: 512,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: HiddenAct::QuickGelu,
            layer_norm_eps: 1e-5,
            bos_token_id: 49406,
            eos_token_id: 49407,
            pad_token_id: 1,
        }
    }
}

impl ClipConfig {
    /// Reads `text_encoder/config.json`; `source` is what errors call it.
    ///
    /// # Errors
    /// `Files` if it is no such configuration or its sizes make no sense; `Refused` if it is of a network not built here.
    pub fn from_json(text: &str, source: &str) -> Result<Self> {
        Self::read(text, source)
    }

    /// CLIP ViT-L/14 by OpenAI: the encoder of SD 1.x and the first of SDXL.
    pub fn vit_l() -> Self {
        Self {
            architectures: vec!["CLIPTextModel".into()],
            hidden_size: 768,
            intermediate_size: 3072,
            projection_dim: 768,
            num_attention_heads: 12,
            ..Self::default()
        }
    }

    /// OpenCLIP ViT-H/14 without its last layer: the encoder of SD 2.x.
    pub fn vit_h() -> Self {
        Self {
            architectures: vec!["CLIPTextModel".into()],
            hidden_size: 1024,
            intermediate_size: 4096,
            projection_dim: 512,
            num_hidden_layers: 23,
            num_attention_heads: 16,
            hidden_act: HiddenAct::Gelu,
            ..Self::default()
        }
    }

    /// OpenCLIP ViT-bigG/14 with its projection: the second encoder of SDXL.
    pub fn vit_big_g() -> Self {
        Self {
            architectures: vec!["CLIPTextModelWithProjection".into()],
            hidden_size: 1280,
            intermediate_size: 5120,
            projection_dim: 1280,
            num_hidden_layers: 32,
            num_attention_heads: 20,
            hidden_act: HiddenAct::Gelu,
            ..Self::default()
        }
    }

    /// Whether the pooled state is projected.
    pub fn has_projection(&self) -> bool {
        self.architectures
            .iter()
            .any(|name| name == "CLIPTextModelWithProjection")
    }

    /// Which token's state is the pooled one, as transformers finds it: the first end token (the first token if there is
    /// none), or, in files that call 2 the end token (as all early ones do), the first token of the highest id.
    pub fn pooled_at(&self, ids: &[u32]) -> usize {
        let end = if self.eos_token_id == 2 {
            ids.iter().copied().max().unwrap_or(0)
        } else {
            self.eos_token_id
        };
        ids.iter().position(|id| *id == end).unwrap_or(0)
    }
}

impl Checked for ClipConfig {
    fn only() -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    fn check(&self) -> std::result::Result<(), String> {
        within("vocab_size", self.vocab_size, 1..=1 << 20)?;
        within("hidden_size", self.hidden_size, 1..=WIDEST)?;
        within("intermediate_size", self.intermediate_size, 1..=4 * WIDEST)?;
        within("projection_dim", self.projection_dim, 1..=WIDEST)?;
        within("num_hidden_layers", self.num_hidden_layers, 1..=128)?;
        within(
            "max_position_embeddings",
            self.max_position_embeddings,
            2..=4096,
        )?;
        real("layer_norm_eps", self.layer_norm_eps, 0.0..=1.0)?;
        divides(
            ("num_attention_heads", self.num_attention_heads),
            ("hidden_size", self.hidden_size),
        )
    }
}
