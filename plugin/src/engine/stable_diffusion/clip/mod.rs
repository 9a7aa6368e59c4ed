//! Text encoders: CLIP by OpenAI (SD 1.x, SDXL's first) and by OpenCLIP (SD 2.x, SDXL's second), under the names of
//! transformers' `CLIPTextModel` and `CLIPTextModelWithProjection`.
//!
//! Words enter as vectors, so that a learned word can stand where a token would, and gets a gradient.

mod layer;
#[cfg(test)]
mod tests;

use candle_core::{DType, Tensor};

use self::layer::Layer;
use super::config::ClipConfig;
use super::nn::LayerNorm;
use super::weights::Weights;
use crate::kernels::{self, Frozen};
use crate::{Error, Result};

/// A text encoder.
#[derive(Debug)]
pub struct TextEncoder {
    config: ClipConfig,
    words: Frozen,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Frozen>,
    weights: Weights,
    dtype: DType,
}

/// What a text encoder makes of a sequence.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The hidden states before the first layer and after each, `[batch, tokens, width]`, without the final norm. SDXL is
    /// given the last but one.
    pub states: Vec<Tensor>,
    /// After the last layer and the final norm: what SD 1.x and 2.x are given.
    pub last: Tensor,
    /// `last` at each sequence's pooled token: `[batch, width]`.
    pub pooled: Tensor,
    /// `pooled`, projected to `[batch, projection_dim]`, where the encoder has a projection: what SDXL is given.
    pub projected: Option<Tensor>,
}

impl TextEncoder {
    /// The encoder of these weights, computing in `dtype`.
    ///
    /// # Errors
    /// `Files` if a weight is missing or has another shape.
    pub fn new(config: &ClipConfig, weights: &Weights, dtype: DType) -> Result<Self> {
        // Files name the part below the projection `text_model`; some leave that out.
        let model = match weights.has("text_model.final_layer_norm.weight") {
            true => weights.at("text_model"),
            false => weights.clone(),
        };
        let width = config.hidden_size;
        let embeddings = model.at("embeddings");
        let positions = [config.max_position_embeddings, width];
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::new(config, &model.at("encoder.layers").at(i)))
            .collect::<Result<_>>()?;
        let projection = match config.has_projection() {
            true => {
                let shape = [config.projection_dim, width];
                Some(weights.at("text_projection").get("weight", &shape)?)
            }
            false => None,
        };
        Ok(Self {
            config: config.clone(),
            words: embeddings
                .at("token_embedding")
                .get("weight", &[config.vocab_size, width])?,
            positions: embeddings
                .at("position_embedding")
                .tensor("weight", &positions)?
                .to_dtype(dtype)?,
            layers,
            norm: LayerNorm::new(&model.at("final_layer_norm"), width, config.layer_norm_eps)?,
            projection,
            weights: weights.clone(),
            dtype,
        })
    }

    /// What the encoder was built from.
    pub fn config(&self) -> &ClipConfig {
        &self.config
    }

    /// The weights it was built from, which know its slots for adapters.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The word vectors of tokens: `[batch, tokens, width]` for sequences of one length.
    ///
    /// # Errors
    /// `Caller` if sequences are empty, too long or of different lengths, or a token is not in the vocabulary.
    pub fn embed(&self, sequences: &[Vec<u32>]) -> Result<Tensor> {
        let tokens = sequences.first().map_or(0, Vec::len);
        let longest = self.config.max_position_embeddings;
        if tokens == 0 || tokens > longest {
            return Err(Error::caller(format!(
                "a text of {tokens} tokens; the text encoder takes 1 to {longest}"
            )));
        }
        let width = self.config.hidden_size;
        let mut values = vec![0.0; sequences.len() * tokens * width];
        let mut rows = values.chunks_exact_mut(width);
        for sequence in sequences {
            if sequence.len() != tokens {
                return Err(Error::caller(format!(
                    "texts of {tokens} and of {} tokens in one batch",
                    sequence.len()
                )));
            }
            for (id, row) in sequence.iter().zip(&mut rows) {
                let id = *id as usize;
                if id >= self.config.vocab_size {
                    return Err(Error::caller(format!(
                        "token {id}; the text encoder knows {}",
                        self.config.vocab_size
                    )));
                }
                self.words.values().widen(id * width, row);
            }
        }
        let shape = (sequences.len(), tokens, width);
        let device = self.weights.device();
        Ok(Tensor::from_vec(values, shape, device)?.to_dtype(self.dtype)?)
    }

    /// Encodes word vectors `[batch, tokens, width]`. `pooled_at` names each sequence's pooled token, see
    /// [`ClipConfig::pooled_at`].
    ///
    /// # Errors
    /// `Caller` if the shapes do not fit.
    pub fn encode(&self, words: &Tensor, pooled_at: &[usize]) -> Result<Encoded> {
        let width = self.config.hidden_size;
        let longest = self.config.max_position_embeddings;
        let (batch, tokens) = match *words.dims() {
            [batch, tokens, w] if w == width && (1..=longest).contains(&tokens) => (batch, tokens),
            _ => {
                return Err(Error::caller(format!(
                    "word vectors of shape {:?}; expected [batch, 1 to {longest}, {width}]",
                    words.dims()
                )));
            }
        };
        if pooled_at.len() != batch || pooled_at.iter().any(|at| *at >= tokens) {
            return Err(Error::caller(format!(
                "pooled tokens {pooled_at:?} for {batch} texts of {tokens} tokens"
            )));
        }
        let positions = self.positions.narrow(0, 0, tokens)?;
        let mut x = words.to_dtype(self.dtype)?.broadcast_add(&positions)?;
        let mut states = vec![x.clone()];
        for layer in &self.layers {
            x = layer.forward(&x)?;
            states.push(x.clone());
        }
        let last = self.norm.forward(&x)?;
        let pooled = pooled_at
            .iter()
            .enumerate()
            .map(|(i, at)| last.narrow(0, i, 1)?.narrow(1, *at, 1)?.reshape((1, width)))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let pooled = Tensor::cat(&pooled, 0)?;
        let projected = match &self.projection {
            Some(projection) => Some(kernels::linear(&pooled, projection, None)?),
            None => None,
        };
        Ok(Encoded {
            states,
            last,
            pooled,
            projected,
        })
    }

    /// The final norm of a hidden state: for leaving out last layers ("clip skip") in SD 1.x and 2.x.
    ///
    /// # Errors
    /// If the device fails.
    pub fn normed(&self, state: &Tensor) -> Result<Tensor> {
        self.norm.forward(state)
    }
}
