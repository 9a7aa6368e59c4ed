//! Textual-inversion embeddings (arXiv 2208.01618) as users have them: A1111's `.pt` and `.safetensors`, diffusers'
//! `learned_embeds`, and SDXL's with a tensor for each encoder.

mod pickle;
mod torch;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

use super::store::{Store, foreign};
use crate::kernels::Frozen;
use crate::subject::read_bounded;
use crate::{Error, Result};

/// The largest file that is read, in bytes: SDXL's with 75 vectors has 0.6 MB.
const MAX_FILE: u64 = 32 << 20;

/// The most vectors of one embedding; a prompt has 75 places.
const MAX_VECTORS: usize = 1024;

/// The widest vector; OpenCLIP's G has 1280.
const MAX_WIDTH: usize = 8192;

/// A word, or a few, that a model did not know.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// What is written in a prompt for it: the file's own token first, then the name of the file.
    pub tokens: Vec<String>,
    /// The file.
    pub path: PathBuf,
    /// `[vectors, width]` in `f32` on the CPU: one for each text encoder, all of as many vectors.
    pub vectors: Vec<Tensor>,
}

impl Embedding {
    /// Reads a file. A pickle is read by a machine that knows containers, numbers, texts and tensors, and nothing that could
    /// run: see `torch`.
    ///
    /// # Errors
    /// `Files` if it cannot be read, is damaged or is no embedding; `Refused` if a pickle in it wants more than tensors.
    pub fn open(path: &Path) -> Result<Self> {
        Self::parse(path, read_bounded(path, MAX_FILE)?)
    }

    /// The same for the bytes of a file; `path` is what errors call them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let found = if torch::is_torch(&bytes) {
            torch::tensors(path, &bytes)?
        } else if foreign(&bytes).is_none() {
            let store = Store::parse(path, std::sync::Arc::new(bytes))?;
            let floats = store.tensors().iter().filter(|(_, entry)| entry.is_float());
            floats
                .map(|(name, _)| Ok((name.clone(), store.frozen(name)?)))
                .collect::<Result<_>>()?
        } else {
            return Err(Store::parse(path, std::sync::Arc::new(bytes))
                .err()
                .unwrap_or_else(|| Error::bug("a file that is not safetensors was read as one")));
        };
        from_tensors(path, found)
    }

    /// How many places of a prompt it takes.
    pub fn count(&self) -> usize {
        self.vectors
            .first()
            .and_then(|v| v.dims().first().copied())
            .unwrap_or(0)
    }

    /// The vectors for text encoders of these widths, in their order.
    ///
    /// # Errors
    /// `Files` if it was made for others.
    pub fn for_encoders(&self, widths: &[usize]) -> Result<Vec<Tensor>> {
        let own: Vec<usize> = self
            .vectors
            .iter()
            .filter_map(|v| v.dims().get(1).copied())
            .collect();
        if own == widths {
            return Ok(self.vectors.clone());
        }
        Err(Error::files(format!(
            "the embedding {} has vectors of the width {own:?}; this model's text encoders take {widths:?}. It was made \
             for another kind of model (768: Stable Diffusion 1.x, 1024: 2.x, 768 and 1280: XL)",
            self.path.display()
        )))
    }
}

/// Sorts out what the tensors of an embedding file are.
fn from_tensors(path: &Path, found: Vec<(String, Frozen)>) -> Result<Embedding> {
    let stem = super::called(path);
    let wrong =
        |why: String| Error::files(format!("{} is not an embedding: {why}", path.display()));
    let named = |name: &str| found.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let (tokens, chosen) = if let (Some(l), Some(g)) = (named("clip_l"), named("clip_g")) {
        (vec![stem], vec![l, g])
    } else if let Some(vectors) = named("emb_params") {
        (vec![stem], vec![vectors])
    } else if let [(token, vectors)] = found.as_slice() {
        // A1111 calls every embedding `*` inside its file; published diffusers files have one name for their file.
        let mut tokens = Vec::new();
        if token != "*" && !token.is_empty() {
            tokens.push(token.clone());
        }
        if (tokens.is_empty() || !stem.starts_with("learned_embeds")) && !tokens.contains(&stem) {
            tokens.push(stem);
        }
        (tokens, vec![vectors])
    } else {
        return Err(wrong(format!(
            "it has {} tensors; one named emb_params or as its token, or clip_l and clip_g were expected",
            found.len()
        )));
    };
    let mut vectors = Vec::new();
    for vector in chosen {
        let (count, width) = match *vector.shape() {
            [width] => (1, width),
            [count, width] => (count, width),
            _ => return Err(wrong(format!("its shape is {:?}", vector.shape()))),
        };
        if count == 0 || count > MAX_VECTORS || width == 0 || width > MAX_WIDTH {
            return Err(wrong(format!(
                "it has {count} vectors of {width} numbers; at most {MAX_VECTORS} of {MAX_WIDTH} can be"
            )));
        }
        vectors.push(
            vector
                .tensor(DType::F32, &Device::Cpu)?
                .reshape((count, width))?,
        );
    }
    if vectors
        .windows(2)
        .any(|pair| pair[0].dims()[0] != pair[1].dims()[0])
    {
        return Err(wrong(
            "its encoders have different numbers of vectors".into(),
        ));
    }
    Ok(Embedding {
        tokens,
        path: path.to_owned(),
        vectors,
    })
}

#[cfg(test)]
mod tests;
