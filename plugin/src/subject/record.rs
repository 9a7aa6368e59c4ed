//! `record.json`: what is true of a subject as a whole and may change: its name, and what became of the consent.

use std::path::Path;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::consent::{Consent, Revocation, Standing};
use super::disk::{self, SCHEMA};
use crate::Result;

/// The file's name in a subject's folder.
pub const RECORD: &str = "record.json";
const MAX_RECORD: u64 = 4 << 20;

/// What is true of a subject as a whole. Sealed: see [`disk::sealed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Of this format.
    pub schema: u32,
    /// The subject's name now.
    pub name: String,
    /// Names it had before, oldest first.
    pub earlier_names: Vec<String>,
    /// No version up to this number is given out again, though it may be deleted.
    pub last_version: u32,
    /// Changes of consent, oldest first.
    pub changes: Vec<Change>,
}

/// A change of consent, for the versions `first` to `last`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When, UTC (RFC 3339).
    pub at: String,
    /// The first version it is for.
    pub first: u32,
    /// The last version it is for: versions learned later bring their own consent.
    pub last: u32,
    /// What changed.
    #[serde(flatten)]
    pub what: What,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Consent was withdrawn, for this reason.
    Revoked(String),
    /// Consent was given anew.
    Renewed(Consent),
}

impl Record {
    /// The record of a new subject.
    pub fn new(name: &str) -> Self {
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            earlier_names: Vec::new(),
            last_version: 0,
            changes: Vec::new(),
        }
    }

    /// Reads the record in a subject's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        disk::read_sealed(&folder.join(RECORD), MAX_RECORD)
    }

    /// The consent that holds for a version now, and what it allows on `today`.
    pub fn consent(&self, version: u32, learned: &Consent, today: Date) -> (Consent, Standing) {
        let mut consent = learned.clone();
        let mut revoked = None;
        for change in &self.changes {
            if !(change.first..=change.last).contains(&version) {
                continue;
            }
            match &change.what {
                What::Revoked(reason) => {
                    revoked = Some(Revocation {
                        at: change.at.clone(),
                        reason: reason.clone(),
                    });
                }
                What::Renewed(new) => {
                    consent = new.clone();
                    revoked = None;
                }
            }
        }
        let standing = match revoked {
            Some(revocation) => Standing::Revoked(revocation),
            None => consent.standing(today),
        };
        (consent, standing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::consent::today;

    #[test]
    fn the_last_change_for_a_version_counts_and_later_versions_bring_their_own() {
        let learned = Consent {
            statement: "first".into(),
            person: false,
            person_agrees: false,
            expires: None,
        };
        let renewed = Consent {
            statement: "second".into(),
            ..learned.clone()
        };
        let change = |first, last, what| Change {
            at: "2026-01-01T00:00:00Z".into(),
            first,
            last,
            what,
        };
        let mut record = Record::new("Bear");
        let word = |r: &Record, v| r.consent(v, &learned, today()).1.word();
        assert_eq!(word(&record, 1), "valid");
        record
            .changes
            .push(change(1, 2, What::Revoked("asked".into())));
        assert_eq!(
            [1, 2, 3].map(|v| word(&record, v)),
            ["revoked", "revoked", "valid"]
        );
        record
            .changes
            .push(change(2, 2, What::Renewed(renewed.clone())));
        assert_eq!(
            [1, 2, 3].map(|v| word(&record, v)),
            ["revoked", "valid", "valid"]
        );
        assert_eq!(record.consent(2, &learned, today()).0, renewed);
    }
}
