//! Where a subject's look comes from: pictures that show it, whose keys and values are held up to the model
//! (self-subject-attention, DreamTuner, arXiv 2312.13691, §3.2).
//!
//! Usually that is the picture that is edited. Where the subject is not in it, or was learned by `reference`, which trains
//! nothing, it is what the subject was learned from.

use super::path::Path;
use super::plan::Plan;
use super::told::{Caption, Phases};
use crate::Result;
use crate::canvas::{Canvas, Mask, Raster};
use crate::engine::stable_diffusion::frame::Frame;
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::learn::photo_of;
use crate::subject::{Library, Subject, SubjectRef, marked, places};

/// The first of the seed's streams for the noise that learned pictures are shown under: above those of candidates and of
/// the edited picture.
const STREAM: u64 = 1 << 32;

/// A picture that shows the subject, while a run looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The picture at each noise level.
    pub path: &'a Path,
    /// What it shows.
    pub told: Phases<&'a Caption>,
    /// The subject's places in it, 0 to 1, at any size.
    pub subject: &'a Mask,
    /// Whether all of it counts, not these places alone.
    pub whole: bool,
    /// ω: how much what counts of it does beside the sample's own.
    pub weight: f32,
}

/// A picture that a subject was learned from.
#[derive(Debug, Clone)]
pub struct Source {
    raster: Raster,
    matte: Mask,
    caption: String,
}

impl Source {
    fn of(subject: &Subject) -> Self {
        Self {
            raster: subject.raster.clone(),
            matte: subject.matte.clone(),
            caption: caption(subject),
        }
    }

    /// What is looked at of what a subject was learned from: nothing where the subject is in the edited picture, unless it was
    /// learned by `reference`; then, too, the earlier versions that it was to be learned from. `edited` is the hash of the
    /// edited picture if the subject is in it, which is looked at anyway.
    ///
    /// # Errors
    /// As the library.
    pub fn all(
        subject: &Subject,
        used: &SubjectRef,
        edited: Option<&str>,
        library: &Library,
    ) -> Result<Vec<Self>> {
        let untrained = subject.text.as_ref().filter(|text| !text.trained());
        if edited.is_some() && untrained.is_none() {
            return Ok(Vec::new());
        }
        let more = untrained.map_or(0, |text| text.facts.pictures.saturating_sub(1));
        let earlier = library.earlier(&used.name, used.version, more as usize)?;
        let all = std::iter::once(subject).chain(&earlier);
        let others = all.filter(|it| edited != Some(it.source_hash.as_str()));
        Ok(others.map(Self::of).collect())
    }
}

/// What the picture shows that a subject was learned from, with the word that was learned for it, if one was.
fn caption(subject: &Subject) -> String {
    let word = subject.words.word.as_deref().unwrap_or(&subject.name);
    let own = subject.words.caption.clone();
    let own = own.filter(|caption| !caption.trim().is_empty());
    let caption = own.unwrap_or_else(|| photo_of(word));
    match subject.text.as_ref().filter(|text| text.trained()) {
        Some(text) if !places(&caption, &text.facts.word).is_empty() => {
            marked(&caption, &text.facts.word, &text.facts.token)
        }
        _ => caption,
    }
}

/// A picture that a subject was learned from, as the model sees it.
#[derive(Debug)]
pub struct Learned {
    path: Path,
    told: Caption,
    subject: Mask,
}

impl Learned {
    /// Frames and encodes such pictures, for a model whose longer side is `side`. Each has noise of its own, the same at all
    /// steps.
    ///
    /// # Errors
    /// As the model; `Cancelled` by `check`.
    pub fn all(
        sources: &[Source],
        plan: &Plan,
        model: &Model,
        side: usize,
        seed: u64,
        check: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        // With ω = 0 nothing is looked at.
        for (source, stream) in sources.iter().filter(|_| plan.identity > 0.0).zip(STREAM..) {
            let canvas = Canvas::new(&source.raster)?;
            let whole = canvas.bounds();
            let seen = source.matte.support();
            let frame = Frame::around((whole.width, whole.height), seen, side, model.factor());
            let pixels = frame.to_model(&canvas.image(frame.rect)?, model.device())?;
            let clean = model.encode(&pixels, check)?;
            let noise = Noise::new(seed, stream).tensor(clean.dims(), model.device())?;
            all.push(Self {
                path: Path::Straight { clean, noise },
                told: Caption::new(model.shown(&source.caption, plan.clip_skip)?),
                subject: source.matte.crop(frame.rect),
            });
        }
        Ok(all)
    }

    /// To be looked at with this ω.
    pub fn look(&self, weight: f32) -> Look<'_> {
        Look {
            path: &self.path,
            told: Phases {
                learned: &self.told,
                // Where learned pictures of a trained subject are looked at, all steps have what was learned.
                unlearned: None,
            },
            subject: &self.subject,
            whole: false,
            weight,
        }
    }
}
