//! Whether everything in the library is whole.

use serde::Serialize;

use super::card::{Card, TENSORS};
use super::library::{Folder, Library, versions};
use super::{disk, file};
use crate::Result;

/// What was checked and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing is wrong.
    pub whole: bool,
    /// Subjects checked.
    pub subjects: usize,
    /// Versions checked.
    pub versions: usize,
    /// Rows of the usage log checked.
    pub log_rows: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The subject; empty for the usage log.
    pub subject: String,
    /// The version, where it is about one.
    pub version: Option<u32>,
    /// In words; names the file.
    pub problem: String,
}

impl Library {
    /// Reads every byte of one subject, or for `None` of all, and the usage log, and says what is wrong.
    pub fn verify(&self, name: Option<&str>) -> Result<Report> {
        self.sweep();
        let folders = match name {
            Some(name) => vec![self.existing(name)?],
            None => self
                .keys()?
                .into_iter()
                .map(|(key, path)| Folder::read(key, path))
                .collect(),
        };
        let mut report = Report {
            whole: true,
            subjects: folders.len(),
            versions: 0,
            log_rows: 0,
            problems: Vec::new(),
        };
        for folder in &folders {
            if let Err(e) = &folder.record {
                report.add(&folder.name, None, &e.message);
            }
            let all = versions(&folder.path)?;
            if all.is_empty() {
                report.add(&folder.name, None, "it has no versions");
            }
            for (version, path) in all {
                report.versions += 1;
                if let Err(e) = whole(version, &path) {
                    report.add(&folder.name, Some(version), &e.message);
                }
            }
        }
        // Two folders of one name are never made here, but may be copied in.
        for (i, folder) in folders.iter().enumerate() {
            if folders[..i].iter().any(|f| f.name == folder.name) {
                report.add(
                    &folder.name,
                    None,
                    &format!("{} is a second folder of this name", folder.path.display()),
                );
            }
        }
        let (rows, wrong) = self.log().verify();
        report.log_rows = rows;
        for problem in wrong {
            report.add("", None, &problem);
        }
        Ok(report)
    }
}

impl Report {
    fn add(&mut self, subject: &str, version: Option<u32>, problem: &str) {
        self.whole = false;
        self.problems.push(Problem {
            subject: subject.to_owned(),
            version,
            problem: problem.to_owned(),
        });
    }
}

/// The error says what is wrong with a version.
fn whole(version: u32, path: &std::path::Path) -> Result<()> {
    let card = Card::read(path)?;
    if card.version != version {
        return Err(disk::damaged(
            path,
            format!("its card is of version {}", card.version),
        ));
    }
    let tensors = path.join(TENSORS);
    let (subject, read) = file::read(&tensors)?;
    if read.sha256 != card.tensors_sha256 || read.bytes != card.tensors_bytes {
        return Err(disk::damaged(
            &tensors,
            "its checksum is not the one in card.json",
        ));
    }
    if subject.source_hash != card.source.sha256 {
        return Err(disk::damaged(
            path,
            "card and pixels are of different sources",
        ));
    }
    Ok(())
}
