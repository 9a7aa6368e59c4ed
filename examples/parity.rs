//! Compares the text engine with what diffusers computed on a folder that `tests/parity/make.py` made, with any seed and
//! width: `cargo run --release --example parity -- FOLDER…`
#![allow(
    clippy::print_stdout,
    reason = "a comparison prints a table, and nobody links it"
)]

#[path = "../tests/parity/compare/mod.rs"]
mod compare;

use std::path::Path;
use std::process::ExitCode;

use compare::model::checkpoint;
use compare::{
    Goldens, Layout, Model, Outcome, Result, adapters, gradients, networks, pipelines, subjects,
};

fn main() -> Result<ExitCode> {
    let mut failed = 0;
    let mut folders = 0;
    for folder in std::env::args().skip(1) {
        folders += 1;
        failed += folder_differs(Path::new(&folder))?;
    }
    if folders == 0 {
        return Err("expected folders that make.py made".into());
    }
    println!("{failed} outside their tolerance");
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// How many results of a folder are outside their tolerance.
fn folder_differs(path: &Path) -> Result<usize> {
    let goldens = Goldens::open(path)?;
    println!("{}", path.display());
    if goldens.manifest.family == "taesd" {
        return Ok(show("TAESD", &networks::taesd(&goldens)?));
    }
    if goldens.manifest.family == "subjects" {
        let exported = show("exported", &subjects::exported(&goldens)?);
        return Ok(exported + show("attached", &subjects::attached(&goldens)?));
    }
    let mut failed = 0;
    let layouts = Layout::of(&goldens);
    if let [folder, single] = layouts[..] {
        let same = checkpoint(&goldens, folder)?.fingerprint()
            == checkpoint(&goldens, single)?.fingerprint();
        println!("  both layouts hold the same weights: {same}");
        failed += usize::from(!same);
    }
    let model = Model::open(&goldens, layouts[0])?;
    let parts = [
        ("text encoders", networks::text(&goldens, &model)?),
        ("U-Net", networks::unet(&goldens, &model)?),
        ("U-Net in bf16", networks::half(&goldens, layouts[0])?),
        ("reference", networks::reference(&goldens, &model)?),
        ("autoencoder", networks::vae(&goldens, &model)?),
        ("whole runs", pipelines::run(&goldens, &model)?),
        ("LoRA", adapters::loras(&goldens, layouts[0])?),
        ("embeddings", adapters::embeddings(&goldens, &model)?),
        ("noising", gradients::noising(&goldens)?),
        ("gradients", gradients::unet(&goldens, layouts[0], false)?),
        ("checkpointed", gradients::unet(&goldens, layouts[0], true)?),
        ("word gradients", gradients::words(&goldens, &model)?),
    ];
    for (name, outcomes) in parts {
        failed += show(name, &outcomes);
    }
    Ok(failed)
}

fn show(name: &str, outcomes: &[Outcome]) -> usize {
    let Some(worst) = outcomes
        .iter()
        .max_by(|a, b| (a.error / a.tolerance).total_cmp(&(b.error / b.tolerance)))
    else {
        return 0;
    };
    println!(
        "  {name:<15}{:>4} results, worst {:.1e} of {:.0e}: {}",
        outcomes.len(),
        worst.error,
        worst.tolerance,
        worst.name
    );
    let failed: Vec<_> = outcomes.iter().filter(|o| !o.passed()).collect();
    for outcome in &failed {
        println!("    {} is {:.1e} off", outcome.name, outcome.error);
    }
    failed.len()
}
