//! How well subjects are re-posed, measured against the truth: pocket's world renders any subject in any pose.
//!
//! ```sh
//! cargo run --release --example bench_pocket [-- --cases 24] [--recipes copy,single-insert] [--pictures 3]
//! ```
//!
//! Each subject was never seen in training, and every other one is drawn in a style that training never saw. It is learned
//! from one picture, or several, and re-posed in another, by prompt or by pins. Each recipe runs in a process of its own, so
//! that its peak memory (VmHWM, Linux) is its own. Recipes that train are compared where they are named: they take minutes
//! for each subject. `--without background --plain` are their ablations; `--identity`, `--guidance` and others those of poses,
//! which need not learn again what `--keep FOLDER` kept.
//!
//! Pictures are read by the probe that `examples/world/pocket/probe.py` trained.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints a table, and nobody links it"
)]

mod case;
#[path = "../memory.rs"]
mod memory;
mod over;
mod probe;
mod recipe;
mod score;
mod sheet;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Parser, ValueEnum};
use repose_host::{Options, Plugin};

use case::Case;
use over::Done;
use probe::Probe;
use recipe::{Asked, QUICK, Recipe, Setting};
use score::Score;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Re-poses subjects of pocket's world and compares with the truth.
#[derive(Parser)]
struct Words {
    /// Subjects.
    #[arg(long, default_value_t = 12)]
    cases: u64,
    /// Number of the first: others than those that a choice was made on
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// What was learned is kept in this folder, and found there by later runs
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Figures of each result go to this file, after those that it has
    #[arg(long)]
    csv: Option<PathBuf>,
    /// What is compared.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = QUICK)]
    recipes: Vec<Recipe>,
    /// Results of each subject, by other seeds, where a seed makes a difference
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..=64))]
    seeds: u64,
    /// Pictures that each is learned from
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=33))]
    pictures: u32,
    /// The text model
    #[arg(long, default_value = "pocket")]
    model: String,
    /// For Repose's own rows.
    #[command(flatten)]
    asked: Asked,
    /// Contact sheet of all results.
    #[arg(long, default_value = "out/bench_pocket.png")]
    sheet: PathBuf,
    /// Threads that compute.
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// For the processes that it starts: this recipe alone, its pictures into this folder.
    #[arg(long, hide = true)]
    into: Option<PathBuf>,
}

impl Words {
    /// Of the subjects.
    fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.first + self.cases
    }

    /// The case of a number, with so many pictures to learn from.
    fn case(&self, number: u64, pictures: usize) -> Case {
        let case = Case::new(number, pictures);
        match self.asked.elsewhere {
            true => case.elsewhere(),
            false => case,
        }
    }
}

fn main() -> Result<()> {
    let words = Words::parse();
    match (&words.into, words.recipes.as_slice()) {
        (Some(folder), [recipe]) => alone(&words, *recipe, folder),
        _ => table(&words),
    }
}

fn probe() -> Result<Probe> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/world/pocket/probe.safetensors");
    Probe::open(&path)
}

/// A path that was named, as arguments.
fn path<'a>(name: &'a str, path: &'a Option<PathBuf>) -> impl Iterator<Item = &'a OsStr> {
    path.iter()
        .flat_map(move |path| [name.as_ref(), path.as_os_str()])
}

/// Runs each recipe in a process of its own and prints what they tell.
fn table(words: &Words) -> Result<()> {
    let told = probe()?.held_out;
    println!("{} subjects, {} threads", words.cases, words.threads);
    println!(
        "the probe on true pictures: class {:.1} %, colour {:.1} %, action {:.1} %, joints {:.1} % away; one subject in two \
         pictures: {:.2} alike or more\n",
        100.0 * told.kind,
        100.0 * told.colour,
        100.0 * told.action,
        100.0 * told.joint,
        told.floor,
    );
    println!(
        "| recipe | PSNR | SSIM | identity | joints away | action | success | background | outside M | leak | diversity | learn | re-pose | memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let folder = tempfile::tempdir()?;
    let mut columns = Vec::new();
    for recipe in &words.recipes {
        let name = recipe
            .to_possible_value()
            .ok_or("a recipe without a name")?;
        let into = folder.path().join(name.get_name());
        std::fs::create_dir(&into)?;
        let status = Command::new(std::env::current_exe()?)
            .args([
                "--cases",
                &words.cases.to_string(),
                "--recipes",
                name.get_name(),
                "--model",
                &words.model,
            ])
            .args(["--pictures", &words.pictures.to_string()])
            .args(["--first", &words.first.to_string()])
            .args(path("--keep", &words.keep))
            .args(path("--csv", &words.csv))
            .args(["--seeds", &words.seeds.to_string()])
            .args(words.asked.words())
            .args(["--threads", &words.threads.to_string(), "--into"])
            .arg(&into)
            .status()?;
        if !status.success() {
            return Err(format!("{} failed: {status}", recipe.name(&words.asked)).into());
        }
        columns.push(into);
    }
    let mut rows = Vec::new();
    for number in words.numbers() {
        let case = words.case(number, 1);
        let learned = case.learned.into_iter().map(|k| k.picture.rgb);
        let mut row: Vec<_> = learned.chain([case.source.picture.rgb]).collect();
        for column in &columns {
            let image = image::open(column.join(format!("{number}.png")))?.to_rgb8();
            row.push(image.pixels().map(|p| p.0).collect());
        }
        row.push(case.truth.picture.rgb);
        rows.push(row);
    }
    if let Some(folder) = words.sheet.parent() {
        std::fs::create_dir_all(folder)?;
    }
    sheet::save(&rows, &words.sheet)?;
    println!(
        "\n{}: what was learned, the picture, each row of the table, the truth",
        words.sheet.display()
    );
    Ok(())
}

/// Does all cases by one recipe, and prints its row.
fn alone(words: &Words, recipe: Recipe, folder: &Path) -> Result<()> {
    let probe = probe()?;
    let temporary = tempfile::tempdir()?;
    let word = recipe.word(&words.asked);
    let library = match &words.keep {
        Some(keep) => {
            let plain = if words.asked.plain { ", plain" } else { "" };
            let brief = if words.asked.brief { ", brief" } else { "" };
            keep.join(format!("{word}, {} pictures{plain}{brief}", words.pictures))
        }
        None => temporary.path().to_owned(),
    };
    std::fs::create_dir_all(&library)?;
    let engine = Plugin::find(None)?.open(&Options {
        library: Some(library.clone()),
        threads: words.threads,
        ..Options::default()
    })?;
    let setting = Setting {
        engine: &engine,
        model: &words.model,
        asked: &words.asked,
    };
    let mut scores = Vec::new();
    for number in words.numbers() {
        let case = words.case(number, words.pictures as usize);
        let took = library.join(format!("{number}.seconds"));
        let learning = match std::fs::read_to_string(&took) {
            Ok(seconds) => seconds.parse()?,
            Err(_) => {
                let seconds = recipe.learn(&setting, &case)?;
                std::fs::write(&took, seconds.to_string())?;
                seconds
            }
        };
        let seeds = if recipe.varies() { words.seeds } else { 1 };
        let done: Vec<Done> = (1..=seeds)
            .map(|seed| recipe.run(&setting, &case, seed))
            .collect::<Result<_>>()?;
        sheet::image(&done[0].rgb)?.save(folder.join(format!("{number}.png")))?;
        for (index, one) in done.iter().enumerate() {
            let other = recipe.varies().then(|| &done[(index + 1) % done.len()]);
            let score = score::score(&probe, &case, one, other, learning)?;
            if let Some(path) = &words.csv {
                let seed = if recipe.varies() { index + 1 } else { 0 };
                score.append(path, &format!("{word},{number},{seed}"))?;
            }
            scores.push(score);
        }
    }
    print(
        &recipe.name(&words.asked),
        recipe.varies(),
        &Score::mean(&scores),
    );
    Ok(())
}

fn print(name: &str, varies: bool, mean: &Score) {
    let memory =
        memory::kib("VmHWM").map_or("?".to_owned(), |kib| format!("{:.0} MiB", kib / 1024.0));
    let diversity = match varies {
        true => format!("{:.1}", mean.diversity),
        false => "-".to_owned(),
    };
    println!(
        "| {} | {:.2} dB | {:.3} | {:.2} | {:.1} % | {:.0} % | {:.0} % | {:.1} dB | {} px | {:.3} | {diversity} | {:.1} s | {:.2} s | {memory} |",
        name,
        mean.psnr,
        mean.ssim,
        mean.identity,
        100.0 * mean.joints,
        100.0 * mean.action,
        100.0 * mean.success,
        mean.background,
        mean.outside,
        mean.leak,
        mean.learning,
        mean.seconds,
    );
}
