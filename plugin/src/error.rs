//! One error type, sorted by who can act on it.

use std::fmt;

/// Who can act on an error. The numbers are the status codes of `repose.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum ErrorKind {
    /// The caller passed something that cannot be used; the message says what was expected.
    Caller = 1,
    /// A file or the user's library cannot be read or written; the message names it.
    Files = 2,
    /// Consent is missing, expired or revoked, or the engine cannot do this by design.
    Refused = 3,
    /// Not enough memory or another limit of this machine.
    Device = 4,
    /// The host cancelled the job.
    Cancelled = 5,
    /// A mistake in the plugin; the job ended, the host goes on.
    Bug = 6,
    /// The queue is full: try again when a job has ended.
    Busy = 7,
}

/// What went wrong, in words for the user: what was expected, what came, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Who can act.
    pub kind: ErrorKind,
    /// A sentence for the user.
    pub message: String,
}

/// The plugin's result type.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error the caller can mend.
    pub fn caller(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Caller,
            message: message.into(),
        }
    }
    /// A file or library error; `message` names the file.
    pub fn files(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Files,
            message: message.into(),
        }
    }
    /// A refusal: consent, or a thing this engine does not do.
    pub fn refused(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Refused,
            message: message.into(),
        }
    }
    /// A limit of this machine.
    pub fn device(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Device,
            message: message.into(),
        }
    }
    /// The job was cancelled.
    pub fn cancelled() -> Self {
        Self {
            kind: ErrorKind::Cancelled,
            message: "cancelled by the host".into(),
        }
    }
    /// A mistake in the plugin.
    pub fn bug(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Bug,
            message: message.into(),
        }
    }
    /// The queue is full.
    pub fn busy(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::Busy,
            message: message.into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What CUDA, cuBLAS, cuDNN and Metal say when they have no memory left, in small letters.
const FULL: [&str; 5] = [
    "out of memory",
    "out_of_memory",
    "alloc_failed",
    "outofmemory",
    "failed to create metal resource",
];

impl From<candle_core::Error> for Error {
    /// candle fails where shapes or devices do not fit, which checks before it should have found: a bug, unless the
    /// device says that it is full.
    fn from(error: candle_core::Error) -> Self {
        let said = error.to_string();
        // With RUST_BACKTRACE set, a trace follows the sentence.
        let sentence = said.lines().next().unwrap_or_default();
        let small = said.to_ascii_lowercase();
        if FULL.iter().any(|full| small.contains(full)) {
            Self::device(format!(
                "the device has no memory left ({sentence}): close other programs, or select a smaller part"
            ))
        } else {
            Self::bug(format!("the network could not be computed: {sentence}"))
        }
    }
}
