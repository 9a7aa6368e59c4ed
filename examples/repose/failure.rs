//! Why a command stopped, sorted by who can act on it.

use std::fmt;
use std::path::Path;

/// Who can act on a failure. Each has its own exit code, so that scripts need not read messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line or a picture's content: the caller can mend it.
    Usage,
    /// A file, the library or the plugin cannot be read or written.
    Files,
    /// Consent is missing, expired or revoked, or the engine does not do this.
    Refused,
    /// Memory or another limit of this machine.
    Device,
    /// Ctrl-C.
    Cancelled,
    /// A mistake in Repose itself.
    Bug,
}

impl Kind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Files => 3,
            Self::Refused => 4,
            Self::Device => 5,
            Self::Cancelled => 6,
            Self::Bug => 70,
        }
    }

    /// The word for it in `--json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Files => "files",
            Self::Refused => "refused",
            Self::Device => "device",
            Self::Cancelled => "cancelled",
            Self::Bug => "bug",
        }
    }
}

/// Why a command stopped, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who can act.
    pub kind: Kind,
    /// What was expected, what came, what to do.
    pub message: String,
}

/// The result of anything here that can stop a command.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The caller can mend it.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Usage,
            message: message.into(),
        }
    }

    /// `path` cannot be read or written, because of `reason`.
    pub fn file(path: &Path, reason: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Files,
            message: format!("{}: {reason}", path.display()),
        }
    }

    /// A mistake in Repose.
    pub fn bug(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Bug,
            message: message.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
