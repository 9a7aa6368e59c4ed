//! `repose-world`: contact sheets of the world, and a stream of pictures with captions for training.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that writes to its streams"
)]

use std::error::Error;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use image::{GrayImage, Rgb, RgbImage, imageops};
use rayon::prelude::*;
use repose_world::random::mix;
use repose_world::{Picture, Shot, Split, Style, Subject, render};
use serde_json::{Value, json};

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
    /// Writes one picture and its matte as PNGs, and prints its caption.
    Picture {
        /// The PNG.
        out: PathBuf,
        /// The matte's PNG.
        #[arg(long)]
        mask: PathBuf,
        /// Number of the picture.
        #[arg(long, default_value_t = 0)]
        number: u64,
        /// Pixels of a side.
        #[arg(long, default_value_t = 128)]
        side: usize,
        /// Which subjects.
        #[arg(long, value_enum, default_value_t = Which::HeldOut)]
        split: Which,
    },
    /// Writes pictures to stdout, one after another: a line of JSON with the caption and the truth, sRGB bytes in rows, and
    /// the matte's bytes.
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
        /// As drawings.
        #[arg(long)]
        drawing: bool,
        /// Two pictures of each subject, one after the other.
        #[arg(long)]
        pairs: bool,
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
        Shot::any(self.seed(number), self.split())
    }

    /// One of two pictures of the same subject.
    fn twin(self, number: u64) -> Shot {
        let subject = Subject::new(self.seed(number / 2), self.split());
        Shot::of(&subject, self.seed(number))
    }

    fn split(self) -> Split {
        match self {
            Self::Train => Split::Train,
            Self::HeldOut => Split::HeldOut,
        }
    }

    fn seed(self, number: u64) -> u64 {
        match self {
            Self::Train => mix(number),
            Self::HeldOut => mix(!number),
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
            let shots: Vec<Shot> = shots.map(|s| s.in_style(style(drawing))).collect();
            sheet(&shots, across, side)?.save(out)?;
            for shot in shots {
                println!("{}", shot.caption());
            }
        }
        Command::Picture {
            out,
            mask,
            number,
            side,
            split,
        } => {
            let shot = split.shot(number);
            let Picture { rgb, matte, .. } = render(&shot, side);
            for folder in [&out, &mask].into_iter().filter_map(|file| file.parent()) {
                fs::create_dir_all(folder)?;
            }
            image(rgb.as_flattened().to_vec(), side)?.save(out)?;
            let matte = GrayImage::from_raw(side as u32, side as u32, matte);
            matte.ok_or("a matte of another size")?.save(mask)?;
            println!("{}", shot.caption());
        }
        Command::Stream {
            from,
            count,
            side,
            split,
            full,
            drawing,
            pairs,
        } => {
            let mut to = BufWriter::new(io::stdout().lock());
            for first in (0..count).step_by(256) {
                let numbers = from + first..from + count.min(first + 256);
                let made: Vec<Vec<u8>> = numbers
                    .into_par_iter()
                    .map(|number| {
                        let shot = match pairs {
                            true => split.twin(number),
                            false => split.shot(number),
                        };
                        let shot = shot.in_style(style(drawing));
                        let caption = match full {
                            true => shot.caption(),
                            false => shot.short_caption(number),
                        };
                        record(&shot, &caption, &render(&shot, side))
                    })
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

fn style(drawing: bool) -> Style {
    match drawing {
        true => Style::Drawing,
        false => Style::Photo,
    }
}

/// One picture of the stream.
fn record(shot: &Shot, caption: &str, picture: &Picture) -> Vec<u8> {
    let mut record = truth(shot, caption, picture).to_string().into_bytes();
    record.push(b'\n');
    record.extend(picture.rgb.as_flattened());
    record.extend(&picture.matte);
    record
}

/// What is known of a picture. Joints: across and down as shares of the side, and whether nothing lies before them.
fn truth(shot: &Shot, caption: &str, picture: &Picture) -> Value {
    let subject = &shot.subject;
    let side = picture.side as f32;
    let joints = picture
        .joints
        .map(|([x, y], free)| json!([x / side, y / side, free]));
    json!({
        "caption": caption,
        "kind": subject.kind.word(),
        "colour": subject.colour.word(),
        "second": subject.second.word(),
        "pattern": subject.pattern.word(),
        "accessory": subject.accessory.map(|(what, colour)| [what.word(), colour.word()]),
        "mark": subject.mark.map(|(what, colour)| [what.word(), colour.word()]),
        "action": shot.action.word(),
        "view": shot.view.word(),
        "place": shot.scene.place.word(),
        "joints": joints,
    })
}

fn image(bytes: Vec<u8>, side: usize) -> Result<RgbImage> {
    let made = RgbImage::from_raw(side as u32, side as u32, bytes);
    Ok(made.ok_or("a picture of another size")?)
}

fn sheet(shots: &[Shot], across: u32, side: usize) -> Result<RgbImage> {
    let pictures: Vec<_> = shots.par_iter().map(|shot| render(shot, side)).collect();
    let step = side as u32 + 2;
    let mut sheet = RgbImage::from_pixel(across * step, across * step, Rgb([255; 3]));
    for (index, picture) in pictures.iter().enumerate() {
        let own = image(picture.rgb.as_flattened().to_vec(), side)?;
        let (x, y) = (index as u32 % across, index as u32 / across);
        imageops::replace(&mut sheet, &own, i64::from(x * step), i64::from(y * step));
    }
    Ok(sheet)
}
