//! `repose-world`: contact sheets of the world, and a stream of pictures with captions for training.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that writes to its streams"
)]

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use image::{Rgb, RgbImage, imageops};
use rayon::prelude::*;
use repose_world::random::mix;
use repose_world::{Shot, Split, Style, render};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Toys in procedural photographs.
#[derive(Parser)]
struct Words {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes a PNG of many pictures, and prints their captions.
    Sheet {
        /// The PNG.
        out: PathBuf,
        /// Pictures across and down.
        #[arg(long, default_value_t = 8)]
        across: u32,
        /// Pixels of a picture.
        #[arg(long, default_value_t = 128)]
        side: usize,
        /// The first picture's seed.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Which subjects.
        #[arg(long, value_enum, default_value_t = Which::Train)]
        split: Which,
        /// As drawings.
        #[arg(long)]
        drawing: bool,
    },
    /// Writes pictures to stdout, one after another: u16 length of a caption, the caption, sRGB bytes in rows.
    Stream {
        /// Number of the first picture.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many.
        #[arg(long)]
        count: u64,
        /// Pixels of a side.
        #[arg(long, default_value_t = 128)]
        side: usize,
        /// Which subjects.
        #[arg(long, value_enum, default_value_t = Which::Train)]
        split: Which,
        /// Captions that tell all.
        #[arg(long)]
        full: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// For training.
    Train,
    /// Never trained on.
    HeldOut,
}

impl Which {
    /// The picture of a number; no two are the same, within a split or between them.
    fn shot(self, number: u64) -> Shot {
        match self {
            Self::Train => Shot::any(mix(number), Split::Train),
            Self::HeldOut => Shot::any(mix(!number), Split::HeldOut),
        }
    }
}

fn main() -> Result<()> {
    match Words::parse().command {
        Command::Sheet {
            out,
            across,
            side,
            seed,
            split,
            drawing,
        } => {
            let shots = (0..u64::from(across * across)).map(|n| split.shot(seed + n));
            let shots: Vec<Shot> = match drawing {
                true => shots.map(|s| s.in_style(Style::Drawing)).collect(),
                false => shots.collect(),
            };
            sheet(&shots, across, side).save(out)?;
            for shot in shots {
                println!("{}", shot.caption());
            }
        }
        Command::Stream {
            from,
            count,
            side,
            split,
            full,
        } => {
            let mut to = BufWriter::new(io::stdout().lock());
            for first in (0..count).step_by(256) {
                let numbers = from + first..from + count.min(first + 256);
                let made: Vec<Vec<u8>> = numbers
                    .into_par_iter()
                    .map(|number| record(&split.shot(number), number, side, full))
                    .collect();
                for record in made {
                    to.write_all(&record)?;
                }
            }
            to.flush()?;
        }
    }
    Ok(())
}

/// One picture of the stream.
fn record(shot: &Shot, number: u64, side: usize, full: bool) -> Vec<u8> {
    let caption = match full {
        true => shot.caption(),
        false => shot.short_caption(number),
    };
    let mut record = Vec::with_capacity(2 + caption.len() + 3 * side * side);
    record.extend((caption.len() as u16).to_le_bytes());
    record.extend(caption.bytes());
    record.extend(render(shot, side).rgb.as_flattened());
    record
}

fn sheet(shots: &[Shot], across: u32, side: usize) -> RgbImage {
    let pictures: Vec<_> = shots.par_iter().map(|shot| render(shot, side)).collect();
    let step = side as u32 + 2;
    let mut sheet = RgbImage::from_pixel(across * step, across * step, Rgb([255; 3]));
    for (index, picture) in pictures.iter().enumerate() {
        let bytes = picture.rgb.as_flattened().to_vec();
        if let Some(own) = RgbImage::from_raw(side as u32, side as u32, bytes) {
            let (x, y) = (index as u32 % across, index as u32 / across);
            imageops::replace(&mut sheet, &own, i64::from(x * step), i64::from(y * step));
        }
    }
    sheet
}
