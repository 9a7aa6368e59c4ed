//! The loss of a step.

use candle_core::{DType, Tensor};

use super::imagine::Made;
use super::pupil::Pupil;
use super::reference::Reference;
use super::view::View;
use crate::canvas::Mask;
use crate::engine::stable_diffusion::frame::scale_mask;
use crate::engine::stable_diffusion::model::{Model, Text};
use crate::engine::stable_diffusion::sampler::Noise;
use crate::engine::stable_diffusion::text::NewWords;
use crate::engine::stable_diffusion::unet::{Controls, Seen};
use crate::learn::recipe::{Background, Lesson, Shown};
use crate::learn::train::{Losses, Step, Weighting, masked};
use crate::subject::marked;
use crate::{Error, Result};

/// What a lesson's losses look at.
pub struct Class<'a> {
    /// The model.
    pub model: &'a Model,
    /// What is to be learned now.
    pub lesson: &'a Lesson,
    /// What the subject is.
    pub word: &'a str,
    /// The pictures it is learned from.
    pub references: &'a [Reference],
    /// Pictures of the class, as the untouched model makes them.
    pub class_pictures: &'a [Made],
}

/// Noisy samples of one picture.
pub(super) struct Samples {
    noisy: Tensor,
    pub(super) target: Tensor,
    timesteps: Vec<f32>,
    /// How much each one's error counts, `[batch, 1, 1, 1]`.
    weights: Tensor,
}

impl Class<'_> {
    /// What a picture without a caption shows.
    fn plain(&self) -> String {
        photo_of(self.word)
    }

    /// The loss of a step.
    ///
    /// # Errors
    /// As the networks.
    pub fn loss(&self, pupil: &Pupil, step: &mut Step) -> Result<Losses> {
        let lesson = self.lesson;
        let draw = &mut step.noise;
        let number = draw.below(self.references.len());
        let reference = &self.references[number];
        let alone = match lesson.shown {
            Shown::Whole => false,
            Shown::Alone => true,
            Shown::InTurn => step.number % 2 == 1,
        };
        let view = View::draw(lesson.augment, draw);
        let picture = reference.seen(view, alone, self.model)?;
        let samples = self.noised(&picture.latents, lesson.batch, lesson.weighting, draw)?;
        let caption = match &reference.caption {
            Some(caption) if !alone && lesson.sinks.is_none() => caption.clone(),
            _ => self.plain(),
        };
        let caption = view.told(&caption);
        let mut told = marked(&caption, self.word, &pupil.token);
        let (subject, place) = (
            format!("{} {}", pupil.token, self.word),
            pupil.place(number),
        );
        let sunk = lesson.sinks.is_some() && !alone;
        if sunk {
            told += &format!(" with {} pose in {place} background", pupil.pose(number));
        }

        // First what the untouched model makes: nothing of this is kept for gradients.
        self.model.take_off();
        let before = match (lesson.background, lesson.class_words > 0.0) {
            (Background::AsBefore(_), _) | (_, true) => {
                let text = self.model.text(&caption, &NewWords::default())?;
                Some(self.predict(&samples, &text, false)?.0.detach())
            }
            _ => None,
        };
        pupil.on();
        let words = pupil.words(Some(number))?;
        let text = self.model.text(&told, &words)?;
        let (made, seen) = self.predict(&samples, &text, lesson.attention > 0.0)?;

        let error = samples.error(&made, &samples.target)?;
        let mut summands = Vec::new();
        let mut total = match (lesson.background, &picture.part) {
            (Background::Learned, None) => error.mean_all()?,
            // As large as that of a whole picture, as in the code of Custom Diffusion's authors.
            (Background::Learned, Some(part)) => {
                masked(&error, part)?.broadcast_div(&part.mean_all()?)?
            }
            _ => masked(&error, &picture.mask)?,
        };
        summands.push(("subject", total.clone()));
        let mut add = |name, loss: Tensor, weight: f64| -> Result<()> {
            total = (&total + (&loss * weight)?)?;
            summands.push((name, loss));
            Ok(())
        };
        if let (Background::AsBefore(weight), Some(before)) = (lesson.background, &before) {
            let all = match &picture.part {
                Some(part) => part.clone(),
                None => picture.mask.ones_like()?,
            };
            let outside = (all - &picture.mask)?.relu()?;
            let off = masked(&samples.error(&made, before)?, &outside)?;
            add("background", off, weight)?;
        }
        if let (true, Some(before)) = (lesson.class_words > 0.0, &before) {
            let text = self.model.text(&caption, &NewWords::default())?;
            let (now, _) = self.predict(&samples, &text, false)?;
            let off = samples.error(&now, before)?.mean_all()?;
            add("class words", off, lesson.class_words)?;
        }
        if lesson.attention > 0.0 {
            let at = self.model.find(&text, &subject, &words)?;
            let mut off = pointing(&seen, &at, &picture.matte)?;
            if sunk {
                let at = self.model.find(&text, &place, &words)?;
                let around = picture.matte.map(|v| 1.0 - v);
                off = (off + pointing(&seen, &at, &around)?)?;
            }
            add("attention", off, lesson.attention)?;
        }
        if lesson.class_pictures > 0.0 && !self.class_pictures.is_empty() {
            let picture = &self.class_pictures[draw.below(self.class_pictures.len())];
            let samples = self.noised(&picture.latents, 1, lesson.weighting, draw)?;
            let text = self.model.text(&picture.caption, &NewWords::default())?;
            let (made, _) = self.predict(&samples, &text, false)?;
            let off = samples.error(&made, &samples.target)?.mean_all()?;
            add("class pictures", off, lesson.class_pictures)?;
        }
        Ok(Losses { total, summands })
    }

    /// Noises a picture `count` times, to any levels.
    pub(super) fn noised(
        &self,
        clean: &Tensor,
        count: usize,
        weighting: Weighting,
        draw: &mut Noise,
    ) -> Result<Samples> {
        let schedule = self.model.schedule();
        let times: Vec<usize> = (0..count)
            .map(|_| draw.below(schedule.train_steps()))
            .collect();
        let clean = clean.repeat((count, 1, 1, 1))?;
        let noise = draw.tensor(clean.dims(), clean.device())?;
        let weights: Vec<f32> = times
            .iter()
            .map(|t| weighting.factor(schedule, *t) as f32)
            .collect();
        Ok(Samples {
            noisy: schedule.add_noise(&clean, &noise, &times)?,
            target: schedule.target(&clean, &noise, &times)?,
            timesteps: times.iter().map(|t| *t as f32).collect(),
            weights: Tensor::from_vec(weights, (count, 1, 1, 1), clean.device())?,
        })
    }

    pub(super) fn predict(
        &self,
        samples: &Samples,
        text: &Text,
        look: bool,
    ) -> Result<(Tensor, Seen)> {
        let controls = Controls {
            maps: match look {
                true => self.model.pointing(),
                false => Default::default(),
            },
            checkpoint: checkpoints(self.model.unet().config().sample_size.at(0)),
            ..Controls::default()
        };
        let texts = vec![text; samples.timesteps.len()];
        self.model
            .predict(&samples.noisy, &samples.timesteps, &texts, &controls)
    }
}

impl Samples {
    /// Squared differences, times each sample's weight.
    pub(super) fn error(&self, made: &Tensor, wanted: &Tensor) -> Result<Tensor> {
        Ok((made - wanted)?.sqr()?.broadcast_mul(&self.weights)?)
    }
}

/// Whether training computes blocks again in the backward pass, for pictures of so many latents across. Where they are small,
/// so is what is kept instead.
pub fn checkpoints(across: usize) -> bool {
    across >= 64
}

/// A caption for a thing.
pub fn photo_of(thing: &str) -> String {
    let vowel = thing.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    let article = if vowel { "an" } else { "a" };
    format!("a photo of {article} {thing}")
}

/// How far the attention to the marked words is from lying on the subject: mean square difference of the map, divided by its
/// largest value, and the mask (arXiv 2305.16311, equation 2; its code for the division).
fn pointing(seen: &Seen, words: &[usize], matte: &Mask) -> Result<Tensor> {
    let mut total: Option<Tensor> = None;
    for map in seen.maps.values() {
        let device = map.probabilities.device();
        let places: Vec<u32> = words.iter().map(|at| *at as u32).collect();
        let places = Tensor::new(places, device)?;
        let towards = map.probabilities.index_select(&places, 2)?.sum(2)?;
        let largest = towards.max_keepdim(1)?.detach();
        let small = scale_mask(matte, map.width, map.height);
        let wanted = Tensor::from_slice(small.data(), (1, small.data().len()), device)?;
        let share = towards.to_dtype(DType::F32)?.broadcast_div(&largest)?;
        let off = share.broadcast_sub(&wanted)?.sqr()?.mean_all()?;
        total = Some(match total {
            Some(sum) => (sum + off)?,
            None => off,
        });
    }
    let total = total.ok_or_else(|| Error::bug("no attention was looked at"))?;
    Ok((total / seen.maps.len() as f64)?)
}
