//! What a request asks of a text model, with the defaults filled in.

use super::cast::Cast;
use super::turns::{Lacks, Shares, Turn, turns};
use super::variant::Variant;
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::{GUIDANCE, Method, Noise};
use crate::request::Repose;
use crate::subject::{Subject, TextFacts, marked, places, unmarked};
use crate::{Error, Result};

/// DDIM's steps: the picture is inverted with as many, so fewer than for pure sampling lose little.
const DDIM_STEPS: usize = 30;
/// ω of the subject's look: DreamTuner's own for photographs (arXiv 2312.13691, §3.2). On 24 subjects, 2 seeds each, success
/// was 73 %, and 71 % with 1 (`bench_pocket --identity`).
const LIKENESS: f32 = 3.0;
/// Share of the steps, from the start, in which it is held up. On 12 subjects, 4 seeds each, 0.7 kept as much of the subject
/// as all of them (identity 0.83) and drew cleaner figures: action 94 %, success 77 %, against 90 % and 71 %; 0.5 gave 0.80,
/// 100 % and 75 %.
const LOOKED: f64 = 0.7;
/// Share of the sampler's steps, from the noisiest, in which the model is as it was before subjects were learned: FastComposer's
/// (arXiv 2305.10431) for poses that what was learned would hold back. Where prompts describe the subject, the model needs
/// it little: of 24 subjects, 4 poses each, success of DETEX was 36 % without delay, 47 % with 0.3 and 66 % with 0.65, of `repose` 66
/// to 69 % with all of them. Where they say what it is and no more, as users' do, all of its look that the edited picture does not
/// give comes from what was learned: of 8 subjects, 8 poses each, identity and success of `repose` were 0.79 and 52 % without delay,
/// 0.78 and 55 % with 0.15, 50 % with 0.3, 48 % with 0.45, and 0.74 and 38 % with 0.65.
const DELAYED: f64 = 0.2;
/// In so many of ten steps interleaved guidance leads to the subject's look: p_r = 0.9 (arXiv 2312.13691, §3.3).
const LED_BY_LOOK: usize = 9;
/// The seed's stream for which steps these are.
const GUIDANCE_STREAM: u64 = 2;
/// Strength where pins, a guide or a placement give the pose, so that their layout stays.
const KEEP_LAYOUT: f64 = 0.6;

/// What a model is told of pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Wording {
    /// What the picture shall show.
    pub prompt: String,
    /// What it shows now.
    pub source: String,
    /// The words of the prompt that mean the subject, if it has them, and those that mean others that it names.
    pub subjects: Vec<String>,
}

/// A pose in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The model asked for.
    pub model: Option<String>,
    /// What it is told.
    pub wording: Wording,
    /// The same of any such thing, for steps that do without what was learned of the subject; `None`: there are none.
    pub unlearned: Option<Wording>,
    /// What the picture shall not show.
    pub negative: String,
    /// The sampler; `None`: the one that fits the model.
    pub method: Option<Method>,
    /// Its steps.
    steps: Option<usize>,
    /// How far the picture may change, above 0 to 1.
    pub strength: f64,
    /// Classifier-free guidance, if it is asked for.
    guidance: Option<f64>,
    /// Guidance rescale.
    pub rescale: f64,
    /// Share of the steps, from the start, that are guided.
    guided: f64,
    /// Of so many steps one computes all of the network.
    reuse: usize,
    /// ω of the subject's look.
    pub identity: f32,
    /// What is left out or put in.
    pub variant: Variant,
    /// Last layers of the text encoder to leave out.
    pub clip_skip: usize,
    /// Longer side of the frame for the model.
    pub side: Option<usize>,
}

impl Plan {
    /// `shaped`: whether pins, a guide or a placement give the pose as well.
    ///
    /// # Errors
    /// `Caller` if there are no words to work with, the subject's word is not in the prompt, or there is no such sampler.
    pub fn new(request: &Repose, subject: &Subject, cast: &Cast<'_>, shaped: bool) -> Result<Self> {
        let words = request.words.as_deref().cloned().unwrap_or_default();
        let caption = subject.words.caption.clone();
        let prompt = filled(request.prompt.clone())
            .or_else(|| filled(caption.clone()))
            .ok_or_else(|| {
                Error::caller(
                    "a text model was asked for without words: give a prompt that says what the picture shall show; the \
                     subject was learned without a caption that could stand for it",
                )
            })?;
        let word = match filled(words.word) {
            Some(word) if !places(&prompt, &word).is_empty() => Some(word),
            Some(word) => {
                return Err(Error::caller(format!(
                    "the prompt does not have the words {word:?}, which shall mean the subject: write them as they stand in it"
                )));
            }
            None => [subject.words.word.clone(), Some(request.subject.clone())]
                .into_iter()
                .flatten()
                .find(|word| !places(&prompt, word).is_empty()),
        };
        let source = filled(words.source).or(caption).unwrap_or_default();
        let mut wording = Wording {
            prompt,
            source,
            subjects: Vec::new(),
        };
        let asked = wording.prompt.clone();
        let named = match cast.own() {
            Some(facts) => {
                let word = word.unwrap_or_else(|| facts.word.clone());
                wording.name(facts, &word);
                Some((facts, word))
            }
            None => {
                wording.subjects.extend(word);
                None
            }
        };
        for facts in cast.others(&asked) {
            wording.name(facts, &facts.word);
        }
        let own = subject.text.as_ref().map(|text| &text.facts);
        let learned_with = own.or(cast.all_others().next());
        let learned_with = filled(learned_with.map(|facts| facts.model.clone()));
        Ok(Self {
            model: filled(words.model).or(learned_with),
            unlearned: named.map(|(facts, word)| wording.without(facts, &word)),
            wording,
            negative: words.negative.unwrap_or_default(),
            method: words.sampler.map(|name| name.parse()).transpose()?,
            steps: words.steps.map(|n| n as usize),
            strength: match words.strength {
                Some(strength) => f64::from(strength),
                None if shaped => KEEP_LAYOUT,
                None => 1.0,
            },
            guidance: words.guidance.map(f64::from),
            rescale: words.rescale.map_or(0.0, f64::from),
            guided: words.guided.map_or(1.0, f64::from),
            reuse: words.reuse.map_or(1, |n| n as usize),
            variant: words.variant.unwrap_or_default().parse()?,
            identity: words.identity.unwrap_or(LIKENESS),
            clip_skip: words.clip_skip as usize,
            side: words.side.map(|n| n as usize),
        })
    }

    /// The same with what was learned of the subject in all steps, unless the picture shows it, and its look there is held up.
    pub fn seeing(mut self, shown: bool) -> Self {
        let held_up = shown && self.identity > 0.0;
        if !(held_up && self.variant.delay) {
            self.unlearned = None;
        }
        self
    }

    /// All texts that the model is given, but those that do without learned words.
    pub fn texts(&self) -> [&str; 3] {
        [&self.wording.prompt, &self.negative, &self.wording.source]
    }

    /// The sampler and its steps for a model: as asked, or as a distilled model wants it.
    pub fn sampling(&self, model: &Model) -> (Method, usize) {
        let pace = model.pace();
        let method = self.method.or(pace.map(|p| p.method));
        let method = method.unwrap_or(Method::DpmKarras);
        let usual = match (method, pace) {
            (_, Some(pace)) if pace.method == method => pace.steps,
            (Method::Ddim, _) => DDIM_STEPS,
            (other, _) => other.usual_steps(),
        };
        (method, self.steps.unwrap_or(usual))
    }

    /// Classifier-free guidance for a model.
    pub fn guidance(&self, model: &Model) -> f64 {
        let usual = model.pace().map_or(GUIDANCE, |pace| pace.guidance);
        self.guidance.unwrap_or(usual)
    }

    /// What each of a model's steps computes, from `first` of `all` on; where chance has a part in it, that of `seed`.
    pub fn turns(&self, model: &Model, first: usize, all: usize, seed: u64) -> Vec<Turn> {
        let steps = all - first;
        // Guidance of 1 is the output for the prompt.
        let guided = match self.guidance(model) == 1.0 {
            true => 0.0,
            false => self.guided,
        };
        // Guidance to the look alone would lead nowhere without it.
        let looked = match self.variant.interleaved {
            true => 1.0,
            false => LOOKED,
        };
        let delayed = match &self.unlearned {
            // Where a shape gives the pose, a run begins later.
            Some(_) => (DELAYED * all as f64 - first as f64).max(0.0) / steps as f64,
            None => 0.0,
        };
        let shares = Shares {
            guided,
            looked,
            delayed,
        };
        let mut chance = Noise::new(seed, GUIDANCE_STREAM);
        turns(steps, shares, self.reuse, &mut || match (
            self.variant.interleaved,
            chance.below(10) < LED_BY_LOOK,
        ) {
            (false, _) => Lacks::Both,
            (true, true) => Lacks::Look,
            (true, false) => Lacks::Prompt,
        })
    }
}

impl Wording {
    /// Puts the learned word before what a subject is called.
    fn name(&mut self, facts: &TextFacts, word: &str) {
        self.prompt = marked(&self.prompt, word, &facts.token);
        // Where the subject's word does not occur the picture may show it elsewhere, or not at all.
        if !places(&self.source, word).is_empty() {
            self.source = marked(&self.source, word, &facts.token);
        }
        let whole = format!("{} {word}", facts.token);
        self.subjects
            .push(match places(&self.prompt, whole.trim()).is_empty() {
                // The user has written the learned word alone.
                true => facts.token.clone(),
                false => whole,
            });
    }

    /// The same without the learned word of a subject, which is called so.
    fn without(&self, facts: &TextFacts, word: &str) -> Self {
        let plain = |text: &String| unmarked(text, word, &facts.token);
        Self {
            prompt: plain(&self.prompt),
            source: plain(&self.source),
            subjects: self.subjects.iter().map(plain).collect(),
        }
    }
}

/// Not blank.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.trim().is_empty())
}
