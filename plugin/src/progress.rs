//! How running work tells where it is, and learns that it should stop.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::canvas::Image;
use crate::{Error, Result};

/// The longest side of a preview picture, in pixels.
pub const PREVIEW_SIDE: usize = 512;

/// A snapshot of a job's progress.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Name of the stage: one short English word group, such as `background`.
    pub stage: &'static str,
    /// Steps done over the whole job, out of `total`.
    pub done: u32,
    /// All steps of the job; 0 before it is known.
    pub total: u32,
    /// Estimated time to the end, from the pace so far or from what was measured; `None` before there is one.
    pub eta: Option<Duration>,
    /// Grows by one with every new preview; 0 means none yet.
    pub preview_serial: u64,
}

/// A picture of the work so far, ready to be handed over without further work.
#[derive(Debug)]
pub struct Preview {
    /// Pixels per row, at most [`PREVIEW_SIDE`].
    pub width: u32,
    /// Rows, at most [`PREVIEW_SIDE`].
    pub height: u32,
    /// RGBA in sRGB, rows without gaps, and one NUL byte behind, as hosts get all bytes.
    pub rgba: Arc<[u8]>,
}

impl Preview {
    /// Scales down, rounds and clips, once for all who look.
    fn of(image: &Image) -> Self {
        let small = crate::canvas::fit(image, PREVIEW_SIDE);
        // A float cast saturates, and makes 0 of NaN. `round` would be a function call for every sample.
        let byte = |v: f32| (v * 255.0 + 0.5) as u8;
        let pixels = small.data().iter();
        let rgba: Vec<u8> = pixels
            .flat_map(|[r, g, b]| [byte(*r), byte(*g), byte(*b), 255])
            .chain([0])
            .collect();
        Self {
            // Both fit: `fit` bounds them.
            width: small.width() as u32,
            height: small.height() as u32,
            rgba: rgba.into(),
        }
    }
}

/// Shared between the job's thread (which reports) and the host (which polls and cancels).
#[derive(Debug, Clone)]
pub struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cancelled: AtomicBool,
    done: AtomicU32,
    total: AtomicU32,
    serial: AtomicU64,
    detail: Mutex<Detail>,
}

#[derive(Debug)]
struct Detail {
    stage: &'static str,
    started: Option<Started>,
    preview: Option<Arc<Preview>>,
}

/// What the time to the end is told from.
#[derive(Debug, Clone, Copy)]
struct Started {
    at: Instant,
    /// Steps that were done then.
    done: u32,
    /// How long the rest was to take, if that was measured.
    rest: Option<Duration>,
}

impl Started {
    fn eta(self, done: u32, total: u32) -> Option<Duration> {
        let (passed, gone) = (self.at.elapsed(), done.saturating_sub(self.done));
        let left = total.saturating_sub(done);
        match self.rest {
            // The first steps alone tell less than what was measured.
            Some(rest) if gone < total.saturating_sub(self.done) / 20 => {
                Some(rest.saturating_sub(passed))
            }
            _ if gone > 0 => Some(passed.mul_f64(f64::from(left) / f64::from(gone))),
            _ => None,
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Nothing done yet, stage `queued`.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            cancelled: AtomicBool::new(false),
            done: AtomicU32::new(0),
            total: AtomicU32::new(0),
            serial: AtomicU64::new(0),
            detail: Mutex::new(Detail {
                stage: "queued",
                started: None,
                preview: None,
            }),
        }))
    }

    fn detail(&self) -> MutexGuard<'_, Detail> {
        // The guarded data is valid after every statement, so a panic elsewhere does not spoil it.
        self.0.detail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the clock and announces how many steps the whole job has.
    pub fn begin(&self, total: u32) {
        self.0.total.store(total, Ordering::Relaxed);
        self.0.done.store(0, Ordering::Relaxed);
        self.detail().started = Some(Started {
            at: Instant::now(),
            done: 0,
            rest: None,
        });
    }

    /// From here on, the rest takes so long: it was measured. What was before tells nothing of it.
    pub fn expect(&self, rest: Duration) {
        self.detail().started = Some(Started {
            at: Instant::now(),
            done: self.0.done.load(Ordering::Relaxed),
            rest: Some(rest),
        });
    }

    /// Enters a stage. Returns the cancel error if the host has cancelled.
    pub fn stage(&self, name: &'static str) -> Result<()> {
        self.detail().stage = name;
        self.check()
    }

    /// A share of the whole job is done, 0 to 1; never goes back. Returns the cancel error if the host has cancelled.
    pub fn reach(&self, share: f32) -> Result<()> {
        let total = self.0.total.load(Ordering::Relaxed);
        let done = (share.clamp(0.0, 1.0) * total as f32) as u32;
        self.0.done.fetch_max(done.min(total), Ordering::Relaxed);
        self.check()
    }

    /// `Err` with kind `Cancelled` once the host has asked to stop. Call it at least once per step.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() {
            Err(Error::cancelled())
        } else {
            Ok(())
        }
    }

    /// Whether the host has asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }

    /// Asks the work to stop at its next step.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Shows a picture of the work so far, in the working colour space; larger ones are scaled down to [`PREVIEW_SIDE`].
    pub fn preview(&self, image: &Image) {
        let preview = Arc::new(Preview::of(image));
        self.detail().preview = Some(preview);
        self.0.serial.fetch_add(1, Ordering::Relaxed);
    }

    /// The newest preview, if any.
    pub fn latest_preview(&self) -> Option<Arc<Preview>> {
        self.detail().preview.clone()
    }

    /// Where the work is now.
    pub fn snapshot(&self) -> Snapshot {
        let detail = self.detail();
        let done = self.0.done.load(Ordering::Relaxed);
        let total = self.0.total.load(Ordering::Relaxed);
        let eta = detail.started.and_then(|start| start.eta(done, total));
        Snapshot {
            stage: detail.stage,
            done,
            total,
            eta,
            preview_serial: self.0.serial.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_from_what_was_measured_and_then_from_the_pace() {
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds));
        let near = |eta: Option<Duration>, wanted: f64| {
            assert!(
                eta.is_some_and(|eta| (eta.as_secs_f64() - wanted).abs() < 0.5),
                "{eta:?}"
            );
        };
        let Some(at) = ago(100) else { return };
        let paced = Started {
            at,
            done: 0,
            rest: None,
        };
        assert_eq!(paced.eta(0, 1000), None);
        near(paced.eta(100, 1000), 900.0);
        let measured = Started {
            at,
            done: 100,
            rest: Some(Duration::from_secs(600)),
        };
        near(measured.eta(100, 1000), 500.0);
        near(measured.eta(110, 1000), 500.0);
        near(measured.eta(400, 1000), 200.0);
        let overdue = Started {
            rest: Some(Duration::ZERO),
            ..measured
        };
        near(overdue.eta(110, 1000), 0.0);
    }

    #[test]
    fn a_preview_is_small_and_ready_for_hosts() {
        let image = Image::from_fn(1024, 512, |x, _| match x {
            0..512 => [2.0, -1.0, 0.5],
            _ => [f32::NAN, f32::INFINITY, 1.0 / 255.0],
        });
        let progress = Progress::new();
        progress.preview(&image);
        let shown = progress.latest_preview().expect("it was just made");
        assert_eq!((shown.width, shown.height), (512, 256));
        assert_eq!(shown.rgba.len(), 512 * 256 * 4 + 1);
        assert_eq!(shown.rgba[..4], [255, 0, 128, 255]);
        assert_eq!(shown.rgba[512 * 4 - 4..512 * 4], [0, 255, 1, 255]);
        assert_eq!(shown.rgba.last(), Some(&0));
        assert_eq!(progress.snapshot().preview_serial, 1);
    }
}
