//! The usage log: who used which subject for what, append-only, every row holding the hash of the one before.
//!
//! `usage.sqlite` is not a cache: it cannot be rebuilt and is never moved or emptied by the plugin. Triggers forbid changes;
//! whoever goes around them is found by [`Log::verify`]: a changed row no longer has its hash, a missing row breaks the chain
//! or, at the end, SQLite's own count of rows ever written. (Someone who rewrites the whole file can forge it; the
//! histories inside exported pictures are then the witnesses.)

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::SubjectRef;
use super::disk::{self, failed, sha256};
use crate::{Error, Result};

/// The hash before the first row.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const PATIENCE: Duration = Duration::from_secs(15);

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// A version was learned.
    Learn,
    /// A subject was re-posed.
    Repose,
    /// Something was removed from a picture.
    Erase,
    /// A version was written to an export file.
    Export,
    /// A version came from an export file.
    Import,
    /// The name changed.
    Rename,
    /// A version, or all, were deleted.
    Delete,
    /// Consent was withdrawn.
    Revoke,
    /// Consent was given anew.
    Renew,
}

impl Action {
    /// The word in the log and in histories.
    pub fn word(self) -> &'static str {
        match self {
            Self::Learn => "learn",
            Self::Repose => "repose",
            Self::Erase => "erase",
            Self::Export => "export",
            Self::Import => "import",
            Self::Rename => "rename",
            Self::Delete => "delete",
            Self::Revoke => "revoke",
            Self::Renew => "renew",
        }
    }
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// From 1, without gaps.
    pub seq: i64,
    /// UTC (RFC 3339).
    pub at: String,
    /// See [`Action::word`].
    pub action: String,
    /// The subject's name then; empty where none was used.
    pub subject: String,
    /// Its version; 0 where all or none.
    pub version: u32,
    /// SHA-256 of the request, or empty.
    pub request: String,
    /// What else there is to say, such as a new name.
    pub detail: String,
    /// The hash of the row before.
    pub previous: String,
    /// SHA-256 of everything above as a JSON list.
    pub hash: String,
}

impl Row {
    fn digest(&self) -> Result<String> {
        // A JSON list is unambiguous: no two different rows have the same text.
        let fields = (
            self.seq,
            &self.at,
            &self.action,
            &self.subject,
            self.version,
            &self.request,
            &self.detail,
            &self.previous,
        );
        let text = serde_json::to_string(&fields).map_err(|e| Error::bug(e.to_string()))?;
        Ok(sha256(text.as_bytes()))
    }
}

/// The log's file.
#[derive(Debug, Clone)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log of the library whose data lies in `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            path: root.join("usage.sqlite"),
        }
    }

    fn mend(&self, why: impl std::fmt::Display) -> Error {
        failed(
            "use the usage log",
            &self.path,
            format!(
                "{why}. If the file is damaged, keep a copy, then move it away: a new log begins with the next use"
            ),
        )
    }

    fn open(&self) -> Result<Connection> {
        if let Some(folder) = self.path.parent() {
            disk::make_folder(folder)?;
        }
        patient(|| {
            let connection = Connection::open(&self.path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(TABLES)?;
            Ok(connection)
        })
        .map_err(|e| self.mend(e))
    }

    /// Appends a row and waits until it is on the disk.
    pub fn append(
        &self,
        action: Action,
        subject: Option<&SubjectRef>,
        request: &str,
        detail: &str,
    ) -> Result<()> {
        let mut connection = self.open()?;
        let mut row = Row {
            seq: 0,
            at: String::new(),
            action: action.word().to_owned(),
            subject: subject.map_or_else(String::new, |s| s.name.clone()),
            version: subject.map_or(0, |s| s.version),
            request: request.to_owned(),
            detail: detail.to_owned(),
            previous: String::new(),
            hash: String::new(),
        };
        patient(|| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let last: Option<(i64, String)> = change
                .query_row("SELECT seq, hash FROM usage ORDER BY seq DESC LIMIT 1", [], |r| {
                    Ok((r.get(0)?, r.get(1)?))
                })
                .optional()?;
            let (seq, hash) = last.unwrap_or((0, GENESIS.to_owned()));
            row.seq = seq + 1;
            row.previous = hash;
            row.at = disk::now();
            // The digest fails only if a string cannot be written as JSON, which every string can.
            row.hash = row.digest().unwrap_or_default();
            change.execute(
                "INSERT INTO usage (seq, at, action, subject, version, request, detail, previous, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    row.seq, row.at, row.action, row.subject, row.version, row.request, row.detail, row.previous,
                    row.hash
                ],
            )?;
            change.commit()
        })
        .map_err(|e| self.mend(e))
    }

    /// The newest `limit` rows, oldest first; only those of one subject if it is named.
    pub fn rows(&self, subject: Option<&str>, limit: u32) -> Result<Vec<Row>> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let connection = self.open()?;
        let read = || {
            let mut query = connection.prepare(
                "SELECT seq, at, action, subject, version, request, detail, previous, hash FROM usage
                 WHERE ?1 IS NULL OR subject = ?1 ORDER BY seq DESC LIMIT ?2",
            )?;
            let rows = query.query_map(params![subject, limit], row)?;
            rows.collect::<rusqlite::Result<Vec<Row>>>()
        };
        let mut rows = patient(read).map_err(|e| self.mend(e))?;
        rows.reverse();
        Ok(rows)
    }

    /// How many rows there are, and what is wrong with the chain, in words: nothing if it is whole.
    pub fn verify(&self) -> (u64, Vec<String>) {
        if !self.path.exists() {
            return (0, Vec::new());
        }
        match self
            .open()
            .and_then(|c| chain(&c).map_err(|e| self.mend(e)))
        {
            Ok(found) => found,
            Err(error) => (0, vec![error.message]),
        }
    }
}

fn row(r: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        seq: r.get(0)?,
        at: r.get(1)?,
        action: r.get(2)?,
        subject: r.get(3)?,
        version: r.get(4)?,
        request: r.get(5)?,
        detail: r.get(6)?,
        previous: r.get(7)?,
        hash: r.get(8)?,
    })
}

fn chain(connection: &Connection) -> rusqlite::Result<(u64, Vec<String>)> {
    let mut wrong = Vec::new();
    let health: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    if health != "ok" {
        wrong.push(format!("usage log: {health}"));
    }
    // One transaction, so that rows and count are of the same moment.
    let view = connection.unchecked_transaction()?;
    let mut query = view.prepare(
        "SELECT seq, at, action, subject, version, request, detail, previous, hash FROM usage ORDER BY seq",
    )?;
    let (mut count, mut last, mut previous) = (0u64, 0i64, GENESIS.to_owned());
    for found in query.query_map([], row)? {
        let found = found?;
        if found.seq != last + 1 {
            wrong.push(format!(
                "usage log: rows {} to {} are missing",
                last + 1,
                found.seq - 1
            ));
        } else if found.previous != previous {
            wrong.push(format!(
                "usage log: row {} does not follow row {last}",
                found.seq
            ));
        }
        if found.digest().ok().as_ref() != Some(&found.hash) {
            wrong.push(format!("usage log: row {} was changed", found.seq));
        }
        last = found.seq;
        previous = found.hash;
        count += 1;
    }
    let ever: Option<i64> = view
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'usage'",
            [],
            |r| r.get(0),
        )
        .optional()?;
    if ever.unwrap_or(0) != last {
        wrong.push(format!(
            "usage log: {} rows were written, the last one there is {last}",
            ever.unwrap_or(0)
        ));
    }
    let triggers: i64 = view.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name IN ('usage_kept', 'usage_unchanged')",
        [],
        |r| r.get(0),
    )?;
    if triggers != 2 {
        wrong.push("usage log: its guards against changes were removed".to_owned());
    }
    Ok((count, wrong))
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS usage (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    version INTEGER NOT NULL,
    request TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS usage_unchanged BEFORE UPDATE ON usage
BEGIN SELECT RAISE(ABORT, 'the usage log is append-only'); END;
CREATE TRIGGER IF NOT EXISTS usage_kept BEFORE DELETE ON usage
BEGIN SELECT RAISE(ABORT, 'the usage log is append-only'); END;
";

/// Tries again while another program holds the database: SQLite's own waiting does not cover the change to WAL mode nor
/// recovery after a crash.
pub fn patient<T>(mut work: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let start = Instant::now();
    loop {
        match work() {
            Err(rusqlite::Error::SqliteFailure(e, _))
                if matches!(
                    e.code,
                    rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked
                ) && start.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
