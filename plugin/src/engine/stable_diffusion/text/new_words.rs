//! Words that a model's vocabulary lacks.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::tokenizer::Learned;
use crate::engine::stable_diffusion::weights::store::Store;
use crate::{Error, Result};

/// The most words of a file.
const MOST: usize = 1024;

/// Learned words and their vectors for each text encoder of a model.
#[derive(Debug, Clone, Default)]
pub struct NewWords {
    names: Vec<Learned>,
    /// By encoder, then by word: `[vectors, width]`.
    vectors: Vec<Vec<Tensor>>,
}

impl NewWords {
    /// Makes a word known. `vectors`: `[count, width]` for each text encoder, of the same count.
    pub fn add(&mut self, name: &str, vectors: &[Tensor]) {
        self.names.push(Learned {
            name: name.to_owned(),
            vectors: vectors.first().map_or(0, |v| v.dims()[0]),
        });
        self.vectors.resize(vectors.len(), Vec::new());
        for (all, one) in self.vectors.iter_mut().zip(vectors) {
            all.push(one.clone());
        }
    }

    /// Their names.
    pub fn names(&self) -> &[Learned] {
        &self.names
    }

    /// Their vectors for the text encoder of this number, in the order of the names.
    pub fn of(&self, encoder: usize) -> &[Tensor] {
        self.vectors.get(encoder).map_or(&[], Vec::as_slice)
    }

    /// As a file: safetensors with a tensor for each word and text encoder, named `WORD/NUMBER`, in f32. Empty if there are
    /// no words.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if self.names.is_empty() {
            return Ok(Vec::new());
        }
        let mut tensors = Vec::new();
        for (encoder, vectors) in self.vectors.iter().enumerate() {
            for (word, vector) in self.names.iter().zip(vectors) {
                let plain = vector.detach().to_device(&Device::Cpu)?;
                let plain = plain.to_dtype(DType::F32)?.contiguous()?;
                tensors.push((format!("{}/{encoder}", word.name), plain));
            }
        }
        safetensors::serialize(tensors, None).map_err(|e| Error::bug(e.to_string()))
    }

    /// Makes the words known that [`to_bytes`](Self::to_bytes) wrote, for text encoders of these widths. `path` is what errors
    /// call the file.
    ///
    /// # Errors
    /// `Files` if it is damaged or its words are of another kind of model.
    pub fn add_bytes(&mut self, path: &Path, bytes: Vec<u8>, widths: &[usize]) -> Result<()> {
        let store = Store::parse(path, Arc::new(bytes))?;
        let wrong = |why: String| Error::files(format!("the words of {}: {why}", path.display()));
        let names = store.tensors().keys().cloned();
        let words: Vec<String> = names
            .filter_map(|name| Some(name.strip_suffix("/0")?.to_owned()))
            .collect();
        if words.len() > MOST || words.len() * widths.len() != store.tensors().len() {
            return Err(wrong(format!(
                "{} tensors; one for each of at most {MOST} words and of the model's {} text encoders were expected",
                store.tensors().len(),
                widths.len()
            )));
        }
        for word in words {
            let mut vectors = Vec::with_capacity(widths.len());
            for (encoder, width) in widths.iter().enumerate() {
                let name = format!("{word}/{encoder}");
                let vector = store.frozen(&name)?;
                if vector.shape() != [1, *width] {
                    return Err(wrong(format!(
                        "{name} has the shape {:?}; [1, {width}] was expected: it was learned with another kind of model",
                        vector.shape()
                    )));
                }
                vectors.push(vector.tensor(DType::F32, &Device::Cpu)?);
            }
            self.add(&word, &vectors);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_from_their_file() -> Result<()> {
        let path = Path::new("test");
        let vector = |at: f32, width: usize| Tensor::full(at, (1, width), &Device::Cpu);
        let mut words = NewWords::default();
        words.add("my-toy-pose-0", &[vector(1.0, 4)?, vector(2.0, 6)?]);
        words.add("my-toy-place-0", &[vector(3.0, 4)?, vector(4.0, 6)?]);
        let bytes = words.to_bytes()?;
        let mut back = NewWords::default();
        back.add_bytes(path, bytes.clone(), &[4, 6])?;
        for (n, word) in back.names().iter().enumerate() {
            let mut names = words.names().iter();
            let own = names.position(|own| own.name == word.name);
            let own = own.ok_or_else(|| Error::bug("a word of another name"))?;
            for encoder in 0..2 {
                let (a, b) = (&back.of(encoder)[n], &words.of(encoder)[own]);
                assert_eq!(a.to_vec2::<f32>()?, b.to_vec2::<f32>()?);
            }
        }
        assert_eq!(back.names().len(), 2);
        for widths in [&[4][..], &[6, 4], &[4, 6, 6]] {
            let wrong = NewWords::default().add_bytes(path, bytes.clone(), widths);
            let kind = wrong.err().map(|e| e.kind);
            assert_eq!(kind, Some(crate::ErrorKind::Files), "{widths:?}");
        }
        for end in 0..bytes.len() {
            let cut = bytes[..end].to_vec();
            assert!(NewWords::default().add_bytes(path, cut, &[4, 6]).is_err());
        }
        assert!(NewWords::default().to_bytes()?.is_empty());
        Ok(())
    }
}
