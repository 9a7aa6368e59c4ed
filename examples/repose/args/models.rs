//! What can be written after `repose models`.

use std::path::PathBuf;

use clap::Subcommand;

/// `repose models`
#[derive(Debug, Subcommand)]
pub enum Models {
    /// What is there, and what it can do
    List,
    /// Say what a file or folder is, and whether it can be used
    Verify {
        /// A file, a folder, or the name of a model, LoRA or embedding
        model: String,
        /// Read all of it, and compare it with the hashes it was downloaded by
        #[arg(long)]
        hashes: bool,
    },
    /// Download a model from the Hugging Face hub, or go on where a download stopped
    #[command(after_help = ADD_HELP)]
    Add {
        /// Its name on the hub
        #[arg(value_name = "ORG/NAME")]
        repository: String,
        /// One .safetensors file of the repository instead of the whole model
        #[arg(long, value_name = "FILE")]
        file: Option<String>,
        /// A branch, tag or commit
        #[arg(long, value_name = "NAME", default_value = "main")]
        revision: String,
        /// Weights in full precision where there are both: twice as large, seldom better
        #[arg(long)]
        full: bool,
    },
    /// Folders of other programs' models (ComfyUI, A1111, or any)
    #[command(subcommand)]
    Folders(Folders),
}

const ADD_HELP: &str = "\
Files go into the Hugging Face cache (HF_HUB_CACHE, HF_HOME), where other programs find them, too. Each is checked
against the hub's hash. HF_TOKEN is sent where a model asks for a login; HF_ENDPOINT names another hub.";

/// `repose models folders`
#[derive(Debug, Subcommand)]
pub enum Folders {
    /// Which are named
    List,
    /// Name one: ComfyUI's or A1111's own folder, or one with models in it
    Add {
        /// The folder
        folder: PathBuf,
    },
    /// Forget one; nothing in it is touched
    Remove {
        /// The folder
        folder: PathBuf,
    },
}
