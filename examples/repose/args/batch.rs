//! What can be written after `repose batch`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Posing, Varying};

/// `repose batch`
#[derive(Debug, Subcommand)]
pub enum Batch {
    /// The same subject in many pictures
    #[command(after_help = BATCH_HELP)]
    Pose(Box<BatchPose>),
    /// Remove what is selected from many pictures
    #[command(after_help = BATCH_HELP)]
    Erase(BatchErase),
}

const BATCH_HELP: &str = "\
INPUT is a folder, in which PHOTO.jpg is selected by PHOTO_mask.png beside it, or a manifest: a JSON list or JSON lines,
each {\"photo\": \"a.jpg\", \"selection\": \"a_mask.png\", \"pins\": [\"120,80:150,60\"], \"move\": [5, 0], \"scale\": 1.1,
\"rotate\": 10, \"guide\": \"g.png\", \"prompt\": \"…\", \"subject\": \"cat\", \"version\": 2, \"seed\": 7, \"out\": \"a.ora\"}.
Only \"photo\" is needed; the rest stands for the options of the same name. Paths are those beside the manifest.

Finished pictures are noted in batch-state.jsonl in the output folder; a second run does only what is missing or has
changed. A picture that fails does not stop the others; the exit code is that of the first failure.";

/// What all batches share.
#[derive(Debug, Clone, Args)]
pub struct BatchInput {
    /// A folder of pictures, or a manifest (.json, .jsonl)
    pub input: PathBuf,
    /// Folder for the results; made if it is not there
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,
    /// What a mask's name has after its picture's
    #[arg(long, value_name = "TEXT", default_value = "_mask")]
    pub mask_suffix: String,
    /// Use the mask files' alpha channel instead of their brightness
    #[arg(long)]
    pub selection_alpha: bool,
    /// Kind of result
    #[arg(long, value_enum, default_value_t)]
    pub format: BatchFormat,
    /// Seeds.
    #[command(flatten)]
    pub varying: Varying,
}

/// Kind of result of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum BatchFormat {
    /// OpenRaster, with layers; TIFF for pictures with float samples
    #[default]
    Ora,
    /// PNG
    Png,
    /// TIFF
    Tif,
}

/// `repose batch pose`
#[derive(Debug, Args)]
pub struct BatchPose {
    /// Which pictures.
    #[command(flatten)]
    pub input: BatchInput,
    /// The subject's name in the library
    #[arg(long, value_name = "NAME")]
    pub subject: Option<String>,
    /// Its version [default: the newest]
    #[arg(long, value_name = "N", requires = "subject")]
    pub version: Option<u32>,
    /// How.
    #[command(flatten)]
    pub posing: Posing,
}

/// `repose batch erase`
#[derive(Debug, Args)]
pub struct BatchErase {
    /// Which pictures.
    #[command(flatten)]
    pub input: BatchInput,
}
