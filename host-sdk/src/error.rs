//! Errors from the plugin, sorted by who can act.

use std::fmt;

use crate::abi;

/// Who can act on an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request cannot be used as it is: the host or its user can mend it.
    Caller,
    /// A file or the subject library cannot be read or written.
    Files,
    /// Consent is missing, expired or revoked, or the engine does not do this by design.
    Refused,
    /// Not enough memory, or another limit of this machine.
    Device,
    /// The host cancelled the job.
    Cancelled,
    /// A mistake in the plugin.
    Bug,
    /// The queue is full: try again when a job has ended.
    Busy,
}

impl ErrorKind {
    /// The kind for a status code; `None` for success. A code from a newer plugin counts as a bug.
    pub fn from_code(code: i32) -> Option<Self> {
        match code {
            abi::OK => None,
            abi::CALLER => Some(Self::Caller),
            abi::FILES => Some(Self::Files),
            abi::REFUSED => Some(Self::Refused),
            abi::DEVICE => Some(Self::Device),
            abi::CANCELLED => Some(Self::Cancelled),
            abi::BUSY => Some(Self::Busy),
            _ => Some(Self::Bug),
        }
    }

    /// The status code.
    pub fn code(self) -> i32 {
        match self {
            Self::Caller => abi::CALLER,
            Self::Files => abi::FILES,
            Self::Refused => abi::REFUSED,
            Self::Device => abi::DEVICE,
            Self::Cancelled => abi::CANCELLED,
            Self::Bug => abi::BUG,
            Self::Busy => abi::BUSY,
        }
    }
}

/// What went wrong, in a sentence for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Who can act.
    pub kind: ErrorKind,
    /// What was expected, what came, what to do.
    pub message: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
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
