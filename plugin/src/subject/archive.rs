//! One version as one file, to take elsewhere: `.repose`, a zip of `card.json` and `subject.safetensors`, both stored as they
//! are. The card is sealed and holds the tensors' checksum.
//!
//! Reading one trusts nothing in it. Entries are asked for by name and never unpacked to a path of theirs; compressed ones are
//! refused, so nothing is larger than the file itself; and the card is made anew from the tensors.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::card::{CARD, Card, MAX_CARD, TENSORS};
use super::consent::today;
use super::disk::{self, damaged, failed};
use super::interchange::Part;
use super::library::Library;
use super::log::Action;
use super::{SubjectRef, file, name};
use crate::{Error, Result};

/// That nothing is overwritten that shall not be.
fn free(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(Error::caller(format!(
            "{} is there already: choose another name, or ask to overwrite it",
            path.display()
        )));
    }
    Ok(())
}

/// Bytes copied at a time.
const CHUNK: usize = 256 * 1024;

impl Library {
    /// Writes a version (the newest for `None`) to a new file, whole or not at all. Refuses without valid consent; an existing file is replaced only
    /// with `overwrite`. Returns the version and the file's size in bytes.
    pub fn export(
        &self,
        name: &str,
        version: Option<u32>,
        path: &Path,
        overwrite: bool,
    ) -> Result<(SubjectRef, u64)> {
        let (folder, mut card, consent) = self.card_for_use(name, version)?;
        free(path, overwrite)?;
        let done = SubjectRef {
            name: name.to_owned(),
            version: card.version,
        };
        card.name = name.to_owned();
        card.consent = consent;
        let detail = format!("to {}", path.display());
        self.log()
            .append(Action::Export, Some(&done), &self.request, &detail)?;

        let bytes = disk::replace(path, |draft| {
            let file = pack(draft.as_file(), &card, &folder.join(TENSORS), path)?;
            Ok(file.metadata().map_err(|e| failed("read", path, e))?.len())
        })?;
        Ok((done, bytes))
    }

    /// Writes what a text model learned of a version (the newest for `None`) for other programs. Else as
    /// [`export`](Self::export).
    ///
    /// # Errors
    /// `Caller` if the version has no such part.
    pub fn export_part(
        &self,
        name: &str,
        version: Option<u32>,
        part: Part,
        path: &Path,
        overwrite: bool,
    ) -> Result<(SubjectRef, u64)> {
        let (subject, done) = self.load(name, version)?;
        let bytes = match &subject.text {
            Some(text) => part.of(text)?,
            None => Vec::new(),
        };
        if bytes.is_empty() {
            return Err(Error::caller(format!(
                "subject “{name}”, version {}, has no {}: learn it with a recipe that makes one",
                done.version,
                part.name()
            )));
        }
        free(path, overwrite)?;
        let detail = format!("its {} to {}", part.name(), path.display());
        self.log()
            .append(Action::Export, Some(&done), &self.request, &detail)?;
        disk::replace(path, |draft| {
            let written = draft.as_file().write_all(&bytes);
            written.map_err(|e| failed("write", path, e))
        })?;
        Ok((done, bytes.len() as u64))
    }

    /// Adds a version from a file written by [`Library::export`]: to the subject of that name if there is one, else as a new
    /// subject; under `rename` if given. Everything is checked before anything is added.
    pub fn import(&self, path: &Path, rename: Option<&str>) -> Result<SubjectRef> {
        let unreadable =
            |e: zip::result::ZipError| damaged(path, format!("it is no export of a subject: {e}"));
        let archive = File::open(path).map_err(|e| failed("open", path, e))?;
        let size = archive
            .metadata()
            .map_err(|e| failed("read", path, e))?
            .len();
        let mut zip = ZipArchive::new(archive).map_err(unreadable)?;
        if zip.len() != 2 {
            return Err(damaged(
                path,
                format!(
                    "it holds {} files; an export holds {CARD} and {TENSORS}",
                    zip.len()
                ),
            ));
        }
        let mut card = Vec::new();
        entry(&mut zip, path, CARD, MAX_CARD)?
            .take(MAX_CARD + 1)
            .read_to_end(&mut card)
            .map_err(|e| damaged(path, e))?;
        let told: Card = disk::unsealed(path, &card)?;
        let name = rename.unwrap_or(&told.name);
        name::check(name)?;
        told.consent.check(today())?;

        let scratch = self.scratch()?;
        let draft = scratch.path.join("version");
        disk::make_folder(&draft)?;
        let tensors = draft.join(TENSORS);
        let mut from = entry(&mut zip, path, TENSORS, size)?;
        let mut to = File::create_new(&tensors).map_err(|e| failed("create", &tensors, e))?;
        copy(&mut from, &mut to, size).map_err(|e| damaged(path, e))?;
        to.sync_all().map_err(|e| failed("write", &tensors, e))?;
        let (mut subject, read) = file::read(&tensors).map_err(|e| {
            let words = e.message.replace(&tensors.display().to_string(), TENSORS);
            Error::files(format!("{}: {words}", path.display()))
        })?;
        if read.sha256 != told.tensors_sha256 || read.bytes != told.tensors_bytes {
            return Err(damaged(
                path,
                "the pixels do not have the checksum on the card",
            ));
        }
        subject.name = name.to_owned();
        let mut card = Card::new(&subject, &told.consent, &self.request, &read)?;
        card.provenance = told.provenance;
        card.provenance.imported = Some(disk::now());
        let detail = format!("from {}", path.display());
        self.commit(&scratch, &draft, card, Action::Import, &detail)
    }
}

/// One file of an export, if it is stored as it is and not larger than `limit`.
fn entry<'a>(
    zip: &'a mut ZipArchive<File>,
    path: &Path,
    name: &str,
    limit: u64,
) -> Result<impl Read + use<'a>> {
    let found = zip
        .by_name(name)
        .map_err(|e| damaged(path, format!("{name} cannot be read: {e}")))?;
    if found.compression() != CompressionMethod::Stored || found.encrypted() {
        return Err(damaged(
            path,
            format!("{name} is packed or encrypted; exports are stored as they are"),
        ));
    }
    if found.size() > limit {
        return Err(damaged(
            path,
            format!(
                "{name} claims {} bytes, at most {limit} are possible",
                found.size()
            ),
        ));
    }
    Ok(found)
}

/// Writes the zip; the error names `path`, which the temporary file will become.
fn pack<'a>(to: &'a File, card: &Card, tensors: &Path, path: &Path) -> Result<&'a File> {
    let wrong = |e: zip::result::ZipError| failed("write", path, e);
    let stored = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    let mut zip = ZipWriter::new(to);
    zip.start_file(CARD, stored).map_err(wrong)?;
    zip.write_all(&disk::sealed(card)?)
        .map_err(|e| failed("write", path, e))?;
    zip.start_file(TENSORS, stored).map_err(wrong)?;
    let mut from = File::open(tensors).map_err(|e| failed("open", tensors, e))?;
    let hash =
        copy(&mut from, &mut zip, card.tensors_bytes).map_err(|e| failed("write", path, e))?;
    if hash != card.tensors_sha256 {
        return Err(damaged(tensors, "its checksum is not the one in card.json"));
    }
    zip.finish().map_err(wrong)
}

/// Copies at most `limit` bytes and returns their SHA-256; more are an error.
fn copy(from: &mut impl Read, to: &mut impl Write, limit: u64) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0u8; CHUNK];
    let mut left = limit;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(disk::hex(&hash.finalize())),
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        left = left
            .checked_sub(count as u64)
            .ok_or_else(|| std::io::Error::other(format!("more than {limit} bytes came")))?;
        hash.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
