//! What the user sees: notes, progress and results; and Ctrl-C.

use std::cell::Cell;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use repose_host::{Job, Status};
use serde_json::{Value, json};

use crate::args::Global;
use crate::failure::{Failure, Kind, Result};

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// What a command has to say at its end.
pub struct Report {
    /// For scripts.
    pub json: Value,
    /// For people.
    pub lines: Vec<String>,
    /// Whether something in it went wrong, and who can act.
    pub wrong: Option<Kind>,
}

/// How much is said, and in which shape.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    json: bool,
    quiet: bool,
}

impl Ui {
    /// As the user asked.
    pub fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
        }
    }

    /// A sentence in passing.
    pub fn note(self, text: &str) {
        if self.quiet {
            return;
        }
        if self.json {
            say(&mut stderr(), &json!({ "note": text }).to_string());
        } else {
            say(&mut stderr(), text);
        }
    }

    /// The end of a command.
    pub fn report(self, report: &Report) {
        if self.json {
            say(&mut stdout(), &report.json.to_string());
        } else if !self.quiet {
            for line in &report.lines {
                say(&mut stdout(), line);
            }
        }
    }

    /// Why a command stopped.
    pub fn failure(self, failure: &Failure) {
        if self.json {
            let error = json!({ "kind": failure.kind.name(), "message": failure.message });
            say(
                &mut stdout(),
                &json!({ "ok": false, "error": error }).to_string(),
            );
        } else {
            say(&mut stderr(), &format!("repose: {}", failure.message));
        }
    }

    /// Follows a job to its end, showing where it is; Ctrl-C cancels it.
    pub fn follow(self, job: &Job, what: &str) -> Result<()> {
        self.follow_until(job, what, &|_| false)
    }

    /// The same, and cancels the job where enough of it is done.
    pub fn follow_until(
        self,
        job: &Job,
        what: &str,
        enough: &dyn Fn(&Status) -> bool,
    ) -> Result<()> {
        let bar = self.bar(what);
        let mut seen = (String::new(), u32::MAX);
        let mut asked = false;
        let end = job.wait(|status| {
            if STOP.load(Ordering::Relaxed) && !asked {
                asked = true;
                job.cancel();
                bar.suspend(|| self.note("stopping at the next step …"));
            }
            if !asked && enough(status) {
                asked = true;
                job.cancel();
            }
            if seen != (status.stage.clone(), status.done) {
                self.progress(&bar, what, status, seen.0 != status.stage);
                seen = (status.stage.clone(), status.done);
            }
        });
        bar.finish_and_clear();
        end.map_err(|error| {
            let failure = Failure::from(error);
            if failure.kind == Kind::Cancelled {
                Failure {
                    message: format!("{what}: cancelled; no result was written"),
                    ..failure
                }
            } else {
                failure
            }
        })
    }

    /// Shows how many of `total` bytes are done.
    pub fn bytes(self, what: &str, total: u64) -> Bytes {
        let bar = self.bar(what);
        bar.set_length(total.max(1));
        if let Ok(style) = ProgressStyle::with_template(
            "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
        ) {
            bar.set_style(style);
        }
        Bytes {
            ui: self,
            what: what.to_owned(),
            total,
            bar,
            told: Cell::new(None),
        }
    }

    fn bar(self, what: &str) -> ProgressBar {
        if self.json || self.quiet || !stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        // A bar of no length would look full.
        let bar = ProgressBar::new(1);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar
    }

    fn progress(self, bar: &ProgressBar, what: &str, status: &Status, new_stage: bool) {
        if self.quiet {
            return;
        }
        if self.json {
            let line = json!({ "progress": {
                "job": what,
                "stage": status.stage,
                "done": status.done,
                "total": status.total,
                "eta_seconds": status.eta.map(|eta| eta.as_secs_f64()),
            }});
            say(&mut stderr(), &line.to_string());
        } else if bar.is_hidden() {
            // A log has no room for a bar.
            if new_stage {
                say(&mut stderr(), &format!("{what}: {}", status.stage));
            }
        } else {
            bar.set_length(u64::from(status.total).max(1));
            bar.set_position(status.done.into());
            bar.set_message(match status.eta {
                Some(eta) => format!("{}, {} left", status.stage, HumanDuration(eta)),
                None => status.stage.clone(),
            });
        }
    }
}

/// Bytes that are done, as they come.
pub struct Bytes {
    ui: Ui,
    what: String,
    total: u64,
    bar: ProgressBar,
    /// When a script was told last.
    told: Cell<Option<Instant>>,
}

impl Bytes {
    /// So many are done.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
        let due = self
            .told
            .get()
            .is_none_or(|at| at.elapsed() > Duration::from_secs(1));
        if self.ui.json && !self.ui.quiet && due {
            self.told.set(Some(Instant::now()));
            let line = json!({ "progress": { "job": self.what, "stage": "bytes", "done": done, "total": self.total } });
            say(&mut stderr(), &line.to_string());
        }
    }

    /// All are.
    pub fn end(&self) {
        self.bar.finish_and_clear();
        if !self.ui.json && !self.ui.quiet && self.bar.is_hidden() && self.total > 0 {
            // A log has no room for a bar.
            say(&mut stderr(), &self.what);
        }
    }
}

/// Writes a line. A reader that has gone away (`repose … | head`) is no reason to fail.
fn say(to: &mut dyn Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

/// Whether Ctrl-C was pressed.
pub fn stopped() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Lets the first Ctrl-C cancel the job at work and the second end the program at once.
pub fn watch_ctrl_c() {
    // Without a handler Ctrl-C ends the program, which loses no more than the result at work.
    let _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(Kind::Cancelled.exit_code().into());
        }
    });
}
