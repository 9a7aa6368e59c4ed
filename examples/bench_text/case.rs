//! What is measured, and how.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use candle_core::Device;
use clap::{Args, ValueEnum};
use repose::engine::stable_diffusion::model;
use repose::learn::recipe::Recipe;
use serde::{Deserialize, Serialize};

use crate::{Result, memory};

/// What one process does, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// The U-Net, without gradients.
    Step,
    /// The loss and its gradients for LoRAs (rank 8) on the queries, keys, values and outputs of all attentions.
    Lora,
    /// The loss and its gradient for one word's vector, through the U-Net and the text encoder.
    Inversion,
    /// A whole step of a recipe, optimiser and all.
    Learn,
    /// Picture to latents.
    Encode,
    /// Latents to picture.
    Decode,
    /// A whole pose in words.
    Repose,
}

impl Task {
    /// As the command lines have it, here and in the peer's script.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Lora => "lora",
            Self::Inversion => "inversion",
            Self::Learn => "learn",
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::Repose => "repose",
        }
    }
}

/// One process.
#[derive(Debug, Clone)]
pub struct Case {
    pub checkpoint: PathBuf,
    pub task: Task,
    /// By which that is learned, and as many samples as it takes are the batch.
    pub recipe: Option<Recipe>,
    /// Pixels of a side.
    pub side: usize,
    pub batch: usize,
    /// Blocks are computed again in the backward pass.
    pub checkpointing: bool,
    /// What a pose does without; all of it: none.
    pub fewer: Fewer,
    /// In bfloat16, where the CPU has instructions for it.
    pub bf16: bool,
    /// On a GPU, in the precision that the weights are stored in.
    pub gpu: bool,
    /// Times that count. One more comes first, which reads the weights from the disk.
    pub steps: usize,
    pub threads: usize,
}

impl Case {
    /// The words that a process is told by, behind the checkpoint.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["--task".to_owned(), self.task.name().to_owned()];
        let numbers = [
            ("--side", self.side),
            ("--batch", self.batch),
            ("--steps", self.steps),
            ("--threads", self.threads),
        ];
        for (name, number) in numbers {
            words.extend([name.to_owned(), number.to_string()]);
        }
        if let Some(recipe) = self.recipe {
            words.extend(["--recipe".to_owned(), recipe.name().to_owned()]);
        }
        if self.checkpointing {
            words.push("--checkpointing".to_owned());
        }
        if self.gpu {
            words.push("--gpu".to_owned());
        }
        words.extend(self.fewer.words());
        words
    }

    /// Does it in this process.
    pub fn run(&self) -> Result<Measured> {
        if self.task == Task::Repose {
            return crate::pose::whole(self);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .build()?;
        let measured = pool.install(|| {
            let measured = match self.task {
                Task::Lora => crate::training::lora(self),
                Task::Inversion => crate::training::inversion(self),
                Task::Learn => crate::recipes::steps(self),
                _ => crate::networks::run(self),
            };
            // The error of another thread must be sendable.
            measured.map_err(|e| e.to_string())
        });
        Ok(measured?)
    }

    /// Where networks compute.
    ///
    /// # Errors
    /// If it shall be a GPU, and there is none or this program was built without.
    pub fn device(&self) -> Result<Device> {
        if !self.gpu {
            return Ok(Device::Cpu);
        }
        match model::device() {
            Device::Cpu => Err(
                "there is no GPU, or this was built without `--features repose/cuda` or `repose/metal`"
                    .into(),
            ),
            gpu => Ok(gpu),
        }
    }

    /// Times `work`, which has all that it needs open, to its end on `device`.
    pub fn time(&self, device: &Device, mut work: impl FnMut() -> Result<()>) -> Result<Measured> {
        let mut work = || -> Result<()> {
            work()?;
            Ok(device.synchronize()?)
        };
        forget_peak();
        work()?;
        let mut seconds = Vec::with_capacity(self.steps);
        let computed = Computed::begin(SELF);
        for _ in 0..self.steps {
            let begun = Instant::now();
            work()?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        Ok(Measured {
            seconds,
            peak: megabytes("VmHWM"),
            cores: computed.cores(),
            ..Measured::default()
        })
    }
}

/// What a pose in words does without, to take less time; see `ReposeText`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Args)]
pub struct Fewer {
    /// Share of a whole pose's steps, from the start, that are guided. With this or --reuse it is made in full as well, and how
    /// far the two lie apart is told: the larger the PSNR over the edited pixels, the less is lost
    #[arg(long, value_name = "SHARE")]
    pub guided: Option<f32>,
    /// Computes all of the network in one of N of a whole pose's steps only
    #[arg(long, value_name = "N")]
    pub reuse: Option<u32>,
}

impl Fewer {
    /// As the command line has it.
    pub fn words(self) -> Vec<String> {
        let guided = self.guided.map(|share| ("--guided", share.to_string()));
        let reuse = self.reuse.map(|n| ("--reuse", n.to_string()));
        let told = [guided, reuse].into_iter().flatten();
        told.flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }
}

/// What a process tells.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Measured {
    pub seconds: Vec<f64>,
    /// MB that were in memory at most, mapped weights among them, from when the network was open.
    pub peak: f64,
    /// How many cores computed, on average: fewer than there are threads where other programs were busy.
    pub cores: f64,
    /// Seconds of each part, where it has several.
    #[serde(default)]
    pub shares: Vec<(String, f64)>,
    /// How long the same took in full, and how far its result lies from this, where less was asked for.
    #[serde(default)]
    pub full: Option<Full>,
}

/// A pose with nothing left out, beside one with.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Full {
    pub seconds: f64,
    /// Peak signal-to-noise ratio in dB over the edited pixels; `None` where they are the same.
    pub psnr: Option<f64>,
}

impl Measured {
    pub fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Takes in a further process's times.
    pub fn join(&mut self, other: Self) {
        self.seconds.extend(other.seconds);
        self.peak = self.peak.max(other.peak);
        self.cores = match self.cores {
            0.0 => other.cores,
            before => before.min(other.cores),
        };
        self.shares = other.shares;
        self.full = other.full;
    }
}

/// A field of /proc/self/status in MB; 0 where there is none.
pub fn megabytes(field: &str) -> f64 {
    memory::kib(field).map_or(0.0, |kib| kib * 1.024e-3)
}

/// Sets the peak back to what is held now; only Linux has it.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// This process, for [`Computed`].
pub const SELF: &str = "/proc/self";

/// From when on a process's time on cores is counted.
pub struct Computed {
    process: String,
    begun: Instant,
    before: f64,
}

impl Computed {
    /// `process` is its folder in /proc.
    pub fn begin(process: &str) -> Self {
        Self {
            process: process.to_owned(),
            begun: Instant::now(),
            before: computed(process),
        }
    }

    /// Cores that were busy since, on average; 0 where it cannot be known.
    pub fn cores(&self) -> f64 {
        (computed(&self.process) - self.before) / self.begun.elapsed().as_secs_f64()
    }
}

/// Seconds on cores so far, by Linux's hundredths.
fn computed(process: &str) -> f64 {
    let stat = fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: the 12th and 13th are the user's time and the system's.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}
