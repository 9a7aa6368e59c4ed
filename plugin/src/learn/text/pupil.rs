//! What is learned, on the model and off it.

use candle_core::{DType, Device, Tensor};

use super::encoder::ImageEncoder;
use super::mappers::{Attribute, Mappers};
use super::reference::Reference;
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::nn::{Adapter, Slot, put};
use crate::engine::stable_diffusion::sampler::Noise;
use crate::engine::stable_diffusion::text::NewWords;
use crate::engine::stable_diffusion::weights::lora::Target;
use crate::learn::recipe::{Adapters, Course, Lesson, Projections};
use crate::learn::train::{AdamW, Parts};
use crate::{Error, Result};

/// How names of self- and cross-attentions' projections end in U-Nets, and in text encoders.
const ATTENTION: [&str; 4] = [".to_q", ".to_k", ".to_v", ".to_out.0"];
const TEXT_ATTENTION: [&str; 4] = [".q_proj", ".k_proj", ".v_proj", ".out_proj"];

/// A learned word and changes of projections.
#[derive(Debug)]
pub struct Pupil {
    /// What stands for the word in prompts.
    pub token: String,
    /// Its vectors, `[1, width]` for each text encoder.
    word: Vec<Tensor>,
    /// What makes them of pictures, and the pictures as it takes them, in a lesson where they are not learned themselves.
    encoder: Option<ImageEncoder>,
    patches: Vec<Tensor>,
    /// Words for pictures' poses and places, in the same form.
    sinks: Vec<(String, Vec<Tensor>)>,
    /// The same of those.
    mappers: Option<Mappers>,
    features: Vec<Tensor>,
    adapters: Vec<Placed>,
}

/// A change of one projection.
#[derive(Debug)]
struct Placed {
    target: Target,
    module: String,
    slot: Slot,
    adapter: Adapter,
}

impl Pupil {
    /// Knows a word. One that the course learns begins as `word` means, a little off it: as the class itself it would be no
    /// word of its own. One that it does not learn is rare, a vector like no other word's and as long as `word`'s: were it
    /// near the class, pictures of the class would hold back whatever is learned under it.
    ///
    /// # Errors
    /// `Caller` if `word` is empty; as the model.
    pub fn new(
        model: &Model,
        course: &Course,
        token: &str,
        word: &str,
        noise: &mut Noise,
    ) -> Result<Self> {
        let mut vectors = model.vectors_of(word)?;
        for vector in &mut vectors {
            let size = f64::from(vector.sqr()?.mean_all()?.sqrt()?.to_scalar::<f32>()?);
            let away = noise.tensor(vector.dims(), vector.device())?;
            *vector = match course.learns_word() {
                true => (&*vector + (away * (0.1 * size))?)?,
                false => (away * size)?,
            };
        }
        Ok(Self {
            token: token.to_owned(),
            word: vectors,
            encoder: None,
            patches: Vec::new(),
            sinks: Vec::new(),
            mappers: None,
            features: Vec::new(),
            adapters: Vec::new(),
        })
    }

    /// What stands in prompts for the pose of the picture of this number …
    pub fn pose(&self, picture: usize) -> String {
        self.sink(Attribute::Pose, picture)
    }

    /// … and for what is around the subject there.
    pub fn place(&self, picture: usize) -> String {
        self.sink(Attribute::Place, picture)
    }

    fn sink(&self, attribute: Attribute, picture: usize) -> String {
        format!("{}-{}-{picture}", self.token, attribute.name())
    }

    /// What a lesson over these pictures moves. What is returned here is learned by its steps; all else stays as it is.
    ///
    /// # Errors
    /// `Refused` if the model has no such projections.
    pub fn begin(
        &mut self,
        lesson: &Lesson,
        pictures: &[Reference],
        model: &Model,
        noise: &mut Noise,
    ) -> Result<Parts> {
        let mut parts = Parts::new(model.unet().dtype());
        self.begin_sinks(lesson, pictures, model, (&mut parts, noise))?;
        if let Some(rate) = lesson.encoder {
            self.begin_encoder(rate, pictures, model, (&mut parts, noise))?;
        } else {
            // What an earlier lesson's encoder gave stays.
            self.encoder = None;
        }
        if let (Some(rate), None) = (lesson.word, &self.encoder) {
            for (index, vector) in self.word.iter_mut().enumerate() {
                let optimiser = AdamW::new(rate).without_decay();
                *vector = parts.add(&format!("word.{index}"), vector, optimiser)?;
            }
        }
        if let Some(wanted) = lesson.adapters {
            for (target, module, slot, shape) in projections(model, wanted.of) {
                let adapter = fresh(&shape, &wanted, model.device(), noise)?;
                let name = format!("{target:?}.{module}");
                let optimiser = AdamW::new(wanted.rate);
                self.adapters.push(Placed {
                    target,
                    module,
                    slot,
                    adapter: Adapter {
                        down: parts.add(&format!("{name}.down"), &adapter.down, optimiser)?,
                        up: parts.add(&format!("{name}.up"), &adapter.up, optimiser)?,
                        scale: adapter.scale,
                    },
                });
            }
            if self.adapters.is_empty() {
                return Err(Error::refused(
                    "this model has none of the attentions that the recipe changes: take another recipe",
                ));
            }
        }
        Ok(parts)
    }

    /// The word comes from an image encoder, which an earlier lesson may have taught already.
    fn begin_encoder(
        &mut self,
        rate: f64,
        pictures: &[Reference],
        model: &Model,
        (parts, noise): (&mut Parts, &mut Noise),
    ) -> Result<()> {
        let device = model.device();
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => {
                let new = ImageEncoder::new(model.text_config()?, &self.word, device, noise)?;
                none.insert(new)
            }
        };
        encoder.begin(rate, parts)?;
        let seen = pictures
            .iter()
            .map(|p| ImageEncoder::patches(&p.image, device));
        self.patches = seen.collect::<Result<_>>()?;
        Ok(())
    }

    /// There are words for poses and places, from mappers or as vectors of their own.
    fn begin_sinks(
        &mut self,
        lesson: &Lesson,
        pictures: &[Reference],
        model: &Model,
        (parts, noise): (&mut Parts, &mut Noise),
    ) -> Result<()> {
        let Some(rate) = lesson.sinks else {
            return Ok(());
        };
        let features = pictures.iter().map(|p| Mappers::features(&p.whole.latents));
        self.features = features.collect::<Result<_>>()?;
        if let (Some(rate), Some(first)) = (lesson.mappers, self.features.first()) {
            let mut mappers = match self.mappers.take() {
                Some(mappers) => mappers,
                None => Mappers::new(model, first, noise)?,
            };
            mappers.begin(rate, parts)?;
            self.mappers = Some(mappers);
            return Ok(());
        }
        self.sinks.clear();
        for picture in 0..pictures.len() {
            for attribute in Attribute::ALL {
                let name = self.sink(attribute, picture);
                let mut vectors = model.vectors_of(attribute.like())?;
                for (index, vector) in vectors.iter_mut().enumerate() {
                    let optimiser = AdamW::new(rate).without_decay();
                    *vector = parts.add(&format!("{name}.{index}"), vector, optimiser)?;
                }
                self.sinks.push((name, vectors));
            }
        }
        Ok(())
    }

    /// The lesson is over: what was learned is no longer moved.
    ///
    /// # Errors
    /// As the networks that give words.
    pub fn end(&mut self) -> Result<()> {
        self.word = still_words(&self.own(None)?);
        if let Some(encoder) = &mut self.encoder {
            encoder.end();
        }
        if self.mappers.is_some() {
            self.sinks.clear();
            for picture in 0..self.features.len() {
                let words = self.mapped(picture)?;
                self.sinks.extend(words);
            }
        }
        if let Some(mappers) = &mut self.mappers {
            mappers.end();
        }
        for (_, vectors) in &mut self.sinks {
            *vectors = still_words(vectors);
        }
        for placed in &mut self.adapters {
            placed.adapter = still(&placed.adapter);
        }
        Ok(())
    }

    /// The learned words, for the model's text encoders: as a picture gives them, or, with `None`, as they are kept.
    ///
    /// # Errors
    /// As the networks that give them.
    pub fn words(&self, picture: Option<usize>) -> Result<NewWords> {
        let mut words = NewWords::default();
        words.add(&self.token, &self.own(picture)?);
        match (&self.mappers, picture) {
            (Some(_), Some(picture)) => {
                for (name, vectors) in self.mapped(picture)? {
                    words.add(&name, &vectors);
                }
            }
            _ => {
                for (name, vectors) in &self.sinks {
                    words.add(name, vectors);
                }
            }
        }
        Ok(words)
    }

    /// The subject's word: as the encoder makes it of a picture, or the mean of what it makes of all.
    fn own(&self, picture: Option<usize>) -> Result<Vec<Tensor>> {
        let Some(encoder) = &self.encoder else {
            return Ok(self.word.clone());
        };
        if let Some(patches) = picture.and_then(|picture| self.patches.get(picture)) {
            return encoder.forward(patches);
        }
        let mut sum: Option<Vec<Tensor>> = None;
        for patches in &self.patches {
            let word = still_words(&encoder.forward(patches)?);
            sum = Some(match sum {
                Some(sum) => {
                    let added = sum.iter().zip(&word).map(|(a, b)| Ok((a + b)?));
                    added.collect::<Result<_>>()?
                }
                None => word,
            });
        }
        let sum = sum.ok_or_else(|| Error::bug("an image encoder without pictures"))?;
        let count = self.patches.len() as f64;
        sum.iter().map(|sum| Ok((sum / count)?)).collect()
    }

    /// What the mappers make of a picture.
    fn mapped(&self, picture: usize) -> Result<Vec<(String, Vec<Tensor>)>> {
        let (Some(mappers), Some(features)) = (&self.mappers, self.features.get(picture)) else {
            return Err(Error::bug("no mappers for a picture"));
        };
        let word = |attribute| {
            let vectors = mappers.forward(attribute, features)?;
            Ok((self.sink(attribute, picture), vectors))
        };
        Attribute::ALL.into_iter().map(word).collect()
    }

    /// Puts the changes on the model, for passes that gradients go through.
    pub fn on(&self) {
        for placed in &self.adapters {
            put(&placed.slot, placed.adapter.clone());
        }
    }

    /// Puts the changes on the model as they are now, for passes that nothing is learned from.
    pub fn on_still(&self) {
        for placed in &self.adapters {
            put(&placed.slot, still(&placed.adapter));
        }
    }

    /// The changes as a file of diffusers' and PEFT's kind; empty if there are none.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn lora(&self) -> Result<Vec<u8>> {
        if self.adapters.is_empty() {
            return Ok(Vec::new());
        }
        let mut tensors = Vec::new();
        for placed in &self.adapters {
            let network = match placed.target {
                Target::UNet => "unet".to_owned(),
                Target::Text(0) => "text_encoder".to_owned(),
                Target::Text(n) => format!("text_encoder_{}", n + 1),
            };
            let stem = format!("{network}.{}", placed.module);
            let up = (&placed.adapter.up * placed.adapter.scale)?;
            tensors.push((
                format!("{stem}.lora_A.weight"),
                plain(&placed.adapter.down)?,
            ));
            tensors.push((format!("{stem}.lora_B.weight"), plain(&up)?));
        }
        file(tensors)
    }

    /// The word as a file of diffusers' kind; of A1111's for SDXL, as diffusers has no one file there.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn word(&self) -> Result<Vec<u8>> {
        let tensors = match &self.word[..] {
            [one] => vec![(self.token.clone(), plain(one)?)],
            [l, g] => vec![("clip_l".into(), plain(l)?), ("clip_g".into(), plain(g)?)],
            _ => return Ok(Vec::new()),
        };
        file(tensors)
    }

    /// What stands in prompts for the words of pictures' poses and places.
    pub fn beside(&self) -> Vec<String> {
        self.sinks.iter().map(|(name, _)| name.clone()).collect()
    }

    /// These words as a file, see [`NewWords::to_bytes`]; empty if there are none.
    ///
    /// # Errors
    /// If memory runs out.
    pub fn words_beside(&self) -> Result<Vec<u8>> {
        let mut words = NewWords::default();
        for (name, vectors) in &self.sinks {
            words.add(name, vectors);
        }
        words.to_bytes()
    }
}

/// The projections of a kind: network, module, slot, and shape of the weight.
fn projections(model: &Model, of: Projections) -> Vec<(Target, String, Slot, [usize; 2])> {
    let mut found = Vec::new();
    for (target, weights) in model.networks() {
        for (module, slot) in weights.slots() {
            let ends = |with: &[&str]| with.iter().any(|end| module.ends_with(end));
            let chosen = match (target, of) {
                (Target::UNet, Projections::TextKeysAndValues) => {
                    module.contains(".attn2.") && ends(&[".to_k", ".to_v"])
                }
                (Target::UNet, _) => ends(&ATTENTION),
                (Target::Text(_), Projections::AttentionsAndText) => ends(&TEXT_ATTENTION),
                (Target::Text(_), _) => false,
            };
            // Old files have projections as 1×1 convolutions.
            if chosen && let Some(&[rows, columns, ..]) = weights.at(&module).shape("weight") {
                found.push((target, module, slot, [rows, columns]));
            }
        }
    }
    found
}

/// A change that changes nothing yet: as PEFT begins with `gaussian`, diffusers' choice.
fn fresh(
    shape: &[usize; 2],
    wanted: &Adapters,
    device: &Device,
    noise: &mut Noise,
) -> Result<Adapter> {
    let [outputs, inputs] = *shape;
    let rank = wanted.rank.min(outputs).min(inputs).max(1);
    let down = noise.tensor(&[rank, inputs], device)?;
    Ok(Adapter {
        down: (down / rank as f64)?,
        up: Tensor::zeros((outputs, rank), DType::F32, device)?,
        scale: 1.0,
    })
}

/// The same vectors, through which no gradients go.
fn still_words(vectors: &[Tensor]) -> Vec<Tensor> {
    vectors.iter().map(Tensor::detach).collect()
}

/// The same change, through which no gradients go.
fn still(adapter: &Adapter) -> Adapter {
    Adapter {
        down: adapter.down.detach(),
        up: adapter.up.detach(),
        scale: adapter.scale,
    }
}

fn plain(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.detach().to_device(&Device::Cpu)?.contiguous()?)
}

fn file(tensors: Vec<(String, Tensor)>) -> Result<Vec<u8>> {
    safetensors::serialize(tensors, None).map_err(|e| Error::bug(e.to_string()))
}
