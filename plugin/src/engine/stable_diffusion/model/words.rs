//! What a model is told: prompts, through its tokenizers and text encoders.

use candle_core::{DType, Tensor};

use super::super::clip::TextEncoder;
use super::super::text::{Conditioning, NewWords, Prompt, Stage, Tokenizer};
use super::Model;
use crate::{Error, Result};

/// Words, encoded for the U-Net.
#[derive(Debug, Clone)]
pub struct Text {
    pub(super) conditioning: Conditioning,
    /// Places of the subject's word in the context; none if it does not occur.
    pub word: Vec<usize>,
}

impl Text {
    /// What the text encoders make of the words at these places, `[places, width]`.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn at(&self, places: &[usize]) -> Result<Tensor> {
        let context = self.conditioning.context.squeeze(0)?;
        let places: Vec<u32> = places.iter().map(|at| *at as u32).collect();
        let places = Tensor::new(places, context.device())?;
        Ok(context.index_select(&places, 0)?)
    }

    /// The same of all its words.
    ///
    /// # Errors
    /// As [`at`](Self::at).
    pub fn told(&self) -> Result<Tensor> {
        let places: Vec<usize> = self.conditioning.chunks.places_of_prompt().collect();
        self.at(&places)
    }

    /// The same, through which no gradients go.
    pub fn detached(mut self) -> Self {
        self.conditioning.context = self.conditioning.context.detach();
        self.conditioning.pooled = self.conditioning.pooled.map(|p| p.detach());
        self
    }
}

impl Model {
    /// Encodes words: what the picture shall show, shall not show, and shows now. The first two get equal lengths. `subjects`
    /// are the words of the first that mean subjects. `skip` layers of the text encoders are left out.
    ///
    /// # Errors
    /// As [`Conditioning::new`].
    pub fn texts(
        &self,
        [prompt, negative, source]: [&str; 3],
        subjects: &[String],
        skip: usize,
    ) -> Result<[Text; 3]> {
        let (stages, words) = (self.stages(&self.learned), self.learned.names());
        let [follow, avoid] = [prompt, negative].map(Prompt::parse);
        let empty = negative.trim().is_empty();
        let [follow, mut avoid] = Conditioning::pair(&stages, [&follow?, &avoid?], words, skip)?;
        if empty && self.zeros_for_empty {
            avoid = avoid.zeros()?;
        }
        let mut places = Vec::new();
        for phrase in subjects {
            places.extend(self.places(&follow, phrase, &self.learned)?);
        }
        places.sort_unstable();
        places.dedup();
        Ok([
            Text {
                conditioning: follow,
                word: places,
            },
            Text {
                conditioning: avoid,
                word: Vec::new(),
            },
            self.shown(source, skip)?,
        ])
    }

    /// Encodes what a picture shows. `skip` layers of the text encoders are left out.
    ///
    /// # Errors
    /// As [`Conditioning::new`].
    pub fn shown(&self, caption: &str, skip: usize) -> Result<Text> {
        let (stages, caption) = (self.stages(&self.learned), Prompt::parse(caption)?);
        Ok(Text {
            conditioning: Conditioning::new(&stages, &caption, self.learned.names(), 1, skip)?,
            word: Vec::new(),
        })
    }

    /// Encodes one prompt with other learned words than the model's own: gradients reach their vectors.
    ///
    /// # Errors
    /// As [`Conditioning::new`].
    pub fn text(&self, prompt: &str, words: &NewWords) -> Result<Text> {
        let (stages, prompt) = (self.stages(words), Prompt::parse(prompt)?);
        let conditioning = Conditioning::new(&stages, &prompt, words.names(), 1, 0)?;
        Ok(Text {
            word: Vec::new(),
            conditioning,
        })
    }

    /// Where a phrase stands in an encoded text, for reading maps of attention.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn find(&self, text: &Text, phrase: &str, words: &NewWords) -> Result<Vec<usize>> {
        self.places(&text.conditioning, phrase, words)
    }

    fn stages<'a>(&'a self, words: &'a NewWords) -> Vec<Stage<'a>> {
        let encoders = self.text.iter().enumerate();
        let stage = |(index, (encoder, tokenizer)): (usize, &'a (TextEncoder, Tokenizer))| Stage {
            encoder,
            tokenizer,
            learned: words.of(index),
        };
        encoders.map(stage).collect()
    }

    /// Where a phrase stands in a text.
    fn places(&self, text: &Conditioning, phrase: &str, words: &NewWords) -> Result<Vec<usize>> {
        let Some((_, tokenizer)) = self.text.first() else {
            return Ok(Vec::new());
        };
        // As the prompt's syntax leaves it.
        let plain: String = phrase.chars().filter(|c| !"()[]".contains(*c)).collect();
        text.chunks.places_of(&plain, tokenizer, words.names())
    }

    /// The mean of the vectors that the vocabulary has for a phrase, `[1, width]` for each text encoder: where a new word for
    /// such a thing may begin.
    ///
    /// # Errors
    /// `Caller` if the phrase is empty.
    pub fn vectors_of(&self, phrase: &str) -> Result<Vec<Tensor>> {
        let mean = |(encoder, tokenizer): &(TextEncoder, Tokenizer)| {
            let ids = tokenizer.encode(phrase)?;
            if ids.is_empty() {
                return Err(Error::caller(
                    "a word for the subject is missing, such as `teddy bear`",
                ));
            }
            let vectors = encoder.embed(&[ids])?.to_dtype(DType::F32)?;
            Ok(vectors.squeeze(0)?.mean_keepdim(0)?)
        };
        self.text.iter().map(mean).collect()
    }
}
