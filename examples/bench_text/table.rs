//! Measures and prints, a line for each peer.

use crate::case::{Case, Measured};
use crate::peers::Who;
use crate::{Result, recipes};

/// What the columns are.
pub fn head(threads: usize) {
    println!("{threads} threads; medians (least to most; cores that computed)\n");
    println!("| what | ours | peer | its time | ratio | our peak | its peak |");
    println!("|---|---|---|---|---|---|---|");
}

/// Measures a case, all programs in turn, and prints it.
pub fn row(case: &Case, peers: &[Who], rounds: usize) -> Result<()> {
    let does = |who: &&Who| who.does(case);
    let everybody: Vec<&Who> = [&Who::Ours]
        .into_iter()
        .chain(peers.iter().filter(does))
        .collect();
    let mut all = vec![Measured::default(); everybody.len()];
    // Nobody takes turns with a program that is alone.
    let rounds = if everybody.len() > 1 { rounds } else { 1 };
    for _ in 0..rounds {
        for (who, measured) in everybody.iter().zip(&mut all) {
            let new = who.measure(case)?;
            eprintln!("{} {}: {new:?}", label(case), who.name());
            measured.join(new);
        }
    }
    let Some((ours, theirs)) = all.split_first() else {
        return Ok(());
    };
    let (label, time, peak) = (label(case), spread(ours), size(ours.peak));
    for (who, measured) in everybody.iter().skip(1).zip(theirs) {
        println!(
            "| {label} | {time} | {} | {} | {:.2} | {peak} | {} |",
            who.name(),
            spread(measured),
            ours.median() / measured.median(),
            size(measured.peak),
        );
    }
    if theirs.is_empty() {
        println!("| {label} | {time} | | | | {peak} | |");
    }
    if !ours.shares.is_empty() {
        let parts = ours.shares.iter();
        let parts: Vec<String> = parts.map(|(name, s)| format!("{name} {s:.1} s")).collect();
        println!("| | {} | | | | | |", parts.join(", "));
    }
    if let Some(full) = ours.full {
        let apart = match full.psnr {
            Some(psnr) => format!("{psnr:.1} dB PSNR over the edited pixels"),
            None => "with the same pixels".to_owned(),
        };
        println!("| | in full {:.1} s, {apart} | | | | | |", full.seconds);
    }
    Ok(())
}

fn label(case: &Case) -> String {
    let name = case.checkpoint.file_stem().unwrap_or_default();
    let task = case.recipe.map_or(case.task.name(), |recipe| recipe.name());
    let mut label = format!("{} {task}", name.to_string_lossy());
    if case.checkpointing {
        label += ", gradient checkpointing";
    }
    if case.bf16 {
        label += " in bf16";
    }
    for word in case.fewer.words() {
        label = label + " " + &word;
    }
    let class = match case.recipe.map(recipes::samples) {
        Some((_, class)) if class > 0 => format!(" and {class} of the class"),
        _ => String::new(),
    };
    label + &format!(", {0}×{0}, batch {1}{class}", case.side, case.batch)
}

fn spread(measured: &Measured) -> String {
    let seconds = measured.seconds.iter().copied();
    let (least, most) = seconds.fold((f64::MAX, 0.0), |(least, most), s| {
        (f64::min(least, s), f64::max(most, s))
    });
    format!(
        "{:.2} s ({least:.2} to {most:.2}; {:.1} cores)",
        measured.median(),
        measured.cores
    )
}

fn size(peak: f64) -> String {
    format!("{:.2} GB", peak * 1e-3)
}
