//! The text model at hand: loading one takes seconds, so it stays until another one is asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::merge::shares;
use super::model::{Model, Worn, device_for};
use super::text::{LoraUse, NewWords, Prompt};
use super::vae::Taesd;
use super::weights::embedding::Embedding;
use super::weights::lora::Lora;
use super::weights::store::Store;
use super::weights::{Checkpoint, Options};
use crate::models::{Care, Found, Kind, Models, verify};
use crate::subject::TextPart;
use crate::{Error, Result};

/// What was learned of a subject, as it is put on a model.
#[derive(Debug, Clone)]
pub struct Taught<'a> {
    /// What was learned.
    pub part: &'a TextPart,
    /// At which weights.
    pub used: LoraUse,
    /// Whether the user named it: then what another model of the same generation learned is put on as well.
    pub named: bool,
    /// See [`Worn::delayed`].
    pub delayed: bool,
}

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
    /// the learned words that stand in them, and with what was learned of subjects.
    ///
    /// # Errors
    /// `Refused` if there is no text model at all, or a subject was learned with another one; `Caller` if the one asked for
    /// is not there or none was named among several; `Files` if a file is damaged.
    pub fn open(
        &mut self,
        wanted: Option<&str>,
        prompts: &[&str],
        taught: &[Taught<'_>],
    ) -> Result<&Model> {
        let path = match wanted {
            Some(name) => self.models.resolve(Kind::Checkpoint, name)?,
            None => self.only()?,
        };
        let kept = self.loaded.take().filter(|(at, _)| *at == path);
        let mut model = match kept {
            Some((_, model)) => model,
            None => {
                let checkpoint = Checkpoint::open(&path, &self.options)?;
                let mut model = Model::new(&checkpoint, &device_for(&checkpoint))?;
                let glance = self
                    .models
                    .taesd(model.family())
                    .filter(|_| model.has_published_latents());
                // A preview is worth no failure: without it, the picture's own colours show the latents.
                model.set_glance(glance.and_then(|p| Taesd::open(&p, model.device()).ok()));
                model
            }
        };
        let mut loras = Vec::new();
        for one in taught {
            loras.extend(learned(one, &model)?);
        }
        for prompt in prompts {
            for used in Prompt::parse(prompt)?.loras {
                let file = self.models.resolve(Kind::Lora, &used.name)?;
                loras.push(Worn::new(Lora::open(&file)?, used));
            }
        }
        let widths = model.text_widths();
        let mut words = self.words(prompts, &widths)?;
        for Taught { part, .. } in taught.iter().filter(|one| !one.part.word.is_empty()) {
            let path = Path::new(&part.facts.token);
            let word = Embedding::parse(path, part.word.clone())?;
            words.add(&part.facts.token, &word.for_encoders(&widths)?);
        }
        for Taught { part, .. } in taught.iter().filter(|one| !one.part.beside.is_empty()) {
            words.add_bytes(Path::new(&part.facts.token), part.beside.clone(), &widths)?;
        }
        share(&mut loras, taught, &model, &words)?;
        model.wear(&loras)?;
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

/// Where several subjects change what the U-Net's attentions make of the text, and nothing else, each change is made to keep to
/// its own subject's words.
fn share(loras: &mut [Worn], taught: &[Taught<'_>], model: &Model, words: &NewWords) -> Result<()> {
    // The first are the subjects', in order; those without a LoRA have none here.
    let brings = taught.iter().filter(|one| !one.part.lora.is_empty());
    let own = loras.iter_mut().zip(brings);
    let sharing = own.filter(|(worn, one)| !one.part.word.is_empty() && reads_text(&worn.lora));
    let (mut sharing, facts): (Vec<_>, Vec<_>) =
        sharing.map(|(worn, one)| (worn, &one.part.facts)).unzip();
    if sharing.len() < 2 {
        return Ok(());
    }
    model.take_off();
    let shares = shares(model, words, &facts)?;
    for (worn, share) in sharing.iter_mut().zip(shares) {
        worn.share = Some(share);
    }
    Ok(())
}

/// Whether a LoRA changes only keys and values that are made of the text.
fn reads_text(lora: &Lora) -> bool {
    let mut modules = lora.modules();
    modules.all(|name| name.contains("attn2") && (name.ends_with("to_k") || name.ends_with("to_v")))
}

/// The changes of projections that a subject brings.
///
/// # Errors
/// `Refused` if it was learned with other weights, unless these are of the same generation and the user named it.
fn learned(taught: &Taught<'_>, model: &Model) -> Result<Option<Worn>> {
    let (facts, here) = (&taught.part.facts, model.reference());
    let related = facts.family == model.family().word();
    // What another program learned does not say which weights it is of; its shapes tell the generation.
    let known = !facts.model_sha256.is_empty();
    if known && facts.model_sha256 != here.sha256 && !(taught.named && related) {
        let way_out = match related {
            true => {
                ". They are of one generation: to try nevertheless, put <subject:NAME> with the subject's name into the prompt"
            }
            false => "",
        };
        return Err(Error::refused(format!(
            "this subject was learned with the text model {:?}; {:?}, which was to pose it, has other weights, to which what \
             was learned means nothing: pose with that model, or learn the subject again with this one{way_out}",
            facts.model, here.name
        )));
    }
    if taught.part.lora.is_empty() {
        return Ok(None);
    }
    let store = Store::parse(Path::new(&facts.token), Arc::new(taught.part.lora.clone()))?;
    Ok(Some(Worn {
        delayed: taught.delayed,
        ..Worn::new(Lora::of(store)?, taught.used.clone())
    }))
}
