//! The rows of the table: who does a case, and how.

use std::time::Instant;

use clap::{Args, ValueEnum};
use repose_host::{
    Channels, Depth, Engine, LearnRequest, Picture, Pin, ReposeRequest, SelectionRef, Space,
    TextOptions, Training,
};

use crate::Result;
use crate::case::{Case, Known, SIDE};
use crate::over::{Done, over};

/// What Repose's own rows are asked for; nothing: their defaults.
#[derive(Debug, Clone, Default, Args)]
pub struct Asked {
    /// Weight of the subject's own look, for Repose's own rows
    #[arg(long)]
    pub identity: Option<f32>,
    /// Guidance, for Repose's own rows
    #[arg(long)]
    pub guidance: Option<f32>,
    /// Share of the steps that are guided, for Repose's own rows
    #[arg(long)]
    pub guided: Option<f32>,
    /// Of so many steps one computes all, for Repose's own rows
    #[arg(long)]
    pub reuse: Option<u32>,
    /// Sampler, for Repose's own rows
    #[arg(long)]
    pub sampler: Option<String>,
    /// Parts of the pose left out or put in, joined by commas, for example mask: an ablation, for Repose's own rows
    #[arg(long)]
    pub variant: Option<String>,
    /// Part that recipes do without, for example background: an ablation
    #[arg(long)]
    pub without: Vec<String>,
    /// Captions of what is learned from do not tell the action
    #[arg(long)]
    pub plain: bool,
    /// Captions and prompts say what the subject is and what it does, not how it looks, as those of the papers do
    #[arg(long)]
    pub brief: bool,
    /// The edited picture does not show the subject: it is placed there
    #[arg(long)]
    pub elsewhere: bool,
}

impl Asked {
    /// The same for another process.
    pub fn words(&self) -> Vec<String> {
        let numbers = [
            ("identity", self.identity),
            ("guidance", self.guidance),
            ("guided", self.guided),
            ("reuse", self.reuse.map(|n| n as f32)),
        ];
        let sampler = self.sampler.iter().map(|s| format!("--sampler={s}"));
        let variant = self.variant.iter().map(|v| format!("--variant={v}"));
        let given = numbers
            .iter()
            .filter_map(|(name, n)| Some(format!("--{name}={}", (*n)?)));
        let without = self.without.iter().map(|part| format!("--without={part}"));
        let flags = [
            ("--plain", self.plain),
            ("--brief", self.brief),
            ("--elsewhere", self.elsewhere),
        ];
        let flags = flags.into_iter().filter(|(_, on)| *on);
        given
            .chain(sampler)
            .chain(variant)
            .chain(without)
            .chain(flags.map(|(flag, _)| flag.to_owned()))
            .collect()
    }

    /// What a picture shows.
    fn caption(&self, known: &Known) -> String {
        match self.brief {
            true => known.shot.class_caption(),
            false => known.shot.caption(),
        }
    }
}

/// What all re-poses of a run have in common.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// What computes.
    pub engine: &'a Engine,
    /// The text model.
    pub model: &'a str,
    /// For Repose's own rows.
    pub asked: &'a Asked,
}

/// A way to re-pose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Recipe {
    /// The source as it is: what everything else must beat.
    Copy,
    /// The embedded engine, with a pin at each joint that is seen.
    Patch,
    /// Noise over the picture's latents, then the prompt: SDEdit (arXiv 2108.01073).
    Img2img,
    /// Nothing but noise in the selection, then the prompt: RePaint's blending (arXiv 2201.09865).
    Inpaint,
    /// As Repose goes: the subject's look held up to the model, and room where its attention shows the new silhouette.
    Prompt,
    /// The same from the pins' rough shape.
    PromptPins,
    /// The same of a subject that the model learned first, by this recipe; so for all below.
    Repose,
    /// See above.
    TextualInversion,
    /// See above.
    DreamboothLora,
    /// See above.
    CustomDiffusion,
    /// See above.
    SingleInsert,
    /// See above.
    Detex,
    /// See above.
    Lipe,
    /// See above.
    DreamTuner,
    /// Trains nothing: poses look at what was learned from as well.
    Reference,
}

/// What is compared where nothing is named: what trains nothing, which takes minutes.
pub const QUICK: [Recipe; 6] = [
    Recipe::Copy,
    Recipe::Patch,
    Recipe::Img2img,
    Recipe::Inpaint,
    Recipe::Prompt,
    Recipe::PromptPins,
];

impl Recipe {
    /// What the table calls it.
    pub fn name(self, asked: &Asked) -> String {
        let plain = match self {
            Self::Copy => "copy of the source",
            Self::Patch => "patch engine, pins",
            Self::Img2img => "img2img",
            Self::Inpaint => "inpainting",
            Self::Prompt => "re-pose, prompt",
            Self::PromptPins => "re-pose, prompt and pins",
            _ => return self.training(&asked.without).unwrap_or_default(),
        };
        plain.to_owned()
    }

    /// One word for it: what it is asked for by, and what is left out.
    pub fn word(self, asked: &Asked) -> String {
        let own = self.to_possible_value().map(|v| v.get_name().to_owned());
        self.training(&asked.without).or(own).unwrap_or_default()
    }

    /// Whether another seed gives another picture.
    pub fn varies(self) -> bool {
        !matches!(self, Self::Copy | Self::Patch)
    }

    /// The recipe by which the model learns: rows that are not for everyone have its name.
    fn training(self, without: &[String]) -> Option<String> {
        let own = self.to_possible_value()?.get_name().to_owned();
        let parts = without.iter().map(|part| format!("-no-{part}"));
        (!QUICK.contains(&self)).then(|| own + &parts.collect::<String>())
    }

    fn pins(self) -> bool {
        matches!(self, Self::Patch | Self::PromptPins)
    }

    fn text<'a>(
        self,
        setting: &Setting<'a>,
        source: Option<&'a str>,
        word: &'a str,
    ) -> Option<TextOptions<'a>> {
        let own = TextOptions {
            model: Some(setting.model),
            source,
            word: Some(word),
            ..TextOptions::default()
        };
        let plain = TextOptions {
            sampler: Some("dpm++2m"),
            steps: Some(25),
            identity: Some(0.0),
            ..own
        };
        match self {
            Self::Copy | Self::Patch => None,
            Self::Img2img => Some(TextOptions {
                strength: Some(0.7),
                ..plain
            }),
            Self::Inpaint => Some(TextOptions {
                strength: Some(1.0),
                ..plain
            }),
            _ => Some(TextOptions {
                sampler: setting.asked.sampler.as_deref(),
                identity: setting.asked.identity,
                guidance: setting.asked.guidance,
                guided: setting.asked.guided,
                reuse: setting.asked.reuse,
                variant: setting.asked.variant.as_deref(),
                ..own
            }),
        }
    }

    /// Learns the case's subject. Returns the seconds it took.
    ///
    /// # Errors
    /// As the engine.
    pub fn learn(self, setting: &Setting<'_>, case: &Case) -> Result<f64> {
        let begun = Instant::now();
        if self == Self::Copy {
            return Ok(0.0);
        }
        let name = name(case);
        let recipe = self.training(&setting.asked.without);
        for (index, learned) in case.learned.iter().enumerate() {
            let told = match setting.asked.plain {
                true => format!(" {}", learned.shot.action.word()),
                false => String::new(),
            };
            let caption = setting.asked.caption(learned).replacen(&told, "", 1);
            let mut request = LearnRequest::new(
                lend(learned),
                selection(learned),
                &name,
                "a toy of the benchmark",
            );
            request.caption = Some(&caption);
            request.word = Some(learned.shot.subject.kind.word());
            // The last one is learned with all before it.
            let last = index + 1 == case.learned.len();
            request.training = recipe.as_deref().filter(|_| last).map(|recipe| Training {
                recipe: Some(recipe),
                model: Some(setting.model),
                earlier: index as u32,
                ..Training::default()
            });
            setting.engine.learn(&request)?.wait(|_| ())?;
        }
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Re-poses the case's subject, which was learned.
    ///
    /// # Errors
    /// As the engine.
    pub fn run(self, setting: &Setting<'_>, case: &Case, seed: u64) -> Result<Done> {
        let begun = Instant::now();
        let source = &case.source;
        if self == Self::Copy {
            return Ok(Done {
                rgb: source.picture.rgb.clone(),
                outside: 0,
                seconds: 0.0,
            });
        }
        let [was, shall] = [source, &case.truth].map(|known| setting.asked.caption(known));
        let word = source.shot.subject.kind.word();
        let name = name(case);
        let shown = case.shown();
        let pins = match self.pins() {
            true if !shown => return Err("pins need the subject in the picture".into()),
            true => pins(case),
            false => Vec::new(),
        };
        let at = shown.then(|| selection(source));
        let mut request = ReposeRequest::new(lend(source), at, &name);
        if !shown {
            (request.offset, request.scale) = case.placement();
        }
        request.pins = &pins;
        request.text = self.text(setting, Some(was.as_str()).filter(|_| shown), word);
        request.prompt = request.text.map(|_| shall.as_str());
        request.seed = seed;
        // A pixel of the matte's soft edge, and one that compression would have dirtied.
        request.grow = 2;
        let job = setting.engine.repose(&request)?;
        job.wait(|_| ())?;
        let (rgb, outside) = over(&source.picture.rgb, &job.layers()?);
        Ok(Done {
            rgb,
            outside,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

fn name(case: &Case) -> String {
    format!("subject {}", case.number)
}

fn lend(known: &Known) -> Picture<'_> {
    Picture {
        width: SIDE as u32,
        height: SIDE as u32,
        depth: Depth::U8,
        channels: Channels::Rgb,
        space: Space::Srgb,
        pixels: known.picture.rgb.as_flattened(),
        stride: 3 * SIDE,
    }
}

fn selection(known: &Known) -> SelectionRef<'_> {
    SelectionRef {
        depth: Depth::U8,
        x: 0,
        y: 0,
        width: SIDE as u32,
        height: SIDE as u32,
        samples: &known.picture.matte,
        stride: SIDE,
    }
}

/// From each joint that is seen in the source to where it truly goes.
fn pins(case: &Case) -> Vec<Pin> {
    let joints = case
        .source
        .picture
        .joints
        .iter()
        .zip(&case.truth.picture.joints);
    let seen = joints.filter(|((_, free), _)| *free);
    seen.map(|((from, _), (to, _))| Pin {
        from: *from,
        to: *to,
        angle: None,
        depth: 0.0,
    })
    .collect()
}
