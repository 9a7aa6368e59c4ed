//! Steps of training, to see what they take.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::imagine::Made;
use super::lesson::{Class, photo_of};
use super::pupil::Pupil;
use super::reference::{Picture, Reference, references};
use super::{Study, step};
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::learn::recipe::{Augment, Course, Lesson};
use crate::learn::speed::Measured;
use crate::progress::Progress;
use crate::{Error, Result};

/// The first step of a small model also warms up: it is done again until this long has passed, and the fastest counts.
const ENOUGH: Duration = Duration::from_secs(1);
const MOST: u64 = 5;
/// How often the system is asked for the memory that the program has.
const LOOK: Duration = Duration::from_millis(10);
/// The seed's stream.
const TRIAL: u64 = u64::MAX - 3;

impl Study<'_> {
    /// Does the longest step of the course again and again, from the words to the optimiser, and tells `heard` how long each
    /// took until it answers false. What was learned by it is forgotten.
    ///
    /// # Errors
    /// As [`run`](Self::run); `Caller` if the recipe trains nothing.
    pub fn rehearse(
        &self,
        model: &Model,
        pictures: &[Picture],
        progress: &Progress,
        heard: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<()> {
        let course = self.recipe.course().with(self.steps, self.rank);
        if course.lessons.is_empty() {
            return Err(Error::caller(format!(
                "the recipe {} trains nothing: there is no step to rehearse",
                self.recipe.name()
            )));
        }
        let references = references(pictures, model, progress, self.seed)?;
        self.repeat(longest(&course)?, &references, model, progress, heard)
    }

    /// Does the longest step of a course and forgets what was learned by it.
    ///
    /// # Errors
    /// As the step; `Cancelled`.
    pub(super) fn trial(
        &self,
        course: &Course,
        references: &[Reference],
        model: &Model,
        progress: &Progress,
    ) -> Result<Measured> {
        let lesson = longest(course)?;
        let (mut fastest, mut count, began) = (Duration::MAX, 0, Instant::now());
        let mut heard = |took: Duration| {
            fastest = fastest.min(took);
            count += 1;
            count < MOST && began.elapsed() < ENOUGH
        };
        let ((), memory) =
            watched(|| self.repeat(lesson, references, model, progress, &mut heard))?;
        Ok(Measured {
            pass: fastest.as_secs_f32() / step(lesson),
            // A GPU has memory of its own, which the system does not tell.
            memory: memory.filter(|_| model.device().is_cpu()),
        })
    }

    /// Steps of a lesson, until `heard` answers false.
    fn repeat(
        &self,
        lesson: &Lesson,
        references: &[Reference],
        model: &Model,
        progress: &Progress,
        heard: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<()> {
        // Other views are encoded once; they are counted apart.
        let lesson = &Lesson {
            augment: Augment::Nothing,
            ..lesson.clone()
        };
        let first = references
            .first()
            .ok_or_else(|| Error::bug("no picture to learn from"))?;
        let mut noise = Noise::new(self.seed, TRIAL);
        // There are no pictures of the class yet, and any one takes as long.
        let stand_in = Made {
            latents: first.whole.latents.clone(),
            caption: photo_of(self.word),
        };
        let class = Class {
            model,
            lesson,
            word: self.word,
            references,
            class_pictures: &[stand_in],
        };
        let course = Course::of(lesson.clone());
        let mut pupil = Pupil::new(model, &course, &self.token, self.word, &mut noise)?;
        let mut parts = pupil.begin(lesson, references, model, &mut noise)?;
        let mut plan = self.plan(0, 0);
        loop {
            progress.check()?;
            let began = Instant::now();
            plan.steps += 1;
            plan.run(
                &mut parts,
                None,
                progress,
                &mut |at| class.loss(&pupil, at),
                &mut |_, _| Ok(()),
            )?;
            if !heard(began.elapsed()) {
                break;
            }
        }
        model.take_off();
        Ok(())
    }
}

/// The lesson with the longest steps.
fn longest(course: &Course) -> Result<&Lesson> {
    let lessons = course.lessons.iter();
    let longest = lessons.max_by(|a, b| step(a).total_cmp(&step(b)));
    longest.ok_or_else(|| Error::bug("a course without lessons"))
}

/// What `work` gives, and the most memory that the program had meanwhile, in bytes.
fn watched<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Option<u64>)> {
    let (most, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let look = || {
        let now = memory_stats::memory_stats().map_or(0, |now| now.physical_mem as u64);
        most.fetch_max(now, Ordering::Relaxed);
    };
    let made = std::thread::scope(|scope| {
        let looking = || {
            while !over.load(Ordering::Relaxed) {
                look();
                std::thread::sleep(LOOK);
            }
        };
        // Where there is no thread to be had, the end alone is looked at.
        let _looking = std::thread::Builder::new().spawn_scoped(scope, looking);
        let made = work();
        look();
        over.store(true, Ordering::Relaxed);
        made
    })?;
    let most = most.into_inner();
    Ok((made, (most > 0).then_some(most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_held_for_a_moment_is_seen() -> Result<()> {
        const HELD: usize = 256 << 20;
        let ((), before) = watched(|| Ok(()))?;
        let ((), most) = watched(|| {
            let held = std::hint::black_box(vec![1u8; HELD]);
            std::thread::sleep(10 * LOOK);
            drop(held);
            Ok(())
        })?;
        if let (Some(before), Some(most)) = (before, most) {
            assert!(most > before + HELD as u64 / 2, "{before} {most}");
        }
        Ok(())
    }
}
