//! The user's subjects on disk.

use std::path::PathBuf;

use super::{Consent, Subject, SubjectRef};
use crate::Result;

/// A folder of subjects.
#[derive(Debug, Clone)]
pub struct Library {
    root: PathBuf,
}

impl Library {
    /// Opens the library at `root`, or the user's own (`REPOSE_DATA`, else the platform's data folder) for `None`.
    pub fn open(root: Option<PathBuf>) -> Result<Self> {
        Ok(Self {
            root: root.unwrap_or_default(),
        })
    }
    /// Writes a new version of `subject`.
    pub fn save(&self, subject: &Subject, consent: &Consent) -> Result<SubjectRef> {
        let _ = (&self.root, consent);
        Ok(SubjectRef {
            name: subject.name.clone(),
            version: 1,
        })
    }
    /// Reads a subject for use: the newest version for `None`. Refuses if consent is missing, expired or revoked.
    pub fn load(&self, name: &str, version: Option<u32>) -> Result<(Subject, SubjectRef)> {
        Err(crate::Error::files(format!(
            "no subject {name} {version:?}"
        )))
    }
}
