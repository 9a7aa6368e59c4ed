//! How long the text engine's networks take on this CPU, and how much memory they need.
//!
//! `cargo run --release --example bench_text -- CHECKPOINT [--side 512] [--batch 2] [--steps 3] [--threads 2]
//! [--peer PYTHON]`. Random weights serve: `tests/parity/make.py DIR --full sd15` makes them. With `--peer`, a Python that
//! has diffusers, `tests/parity/time_diffusers.py` is measured in the same run, before and after. Peaks are those of each
//! line (VmHWM, Linux); mapped weights are in them.
#![allow(
    clippy::print_stdout,
    reason = "a benchmark prints a table, and nobody links it"
)]

mod memory;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use candle_core::{Device, Tensor};
use clap::Parser;
use repose::engine::stable_diffusion::model::{Model, Text};
use repose::engine::stable_diffusion::unet::Controls;
use repose::engine::stable_diffusion::weights::Options;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Times the text engine's networks.
#[derive(Parser)]
struct Words {
    /// A checkpoint: a diffusers folder or a single file.
    checkpoint: PathBuf,
    /// Pixels of a side.
    #[arg(long, default_value_t = 512)]
    side: usize,
    /// Samples of a step; guidance takes two.
    #[arg(long, default_value_t = 2)]
    batch: usize,
    /// Steps, of which the median is told.
    #[arg(long, default_value_t = 3)]
    steps: usize,
    /// Threads that compute.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A Python with diffusers.
    #[arg(long)]
    peer: Option<PathBuf>,
}

fn main() -> Result<()> {
    let words = Words::parse();
    let before = words.peer.as_deref().map(|p| peer(p, &words)).transpose()?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(words.threads)
        .build()?;
    let ours = pool.install(|| networks(&words).map_err(|e| e.to_string()))?;
    if let (Some(python), Some(before)) = (words.peer.as_deref(), before) {
        let after = peer(python, &words)?;
        println!("{before}\n{after}\nours, f32: {ours:.2} s a step");
    }
    Ok(())
}

/// Prints the table and returns the seconds of a step.
fn networks(words: &Words) -> Result<f64> {
    let (side, batch) = (words.side / 8, words.batch);
    let cpu = &Device::Cpu;
    println!("{side}×{side} latents, {} threads", words.threads);
    let open = || Ok(Model::open(&words.checkpoint, &Options::default(), cpu)?);
    let model = measure("open", open)?.0;
    let [text, ..] = measure("text", || {
        Ok(model.texts(["a bear", "", "a bear"], None, 0)?)
    })?
    .0;
    let texts: Vec<&Text> = vec![&text; batch];
    let channels = model.unet().config().in_channels;
    let latents = Tensor::randn(0f32, 1.0, (batch, channels, side, side), cpu)?;
    let step = |t: f32| Ok(model.predict(&latents, t, &texts, &Controls::default())?.0);
    measure("first step, from disk", || step(981.0))?;
    let mut times = Vec::new();
    for i in 0..words.steps {
        times.push(measure("step", || step(931.0 - 50.0 * i as f32))?.1);
    }
    let picture = Tensor::rand(-1f32, 1.0, (1, 3, 8 * side, 8 * side), cpu)?;
    let encode = || Ok(model.encode(&picture, &mut || Ok(()))?);
    let latents = measure("encode", encode)?.0;
    measure("decode", || Ok(model.decode(&latents, &mut || Ok(()))?))?;
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or(f64::NAN))
}

/// Runs `work` and prints its seconds and peak memory.
fn measure<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<(T, f64)> {
    // Sets the peak back; only Linux has it.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let begun = Instant::now();
    let made = work()?;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{name:24}{seconds:9.2} s   peak {:6.0} MB, of it at the end not mapped {:6.0} MB",
        megabytes("VmHWM"),
        megabytes("RssAnon")
    );
    Ok((made, seconds))
}

/// A field of /proc/self/status in MB; NaN where there is none.
fn megabytes(field: &str) -> f64 {
    memory::kib(field).map_or(f64::NAN, |kib| kib * 1.024e-3)
}

/// What diffusers takes, in f32.
fn peer(python: &Path, words: &Words) -> Result<String> {
    let number = |n: usize| n.to_string();
    let output = Command::new(python)
        .arg("tests/parity/time_diffusers.py")
        .arg(&words.checkpoint)
        .args(["--dtype", "f32", "--vae"])
        .args(["--size", &number(words.side)])
        .args(["--batch", &number(words.batch)])
        .args(["--steps", &number(words.steps)])
        .args(["--threads", &number(words.threads)])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(format!("diffusers: {}", text.trim()))
}
