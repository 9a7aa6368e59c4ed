//! Words that a model's vocabulary lacks.

use candle_core::Tensor;

use super::tokenizer::Learned;

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
}
