//! Renaming, deleting, and changes of consent.

use super::consent::{Consent, today};
use super::disk;
use super::library::{Folder, Library, Scratch, pick, versions};
use super::log::Action;
use super::record::{Change, RECORD, Record, What};
use super::{SubjectRef, name};
use crate::{Error, Result};

/// The longest reason for a revocation, in characters.
const MAX_REASON: usize = 1000;

impl Library {
    /// Gives a subject another name. Its versions, history and consent stay.
    pub fn rename(&self, old: &str, new: &str) -> Result<()> {
        name::check(new)?;
        let scratch = self.scratch()?;
        let _lock = self.lock()?;
        let folder = self.existing(old)?;
        if old == new {
            return Ok(());
        }
        if self.find(new)?.is_some() {
            return Err(Error::caller(format!(
                "there is a subject “{new}” already: delete or rename that one first, or choose another name"
            )));
        }
        let mut record = folder.record.clone()?;
        record.earlier_names.push(old.to_owned());
        record.name = new.to_owned();
        self.note(Action::Rename, old, 0, &format!("to {new}"))?;
        replace(&scratch, &folder, &record)
    }

    /// Deletes one version, or for `None` the whole subject. Deleting the only version deletes the subject. Returns the
    /// versions that are gone.
    pub fn delete(&self, name: &str, version: Option<u32>) -> Result<Vec<u32>> {
        let scratch = self.scratch()?;
        let _lock = self.lock()?;
        let folder = self.existing(name)?;
        let all: Vec<u32> = versions(&folder.path)?.iter().map(|v| v.0).collect();
        // Moved in one step; what lies in the temporary folder is removed with it, now or by a later sweep.
        let bin = scratch.path.join("deleted");
        let Some(version) = version else {
            self.note(Action::Delete, name, 0, "")?;
            disk::rename(&folder.path, &bin)?;
            return Ok(all);
        };
        let (number, path) = pick(&folder, Some(version))?;
        self.note(Action::Delete, name, number, "")?;
        if all == [number] {
            disk::rename(&folder.path, &bin)?;
        } else {
            if let Ok(record) = &folder.record {
                let newest = all.last().copied().unwrap_or(0);
                if record.last_version < newest {
                    let mut record = record.clone();
                    record.last_version = newest;
                    replace(&scratch, &folder, &record)?;
                }
            }
            disk::rename(&path, &bin)?;
        }
        Ok(vec![number])
    }

    /// Withdraws the consent for one version, or for `None` all there are now: they can no longer be used or exported.
    pub fn revoke(&self, name: &str, version: Option<u32>, reason: &str) -> Result<()> {
        if reason.chars().count() > MAX_REASON {
            return Err(Error::caller(format!(
                "the reason for a revocation has at most {MAX_REASON} characters"
            )));
        }
        let scratch = self.scratch()?;
        let _lock = self.lock()?;
        let folder = self.existing(name)?;
        let mut record = folder.record.clone()?;
        let (first, last) = range(&folder, &record, version)?;
        record.changes.push(Change {
            at: disk::now(),
            first,
            last,
            what: What::Revoked(reason.to_owned()),
        });
        self.note(Action::Revoke, name, version.unwrap_or(0), reason)?;
        replace(&scratch, &folder, &record)
    }

    /// Records a new consent for one version, or for `None` all there are now. Where `record.json` is damaged, it is moved
    /// aside and a new one begun, in which versions that are not named here count as revoked.
    pub fn renew(&self, name: &str, version: Option<u32>, consent: &Consent) -> Result<()> {
        consent.check(today())?;
        let scratch = self.scratch()?;
        let _lock = self.lock()?;
        let folder = self.existing(name)?;
        let mut record = match &folder.record {
            Ok(record) => record.clone(),
            Err(_) => lost(&folder)?,
        };
        let (first, last) = range(&folder, &record, version)?;
        for (number, path) in versions(&folder.path)? {
            let person = super::card::Card::read(&path).is_ok_and(|c| c.consent.person);
            if person && !consent.person && (first..=last).contains(&number) {
                return Err(Error::refused(format!(
                    "version {number} of “{name}” was learned as a person's likeness: its new consent must be a \
                     person's too, with that person's yes"
                )));
            }
        }
        record.changes.push(Change {
            at: disk::now(),
            first,
            last,
            what: What::Renewed(consent.clone()),
        });
        self.note(
            Action::Renew,
            name,
            version.unwrap_or(0),
            &consent.statement,
        )?;
        if folder.record.is_err() {
            let damaged = folder.path.join(RECORD);
            if damaged.symlink_metadata().is_ok() {
                let aside = folder
                    .path
                    .join(format!("{RECORD}.damaged-{}", disk::unique()));
                disk::rename(&damaged, &aside)?;
            }
        }
        replace(&scratch, &folder, &record)
    }

    fn note(&self, action: Action, name: &str, version: u32, detail: &str) -> Result<()> {
        let subject = SubjectRef {
            name: name.to_owned(),
            version,
        };
        self.log().append(action, Some(&subject), "", detail)
    }
}

/// A record for a folder whose own is damaged: every version counts as revoked until its consent is recorded again.
fn lost(folder: &Folder) -> Result<Record> {
    // A folder name may be all that is left of the name.
    name::check(&folder.name)?;
    let mut record = Record::new(&folder.name);
    record.last_version = versions(&folder.path)?.last().map_or(0, |v| v.0);
    record.changes.push(Change {
        at: disk::now(),
        first: 1,
        last: record.last_version,
        what: What::Revoked("the file with the changes of consent was damaged".into()),
    });
    Ok(record)
}

/// Which versions a change of consent is for.
fn range(folder: &Folder, record: &Record, version: Option<u32>) -> Result<(u32, u32)> {
    match version {
        Some(_) => pick(folder, version).map(|(number, _)| (number, number)),
        None => {
            let newest = versions(&folder.path)?.last().map_or(0, |v| v.0);
            Ok((1, newest.max(record.last_version)))
        }
    }
}

/// Puts a new record in the place of the old one, in one step.
fn replace(scratch: &Scratch, folder: &Folder, record: &Record) -> Result<()> {
    let draft = scratch.path.join(RECORD);
    disk::write_new(&draft, &disk::sealed(record)?)?;
    disk::rename(&draft, &folder.path.join(RECORD))
}

#[cfg(test)]
#[path = "manage_tests.rs"]
mod tests;
