//! Jobs: one named background thread per engine with a bounded queue.
//!
//! The thread knows nothing of the work: it takes a function when it is started, so that the accidents in the tests
//! below (a panic, a step that never seems to end) need no door in the plugin itself.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::progress::Progress;
use crate::{Error, ErrorKind, Result};

/// One piece of work, shared between the host and the thread: what is asked (`R`), and what comes of it (`T`).
#[derive(Debug)]
pub struct Job<R, T> {
    request: R,
    progress: Progress,
    /// Whoever sets this decides how the job goes on: the thread by starting it, the host by cancelling it before.
    claimed: AtomicBool,
    end: OnceLock<Result<T>>,
}

/// Where a job is. The numbers are those of `repose.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// It waits for its turn.
    Queued = 1,
    /// It is at work.
    Running = 2,
    /// It has its result.
    Done = 3,
    /// It ended with an error.
    Failed = 4,
    /// It was cancelled.
    Cancelled = 5,
}

impl<R, T> Job<R, T> {
    fn new(request: R) -> Self {
        Self {
            request,
            progress: Progress::new(),
            claimed: AtomicBool::new(false),
            end: OnceLock::new(),
        }
    }

    /// What was asked.
    pub fn request(&self) -> &R {
        &self.request
    }

    /// How far it is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The result or why there is none; `None` before the end. It never changes once it is there.
    pub fn end(&self) -> Option<&Result<T>> {
        self.end.get()
    }

    /// Where it is now.
    pub fn state(&self) -> State {
        match self.end.get() {
            Some(Ok(_)) => State::Done,
            Some(Err(error)) if error.kind == ErrorKind::Cancelled => State::Cancelled,
            Some(Err(_)) => State::Failed,
            None if self.claimed.load(Ordering::Acquire) => State::Running,
            None => State::Queued,
        }
    }

    /// Asks it to stop: at once if it waits, else at its next step. A job that has ended stays as it is.
    pub fn cancel(&self) {
        self.progress.cancel();
        if !self.claimed.swap(true, Ordering::AcqRel) {
            self.finish(Err(Error::cancelled()));
        }
    }

    /// Only whoever claimed the job calls this, once.
    fn finish(&self, end: Result<T>) {
        let _first = self.end.set(end);
    }
}

/// The thread and its queue. Dropping it cancels all its jobs and waits for the step at work.
#[derive(Debug)]
pub struct Queue<R, T> {
    sender: Option<Sender<Arc<Job<R, T>>>>,
    shared: Arc<Shared<R, T>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and whoever closes the queue both look at.
#[derive(Debug)]
struct Shared<R, T> {
    closing: AtomicBool,
    at_work: Mutex<Option<Arc<Job<R, T>>>>,
}

impl<R: Send + Sync + 'static, T: Send + Sync + 'static> Queue<R, T> {
    /// Starts the thread; up to `length` jobs may wait while one is at work.
    ///
    /// # Errors
    /// `Device` if the system gives no thread.
    pub fn start(
        length: usize,
        work: impl FnMut(&R, &Progress) -> Result<T> + Send + 'static,
    ) -> Result<Self> {
        let (sender, receiver) = bounded(length);
        let shared = Arc::new(Shared {
            closing: AtomicBool::new(false),
            at_work: Mutex::new(None),
        });
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("repose-jobs".into())
            .spawn(move || serve(&receiver, &seen, work))
            .map_err(|e| Error::device(format!("cannot start the engine's thread: {e}")))?;
        Ok(Self {
            sender: Some(sender),
            shared,
            thread: Some(thread),
        })
    }

    /// Says early that a submit would find the queue full, before anything large is copied for it.
    ///
    /// # Errors
    /// `Busy`. Without an error, another thread may still be faster.
    pub fn room(&self) -> Result<()> {
        match &self.sender {
            Some(sender) if sender.is_full() => Err(busy(sender.len())),
            _ => Ok(()),
        }
    }

    /// Puts a piece of work at the end of the queue.
    ///
    /// # Errors
    /// `Busy` if the queue is full.
    pub fn submit(&self, request: R) -> Result<Arc<Job<R, T>>> {
        let job = Arc::new(Job::new(request));
        let sender = self
            .sender
            .as_ref()
            .ok_or_else(|| Error::bug("the queue is closed"))?;
        match sender.try_send(Arc::clone(&job)) {
            Ok(()) => Ok(job),
            Err(TrySendError::Full(_)) => Err(busy(sender.len())),
            Err(TrySendError::Disconnected(_)) => Err(Error::bug(
                "the engine's thread has ended: open a new engine",
            )),
        }
    }
}

fn busy(waiting: usize) -> Error {
    Error::busy(format!(
        "{waiting} jobs are waiting already: try again when one has ended"
    ))
}

impl<R, T> Drop for Queue<R, T> {
    fn drop(&mut self) {
        // First the flag, then the look at who is at work; the thread does it the other way round, so that no job
        // starts unseen.
        self.shared.closing.store(true, Ordering::SeqCst);
        if let Some(job) = &*self.shared.lock() {
            job.cancel();
        }
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // The thread's own door lets no panic out.
            let _ended = thread.join();
        }
    }
}

impl<R, T> Shared<R, T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Job<R, T>>>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread: until the queue is closed and empty.
fn serve<R, T>(
    receiver: &Receiver<Arc<Job<R, T>>>,
    shared: &Shared<R, T>,
    mut work: impl FnMut(&R, &Progress) -> Result<T>,
) {
    for job in receiver {
        *shared.lock() = Some(Arc::clone(&job));
        if shared.closing.load(Ordering::SeqCst) {
            job.cancel();
        }
        if !job.claimed.swap(true, Ordering::AcqRel) {
            let end = guarded(|| work(&job.request, &job.progress));
            job.finish(end);
        }
        *shared.lock() = None;
    }
}

/// Runs `body`; a panic in it becomes an error of kind `Bug`.
pub fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // What `body` was changing when it panicked is dropped with it, or guarded by itself (Progress).
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        Err(Error::bug(format!(
            "a mistake in Repose ended this ({}); please report it, best with the saved request",
            words(payload.as_ref())
        )))
    })
}

/// What a panic said.
fn words(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
