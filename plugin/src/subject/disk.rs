//! Small laws of the disk: bounded reads, synced writes, locks, and JSON files that carry their own checksum.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::{Error, Result};

/// How long a change waits for another program that is changing the library.
const PATIENCE: Duration = Duration::from_secs(15);

/// The schema of `card.json`, `record.json` and exports that this plugin writes, and the newest it reads.
pub const SCHEMA: u32 = 1;

/// An error about `path`: what was tried and why it failed.
pub fn failed(what: &str, path: &Path, why: impl std::fmt::Display) -> Error {
    Error::files(format!("cannot {what} {}: {why}", path.display()))
}

/// An error about what `path` holds.
pub fn damaged(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::files(format!("{} is damaged: {why}", path.display()))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    text
}

/// SHA-256 of `bytes`, in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Reads a whole file of at most `limit` bytes; the size is checked before anything is allocated.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| failed("open", path, e))?;
    let about = file.metadata().map_err(|e| failed("read", path, e))?;
    if !about.is_file() {
        return Err(damaged(path, "it is not a file"));
    }
    if about.len() > limit {
        return Err(damaged(
            path,
            format!(
                "it has {} bytes, at most {limit} were expected",
                about.len()
            ),
        ));
    }
    let mut bytes = Vec::new();
    // The file may grow after the look at its size.
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| failed("read", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(damaged(path, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Writes a new file and waits until it is on the disk.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|e| failed("create", path, e))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|e| failed("write", path, e))
}

/// Waits until the names in a folder are on the disk.
pub fn sync_folder(path: &Path) -> Result<()> {
    // Windows has no such call; its renames are journalled.
    if cfg!(unix) {
        File::open(path)
            .and_then(|f| f.sync_all())
            .map_err(|e| failed("sync", path, e))?;
    }
    Ok(())
}

/// Puts what `write` writes in the place of `path`, whole or not at all; its folder must be there. A draft that failed is
/// removed.
pub fn replace<T>(path: &Path, write: impl FnOnce(&NamedTempFile) -> Result<T>) -> Result<T> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let mut draft = tempfile::Builder::new();
    draft.prefix(".repose-draft-");
    // Temporary files are private; these are ordinary ones, as private as the user's umask says.
    #[cfg(unix)]
    draft.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let draft = draft
        .tempfile_in(folder)
        .map_err(|e| failed("write in", folder, e))?;
    let written = write(&draft)?;
    let synced = draft.as_file().sync_all();
    synced.map_err(|e| failed("write", path, e))?;
    draft
        .persist(path)
        .map_err(|e| failed("move into place", path, e.error))?;
    sync_folder(folder)?;
    Ok(written)
}

/// Renames and waits until both folders know it.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| failed("move into place", to, e))?;
    let (old, new) = (from.parent(), to.parent());
    for folder in new.into_iter().chain(old.filter(|_| old != new)) {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Makes a folder and those above it.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| failed("create the folder", path, e))
}

/// The sub-folders of `path` with their names; nothing if `path` does not exist. Links are not followed.
pub fn folders(path: &Path) -> Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed("list", path, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failed("list", path, e))?;
        // Gone again, or a name that is not ours.
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
            continue;
        };
        if kind.is_dir() {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// A name nobody else uses: process, time and a counter.
pub fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_nanos());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{nanos:x}-{count}", std::process::id())
}

/// A lock between processes; the system frees it when its holder ends, however that ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    fn file(path: &Path) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|e| failed("open the lock", path, e))
    }

    /// The only holder. Waits a while for others, then gives the error `Busy`.
    pub fn exclusive(path: &Path) -> Result<Self> {
        let file = Self::file(path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(3));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::busy(
                        "another program is changing the subject library; try again in a moment",
                    ));
                }
                Err(TryLockError::Error(e)) => return Err(failed("lock", path, e)),
            }
        }
    }

    /// The only holder, or `None` if anyone else holds it now.
    pub fn try_exclusive(path: &Path) -> Option<Self> {
        let file = Self::file(path).ok()?;
        file.try_lock().ok().map(|()| Self(file))
    }

    /// One of several holders.
    pub fn shared(path: &Path) -> Result<Self> {
        let file = Self::file(path)?;
        file.lock_shared().map_err(|e| failed("lock", path, e))?;
        Ok(Self(file))
    }
}

/// `value` as a JSON object whose first member `seal` is the SHA-256 of all bytes behind it.
pub fn sealed(value: &impl Serialize) -> Result<Vec<u8>> {
    let body = serde_json::to_string_pretty(value).map_err(|e| Error::bug(e.to_string()))?;
    let body = body
        .strip_prefix("{\n")
        .ok_or_else(|| Error::bug("only objects with members are sealed"))?;
    Ok(format!(
        "{SEAL}{}\",\n{body}\n",
        sha256(format!("{body}\n").as_bytes())
    )
    .into_bytes())
}

const SEAL: &str = "{\n  \"seal\": \"";

/// The value of a file written by [`sealed`]; the error tells a newer schema from damage.
pub fn unsealed<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    #[derive(serde::Deserialize)]
    struct Probe {
        schema: u32,
    }
    let rest = bytes
        .strip_prefix(SEAL.as_bytes())
        .and_then(|rest| rest.split_at_checked(64))
        .and_then(|(seal, rest)| Some((seal, rest.strip_prefix(b"\",\n")?)));
    let Some((seal, body)) = rest else {
        return Err(damaged(path, "it does not begin with a seal"));
    };
    if sha256(body).as_bytes() != seal {
        return Err(damaged(
            path,
            "its seal does not match, so it was cut off or changed by another program",
        ));
    }
    let probe: Probe = serde_json::from_slice(bytes).map_err(|e| damaged(path, e))?;
    if probe.schema > SCHEMA {
        return Err(Error::files(format!(
            "{} was written by a newer version of Repose (schema {}, this one reads {SCHEMA}); update the plugin",
            path.display(),
            probe.schema
        )));
    }
    serde_json::from_slice(bytes).map_err(|e| damaged(path, e))
}

/// Reads a sealed file of at most `limit` bytes.
pub fn read_sealed<T: DeserializeOwned>(path: &Path, limit: u64) -> Result<T> {
    unsealed(path, &read_bounded(path, limit)?)
}

/// Now, in UTC, to the millisecond.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    let now = jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    now.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Note {
        schema: u32,
        text: String,
    }

    #[test]
    fn hex_of_known_digest() {
        // FIPS 180-2, example B.1.
        assert_eq!(
            sha256(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn every_changed_or_missing_byte_of_a_sealed_file_is_noticed() {
        let note = Note {
            schema: 1,
            text: "äöü \"quoted\"".into(),
        };
        let bytes = sealed(&note).unwrap();
        let path = Path::new("note.json");
        assert_eq!(unsealed::<Note>(path, &bytes).unwrap(), note);
        assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        for i in 0..bytes.len() {
            assert!(unsealed::<Note>(path, &bytes[..i]).is_err(), "cut at {i}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[i] ^= 1 << bit;
                assert!(
                    unsealed::<Note>(path, &flipped).is_err(),
                    "bit {bit} of {i}"
                );
            }
        }
    }

    #[test]
    fn a_newer_schema_is_told_from_damage() {
        let bytes = sealed(&Note {
            schema: 2,
            text: String::new(),
        })
        .unwrap();
        let error = unsealed::<Note>(Path::new("note.json"), &bytes).unwrap_err();
        assert!(error.message.contains("newer version"), "{error}");
    }

    #[test]
    fn a_huge_file_is_refused_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("huge");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read_bounded(&path, 1000).unwrap_err();
        assert!(error.message.contains("huge"), "{error}");
        assert!(error.message.contains("1099511627776"), "{error}");
    }

    #[test]
    fn an_exclusive_lock_keeps_others_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let shared = Lock::shared(&path).unwrap();
        assert!(Lock::try_exclusive(&path).is_none());
        drop(shared);
        let held = Lock::try_exclusive(&path).unwrap();
        assert!(Lock::try_exclusive(&path).is_none());
        drop(held);
        assert!(Lock::try_exclusive(&path).is_some());
    }
}
