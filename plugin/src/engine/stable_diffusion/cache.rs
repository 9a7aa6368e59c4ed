//! The text model at hand: loading one takes seconds, so it stays until another one is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::model::{Model, device};
use super::text::{LoraUse, NewWords, Prompt};
use super::vae::Taesd;
use super::weights::Options;
use super::weights::embedding::Embedding;
use super::weights::lora::Lora;
use super::weights::store::Store;
use crate::models::{Care, Found, Kind, Models, verify};
use crate::subject::TextPart;
use crate::{Error, Result};

/// Opens one engine's text models, and keeps the last.
#[derive(Debug)]
pub struct Cache {
    models: Models,
    options: Options,
    loaded: Option<(PathBuf, Model)>,
}

impl Cache {
    /// Models that are opened with `options`. Nothing is read before one is asked for.
    pub fn new(models: Models, options: Options) -> Self {
        Self {
            models,
            options,
            loaded: None,
        }
    }

    /// The model of this name, path or Hugging Face id, or the only one there is, with the LoRAs that the prompts ask for and
    /// the learned words that stand in them, and with what was learned of a subject.
    ///
    /// # Errors
    /// `Refused` if there is no text model at all, or the subject was learned with another one; `Caller` if the one asked for
    /// is not there or none was named among several; `Files` if a file is damaged.
    pub fn open(
        &mut self,
        wanted: Option<&str>,
        prompts: &[&str],
        own: Option<&TextPart>,
    ) -> Result<&Model> {
        let path = match wanted {
            Some(name) => self.models.resolve(Kind::Checkpoint, name)?,
            None => self.only()?,
        };
        let kept = self.loaded.take().filter(|(at, _)| *at == path);
        let mut model = match kept {
            Some((_, model)) => model,
            None => {
                let mut model = Model::open(&path, &self.options, &device())?;
                let glance = self
                    .models
                    .taesd(model.family())
                    .filter(|_| model.has_published_latents());
                // A preview is worth no failure: without it, the picture's own colours show the latents.
                model.set_glance(glance.and_then(|p| Taesd::open(&p, model.device()).ok()));
                model
            }
        };
        let mut loras = match own {
            Some(own) => learned(own, &model)?,
            None => Vec::new(),
        };
        for prompt in prompts {
            for used in Prompt::parse(prompt)?.loras {
                let file = self.models.resolve(Kind::Lora, &used.name)?;
                loras.push((Lora::open(&file)?, used));
            }
        }
        model.put_on(&loras)?;
        let widths = model.text_widths();
        let mut words = self.words(prompts, &widths)?;
        if let Some(own) = own.filter(|own| !own.word.is_empty()) {
            let path = Path::new(&own.facts.token);
            let word = Embedding::parse(path, own.word.clone())?;
            words.add(&own.facts.token, &word.for_encoders(&widths)?);
        }
        model.learn_words(words);
        Ok(&self.loaded.insert((path, model)).1)
    }

    /// The only checkpoint there is, or the only one among several that can be used.
    fn only(&self) -> Result<PathBuf> {
        let mut found = self.models.find(Kind::Checkpoint)?;
        if found.len() > 1 {
            let whole = |f: &Found| verify(&f.path, Care::Quick).is_ok_and(|v| v.problem.is_none());
            let whole: Vec<Found> = found.iter().filter(|f| whole(f)).cloned().collect();
            if !whole.is_empty() {
                found = whole;
            }
        }
        match found.as_slice() {
            [only] => Ok(only.path.clone()),
            [] => Err(Error::refused(
                "a pose in words needs a text model, and none was found: get a Stable Diffusion checkpoint with `repose models \
                 add ORG/NAME`, or name a folder that has some with `repose models folders add`. Pins, a guide layer and \
                 placements work without one; `pocket`, which is built in, knows drawn toys alone",
            )),
            several => {
                let names: Vec<_> = several.iter().take(12).map(|f| f.name.as_str()).collect();
                Err(Error::caller(format!(
                    "there are {} text models; say which one is meant: {}{}",
                    several.len(),
                    names.join(", "),
                    if several.len() > 12 { ", …" } else { "" }
                )))
            }
        }
    }

    /// The learned words whose tokens stand in one of the prompts.
    fn words(&self, prompts: &[&str], widths: &[usize]) -> Result<NewWords> {
        let prompts: Vec<String> = prompts.iter().map(|p| p.to_lowercase()).collect();
        let mut words = NewWords::default();
        for found in self.models.find(Kind::Embedding)? {
            let name = found
                .name
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_lowercase();
            // Only those that are meant are read: a folder may hold hundreds.
            if prompts.iter().any(|p| p.contains(&name)) {
                put(&mut words, &Embedding::open(&found.path)?, widths)?;
            }
        }
        Ok(words)
    }
}

/// Makes an embedding known under all its names.
fn put(words: &mut NewWords, embedding: &Embedding, widths: &[usize]) -> Result<()> {
    let vectors = embedding.for_encoders(widths)?;
    for name in &embedding.tokens {
        words.add(name, &vectors);
    }
    Ok(())
}

/// The changes of projections that a subject brings.
///
/// # Errors
/// `Refused` if it was learned with other weights.
fn learned(own: &TextPart, model: &Model) -> Result<Vec<(Lora, LoraUse)>> {
    let (facts, here) = (&own.facts, model.reference());
    if facts.model_sha256 != here.sha256 {
        return Err(Error::refused(format!(
            "this subject was learned with the text model {:?}; {:?}, which was to pose it, has other weights, to which what \
             was learned means nothing: pose with that model, or learn the subject again with this one",
            facts.model, here.name
        )));
    }
    if own.lora.is_empty() {
        return Ok(Vec::new());
    }
    let store = Store::parse(Path::new(&facts.token), Arc::new(own.lora.clone()))?;
    let used = LoraUse {
        name: facts.token.clone(),
        unet: 1.0,
        text_encoder: 1.0,
    };
    Ok(vec![(Lora::of(store)?, used)])
}
