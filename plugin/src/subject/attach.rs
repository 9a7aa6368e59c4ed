//! What another program has learned of a subject: its LoRA and its word, taken into the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Tensor;
use serde::Deserialize;

use super::interchange::IMPORTED;
use super::{Library, SubjectRef, TextFacts, TextPart, read_bounded};
use crate::engine::stable_diffusion::weights::embedding::Embedding;
use crate::engine::stable_diffusion::weights::lora::Lora;
use crate::engine::stable_diffusion::weights::store::Store;
use crate::{Error, Result};

/// The largest LoRA; those of whole SDXL models at rank 256 have less than 2 GB.
const MAX_LORA: u64 = 4 << 30;

/// Files of another program, for a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// The subject's name.
    pub name: String,
    /// A LoRA of kohya's, PEFT's or diffusers' kind, as safetensors.
    pub lora: Option<PathBuf>,
    /// A learned word of A1111's or diffusers' kind.
    pub word: Option<PathBuf>,
    /// The word that prompts need before what the subject is, where the LoRA was trained with one, such as `sks`.
    pub token: Option<String>,
    /// What the subject is; `None`: what it was learned as, or its name.
    pub is: Option<String>,
    /// The text model that it is to be posed with; `None`: the one that is asked for then.
    pub model: Option<String>,
}

impl Library {
    /// Gives a subject what another program has learned of it: a new version, like the newest in all else.
    ///
    /// # Errors
    /// `Caller` if no file is given; `Files` if one is damaged or of another kind; `Refused` if it is a relative of LoRA that
    /// cannot be put on; as [`load`](Self::load) and [`save`](Self::save).
    pub fn attach(&self, foreign: &Foreign) -> Result<SubjectRef> {
        let name = &foreign.name;
        if foreign.lora.is_none() && foreign.word.is_none() {
            return Err(Error::caller(
                "nothing to attach: give a LoRA's file, a learned word's file, or both",
            ));
        }
        let (mut subject, used) = self.load(name, None)?;
        let (_, _, consent) = self.card_for_use(name, Some(used.version))?;
        let lora = match &foreign.lora {
            Some(path) => lora(path)?,
            None => Vec::new(),
        };
        let (word, own) = match &foreign.word {
            Some(path) => word(path)?,
            None => (Vec::new(), None),
        };
        let is = foreign.is.clone().or_else(|| subject.words.word.clone());
        subject.text = Some(TextPart {
            facts: TextFacts {
                recipe: IMPORTED.to_owned(),
                model: foreign.model.clone().unwrap_or_default(),
                token: own.or_else(|| foreign.token.clone()).unwrap_or_default(),
                word: is.unwrap_or_else(|| name.clone()),
                ..TextFacts::default()
            },
            lora,
            word,
            beside: Vec::new(),
        });
        self.save(&subject, &consent)
    }
}

/// A LoRA's file, as it is: which projections it changes is known when a model is there.
fn lora(path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bounded(path, MAX_LORA)?;
    Lora::of(Store::parse(path, Arc::new(bytes.clone()))?)?;
    Ok(bytes)
}

/// A learned word in our own form, and its name.
fn word(path: &Path) -> Result<(Vec<u8>, Option<String>)> {
    let found = Embedding::open(path)?;
    let token = found.tokens.first().cloned();
    let name = token.clone().unwrap_or_else(|| "word".to_owned());
    let tensors: Vec<(String, Tensor)> = match &found.vectors[..] {
        [l, g] => vec![("clip_l".into(), l.clone()), ("clip_g".into(), g.clone())],
        vectors => vectors.iter().map(|v| (name.clone(), v.clone())).collect(),
    };
    let bytes = safetensors::serialize(tensors, None).map_err(|e| Error::bug(e.to_string()))?;
    Ok((bytes, token))
}
