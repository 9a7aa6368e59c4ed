//! `repose`: the command line. An ordinary host: everything goes through the plugin's public contract.
//!
//! The life of a command: [`args`] says what can be written; [`commands`] has one file for each; [`session`] opens the
//! plugin; [`io`] and [`select`] read pictures and selections in their own precision; [`wire`] lends them to the plugin;
//! [`ui`] follows the job; [`outputs`] puts the layers where they were asked for.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the host for terminals"
)]

mod args;
mod commands;
mod failure;
mod flatten;
mod history;
mod io;
mod outputs;
mod picture;
mod pins;
mod select;
mod session;
mod shrink;
mod text_args;
mod ui;
mod wire;

use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;

use crate::failure::Failure;

/// Where and why the last panic was.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let ui = ui::Ui::new(&cli.global);
    ui::watch_ctrl_c();
    // A decoder's panic becomes an error about its file, and any other a message with a way to report it; neither needs
    // a backtrace on the terminal.
    panic::set_hook(Box::new(|info| {
        if let Ok(mut text) = PANIC.lock() {
            *text = info.to_string();
        }
    }));
    let result = panic::catch_unwind(|| commands::run(&cli, ui)).unwrap_or_else(|_| {
        let text = PANIC.lock().map(|t| t.clone()).unwrap_or_default();
        Err(Failure::bug(format!(
            "this is a mistake in Repose, please report it: {text}"
        )))
    });
    match result {
        Ok(report) => {
            ui.report(&report);
            ExitCode::from(report.wrong.map_or(0, |kind| kind.exit_code()))
        }
        Err(failure) => {
            ui.failure(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
