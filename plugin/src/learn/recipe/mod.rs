//! How a text model learns a subject: one small file for each method, which says what is learned and by which losses.
//!
//! A [`Course`] is a list of [`Lesson`]s; `learn::text` goes through them. Where a paper's number is not known,
//! or did badly on the benchmark, the recipe's own comment says so.

mod custom_diffusion;
mod detex;
mod dream_tuner;
mod dreambooth_lora;
mod lipe;
mod reference;
mod repose;
mod single_insert;
mod textual_inversion;
mod without;

use std::str::FromStr;

use super::train::Weighting;
use crate::{Error, Result};
pub use without::{Part, Variant};

/// The methods there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recipe {
    /// Repose's own: a word and small changes, the model held to what it was without the subject, in few steps.
    #[default]
    Repose,
    /// A word alone.
    TextualInversion,
    /// Small changes of all attentions, the class held by pictures of it.
    DreamboothLora,
    /// A word, and how the attentions to the text read it.
    CustomDiffusion,
    /// A word, then small changes, the model held to what it was without the subject.
    SingleInsert,
    /// A word beside words for each picture's pose and place, which poses leave out or take up.
    Detex,
    /// Small changes, the class held by pictures of it in many poses.
    Lipe,
    /// A word and small changes, the class held by pictures that are like the subject.
    DreamTuner,
    /// Nothing: poses look at the pictures themselves.
    Reference,
}

impl Recipe {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::Repose,
        Self::TextualInversion,
        Self::DreamboothLora,
        Self::CustomDiffusion,
        Self::SingleInsert,
        Self::Detex,
        Self::Lipe,
        Self::DreamTuner,
        Self::Reference,
    ];

    /// What users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Repose => "repose",
            Self::TextualInversion => "textual-inversion",
            Self::DreamboothLora => "dreambooth-lora",
            Self::CustomDiffusion => "custom-diffusion",
            Self::SingleInsert => "single-insert",
            Self::Detex => "detex",
            Self::Lipe => "lipe",
            Self::DreamTuner => "dream-tuner",
            Self::Reference => "reference",
        }
    }

    /// What it does.
    pub fn course(self) -> Course {
        match self {
            Self::Repose => repose::course(),
            Self::TextualInversion => textual_inversion::course(),
            Self::DreamboothLora => dreambooth_lora::course(),
            Self::CustomDiffusion => custom_diffusion::course(),
            Self::SingleInsert => single_insert::course(),
            Self::Detex => detex::course(),
            Self::Lipe => lipe::course(),
            Self::DreamTuner => dream_tuner::course(),
            Self::Reference => reference::course(),
        }
    }
}

impl FromStr for Recipe {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|r| r.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::caller(format!("there is no recipe {name:?}; there are {names}"))
        })
    }
}

/// A method.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Course {
    /// One after the other; what an earlier one learned stays. None: nothing is trained.
    pub lessons: Vec<Lesson>,
    /// How many pictures the untouched model makes of the class, for lessons that look at them …
    pub class_pictures: usize,
    /// … and of what.
    pub class_of: ClassOf,
}

/// What pictures of the class show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClassOf {
    /// The class.
    #[default]
    Things,
    /// The class doing one thing and another.
    Actions,
    /// Things that look like the subject: its own keys and values are held up to them (DreamTuner, arXiv 2312.13691, §3.4).
    Lookalikes,
}

impl Course {
    /// One lesson, nothing else.
    pub fn of(lesson: Lesson) -> Self {
        Self {
            lessons: vec![lesson],
            ..Self::default()
        }
    }

    /// Whether any lesson moves the subject's word, itself or by an image encoder.
    pub fn learns_word(&self) -> bool {
        let moves = |lesson: &Lesson| lesson.word.is_some() || lesson.encoder.is_some();
        self.lessons.iter().any(moves)
    }

    /// With so many steps in all, and changes of this rank; `None`: its own.
    pub fn with(mut self, steps: Option<u64>, rank: Option<usize>) -> Self {
        let usual: u64 = self.lessons.iter().map(|l| l.steps).sum();
        let mut before = 0;
        for lesson in &mut self.lessons {
            if let Some(steps) = steps {
                // Where the lesson ends, so that all together have as many as asked.
                let usual_end = before + lesson.steps;
                lesson.steps = usual_end * steps / usual - before * steps / usual;
                before = usual_end;
            }
            if let (Some(adapters), Some(rank)) = (&mut lesson.adapters, rank) {
                adapters.rank = rank;
            }
        }
        let steps: u64 = self.lessons.iter().map(|l| l.steps).sum();
        // Each is looked at a few times.
        let enough = usize::try_from(steps.div_ceil(4)).unwrap_or(usize::MAX);
        self.class_pictures = self.class_pictures.min(enough);
        self
    }
}

/// A part of a method in which the same things are learned all the time.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// Steps.
    pub steps: u64,
    /// Noisy samples of one picture in each step.
    pub batch: usize,
    /// Learning rate of the word's vector; `None`: it stays.
    pub word: Option<f64>,
    /// Learning rate of an image encoder that gives the word's vector, which then is not learned itself; `None`: there is
    /// none.
    pub encoder: Option<f64>,
    /// Learning rate of words for each picture's pose and place, which take what is not the subject; `None`: there are none,
    /// and captions say what pictures show.
    pub sinks: Option<f64>,
    /// Learning rate of mappers that make those words from the pictures, which then are not learned themselves; `None`:
    /// there are none.
    pub mappers: Option<f64>,
    /// What is seen of a picture.
    pub shown: Shown,
    /// As what else it is seen.
    pub augment: Augment,
    /// What is put on the networks.
    pub adapters: Option<Adapters>,
    /// How much errors count at each noise level.
    pub weighting: Weighting,
    /// What holds outside the subject.
    pub background: Background,
    /// Weight of a picture of the class, one in each step, that is to be made as before: DreamBooth's prior preservation
    /// (arXiv 2208.12242, equation 2).
    pub class_pictures: f64,
    /// Weight of what the model makes of the words without the learned one, which is to be as before: SingleInsert's L_sm.
    pub class_words: f64,
    /// Weight of the attention to the subject's words, which is to lie on the subject, and of that to the place's, if there is
    /// one, which is to lie beside it (arXiv 2305.16311, equation 2).
    pub attention: f64,
}

impl Default for Lesson {
    fn default() -> Self {
        Self {
            steps: 400,
            batch: 1,
            word: None,
            encoder: None,
            sinks: None,
            mappers: None,
            shown: Shown::Whole,
            augment: Augment::Nothing,
            adapters: None,
            weighting: Weighting::Plain,
            background: Background::Learned,
            class_pictures: 0.0,
            class_words: 0.0,
            attention: 0.0,
        }
    }
}

/// What is seen of a picture in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All.
    Whole,
    /// The subject on white.
    Alone,
    /// The one and the other in turn.
    InTurn,
}

/// Other views of a picture that a step may see, with the caption for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Augment {
    /// None.
    Nothing,
    /// Its mirror image, as often as itself.
    Mirrored,
    /// The same, each also from farther away and nearer (the code of Custom Diffusion's authors, arXiv 2212.04488).
    Resized,
}

/// Small changes of projections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adapters {
    /// Of which.
    pub of: Projections,
    /// Their rank.
    pub rank: usize,
    /// Learning rate.
    pub rate: f64,
}

/// Which projections are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projections {
    /// Queries, keys, values and outputs of all attentions of the U-Net.
    Attentions,
    /// Those, and the text encoders'.
    AttentionsAndText,
    /// Keys and values that the U-Net makes of the text.
    TextKeysAndValues,
}

/// What holds outside the subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Background {
    /// It is learned as the subject is.
    Learned,
    /// Nothing.
    Ignored,
    /// The model makes there of the subject's words, with this weight, what it made before of the same words without the
    /// learned one: SingleInsert's L_bg.
    AsBefore(f64),
}
