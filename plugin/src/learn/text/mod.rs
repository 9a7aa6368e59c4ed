//! Learning a subject for a text model: pictures become latents, a recipe's lessons are gone through, and what was learned
//! becomes files.

mod encoder;
mod imagine;
mod lesson;
mod mappers;
mod pupil;
mod reference;
#[cfg(test)]
mod tests;
mod trial;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::recipe::{Background, ClassOf, Course, Lesson, Variant};
use super::speed::Measured;
use super::train::Plan;
use crate::engine::stable_diffusion::frame::from_tensor;
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::engine::stable_diffusion::text::NewWords;
use crate::progress::Progress;
use crate::subject::{TextFacts, TextPart};
use crate::{Error, Result};
use imagine::{Like, Made, Wish, imagine};
use lesson::Class;
pub use lesson::checkpoints;
pub use lesson::photo_of;
use pupil::Pupil;
pub use reference::Picture;
use reference::{Reference, references};
use view::View;

/// Steps of the sampler for pictures of the class, and for previews, which are looked at once.
const CLASS_STEPS: usize = 25;
const PREVIEW_STEPS: usize = 12;
/// What a class does in pictures of it: things that most animals, dolls and people can do.
const ACTIONS: [&str; 12] = [
    "standing",
    "sitting",
    "lying down",
    "walking",
    "running",
    "jumping",
    "waving",
    "looking up",
    "seen from the side",
    "seen from behind",
    "rearing up",
    "sleeping",
];

/// Passes that a step of training takes the time of, for each sample of it: one forward, and two for the gradients.
const TRAINED: f32 = 3.0;
/// Passes that the encoding of a picture takes the time of, at most.
const ENCODED: f32 = 2.0;
/// Passes of a guided step of the sampler, and of one that looks at another picture as well.
const GUIDED: f32 = 2.0;
const LOOKALIKE: f32 = 3.0;
/// A picture of what was learned so far is shown at most so many times in a lesson, and takes at most this share of it.
const PREVIEWS: u64 = 4;
const SHOWING: f32 = 0.05;
/// The gradients of all that is learned together are made no longer than this.
const CLIP: f64 = 1.0;
/// How often the state is written that an interrupted training goes on from.
const KEEP: Duration = Duration::from_secs(60);
/// After which it is removed.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Streams of a training's seed; steps have the numbers from 0 on.
const BEGINNING: u64 = u64::MAX;
const CLASS: u64 = u64::MAX - 1;
const PREVIEW: u64 = u64::MAX - 2;

/// What is to be learned, and how.
#[derive(Debug, Clone)]
pub struct Study<'a> {
    /// The method.
    pub recipe: Variant,
    /// Steps in all; `None`: the recipe's own.
    pub steps: Option<u64>,
    /// Rank of changes of projections; `None`: the recipe's own.
    pub rank: Option<usize>,
    /// Of all that is drawn.
    pub seed: u64,
    /// What the subject is, such as `teddy bear`.
    pub word: &'a str,
    /// What stands in prompts for the learned word.
    pub token: String,
    /// Where the state is kept that an interrupted training goes on from, without an ending; `None`: nowhere.
    pub state: Option<PathBuf>,
}

impl Study<'_> {
    /// Learns a subject from pictures.
    ///
    /// # Errors
    /// `Refused` if the model cannot be taught by this recipe; `Cancelled`, after which the same study goes on from where it
    /// was; as the networks; as `told`, which hears what a step takes here before the first one, and at the end what it took.
    pub fn run(
        &self,
        model: &Model,
        pictures: &[Picture],
        progress: &Progress,
        told: &dyn Fn(Measured) -> Result<()>,
    ) -> Result<TextPart> {
        let began = Instant::now();
        let course = self.recipe.course().with(self.steps, self.rank);
        if course.lessons.is_empty() {
            return Ok(TextPart {
                facts: self.facts(model, pictures, &course, began),
                ..TextPart::default()
            });
        }
        if model.inpainting() {
            return Err(Error::refused(
                "models for inpainting are not taught: learn with the plain model they were made from, and re-pose with it",
            ));
        }
        let mut meter = Meter::new(&course, progress);
        progress.stage("encoding")?;
        let references = references(pictures, model, progress, self.seed)?;
        model.take_off();
        progress.stage("measuring")?;
        let measured = self.trial(&course, &references, model, progress)?;
        told(measured)?;
        meter.begin(measured);
        let mut noise = Noise::new(self.seed, BEGINNING);
        let mut pupil = Pupil::new(model, &course, &self.token, self.word, &mut noise)?;
        let class_pictures = self.class_pictures(&course, &references, model, &mut meter)?;
        progress.stage("training")?;
        let mut losses = BTreeMap::new();
        for (index, lesson) in course.lessons.iter().enumerate() {
            let class = Class {
                model,
                lesson,
                word: self.word,
                references: &references,
                class_pictures: &class_pictures,
            };
            losses = self.teach(index, &class, &mut pupil, &mut noise, &mut meter)?;
        }
        model.take_off();
        told(meter.took(measured))?;
        self.forget(course.lessons.len());
        Ok(TextPart {
            facts: TextFacts {
                token: self.token.clone(),
                losses,
                beside: pupil.beside(),
                ..self.facts(model, pictures, &course, began)
            },
            lora: pupil.lora()?,
            word: pupil.word()?,
            beside: pupil.words_beside()?,
        })
    }

    /// What is known of a study that began then, but for what it has learned.
    fn facts(
        &self,
        model: &Model,
        pictures: &[Picture],
        course: &Course,
        began: Instant,
    ) -> TextFacts {
        let reference = model.reference();
        TextFacts {
            recipe: self.recipe.name(),
            model: reference.name,
            family: model.family().word().to_owned(),
            model_sha256: reference.sha256,
            word: self.word.to_owned(),
            pictures: pictures.len() as u32,
            steps: course.lessons.iter().map(|l| l.steps).sum(),
            seed: self.seed,
            seconds: began.elapsed().as_secs_f32(),
            ..TextFacts::default()
        }
    }

    /// Pictures of the class by the untouched model.
    fn class_pictures(
        &self,
        course: &Course,
        references: &[Reference],
        model: &Model,
        meter: &mut Meter<'_>,
    ) -> Result<Vec<Made>> {
        if course.class_pictures == 0 {
            return Ok(Vec::new());
        }
        meter.progress.stage("pictures of the class")?;
        let nothing = NewWords::default();
        let plain = photo_of(self.word);
        let (thing, empty) = (model.text(&plain, &nothing)?, model.text("", &nothing)?);
        let mut noise = Noise::new(self.seed, CLASS);
        let mut made = Vec::with_capacity(course.class_pictures);
        for number in 0..course.class_pictures {
            let (caption, like) = match course.class_of {
                ClassOf::Things => (plain.clone(), None),
                ClassOf::Actions => (format!("{plain} {}", ACTIONS[number % ACTIONS.len()]), None),
                ClassOf::Lookalikes => {
                    let like = Like {
                        latents: &references[number % references.len()].alone.latents,
                        text: &thing,
                    };
                    (plain.clone(), Some(like))
                }
            };
            let wish = Wish {
                text: &model.text(&caption, &nothing)?,
                empty: &empty,
                steps: CLASS_STEPS,
                like,
            };
            let latents = imagine(model, &wish, &mut noise, &mut || {
                meter.add(sampled(course.class_of))
            })?;
            made.push(Made { latents, caption });
        }
        Ok(made)
    }

    /// One lesson. Returns the means of its losses' summands over the last tenth.
    fn teach(
        &self,
        index: usize,
        class: &Class<'_>,
        pupil: &mut Pupil,
        noise: &mut Noise,
        meter: &mut Meter<'_>,
    ) -> Result<BTreeMap<String, f32>> {
        let (model, lesson, progress) = (class.model, class.lesson, meter.progress);
        let mut parts = pupil.begin(lesson, class.references, model, noise)?;
        let plan = self.plan(index, lesson.steps);
        let of = format!(
            "{} {} {:?}",
            self.recipe.name(),
            model.reference().sha256,
            plan
        );
        let state = self.state_of(index);
        let mut sums: BTreeMap<&'static str, (f64, f64)> = BTreeMap::new();
        let taught = &*pupil;
        let before = meter.done;
        let every = lesson.steps.checked_div(previews(lesson));
        plan.run(
            &mut parts,
            state.as_deref().map(|path| (path, of.as_str())),
            progress,
            &mut |at| {
                if at.number > 0 && every.is_some_and(|n| at.number.is_multiple_of(n)) {
                    self.show(model, taught, meter)?;
                }
                let losses = class.loss(taught, at);
                // Steps of an earlier run count as well.
                let done = before + at.number as f32 * step(lesson);
                meter.done = meter.done.max(done);
                meter.add(step(lesson))?;
                losses
            },
            &mut |number, values| {
                if number >= lesson.steps - lesson.steps.div_ceil(10) {
                    for (name, value) in values {
                        let (sum, count) = sums.entry(name).or_default();
                        *sum += f64::from(*value);
                        *count += 1.0;
                    }
                }
                Ok(())
            },
        )?;
        pupil.end()?;
        meter.add(encoded(lesson))?;
        if every.is_some() {
            self.show(model, pupil, meter)?;
        }
        let mean =
            |(name, (sum, count)): (&str, (f64, f64))| (name.to_owned(), (sum / count) as f32);
        Ok(sums.into_iter().map(mean).collect())
    }

    /// How the lesson of this number goes.
    fn plan(&self, lesson: usize, steps: u64) -> Plan {
        Plan {
            steps,
            clip: CLIP,
            average: None,
            // The same numbers in two lessons would be the same noise.
            seed: self.seed.wrapping_add(lesson as u64),
            keep: KEEP,
        }
    }

    /// A preview: what the model makes now of the subject's words.
    fn show(&self, model: &Model, pupil: &Pupil, meter: &mut Meter<'_>) -> Result<()> {
        model.take_off();
        pupil.on_still();
        let words = pupil.words(None)?;
        let text = photo_of(&format!("{} {}", self.token, self.word));
        let wish = Wish {
            text: &model.text(&text, &words)?.detached(),
            empty: &model.text("", &words)?,
            steps: PREVIEW_STEPS,
            like: None,
        };
        // The same noise each time: what changes in the picture is what was learned.
        let mut noise = Noise::new(self.seed, PREVIEW);
        let made = imagine(model, &wish, &mut noise, &mut || meter.add(GUIDED))?;
        let picture = model.decode(&made, &mut || meter.progress.check())?;
        meter.progress.preview(&from_tensor(&picture)?);
        Ok(())
    }

    fn state_of(&self, lesson: usize) -> Option<PathBuf> {
        let state = self.state.as_ref()?;
        Some(state.with_extension(format!("{lesson}.safetensors")))
    }

    /// Removes the states of a training that is over, and those of others that nobody went on with for a month.
    fn forget(&self, lessons: usize) {
        let own = (0..lessons).filter_map(|lesson| self.state_of(lesson));
        let folder = self.state.as_ref().and_then(|state| state.parent());
        let others = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        let others = others.into_iter().flatten().flatten();
        let old = others.filter(|entry| {
            let age = entry.metadata().and_then(|about| about.modified());
            age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > FORGOTTEN))
        });
        for state in own.chain(old.map(|entry| entry.path())) {
            // What cannot be removed is of no harm.
            let _ = std::fs::remove_file(state);
        }
    }
}

/// How long a course takes, in passes of one sample through the U-Net: 0 if nothing is trained.
pub fn passes(course: &Course) -> f32 {
    let taught = course.lessons.iter().map(|l| {
        let previews = previews(l) as f32 * GUIDED * PREVIEW_STEPS as f32;
        l.steps as f32 * step(l) + encoded(l) + previews
    });
    let class = (course.class_pictures * CLASS_STEPS) as f32 * sampled(course.class_of);
    taught.sum::<f32>() + class
}

/// How long a step takes, in the same passes.
fn step(lesson: &Lesson) -> f32 {
    let batch = lesson.batch as f32;
    let mut passes = TRAINED * batch;
    if lesson.class_words > 0.0 {
        passes += TRAINED * batch;
    }
    if lesson.class_words > 0.0 || matches!(lesson.background, Background::AsBefore(_)) {
        passes += batch;
    }
    if lesson.class_pictures > 0.0 {
        passes += TRAINED;
    }
    passes
}

/// How long it takes to encode the other views of a picture that a lesson looks at, in the same passes.
fn encoded(lesson: &Lesson) -> f32 {
    View::others(lesson.augment) as f32 * ENCODED
}

/// How long a step of the sampler takes for a picture of the class, in the same passes.
fn sampled(class_of: ClassOf) -> f32 {
    match class_of {
        ClassOf::Lookalikes => LOOKALIKE,
        ClassOf::Things | ClassOf::Actions => GUIDED,
    }
}

/// How many previews a lesson has.
fn previews(lesson: &Lesson) -> u64 {
    let one = GUIDED * PREVIEW_STEPS as f32;
    let room = SHOWING * lesson.steps as f32 * step(lesson) / one;
    PREVIEWS.min(room as u64)
}

/// Counts passes through the U-Net, and tells the host.
struct Meter<'a> {
    progress: &'a Progress,
    done: f32,
    all: f32,
    /// When counting began, and what was counted since: less than `done` where a training goes on.
    since: (Instant, f32),
}

impl<'a> Meter<'a> {
    fn new(course: &Course, progress: &'a Progress) -> Self {
        Self {
            progress,
            done: 0.0,
            all: passes(course),
            since: (Instant::now(), 0.0),
        }
    }

    /// From here on time is taken; until there is a pace, it is the measured one.
    fn begin(&mut self, measured: Measured) {
        self.since = (Instant::now(), 0.0);
        let seconds = Duration::try_from_secs_f32(measured.pass * self.all);
        self.progress.expect(seconds.unwrap_or(Duration::MAX));
    }

    /// What a pass took since, if there were enough to tell better than what was measured.
    fn took(&self, measured: Measured) -> Measured {
        let (at, passes) = self.since;
        let pass = match passes * 2.0 > self.all {
            true => at.elapsed().as_secs_f32() / passes,
            false => measured.pass,
        };
        Measured { pass, ..measured }
    }

    fn add(&mut self, passes: f32) -> Result<()> {
        self.done += passes;
        self.since.1 += passes;
        let share = (self.done / self.all).min(1.0);
        self.progress
            .reach(super::BEFORE + (super::AFTER - super::BEFORE) * share)
    }
}
