//! One run from noise to the re-posed latent.
//!
//! At each step the model sees the subject as it was (self-subject-attention, DreamTuner, arXiv 2312.13691, §3.2), and after
//! the first ones what lies outside the old and the new silhouette is set back to the picture's own path (NIMA of LIPE,
//! arXiv 2406.17236).

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};

use super::path::{Path, blend};
use super::region::Region;
use super::turns::Turn;
use crate::Result;
use crate::canvas::{Grid, Mask};
use crate::engine::stable_diffusion::frame::{Frame, mask_tensor, scale_mask};
use crate::engine::stable_diffusion::model::{Model, Text};
use crate::engine::stable_diffusion::sampler::{Noise, Sampler, guide, rescale};
use crate::engine::stable_diffusion::unet::{
    Controls, Deep, DeepMemory, Features, Feed, Layer, TextMemory,
};

/// Share of fresh noise in what an edit starts from, where the rest is the inverted picture's: with none all candidates
/// would be one, with all of it nothing would be left of the inversion.
const FRESH: f64 = 0.3;
/// Share of the steps, from the start, in which the whole frame is free: so a figure is laid out whole, and the attention
/// that then says where it is was not led by where the old one had been.
const LAID_OUT: f32 = 0.15;

/// What one run is given.
pub struct Run<'a> {
    /// The model.
    pub model: &'a Model,
    /// Where it looks.
    pub frame: Frame,
    /// Where it may act.
    pub region: &'a Region,
    /// The picture at each noise level.
    pub path: &'a Path,
    /// The latent the edit starts from: the picture's own, or that of a deformed subject over restored background.
    pub start: &'a Tensor,
    /// What the picture shows.
    pub source: &'a Text,
    /// What it shall show.
    pub target: &'a Text,
    /// What it shall not show.
    pub negative: &'a Text,
    /// What the network makes of `source` alone, of `negative` and `target` together, and of `target` alone.
    pub shown: &'a TextMemory,
    /// See `shown`.
    pub asked: &'a TextMemory,
    /// See `shown`.
    pub alone: &'a TextMemory,
    /// The subject's places in the frame, 0 to 1, from which its look is taken; `None`: from nowhere.
    pub subject: Option<&'a Mask>,
    /// The masked picture's latent, for inpainting models.
    pub masked: Option<&'a Tensor>,
    /// Classifier-free guidance.
    pub guidance: f64,
    /// Guidance rescale.
    pub rescale: f64,
    /// ω of the subject's look.
    pub identity: f32,
    /// First index of the sampler's run.
    pub first: usize,
    /// What each step from there computes.
    pub turns: &'a [Turn],
}

/// The deep features of the last whole step.
#[derive(Default)]
struct Depths {
    /// Of the picture as it is.
    shown: DeepMemory,
    /// Of the sample. A guided step's are of another shape than those of one without.
    asked: DeepMemory,
}

/// What a run ends with.
pub struct Made {
    /// The clean latent.
    pub latent: Tensor,
    /// Where it may differ from the picture, on latents.
    pub region: Mask,
}

impl Run<'_> {
    /// Runs from noise of `seed` to a clean latent. `watch` is told after each step how many are done, what the latent looks
    /// like without noise, and where it may differ; its error ends the run. `check` is asked before each pass of the network.
    pub fn run(
        &self,
        mut sampler: Sampler,
        seed: u64,
        check: &dyn Fn() -> Result<()>,
        watch: &mut dyn FnMut(usize, &Tensor, &Mask) -> Result<()>,
    ) -> Result<Made> {
        let mut noise = Noise::new(seed, 0);
        let device = self.model.device();
        let shape = self.start.dims().to_vec();
        let held = self.region.latent(None);
        // An inpainting model is told from the start what shall stay.
        let first = match self.masked.is_some() {
            true => held,
            false => held.map(|_| 1.0),
        };
        let mut region = first.clone();
        let mut attention = Attention::default();
        let mut sample = self.begin(&sampler, &noise.tensor(&shape, device)?, &region)?;
        let depths = Depths::default();
        for (index, &turn) in (self.first..sampler.steps()).zip(self.turns) {
            check()?;
            let feed = self.reference(&sampler, index, turn, &depths.shown)?;
            check()?;
            let t = sampler.timesteps()[index];
            let input = sampler.scale_input(&sample, index)?;
            let deep = self.deep(turn, &depths.asked);
            let output = self.predict(&input, t, turn, feed, deep, &mut attention)?;
            let fresh = match sampler.needs_noise(index) {
                true => Some(noise.tensor(&shape, device)?),
                false => None,
            };
            let step = sampler.step(&output, index, &sample, fresh.as_ref())?;
            let done = (index + 1 - self.first) as f32;
            region = match done < LAID_OUT * self.turns.len() as f32 {
                true => first.clone(),
                false => self.region.latent(attention.mean(self.frame).as_ref()),
            };
            let outside = self.path.at(&sampler, index + 1)?;
            sample = blend(&step.sample, &outside, &mask_tensor(&region, device)?)?;
            watch(index + 1 - self.first, &step.denoised, &region)?;
        }
        Ok(Made {
            latent: sample,
            region,
        })
    }

    /// The sample at the first index: the picture's own path outside the region; inside, the start's latent at that noise
    /// level, with part of the path's noise and part fresh.
    fn begin(&self, sampler: &Sampler, fresh: &Tensor, region: &Mask) -> Result<Tensor> {
        let outside = self.path.at(sampler, self.first)?;
        let level = sampler.level(self.first);
        let noise = match self.path {
            Path::Straight { .. } => fresh.clone(),
            Path::Inverted { .. } => {
                let clean = self.path.at(sampler, sampler.steps())?;
                let signal = f64::from(level.signal);
                let own = ((&outside - (clean * signal)?)? / f64::from(level.noise).max(1e-6))?;
                ((own * (1.0 - FRESH).sqrt())? + (fresh * FRESH.sqrt())?)?
            }
        };
        let inside = match self.masked.is_some() && self.first == 0 {
            // An inpainting model is told what is around; what was inside shall not shine through.
            true => sampler.start_from(&noise)?,
            false => level.add_noise(self.start, &noise)?,
        };
        blend(
            &inside,
            &outside,
            &mask_tensor(region, self.model.device())?,
        )
    }

    /// What a turn's passes of one kind do with deep features.
    fn deep(&self, turn: Turn, memory: &DeepMemory) -> Option<Deep> {
        // Where all turns are whole nothing is kept.
        let reused = self.turns.iter().any(|turn| !turn.whole);
        reused.then(|| match turn.whole {
            true => Deep::Keep(memory.clone()),
            false => Deep::Take(memory.clone()),
        })
    }

    /// The subject's keys and values at an index, from a pass over the picture as it is: those of all self-attentions that
    /// the turn computes.
    fn reference(
        &self,
        sampler: &Sampler,
        index: usize,
        turn: Turn,
        depth: &DeepMemory,
    ) -> Result<BTreeMap<String, Feed>> {
        let Some(subject) = self.subject.filter(|_| self.identity > 0.0) else {
            return Ok(BTreeMap::new());
        };
        let sample = sampler.scale_input(&self.path.at(sampler, index)?, index)?;
        let layers = self.model.unet().layers();
        let computed = |l: &&Layer| !l.cross && (turn.whole || l.fine);
        let record = layers.iter().filter(computed).map(|l| l.name.clone());
        let controls = Controls {
            record: record.collect(),
            memory: Some(self.shown.clone()),
            deep: self.deep(turn, depth),
            ..Controls::default()
        };
        let nothing = Mask::new(1, 1, 0.0);
        let input = self.with_mask(&sample, &nothing, self.path.at(sampler, sampler.steps())?)?;
        let t = sampler.timesteps()[index];
        let (_, seen) = self
            .model
            .predict(&input, &[t], &[self.source], &controls)?;
        seen.beside(|features| self.weights(subject, features, turn))
    }

    /// ω for each place of an attention that shows the subject, for the samples of a turn. Beside the negative prompt the
    /// subject is not held up: so guidance leads to the subject as it leads to the prompt (DreamTuner, §3.3).
    fn weights(&self, subject: &Mask, features: &Features, turn: Turn) -> Vec<f32> {
        let small = scale_mask(subject, features.width, features.height);
        let with = small.data().iter().map(|v| v * self.identity);
        let without = if turn.guided { small.data().len() } else { 0 };
        std::iter::repeat_n(0.0, without).chain(with).collect()
    }

    /// A turn's output for a sample; attention to the subject's word is added to `attention`, in turns that compute it all.
    fn predict(
        &self,
        sample: &Tensor,
        t: f32,
        turn: Turn,
        feed: BTreeMap<String, Feed>,
        deep: Option<Deep>,
        attention: &mut Attention,
    ) -> Result<Tensor> {
        let memory = if turn.guided { self.asked } else { self.alone };
        let controls = Controls {
            maps: match self.target.word.is_empty() || !turn.whole {
                true => BTreeSet::new(),
                false => self.model.pointing(),
            },
            feed,
            memory: Some(memory.clone()),
            deep,
            ..Controls::default()
        };
        let both = match turn.guided {
            true => Tensor::cat(&[sample, sample], 0)?,
            false => sample.clone(),
        };
        let region = self.region.latent(None);
        let masked = self.masked.cloned().unwrap_or_else(|| self.start.clone());
        let input = self.with_mask(&both, &region, masked)?;
        let texts = [self.negative, self.target];
        let texts = if turn.guided { &texts[..] } else { &texts[1..] };
        let (output, seen) = self.model.predict(&input, &[t], texts, &controls)?;
        for map in seen.maps.values() {
            attention.add(
                &map.probabilities,
                &self.target.word,
                (map.width, map.height),
            )?;
        }
        if !turn.guided {
            return Ok(output);
        }
        let (without, with) = (output.narrow(0, 0, 1)?, output.narrow(0, 1, 1)?);
        let guided = guide(&without, &with, self.guidance)?;
        rescale(&guided, &with, self.rescale)
    }

    /// The network's input: for an inpainting model with the mask (1: to be painted) and the masked picture's latent.
    fn with_mask(&self, sample: &Tensor, mask: &Mask, masked: Tensor) -> Result<Tensor> {
        if self.masked.is_none() {
            return Ok(sample.clone());
        }
        let (batch, _, height, width) = sample.dims4()?;
        let mask = mask_tensor(&scale_mask(mask, width, height), sample.device())?;
        let parts = [
            sample.clone(),
            mask.broadcast_as((batch, 1, height, width))?.contiguous()?,
            masked
                .broadcast_as((batch, masked.dim(1)?, height, width))?
                .contiguous()?,
        ];
        Ok(Tensor::cat(&parts, 1)?)
    }
}

/// Attention to a word, added up over layers and steps.
#[derive(Default)]
struct Attention {
    sum: Option<Mask>,
}

impl Attention {
    /// Adds the map of the last sample (the one with the prompt).
    fn add(&mut self, probabilities: &Tensor, word: &[usize], size: (usize, usize)) -> Result<()> {
        let last = probabilities.dim(0)? - 1;
        let rows: Vec<Vec<f32>> = probabilities
            .get(last)?
            .to_device(&Device::Cpu)?
            .to_vec2()?;
        let values = rows
            .iter()
            .map(|row| word.iter().filter_map(|at| row.get(*at)).sum())
            .collect();
        let map = Grid::from_vec(size.0, size.1, values)?;
        self.sum = Some(match self.sum.take() {
            Some(sum) => Grid::from_fn(size.0, size.1, |x, y| sum.at(x, y) + map.at(x, y)),
            None => map,
        });
        Ok(())
    }

    /// The sum at the latents' size, scaled to at most 1.
    fn mean(&self, frame: Frame) -> Option<Mask> {
        let sum = self.sum.as_ref()?;
        let top = sum.data().iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let (width, height) = frame.latent();
        Some(scale_mask(&sum.map(|v| v / top), width, height))
    }
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
