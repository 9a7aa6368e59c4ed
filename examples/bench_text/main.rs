//! How long the text engine takes on this CPU and how much memory it needs, beside its peers in the same run.
//!
//! ```sh
//! cargo run --release --example bench_text -- CHECKPOINT [CHECKPOINT …] [--what step,lora] [--peer PYTHON] [--sd-cpp PROGRAM]
//! ```
//!
//! Random weights serve: `tests/parity/make.py DIR --full sd15` makes them. Each measurement is a process of its own, so that
//! its peak memory (VmHWM, Linux; mapped weights are in it) is its own; the programs take turns, and the times are medians
//! over all rounds.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints a table, and nobody links it"
)]

mod case;
mod gpu;
#[path = "../memory.rs"]
mod memory;
mod networks;
mod peers;
mod pose;
mod recipes;
mod table;
mod training;

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use repose::engine::stable_diffusion::weights::{Checkpoint, Options};
use repose::learn::recipe::Recipe;
use repose::learn::text::checkpoints;

use case::{Case, Fewer, Task};
use peers::Who;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Sides in pixels of the growth with the crop, at batch 2, and batches of that with the batch, at 512 pixels.
const SIDES: [usize; 3] = [256, 768, 1024];
const BATCHES: [usize; 2] = [1, 4];

/// Times the text engine beside its peers.
#[derive(Parser)]
struct Words {
    /// Checkpoints: diffusers folders (or, without peers, single files). The first is measured in all that is asked for;
    /// further ones in `step` and `vae`.
    #[arg(required = true)]
    checkpoints: Vec<PathBuf>,
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = What::ALL)]
    what: Vec<What>,
    /// Recipes that `recipes` measures [default: all]
    #[arg(long, value_delimiter = ',')]
    recipe: Vec<Recipe>,
    /// Pixels of a side [default: the model's own]
    #[arg(long)]
    side: Option<usize>,
    /// Samples of a step without gradients; guidance takes two. Steps with gradients have one.
    #[arg(long, default_value_t = 2)]
    batch: usize,
    /// Times of each process, behind one that does not count.
    #[arg(long, default_value_t = 3)]
    steps: usize,
    /// Processes of each program.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Threads that compute.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A Python with diffusers and, for steps with gradients, peft.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Measures steps without gradients in bfloat16, too; ours are in f32 where the CPU has no instructions for it.
    #[arg(long)]
    bf16: bool,
    /// Measures on a GPU, in the precision that the weights are stored in, with `--features repose/cuda`. Peaks are then of the
    /// GPU's memory, as nvidia-smi tells it, other programs' included. Not for `lora` and `inversion`, which are always on the CPU
    #[arg(long)]
    gpu: bool,
    /// stable-diffusion.cpp's command-line program. It reads CHECKPOINT.safetensors, which lies beside the folder.
    #[arg(long)]
    sd_cpp: Option<PathBuf>,
    #[command(flatten)]
    fewer: Fewer,
    /// One measurement, in this process.
    #[arg(long, hide = true)]
    task: Option<Task>,
    /// Blocks are computed again in the backward pass of that.
    #[arg(long, hide = true)]
    checkpointing: bool,
}

/// Rows of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// The U-Net with guidance.
    Step,
    /// Training LoRAs on all attentions, without and with gradient checkpointing.
    Lora,
    /// Training a word's vector, without and with gradient checkpointing.
    Inversion,
    /// A step of each recipe that trains, as the plugin takes it, at the model's own side.
    Recipes,
    /// The autoencoder.
    Vae,
    /// The U-Net at other sizes.
    Growth,
    /// A whole pose in words.
    Repose,
}

impl What {
    const ALL: [Self; 7] = [
        Self::Step,
        Self::Lora,
        Self::Inversion,
        Self::Recipes,
        Self::Vae,
        Self::Growth,
        Self::Repose,
    ];
}

fn main() -> Result<()> {
    let words = Words::parse();
    if let (Some(task), [checkpoint]) = (words.task, &words.checkpoints[..]) {
        let case = Case {
            checkpoint: checkpoint.clone(),
            task,
            recipe: words.recipe.first().copied(),
            side: words.side.unwrap_or(512),
            batch: words.batch,
            checkpointing: words.checkpointing,
            fewer: words.fewer,
            bf16: words.bf16,
            gpu: words.gpu,
            steps: words.steps,
            threads: words.threads,
        };
        println!("{}", serde_json::to_string(&case.run()?)?);
        return Ok(());
    }
    let mut peers = Vec::new();
    if let Some(python) = &words.peer {
        // As checkpoints are stored, which is what a GPU computes in.
        let dtype = if words.gpu { "f16" } else { "f32" };
        peers.push(Who::Diffusers(python.clone(), dtype));
        if words.bf16 {
            peers.push(Who::Diffusers(python.clone(), "bf16"));
        }
    }
    peers.extend(words.sd_cpp.clone().map(Who::SdCpp));
    table::head(words.threads);
    for (index, checkpoint) in words.checkpoints.iter().enumerate() {
        for case in cases(&words, checkpoint, index == 0)? {
            table::row(&case, &peers, words.rounds)?;
        }
    }
    Ok(())
}

/// What is measured of one checkpoint.
fn cases(words: &Words, checkpoint: &Path, first: bool) -> Result<Vec<Case>> {
    let opened = Checkpoint::open(checkpoint, &Options::default())?;
    let across = opened.unet.config.sample_size.at(0);
    let own = across * opened.vae.config.factor();
    drop(opened);
    let side = words.side.unwrap_or(8 * across);
    let step = Case {
        checkpoint: checkpoint.to_owned(),
        task: Task::Step,
        recipe: None,
        side,
        batch: words.batch,
        checkpointing: false,
        fewer: Fewer::default(),
        bf16: false,
        gpu: words.gpu,
        steps: words.steps,
        threads: words.threads,
    };
    let task = |task| Case {
        task,
        batch: 1,
        ..step.clone()
    };
    let both = |which| {
        [false, true].map(|checkpointing| Case {
            checkpointing,
            ..task(which)
        })
    };
    let mut cases = Vec::new();
    for what in &words.what {
        match what {
            What::Step => {
                cases.push(step.clone());
                cases.extend(words.bf16.then(|| Case {
                    bf16: true,
                    ..step.clone()
                }));
            }
            What::Vae => cases.extend([task(Task::Encode), task(Task::Decode)]),
            _ if !first => {}
            What::Lora | What::Inversion if words.gpu => {}
            What::Lora => cases.extend(both(Task::Lora)),
            What::Inversion => cases.extend(both(Task::Inversion)),
            What::Recipes => {
                let all = &Recipe::ALL[..];
                let some = &words.recipe[..];
                let chosen = if some.is_empty() { all } else { some }.iter();
                let trains = |recipe: &&Recipe| !recipe.course().lessons.is_empty();
                cases.extend(chosen.filter(trains).map(|recipe| Case {
                    recipe: Some(*recipe),
                    side: own,
                    batch: recipes::samples(*recipe).0,
                    // As the plugin has it, which is not asked.
                    checkpointing: checkpoints(across),
                    ..task(Task::Learn)
                }));
            }
            What::Repose => cases.push(Case {
                fewer: words.fewer,
                ..task(Task::Repose)
            }),
            What::Growth => {
                let at = |side, batch| Case {
                    side,
                    batch,
                    steps: 1,
                    ..step.clone()
                };
                cases.extend(SIDES.map(|side| at(side, words.batch)));
                cases.extend(BATCHES.map(|batch| at(512, batch)));
            }
        }
    }
    Ok(cases)
}
