//! Who measures: this program in a process of its own, diffusers, stable-diffusion.cpp.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use repose::learn::recipe::Recipe;

use crate::case::{Case, Computed, Measured, Task};
use crate::{Result, gpu, memory};

/// What diffusers has scripts for.
const SCRIPTS: [Recipe; 3] = [
    Recipe::TextualInversion,
    Recipe::DreamboothLora,
    Recipe::CustomDiffusion,
];

/// Somebody who can do a case.
#[derive(Debug, Clone)]
pub enum Who {
    Ours,
    /// diffusers (with peft where it trains) in this Python, in this float type.
    Diffusers(PathBuf, &'static str),
    /// stable-diffusion.cpp's command-line program. It reads the single file beside the checkpoint's folder.
    SdCpp(PathBuf),
}

impl Who {
    pub fn name(&self) -> String {
        match self {
            Self::Ours => "ours".into(),
            Self::Diffusers(_, dtype) => format!("diffusers {dtype}"),
            Self::SdCpp(_) => "stable-diffusion.cpp".into(),
        }
    }

    /// Whether it does such a case.
    pub fn does(&self, case: &Case) -> bool {
        match self {
            Self::Ours => true,
            Self::Diffusers(_, dtype) => {
                let script = case.recipe.is_none_or(|recipe| SCRIPTS.contains(&recipe));
                script && case.task != Task::Repose && case.bf16 == (*dtype == "bf16")
            }
            // Guidance makes two passes of one sample of each step: a batch of two.
            Self::SdCpp(_) => case.task == Task::Step && case.batch == 2 && !case.bf16 && !case.gpu,
        }
    }

    pub fn measure(&self, case: &Case) -> Result<Measured> {
        match self {
            Self::Ours => {
                let mut command = Command::new(env::current_exe()?);
                command.arg(&case.checkpoint).args(case.words());
                told(command.args(case.bf16.then_some("--bf16")), case.gpu)
            }
            Self::Diffusers(python, dtype) => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR"));
                let mut command = Command::new(python);
                command.arg(script.join("tests/parity/time_diffusers.py"));
                command.arg(&case.checkpoint).args(case.words());
                told(command.args(["--dtype", dtype]), case.gpu)
            }
            Self::SdCpp(program) => sd_cpp(program, case),
        }
    }
}

/// What a process tells on its last line; the peak is that of a GPU's memory, if it computes there.
fn told(command: &mut Command, on_gpu: bool) -> Result<Measured> {
    let (output, peak) = match on_gpu {
        true => gpu::watched(|| command.output()).map(|(output, peak)| (output, Some(peak)))?,
        false => (command.output(), None),
    };
    let text = String::from_utf8(checked(output?)?.stdout)?;
    let last = text.lines().last().ok_or("a measurement told nothing")?;
    let mut measured: Measured = serde_json::from_str(last)?;
    measured.peak = peak.unwrap_or(measured.peak);
    Ok(measured)
}

fn checked(output: Output) -> Result<Output> {
    match output.status.success() {
        true => Ok(output),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("a measurement failed: {}: {said}", output.status).into())
        }
    }
}

/// Runs one step more than count, for the first reads the weights from the disk, and ends the program before it decodes.
fn sd_cpp(program: &Path, case: &Case) -> Result<Measured> {
    let (side, steps) = (case.side.to_string(), case.steps + 1);
    let picture = tempfile::tempdir()?;
    let mut child = Command::new(program)
        .arg("--model")
        .arg(case.checkpoint.with_extension("safetensors"))
        .arg("--output")
        .arg(picture.path().join("bear.png"))
        .args(["--prompt", "a bear", "--negative-prompt", "a cat"])
        .args(["--cfg-scale", "7", "--sampling-method", "euler"])
        .args(["--width", &side, "--height", &side])
        .args(["--steps", &steps.to_string()])
        .args(["--threads", &case.threads.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let process = format!("/proc/{}", child.id());
    let status = format!("{process}/status");
    let mut seconds = Vec::new();
    let (mut peak, mut cores, mut computed) = (0.0, 0.0, None);
    if let Some(log) = child.stdout.take() {
        for line in BufReader::new(log).split(b'\r') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            seconds.extend(step_time(&line, steps));
            peak = memory::kib_of(&status, "VmHWM").map_or(peak, |kib| kib * 1.024e-3);
            if !seconds.is_empty() {
                let computed = computed.get_or_insert_with(|| Computed::begin(&process));
                cores = computed.cores();
            }
            if seconds.len() == steps {
                break;
            }
        }
    }
    // It may have ended by itself.
    let _ = child.kill();
    let status = child.wait()?;
    if seconds.len() < steps {
        return Err(format!("{} told no times: {status}", program.display()).into());
    }
    Ok(Measured {
        seconds: seconds.split_off(1),
        peak,
        cores,
        ..Measured::default()
    })
}

/// The time in `|====> | 2/3 - 1.23s/it`, which is that of this step alone. Loading has such lines in other units.
fn step_time(line: &str, steps: usize) -> Option<f64> {
    let (before, after) = line.split_once(" - ")?;
    if !before.ends_with(&format!("/{steps}")) {
        return None;
    }
    if let Some((seconds, _)) = after.split_once("s/it") {
        return seconds.trim().parse().ok();
    }
    let (rate, _) = after.split_once("it/s")?;
    rate.trim().parse().ok().map(|rate: f64| 1.0 / rate)
}
