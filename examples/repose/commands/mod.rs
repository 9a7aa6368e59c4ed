//! One file for each command.

mod batch;
mod doctor;
mod info;
mod journal;
mod learn;
mod manifest;
mod models;
mod pose;
mod recipes;
mod replay;
mod subjects;

use std::io::Write;

use clap::CommandFactory;
use serde_json::json;

use crate::args::{Cli, Command};
use crate::failure::Result;
use crate::session::Session;
use crate::ui::{Report, Ui};

/// Does what was asked.
pub fn run(cli: &Cli, ui: Ui) -> Result<Report> {
    let open = || Session::open(&cli.global, ui);
    match &cli.command {
        Command::Learn(args) => learn::run(&open()?, args),
        Command::Pose(args) => pose::pose(&open()?, args),
        Command::Erase(args) => pose::erase(&open()?, args),
        Command::Subjects(args) => subjects::run(&open()?, args),
        Command::Models(args) => models::run(&open()?, args),
        Command::Recipes(args) => recipes::run(&open()?, args),
        Command::Replay(args) => replay::run(&open()?, args),
        Command::Info(args) => match &args.photo {
            Some(photo) => info::photo(photo),
            None => info::installation(&open()?),
        },
        Command::Doctor(args) => doctor::run(&open()?, args),
        Command::Batch(args) => batch::run(&open()?, args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "repose", &mut script);
            // The script is the result whatever was said about results; a reader may go away.
            let _ = std::io::stdout().write_all(&script);
            Ok(Report {
                wrong: None,
                json: json!({ "ok": true }),
                lines: Vec::new(),
            })
        }
    }
}
