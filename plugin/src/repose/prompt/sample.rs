//! One run from noise to the re-posed latent.
//!
//! The first steps do without what was learned of the subject (delayed subject conditioning, FastComposer, arXiv 2305.10431). In
//! most steps the model sees pictures of it (self-subject-attention, DreamTuner, arXiv 2312.13691, §3.2), and after the first
//! ones what lies outside the old and the new silhouette is set back to the picture's own path (NIMA of LIPE, arXiv 2406.17236).

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Tensor};

use super::look::Look;
use super::path::{Path, blend};
use super::region::Region;
use super::told::{Phases, Told};
use super::turns::{Lacks, Turn};
use super::variant::Variant;
use crate::Result;
use crate::canvas::{Grid, Mask};
use crate::engine::stable_diffusion::frame::{Frame, mask_tensor, scale_mask};
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::{Noise, Sampler, guide, rescale};
use crate::engine::stable_diffusion::unet::{Controls, Deep, DeepMemory, Features, Feed, Layer};

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
    /// What the model is told.
    pub told: &'a Phases<Told>,
    /// The pictures from which the subject's look is taken; none: from nowhere.
    pub looks: &'a [Look<'a>],
    /// The masked picture's latent, for inpainting models.
    pub masked: Option<&'a Tensor>,
    /// Classifier-free guidance.
    pub guidance: f64,
    /// Guidance rescale.
    pub rescale: f64,
    /// What is left out or put in.
    pub variant: Variant,
    /// First index of the sampler's run.
    pub first: usize,
    /// What each step from there computes.
    pub turns: &'a [Turn],
}

/// The deep features of the last whole step.
#[derive(Default)]
struct Depths {
    /// Of each picture that the look is taken from.
    shown: Vec<DeepMemory>,
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
        sampler: Sampler,
        seed: u64,
        check: &dyn Fn() -> Result<()>,
        watch: &mut dyn FnMut(usize, &Tensor, &Mask) -> Result<()>,
    ) -> Result<Made> {
        let made = self.steps(sampler, seed, check, watch);
        // It may have ended in a step without.
        self.model.with_delayed(true);
        made
    }

    fn steps(
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
        let depths = Depths {
            shown: self.looks.iter().map(|_| DeepMemory::default()).collect(),
            ..Depths::default()
        };
        for (index, &turn) in (self.first..sampler.steps()).zip(self.turns) {
            self.model.with_delayed(turn.learned);
            let feed = self.looks(&sampler, index, turn, &depths.shown, check)?;
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
            sample = match self.variant.blend {
                true => {
                    let outside = self.path.at(&sampler, index + 1)?;
                    blend(&step.sample, &outside, &mask_tensor(&region, device)?)?
                }
                false => step.sample,
            };
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

    /// The subject's keys and values at an index, from all pictures of it.
    fn looks(
        &self,
        sampler: &Sampler,
        index: usize,
        turn: Turn,
        depths: &[DeepMemory],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<BTreeMap<String, Feed>> {
        let mut all: BTreeMap<String, Feed> = BTreeMap::new();
        let looks = self.looks.iter().zip(depths);
        for (look, depth) in looks.filter(|_| turn.looks) {
            check()?;
            for (name, feed) in self.look(look, sampler, index, turn, depth)? {
                let feed = match all.get(&name) {
                    Some(others) => others.and(&feed)?,
                    None => feed,
                };
                all.insert(name, feed);
            }
        }
        Ok(all)
    }

    /// Those from a pass over one picture, of all self-attentions that the turn computes.
    fn look(
        &self,
        look: &Look<'_>,
        sampler: &Sampler,
        index: usize,
        turn: Turn,
        depth: &DeepMemory,
    ) -> Result<BTreeMap<String, Feed>> {
        let sample = sampler.scale_input(&look.path.at(sampler, index)?, index)?;
        let caption = look.told.at(turn);
        let layers = self.model.unet().layers();
        let computed = |l: &&Layer| !l.cross && (turn.whole || l.fine);
        let record = layers.iter().filter(computed).map(|l| l.name.clone());
        let controls = Controls {
            record: record.collect(),
            memory: Some(caption.memory.clone()),
            deep: self.deep(turn, depth),
            ..Controls::default()
        };
        let nothing = Mask::new(1, 1, 0.0);
        let clean = look.path.at(sampler, sampler.steps())?;
        let input = self.with_mask(&sample, &nothing, clean)?;
        let t = sampler.timesteps()[index];
        let (_, seen) = self
            .model
            .predict(&input, &[t], &[&caption.text], &controls)?;
        seen.beside(|features| self.weights(look, features, turn))
    }

    /// ω for each place of an attention over a picture, 0 for those that do not count, for the samples of a turn. Where guidance is to lead to the
    /// subject's look, it is not held up to the sample without (DreamTuner, §3.3).
    fn weights(&self, look: &Look<'_>, features: &Features, turn: Turn) -> Vec<f32> {
        let places = match look.whole {
            true => Mask::new(features.width, features.height, 1.0),
            false => scale_mask(look.subject, features.width, features.height),
        };
        let with = places.map(|v| v * look.weight).data().to_vec();
        match turn.lacks {
            Some(Lacks::Both | Lacks::Look) => [vec![0.0; with.len()], with].concat(),
            Some(Lacks::Prompt) => [with.clone(), with].concat(),
            None => with,
        }
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
        let told = self.told.at(turn);
        let (target, negative) = (&told.target, &told.negative);
        let (memory, texts) = match turn.lacks {
            Some(Lacks::Both | Lacks::Prompt) => (&told.asked, vec![negative, target]),
            Some(Lacks::Look) => (&told.twice, vec![target; 2]),
            None => (&told.alone, vec![target]),
        };
        let controls = Controls {
            maps: match target.word.is_empty() || !turn.whole {
                true => BTreeSet::new(),
                false => self.model.pointing(),
            },
            feed,
            memory: Some(memory.clone()),
            deep,
            ..Controls::default()
        };
        let both = Tensor::cat(&vec![sample; texts.len()], 0)?;
        let region = self.region.latent(None);
        let masked = self.masked.cloned().unwrap_or_else(|| self.start.clone());
        let input = self.with_mask(&both, &region, masked)?;
        let (output, seen) = self.model.predict(&input, &[t], &texts, &controls)?;
        for map in seen.maps.values() {
            attention.add(&map.probabilities, &target.word, (map.width, map.height))?;
        }
        if turn.lacks.is_none() {
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
