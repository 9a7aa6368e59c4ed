//! What stands in the folders, for lists; with `index.sqlite` as a cache.
//!
//! Each subject has one row: a stamp of its files (names, sizes, times), and what was read from them. A row whose stamp is not
//! today's is read again, so the index mends itself; one that cannot be used at all is moved aside and a new one begun;
//! and where no index can be kept, the folders alone answer.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::card::{CARD, Card};
use super::disk::{self, sha256};
use super::library::{Folder, Library, versions};
use super::log::patient;
use super::record::{Change, RECORD};
use crate::Result;

/// What stands in one subject's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The folder's name.
    pub folder: String,
    /// The subject's name.
    pub name: String,
    /// Names it had before.
    pub earlier_names: Vec<String>,
    /// Changes of consent.
    pub changes: Vec<Change>,
    /// Why `record.json` cannot be read, if so.
    pub problem: Option<String>,
    /// Oldest first.
    pub versions: Vec<VersionEntry>,
}

/// What stands in one version's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// Its number.
    pub version: u32,
    /// Its card, or why that cannot be read.
    pub card: std::result::Result<Card, String>,
}

impl Entry {
    /// Reads a subject's folder.
    fn read(key: &str, path: &Path) -> Result<Self> {
        let folder = Folder::read(key.to_owned(), path.to_owned());
        let versions = versions(path)?
            .into_iter()
            .map(|(version, path)| VersionEntry {
                version,
                card: Card::read(&path).map_err(|e| e.message),
            })
            .collect();
        let (earlier_names, changes, problem) = match folder.record {
            Ok(record) => (record.earlier_names, record.changes, None),
            Err(e) => (Vec::new(), Vec::new(), Some(e.message)),
        };
        Ok(Self {
            folder: key.to_owned(),
            name: folder.name,
            earlier_names,
            changes,
            problem,
            versions,
        })
    }
}

impl Library {
    /// All subjects, by folder name.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        if !self.subjects().is_dir() {
            return Ok(Vec::new());
        }
        if let Ok(entries) = self.indexed() {
            return entries;
        }
        // Whatever is wrong with the index, it is not worth failing for.
        let _ = self.move_index_aside();
        self.indexed().unwrap_or_else(|_| {
            let keys = self.keys()?;
            keys.iter()
                .map(|(key, path)| Entry::read(key, path))
                .collect()
        })
    }

    /// Reads every folder again. Returns the entries and where an index that could not be used was moved.
    pub(super) fn rebuilt(&self) -> Result<(Vec<Entry>, Option<PathBuf>)> {
        disk::make_folder(&self.subjects())?;
        let emptied = self.index().and_then(|index| {
            patient(|| index.execute("DELETE FROM subjects", []))?;
            Ok(())
        });
        let aside = match emptied {
            Ok(()) => None,
            Err(_) => self.move_index_aside()?,
        };
        Ok((self.entries()?, aside))
    }

    fn index_path(&self) -> PathBuf {
        self.root.join("index.sqlite")
    }

    fn index(&self) -> rusqlite::Result<Connection> {
        patient(|| {
            let index = Connection::open(self.index_path())?;
            index.busy_timeout(Duration::from_secs(5))?;
            index.pragma_update(None, "journal_mode", "WAL")?;
            index.pragma_update(None, "synchronous", "NORMAL")?;
            index.execute_batch(
                "CREATE TABLE IF NOT EXISTS subjects (
                    folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, entry TEXT NOT NULL, seal TEXT NOT NULL
                 ) STRICT",
            )?;
            Ok(index)
        })
    }

    /// The outer error is the index's, the inner one the folders'.
    fn indexed(&self) -> rusqlite::Result<Result<Vec<Entry>>> {
        let index = self.index()?;
        let keys = match self.keys() {
            Ok(keys) => keys,
            Err(e) => return Ok(Err(e)),
        };
        let mut entries = Vec::with_capacity(keys.len());
        for (key, path) in &keys {
            // The stamp first: what changes after it is noticed the next time.
            let stamp = stamp(path);
            match cached(&index, key, &stamp)? {
                Some(entry) => entries.push(entry),
                None => match Entry::read(key, path) {
                    Ok(entry) => {
                        keep(&index, &stamp, &entry)?;
                        entries.push(entry);
                    }
                    Err(e) => return Ok(Err(e)),
                },
            }
        }
        let listed = patient(|| {
            let mut query = index.prepare("SELECT folder FROM subjects")?;
            let rows = query.query_map([], |r| r.get::<_, String>(0))?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        for gone in listed
            .iter()
            .filter(|l| !keys.iter().any(|(key, _)| key == *l))
        {
            patient(|| index.execute("DELETE FROM subjects WHERE folder = ?1", [gone]))?;
        }
        Ok(Ok(entries))
    }

    /// Never deletes: a file that is not what it should be may be someone's.
    fn move_index_aside(&self) -> Result<Option<PathBuf>> {
        let _lock = self.lock()?;
        let aside = format!("index.sqlite.damaged-{}", disk::unique());
        let mut moved = None;
        for suffix in ["", "-wal", "-shm"] {
            let from = self.root.join(format!("index.sqlite{suffix}"));
            if from.symlink_metadata().is_ok() {
                let to = self.root.join(format!("{aside}{suffix}"));
                disk::rename(&from, &to)?;
                moved.get_or_insert(to);
            }
        }
        Ok(moved)
    }
}

fn cached(index: &Connection, key: &str, stamp: &str) -> rusqlite::Result<Option<Entry>> {
    let row = patient(|| {
        let mut query =
            index.prepare_cached("SELECT stamp, entry, seal FROM subjects WHERE folder = ?1")?;
        let mut rows = query.query([key])?;
        rows.next()?
            .map(|r| {
                Ok((
                    r.get::<_, String>(0)?,
                    r.get::<_, String>(1)?,
                    r.get::<_, String>(2)?,
                ))
            })
            .transpose()
    })?;
    Ok(row
        .filter(|(old, entry, seal)| old == stamp && *seal == sha256(entry.as_bytes()))
        .and_then(|(_, entry, _)| serde_json::from_str(&entry).ok())
        .filter(|entry: &Entry| entry.folder == key))
}

fn keep(index: &Connection, stamp: &str, entry: &Entry) -> rusqlite::Result<()> {
    let text = serde_json::to_string(entry)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
    patient(|| {
        index.execute(
            "INSERT OR REPLACE INTO subjects (folder, stamp, entry, seal) VALUES (?1, ?2, ?3, ?4)",
            params![entry.folder, stamp, text, sha256(text.as_bytes())],
        )
    })?;
    Ok(())
}

/// Changes whenever a record or card is written, and when a version comes or goes.
fn stamp(folder: &Path) -> String {
    let mut stamp = file_stamp(&folder.join(RECORD));
    for (version, path) in versions(folder).unwrap_or_default() {
        stamp.push_str(&format!(";{version}={}", file_stamp(&path.join(CARD))));
    }
    stamp
}

fn file_stamp(path: &Path) -> String {
    let Ok(about) = path.metadata() else {
        return "none".to_owned();
    };
    let time = about
        .modified()
        .ok()
        .and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |d| d.as_nanos());
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&about);
    #[cfg(not(unix))]
    let number = 0;
    format!("{},{time},{number}", about.len())
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
