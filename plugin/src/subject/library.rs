//! The user's subjects on disk.
//!
//! ```text
//! DATA/library.lock      held while names and versions change
//! DATA/writers.lock      shared by whoever has a temporary folder: free means that those left are of crashed programs
//! DATA/index.sqlite      a cache of the folders, for lists
//! DATA/usage.sqlite      the usage log
//! DATA/subjects/bear-6ac1b1a1/record.json                    name, changes of consent
//! DATA/subjects/bear-6ac1b1a1/v0001/card.json                what it is
//! DATA/subjects/bear-6ac1b1a1/v0001/subject.safetensors      its pixels
//! DATA/subjects/.tmp-…   being written or being deleted
//! ```
//!
//! A version's folder is written under a temporary name and renamed when it is whole, so a crash at any moment leaves only a
//! temporary folder behind. The folders are the truth; the index can be thrown away.

use std::path::{Path, PathBuf};

use super::card::{Card, TENSORS};
use super::consent::{self, Consent, Standing, today};
use super::disk::{self, Lock};
use super::log::{Action, Log};
use super::provenance::{self, History, SubjectUse};
use super::record::{RECORD, Record};
use super::{Subject, SubjectRef, file, name};
use crate::{Error, Result};

/// Names of temporary folders begin so.
const TEMPORARY: &str = ".tmp-";

/// A folder of subjects. Cheap to clone; nothing is opened or made before it is needed.
#[derive(Debug, Clone)]
pub struct Library {
    pub(super) root: PathBuf,
    pub(super) request: String,
}

/// One subject's folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub path: PathBuf,
    /// The folder's own name.
    pub key: String,
    /// The subject's name; from the newest readable card where the record is damaged.
    pub name: String,
    pub record: Result<Record>,
}

/// A temporary folder; removed when dropped, and by the next sweep if this program does not get there.
#[derive(Debug)]
pub(super) struct Scratch {
    pub path: PathBuf,
    _writer: Lock,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept later.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

impl Library {
    /// The library whose data lies in `root`; for `None` in `REPOSE_DATA`, else in the platform's data folder under
    /// `repose`. Touches no disk.
    pub fn open(root: Option<PathBuf>) -> Result<Self> {
        let from_environment = || {
            std::env::var_os("REPOSE_DATA")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let platform = || directories::BaseDirs::new().map(|dirs| dirs.data_dir().join("repose"));
        let root = root
            .filter(|r| !r.as_os_str().is_empty())
            .or_else(from_environment)
            .or_else(platform)
            .ok_or_else(|| {
                Error::files(
                    "no home folder was found for the subject library: set REPOSE_DATA to a folder",
                )
            })?;
        Ok(Self {
            root,
            request: String::new(),
        })
    }

    /// The same library, noting that what is saved now comes from the request with this SHA-256.
    pub fn with_request(&self, request_sha256: &str) -> Self {
        Self {
            root: self.root.clone(),
            request: request_sha256.to_owned(),
        }
    }

    /// SHA-256 of the request that what is saved now comes from, in hex; empty for none.
    pub fn request(&self) -> &str {
        &self.request
    }

    /// Where the library's data lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether [`Library::save`] would take this name and consent today: to be asked before the work of a learn.
    pub fn check(name: &str, consent: &Consent) -> Result<()> {
        name::check(name)?;
        consent.check(today())
    }

    /// Writes a new version of `subject` and returns when it is on the disk. Notes the learn in the usage log.
    pub fn save(&self, subject: &Subject, consent: &Consent) -> Result<SubjectRef> {
        Self::check(&subject.name, consent)?;
        let scratch = self.scratch()?;
        let draft = scratch.path.join("version");
        disk::make_folder(&draft)?;
        let tensors = file::write(&draft.join(TENSORS), subject)?;
        let card = Card::new(subject, consent, &self.request, &tensors)?;
        self.commit(&scratch, &draft, card, Action::Learn, "")
    }

    /// Gives the drafted version a number and moves it into place. `card` gets the number and is written here.
    pub(super) fn commit(
        &self,
        scratch: &Scratch,
        draft: &Path,
        mut card: Card,
        action: Action,
        detail: &str,
    ) -> Result<SubjectRef> {
        let _lock = self.lock()?;
        let folder = self.find(&card.name)?;
        let (mut version, record) = match &folder {
            None => (1, Record::new(&card.name)),
            Some(f) => {
                let newest = versions(&f.path)?.last().map_or(0, |v| v.0);
                let record = f.record.clone()?;
                (newest.max(record.last_version) + 1, record)
            }
        };
        // A folder that was copied in by hand may hold a number that is not seen as a version.
        while folder
            .as_ref()
            .is_some_and(|f| f.path.join(version_folder(version)).exists())
        {
            version += 1;
        }
        card.version = version;
        card.write(draft)?;
        disk::sync_folder(draft)?;
        let done = SubjectRef {
            name: card.name.clone(),
            version,
        };
        // First the log, then the deed: a crash in between leaves a note of something that did not happen, never a
        // subject without a note.
        let detail = format!(
            "{detail}{}subject {}",
            if detail.is_empty() { "" } else { "; " },
            card.tensors_sha256
        );
        self.log()
            .append(action, Some(&done), &self.request, &detail)?;
        match folder {
            Some(f) => disk::rename(draft, &f.path.join(version_folder(version)))?,
            None => {
                let whole = scratch.path.join("subject");
                disk::make_folder(&whole)?;
                disk::write_new(&whole.join(RECORD), &disk::sealed(&record)?)?;
                disk::rename(draft, &whole.join(version_folder(version)))?;
                disk::rename(&whole, &self.free_folder(&card.name))?;
            }
        }
        Ok(done)
    }

    /// Reads a subject for use: the newest version for `None`. Refuses if consent is missing, expired or revoked.
    pub fn load(&self, name: &str, version: Option<u32>) -> Result<(Subject, SubjectRef)> {
        let (folder, card, _) = self.card_for_use(name, version)?;
        let path = folder.join(TENSORS);
        let (mut subject, read) = file::read(&path)?;
        if read.sha256 != card.tensors_sha256 || read.bytes != card.tensors_bytes {
            return Err(disk::damaged(
                &path,
                "its checksum is not the one in card.json; restore it from an export or learn the subject again",
            ));
        }
        subject.name = name.to_owned();
        Ok((
            subject,
            SubjectRef {
                name: name.to_owned(),
                version: card.version,
            },
        ))
    }

    /// The newest versions of a subject, newest first, at most `count`; none if there is no such subject.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn newest(&self, name: &str, count: usize) -> Result<Vec<Subject>> {
        self.earlier(name, u32::MAX, count)
    }

    /// The newest versions before `version`, as [`newest`](Self::newest).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn earlier(&self, name: &str, version: u32, count: usize) -> Result<Vec<Subject>> {
        let folder = match count {
            0 => None,
            _ => self.find(name)?,
        };
        let Some(folder) = folder else {
            return Ok(Vec::new());
        };
        let numbers = versions(&folder.path)?.into_iter().rev();
        let numbers = numbers.filter(|(number, _)| *number < version).take(count);
        let load = |(number, _)| Ok(self.load(name, Some(number))?.0);
        numbers.map(load).collect()
    }

    /// The folder, card and present consent of a version that may be used today.
    pub(super) fn card_for_use(
        &self,
        name: &str,
        version: Option<u32>,
    ) -> Result<(PathBuf, Card, Consent)> {
        let (path, card, consent, standing) = self.card(name, version)?;
        consent::enforce(&standing, name, card.version)?;
        Ok((path, card, consent))
    }

    /// The folder and card of a version, and what its consent is today.
    fn card(&self, name: &str, version: Option<u32>) -> Result<(PathBuf, Card, Consent, Standing)> {
        let folder = self.existing(name)?;
        let record = folder.record.clone()?;
        let (number, path) = pick(&folder, version)?;
        let card = Card::read(&path)?;
        if card.version != number {
            return Err(disk::damaged(
                &path,
                format!("its card is of version {}", card.version),
            ));
        }
        let (consent, standing) = record.consent(number, &card.consent, today());
        Ok((path, card, consent, standing))
    }

    /// Notes in the usage log that a subject was used (`None`: an erase, say). Waits until it is on the disk.
    pub fn log_use(
        &self,
        action: Action,
        subject: Option<&SubjectRef>,
        request_sha256: &str,
    ) -> Result<()> {
        self.log().append(action, subject, request_sha256, "")
    }

    /// The history of a result that is made now from `subject`. If another program has deleted or renamed the subject since
    /// it was loaded, the history says so: the result exists and is not lost for that.
    pub fn history(
        &self,
        action: Action,
        request_sha256: &str,
        subject: Option<&SubjectRef>,
        seed: u64,
    ) -> Result<History> {
        let used = subject.map(|s| {
            // Whether it may be used was asked when it was loaded.
            let known = self.card(&s.name, Some(s.version)).ok();
            let consent = known.as_ref().map(|(_, _, consent, _)| consent.clone());
            SubjectUse {
                name: s.name.clone(),
                version: s.version,
                sha256: known.map_or_else(String::new, |(_, card, _, _)| card.tensors_sha256),
                consent_expires: consent.as_ref().and_then(|c| c.expires.clone()),
                consent: consent.map_or_else(
                    || "not known: the subject was deleted or renamed meanwhile".to_owned(),
                    |c| c.statement,
                ),
            }
        });
        Ok(provenance::history(action, request_sha256, used, seed))
    }

    pub(super) fn log(&self) -> Log {
        Log::new(&self.root)
    }

    /// Where the subjects' folders lie.
    pub(super) fn subjects(&self) -> PathBuf {
        self.root.join("subjects")
    }

    /// Held while names and versions change.
    pub(super) fn lock(&self) -> Result<Lock> {
        disk::make_folder(&self.root)?;
        Lock::exclusive(&self.root.join("library.lock"))
    }

    /// A new temporary folder on the library's own disk.
    pub(super) fn scratch(&self) -> Result<Scratch> {
        let subjects = self.subjects();
        disk::make_folder(&subjects)?;
        self.sweep();
        let writer = Lock::shared(&self.root.join("writers.lock"))?;
        let path = subjects.join(format!("{TEMPORARY}{}", disk::unique()));
        std::fs::create_dir(&path).map_err(|e| disk::failed("create the folder", &path, e))?;
        Ok(Scratch {
            path,
            _writer: writer,
        })
    }

    /// Removes temporary folders of programs that crashed; does nothing while anyone is writing.
    pub(super) fn sweep(&self) -> usize {
        let Some(_alone) = Lock::try_exclusive(&self.root.join("writers.lock")) else {
            return 0;
        };
        let left = disk::folders(&self.subjects()).unwrap_or_default();
        left.into_iter()
            .filter(|(name, path)| {
                name.starts_with(TEMPORARY) && std::fs::remove_dir_all(path).is_ok()
            })
            .count()
    }

    /// The folder names of all subjects.
    pub(super) fn keys(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut all = disk::folders(&self.subjects())?;
        all.retain(|(name, _)| !name.starts_with('.'));
        Ok(all)
    }

    /// A subject's folder by the subject's name.
    pub(super) fn find(&self, name: &str) -> Result<Option<Folder>> {
        // Nearly always it lies where it was made.
        let usual = name::folder(name, 0);
        let path = self.subjects().join(&usual);
        if path.is_dir() {
            let folder = Folder::read(usual, path);
            if folder.name == name {
                return Ok(Some(folder));
            }
        }
        for (key, path) in self.keys()? {
            let folder = Folder::read(key, path);
            if folder.name == name {
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }

    /// A subject's folder, or an error that names the library.
    pub(super) fn existing(&self, name: &str) -> Result<Folder> {
        name::check(name)?;
        self.find(name)?.ok_or_else(|| {
            Error::files(format!(
                "there is no subject “{name}” in {}: learn it first, or list the subjects",
                self.subjects().display()
            ))
        })
    }

    /// A path for a new subject's folder that nothing has yet.
    fn free_folder(&self, name: &str) -> PathBuf {
        let mut attempt = 0;
        loop {
            let path = self.subjects().join(name::folder(name, attempt));
            if path.symlink_metadata().is_err() {
                return path;
            }
            attempt += 1;
        }
    }
}

impl Folder {
    pub fn read(key: String, path: PathBuf) -> Self {
        let record = Record::read(&path).map_err(|e| {
            Error::files(format!(
                "{e}. Without it the subject's consent is unknown: restore the file from a backup, or record the consent \
                 again (renew)"
            ))
        });
        let name = match &record {
            Ok(record) => record.name.clone(),
            Err(_) => versions(&path)
                .unwrap_or_default()
                .iter()
                .rev()
                .find_map(|(_, path)| Card::read(path).ok())
                .map_or_else(|| key.clone(), |card| card.name),
        };
        Self {
            path,
            key,
            name,
            record,
        }
    }
}

/// The name of a version's folder.
pub(super) fn version_folder(version: u32) -> String {
    format!("v{version:04}")
}

/// The versions in a subject's folder, oldest first.
pub(super) fn versions(folder: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let mut found: Vec<_> = disk::folders(folder)?
        .into_iter()
        .filter_map(|(name, path)| {
            let number = name.strip_prefix('v')?.parse().ok()?;
            (number > 0 && name == version_folder(number)).then_some((number, path))
        })
        .collect();
    found.sort();
    Ok(found)
}

/// The asked version of a subject, or its newest.
pub(super) fn pick(folder: &Folder, version: Option<u32>) -> Result<(u32, PathBuf)> {
    let all = versions(&folder.path)?;
    let found = match version {
        None => all.last(),
        Some(v) => all.iter().find(|(number, _)| *number == v),
    };
    found.cloned().ok_or_else(|| {
        let there: Vec<_> = all.iter().map(|(number, _)| number.to_string()).collect();
        Error::files(format!(
            "subject “{}” has no {}; there are: {}",
            folder.name,
            version.map_or_else(|| "versions".to_owned(), |v| format!("version {v}")),
            if there.is_empty() {
                "none".to_owned()
            } else {
                there.join(", ")
            }
        ))
    })
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;
