//! The subjects of a pose in words: the one that is posed, and others that its prompt names with `<subject:NAME:0.8>`. They
//! were learned apart and are put on the model together, as SingleInsert (arXiv 2310.08094, §4.3) composes concepts.

use crate::engine::stable_diffusion::Taught;
use crate::engine::stable_diffusion::text::{LoraUse, Prompt};
use crate::request::Repose;
use crate::subject::{Action, Library, Subject, SubjectRef, TextFacts, TextPart, places, stands};
use crate::{Error, Result};

/// What models learned of the subjects that take part.
#[derive(Debug)]
pub struct Cast<'a> {
    own: Option<Taught<'a>>,
    others: Vec<Other>,
}

/// A subject that the prompt names.
#[derive(Debug)]
struct Other {
    subject: SubjectRef,
    part: TextPart,
    used: LoraUse,
}

impl<'a> Cast<'a> {
    /// Loads the subjects that the request's prompt names beside its own. Its own may be named, too, to give it a weight.
    ///
    /// # Errors
    /// `Caller` if one was not learned by a text model, the prompt has no word for it, or it does not make sense; as the
    /// library.
    pub fn new(request: &Repose, subject: &'a Subject, library: &Library) -> Result<Self> {
        let prompt = request.prompt.as_deref().unwrap_or_default();
        let mut cast = Self {
            // Where nothing was trained, nothing is put on, and any model will do.
            own: subject
                .text
                .as_ref()
                .filter(|part| part.trained())
                .map(|part| Taught {
                    part,
                    used: LoraUse::whole(&request.subject),
                    named: false,
                    // A pose or a place of its pictures is read by the changes that it was learned with.
                    delayed: !part.facts.is_beside(prompt),
                }),
            others: Vec::new(),
        };
        for used in Prompt::parse(prompt)?.subjects {
            let untaught = || {
                Error::caller(format!(
                    "no text model has learned {:?}, which the prompt names: learn it with a recipe first",
                    used.name
                ))
            };
            let untrained = || {
                Error::caller(format!(
                    "the recipe \"reference\", by which {:?} was learned, holds up the look of the subject that is posed and \
                     has no word for prompts: leave <subject:{}> out, or learn it with another recipe",
                    used.name, used.name
                ))
            };
            if used.name == request.subject {
                if subject.text.is_some() && cast.own.is_none() {
                    return Err(untrained());
                }
                let own = cast.own.as_mut().ok_or_else(untaught)?;
                (own.used, own.named) = (used, true);
                continue;
            }
            let (other, subject) = library.load(&used.name, None)?;
            let part = other.text.ok_or_else(untaught)?;
            if !part.trained() {
                return Err(untrained());
            }
            let facts = &part.facts;
            let seen = !places(prompt, &facts.word).is_empty() || stands(prompt, &facts.token);
            if !seen && !facts.lends(prompt) {
                let or = match facts.beside.join(", ") {
                    none if none.is_empty() => String::new(),
                    beside => format!(
                        ", or, for no more than what is beside it in its pictures, one of {beside}"
                    ),
                };
                return Err(Error::caller(format!(
                    "the prompt names the subject {:?}, but has no words for it: write {:?} where it shall be seen{or}",
                    used.name, facts.word
                )));
            }
            cast.others.push(Other {
                subject,
                part,
                used,
            });
        }
        Ok(cast)
    }

    /// What was learned of the request's own subject.
    pub fn own(&self) -> Option<&TextFacts> {
        self.own.as_ref().map(|own| &own.part.facts)
    }

    /// What was learned of the others that shall be seen. Those of which the prompt has but the pose or the surroundings
    /// shall not.
    pub fn others<'b>(&'b self, prompt: &'b str) -> impl Iterator<Item = &'b TextFacts> {
        self.all_others().filter(move |facts| !facts.lends(prompt))
    }

    /// What was learned of all others.
    pub fn all_others(&self) -> impl Iterator<Item = &TextFacts> {
        self.others.iter().map(|other| &other.part.facts)
    }

    /// All, for a model.
    pub fn taught(&self) -> Vec<Taught<'_>> {
        let others = self.others.iter().map(|other| Taught {
            part: &other.part,
            used: other.used.clone(),
            named: true,
            delayed: false,
        });
        self.own.iter().cloned().chain(others).collect()
    }

    /// Notes in the log that the others were used: the request's own is noted with the request.
    ///
    /// # Errors
    /// As the log.
    pub fn log(&self, library: &Library) -> Result<()> {
        self.others.iter().try_for_each(|other| {
            library.log_use(Action::Repose, Some(&other.subject), library.request())
        })
    }
}
