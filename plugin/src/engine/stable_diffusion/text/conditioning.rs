//! What the U-Net is given for a prompt.

use candle_core::Tensor;

use super::chunks::{Chunk, Chunks};
use super::prompt::Prompt;
use super::tokenizer::{Learned, Tokenizer};
use super::weigh::weigh;
use crate::engine::stable_diffusion::clip::TextEncoder;
use crate::{Error, Result};

/// A text encoder with its tokenizer, and what it has learned.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// The network.
    pub encoder: &'a TextEncoder,
    /// Its vocabulary.
    pub tokenizer: &'a Tokenizer,
    /// The learned words' vectors for this encoder, `[vectors, width]` each; in the order of the words' names.
    pub learned: &'a [Tensor],
}

/// A prompt, encoded.
#[derive(Debug, Clone)]
pub struct Conditioning {
    /// What cross-attention reads: `[1, 77 · sequences, width]`. In SDXL both encoders' states, side by side.
    pub context: Tensor,
    /// The projected pooled state of the first sequence by the last encoder, `[1, width]`: for SDXL alone.
    pub pooled: Option<Tensor>,
    /// Where each word went, to be asked with the first stage's tokenizer.
    pub chunks: Chunks,
}

impl Conditioning {
    /// Encodes a prompt in at least `sequences` sequences with one text encoder (SD 1.x, 2.x) or two (SDXL). `words` are the
    /// learned words' names. `skip` layers are left out at the end; SDXL leaves one more out always.
    ///
    /// SDXL's pipeline in diffusers takes zeros instead of the encoding of an empty negative prompt where the model's
    /// `force_zeros_for_empty_prompt` says so: see [`zeros`](Self::zeros).
    ///
    /// # Errors
    /// `Caller` for a prompt that is too long or more skipped layers than there are; `Bug` if learned vectors do not fit.
    pub fn new(
        stages: &[Stage<'_>],
        prompt: &Prompt,
        words: &[Learned],
        sequences: usize,
        skip: usize,
    ) -> Result<Self> {
        let mut contexts = Vec::new();
        let mut pooled = None;
        let mut first = None;
        for stage in stages {
            let mut chunks = Chunks::new(prompt, stage.tokenizer, words)?;
            chunks.pad_to(sequences);
            let (context, projected) = stage.encode(&chunks, skip, stages.len() > 1)?;
            contexts.push(context);
            pooled = projected;
            first.get_or_insert(chunks);
        }
        let chunks = first.ok_or_else(|| Error::bug("a model without a text encoder"))?;
        let context = Tensor::cat(&contexts, 2)?;
        Ok(Self {
            context,
            pooled: pooled.filter(|_| stages.len() > 1),
            chunks,
        })
    }

    /// Two prompts in as many sequences as the longer one needs: the one to follow and the one to avoid.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn pair(
        stages: &[Stage<'_>],
        prompts: [&Prompt; 2],
        words: &[Learned],
        skip: usize,
    ) -> Result<[Self; 2]> {
        let mut sequences = 1;
        for prompt in prompts {
            for stage in stages {
                let chunks = Chunks::new(prompt, stage.tokenizer, words)?;
                sequences = sequences.max(chunks.chunks.len());
            }
        }
        let [follow, avoid] = prompts.map(|p| Self::new(stages, p, words, sequences, skip));
        Ok([follow?, avoid?])
    }

    /// The same shape, all zeros.
    ///
    /// # Errors
    /// `Device` if the device has no room.
    pub fn zeros(&self) -> Result<Self> {
        Ok(Self {
            context: self.context.zeros_like()?,
            pooled: self.pooled.as_ref().map(Tensor::zeros_like).transpose()?,
            chunks: self.chunks.clone(),
        })
    }
}

impl Stage<'_> {
    /// The context and the projected pooled state of the first sequence.
    fn encode(
        &self,
        chunks: &Chunks,
        skip: usize,
        penultimate: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let mut contexts = Vec::with_capacity(chunks.chunks.len());
        let mut pooled = None;
        for chunk in &chunks.chunks {
            let words = self.words(chunk)?;
            let encoded = self.encoder.encode(&words, &[chunk.end])?;
            let left_out = skip.saturating_add(usize::from(penultimate));
            let state = || {
                let layers = encoded.states.len() - 1;
                let at = layers.checked_sub(left_out).filter(|at| *at > 0);
                at.map(|at| &encoded.states[at]).ok_or_else(|| {
                    Error::caller(format!(
                        "{skip} layers of the text encoder were to be left out; it has {layers}"
                    ))
                })
            };
            let context = match (penultimate, skip) {
                (true, _) => state()?.clone(),
                (false, 0) => encoded.last.clone(),
                (false, _) => self.encoder.normed(state()?)?,
            };
            contexts.push(weigh(&context, &chunk.weights)?);
            if pooled.is_none() {
                pooled = encoded.projected;
            }
        }
        Ok((Tensor::cat(&contexts, 1)?, pooled))
    }

    /// The word vectors of a sequence, `[1, 77, width]`.
    ///
    /// # Errors
    /// `Caller` if a token is not in the encoder's vocabulary; `Bug` if a learned word's vectors are missing or do not fit.
    pub fn words(&self, chunk: &Chunk) -> Result<Tensor> {
        let known = self.encoder.embed(std::slice::from_ref(&chunk.ids))?;
        let mut vectors = Vec::with_capacity(chunk.learned.len());
        for at in &chunk.learned {
            let word = self.learned.get(at.word);
            let word =
                word.ok_or_else(|| Error::bug(format!("learned word {} has no vectors", at.word)))?;
            vectors.push((at.position, word.narrow(0, at.vector, 1)?));
        }
        with_vectors(&known, &vectors)
    }
}

/// Word vectors `[1, tokens, width]` with others, `[1, width]` each, at some positions, which rise. Gradients reach both.
///
/// # Errors
/// `Bug` if a vector does not fit or positions do not rise.
pub fn with_vectors(words: &Tensor, vectors: &[(usize, Tensor)]) -> Result<Tensor> {
    let mut parts = Vec::with_capacity(2 * vectors.len() + 1);
    let mut from = 0;
    let tokens = words.dim(1)?;
    for (position, vector) in vectors {
        if *position < from || *position >= tokens {
            return Err(Error::bug(format!(
                "a word vector at {position} of {tokens}, behind {from} others"
            )));
        }
        if *position > from {
            parts.push(words.narrow(1, from, position - from)?);
        }
        let vector = vector.to_device(words.device())?;
        parts.push(vector.to_dtype(words.dtype())?.unsqueeze(0)?);
        from = position + 1;
    }
    if from < tokens {
        parts.push(words.narrow(1, from, tokens - from)?);
    }
    Ok(Tensor::cat(&parts, 1)?)
}

#[cfg(test)]
#[path = "conditioning_tests.rs"]
mod tests;
