//! What a text model is told on the command line.

use clap::{Args, ValueEnum};
use repose_host::{TextOptions, Training};

/// How a text model learns; `--recipe`, `--model` or `--estimate` asks for one.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Learning by a text model")]
pub struct TrainingArgs {
    /// How: repose (its own), textual-inversion (a word alone), dreambooth-lora, custom-diffusion, single-insert, detex, lipe, dream-tuner or
    /// reference (nothing is trained, each pose looks at the picture instead); lipe wants a --caption that says what the
    /// subject does; a part is left out as in single-insert-no-background [default with --model: repose]
    #[arg(long, value_name = "RECIPE")]
    pub recipe: Option<String>,
    /// The text model, as for `repose pose`; re-poses need the same one [default: the only one there is]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Steps of training in all, 1 to 100000 [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub steps: Option<u32>,
    /// Rank of changes of projections, 1 to 256 [default: the recipe's]
    #[arg(long, value_name = "N")]
    pub rank: Option<u32>,
    /// Learn from the subject's N newest versions in the library as well, at most 32
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub earlier: u32,
    /// The same request and seed learn the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Do a single step, say how long all would take here and how much memory, and learn nothing
    #[arg(long, conflicts_with = "steps")]
    pub estimate: bool,
}

impl TrainingArgs {
    /// What the plugin is asked for; `None` where no text model is.
    pub fn options(&self) -> Option<Training<'_>> {
        (self.recipe.is_some() || self.model.is_some() || self.estimate).then_some(Training {
            recipe: self.recipe.as_deref(),
            model: self.model.as_deref(),
            steps: self.steps,
            rank: self.rank,
            earlier: self.earlier,
            seed: self.seed,
        })
    }
}

/// How a text model poses; `--prompt` or `--model` asks for one.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Poses in words")]
pub struct TextArgs {
    /// The pose in words, such as "a teddy bear waving"; (word:1.2), [word], BREAK and <lora:NAME:0.8> as usual;
    /// <subject:NAME:0.8> puts on what a text model learned of another subject, which is in the prompt, too
    /// [default with --model: the subject's caption]
    #[arg(long, value_name = "WORDS")]
    pub prompt: Option<String>,
    /// The text model: its name, a diffusers folder, a .safetensors file or ORG/NAME in the Hugging Face cache (see `repose
    /// models list`), or `pocket`, which is built in and knows drawn toys alone [default: the only one there is]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// What must not be seen
    #[arg(long, value_name = "WORDS")]
    pub negative: Option<String>,
    /// What the picture shows now [default: the subject's caption]
    #[arg(long, value_name = "WORDS")]
    pub source: Option<String>,
    /// The words of the prompt that mean the subject [default: the subject's own, or its name]
    #[arg(long, value_name = "WORDS")]
    pub word: Option<String>,
    /// The sampler
    #[arg(long, value_enum)]
    pub sampler: Option<Sampler>,
    /// Its steps, 1 to 1000
    #[arg(long, value_name = "N")]
    pub steps: Option<u32>,
    /// How far the picture may change, above 0, up to 1
    #[arg(long, value_name = "SHARE")]
    pub strength: Option<f32>,
    /// How closely the prompt is followed, 1 to 50
    #[arg(long, value_name = "FACTOR")]
    pub guidance: Option<f32>,
    /// Guidance rescale, 0 to 1
    #[arg(long, value_name = "SHARE")]
    pub rescale: Option<f32>,
    /// Weight of the subject's own look, 0 (none) to 20
    #[arg(long, value_name = "WEIGHT")]
    pub identity: Option<f32>,
    /// Last layers of the text encoder to leave out
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub clip_skip: u32,
    /// Longer side of the part that is diffused, in pixels [default: the model's own]
    #[arg(long, value_name = "PX")]
    pub side: Option<u32>,
    /// Share of the steps, from the start, that are guided, 0 to 1; the others look at the prompt alone, which is quicker and
    /// follows it a little less [default: 1, all]
    #[arg(long, value_name = "SHARE")]
    pub guided: Option<f32>,
    /// Computes all of the network in one of N steps only, 1 to 10; the others reuse its deep features, which is much quicker
    /// and loses detail as N grows [default: 1, no reuse]
    #[arg(long, value_name = "N")]
    pub reuse: Option<u32>,
    /// Parts of the papers' methods left out or put in, joined by commas, to compare: no-blend (what lies outside the subject
    /// is not set back at each step), mask (the subject alone is looked at, not all of the picture), interleaved (steps are
    /// led by the subject's look or by the words, not by both), no-delay (the first steps, too, have what the model
    /// learned of the subject)
    #[arg(long, value_name = "NAMES")]
    pub variant: Option<String>,
}

impl TextArgs {
    /// What the plugin is asked for; `None` where no text model is.
    pub fn options(&self) -> Option<TextOptions<'_>> {
        (self.prompt.is_some() || self.model.is_some()).then(|| TextOptions {
            model: self.model.as_deref(),
            negative: self.negative.as_deref(),
            source: self.source.as_deref(),
            word: self.word.as_deref(),
            sampler: self.sampler.map(Sampler::name),
            steps: self.steps,
            strength: self.strength,
            guidance: self.guidance,
            rescale: self.rescale,
            identity: self.identity,
            clip_skip: self.clip_skip,
            side: self.side,
            guided: self.guided,
            reuse: self.reuse,
            variant: self.variant.as_deref(),
        })
    }
}

/// How noise becomes a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sampler {
    /// DDIM from the noise that the picture inverts to: keeps more of it, and follows the prompt less
    Ddim,
    /// DPM-Solver++ 2M, evenly spaced
    #[value(name = "dpm++2m")]
    Dpm,
    /// DPM-Solver++ 2M with Karras' spacing: a good picture in 20 to 30 steps
    #[value(name = "dpm++2m-karras")]
    DpmKarras,
    /// Euler ancestral
    EulerA,
    /// UniPC
    Unipc,
    /// For latent consistency models: 4 to 8 steps
    Lcm,
}

impl Sampler {
    fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Dpm => "dpm++2m",
            Self::DpmKarras => "dpm++2m-karras",
            Self::EulerA => "euler-a",
            Self::Unipc => "unipc",
            Self::Lcm => "lcm",
        }
    }
}
