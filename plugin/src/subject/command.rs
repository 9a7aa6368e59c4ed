//! What a host's library window, or a script, asks of the subject library: one JSON object in, one out.
//!
//! | command | other fields (`?`: may be left out or null) | answer |
//! |---|---|---|
//! | `list` | | `subjects`: a list of [`Summary`] |
//! | `show` | `name` | `subject`: a [`Detail`] |
//! | `rename` | `name`, `to` | `renamed`: `{name, to}` |
//! | `delete` | `name`, `version?` (all) | `deleted`: `{name, versions}` |
//! | `export` | `name`, `version?` (newest), `path`, `overwrite?` (false), `part?` (`lora`, `kohya`, `word` or `a1111`: what a text model learned, for other programs) | `exported`: `{name, version, path, bytes}` |
//! | `import` | `path`, `name?` (the one in the file) | `imported`: `{name, version}` |
//! | `attach` | `name`, and at least one of `lora?` and `word?`, files of another program; `token?` (the subject's name), `is?` and `model?` (which model they are for) | `attached`: `{name, version}` |
//! | `verify` | `name?` (all) | `verified`: a [`Report`](super::Report) |
//! | `rebuild-index` | | `rebuilt`: `{subjects, versions, moved_aside}` |
//! | `revoke` | `name`, `version?` (all), `reason?` | `revoked`: `{name, version}` |
//! | `renew` | `name`, `version?` (all), `statement`, `person?`, `person_agrees?`, `expires?` | `renewed`: `{name, version}` |
//! | `log` | `name?` (all), `limit?` (100) | `log`: a list of [`Row`](super::Row), oldest first |
//! | `info` | | `info`: an [`Info`] |
//!
//! `caption` and `word` are left out where a subject has none. Thumbnails are PNG with transparency, at most 128 pixels a
//! side, in base64. Times are UTC (RFC 3339).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::attach::Foreign;
use super::card::{Card, Metrics, Source, tool};
use super::consent::{Consent, today};
use super::index::Entry;
use super::interchange::Part;
use super::library::Library;
use super::record::{Change, Record};
use super::{SubjectWords, TextFacts};
use crate::{Error, Result};

/// The largest command, in bytes.
const MAX_COMMAND: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    List {},
    Show {
        name: String,
    },
    Rename {
        name: String,
        to: String,
    },
    Delete {
        name: String,
        version: Option<u32>,
    },
    Export {
        name: String,
        version: Option<u32>,
        path: PathBuf,
        overwrite: Option<bool>,
        part: Option<Part>,
    },
    Import {
        path: PathBuf,
        name: Option<String>,
    },
    Attach(Foreign),
    Verify {
        name: Option<String>,
    },
    RebuildIndex {},
    Revoke {
        name: String,
        version: Option<u32>,
        reason: Option<String>,
    },
    Renew {
        name: String,
        version: Option<u32>,
        statement: String,
        person: Option<bool>,
        person_agrees: Option<bool>,
        expires: Option<String>,
    },
    Log {
        name: Option<String>,
        limit: Option<u32>,
    },
    Info {},
}

/// A subject in a list: what its newest readable version says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// Its folder's name.
    pub folder: String,
    /// All versions, oldest first.
    pub versions: Vec<u32>,
    /// The newest of them; 0 if there is none.
    pub newest: u32,
    /// When that was made.
    pub created: Option<String>,
    /// Width and height of its crop in pixels.
    pub size: Option<[usize; 2]>,
    /// What text models are told about it: `caption`, `word`.
    #[serde(flatten)]
    pub words: SubjectWords,
    /// Its consent now.
    pub consent: Option<ConsentNow>,
    /// PNG in base64.
    pub thumbnail_png: Option<String>,
    /// What is wrong with it, in words.
    pub problem: Option<String>,
}

/// Everything about a subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detail {
    /// Its name.
    pub name: String,
    /// Its folder, as a path.
    pub folder: PathBuf,
    /// Names it had before, oldest first.
    pub earlier_names: Vec<String>,
    /// Changes of consent, oldest first: `at`, `first`, `last` (versions), and `revoked` (reason) or `renewed` (consent).
    pub changes: Vec<Change>,
    /// Oldest first.
    pub versions: Vec<VersionDetail>,
    /// What is wrong with its record, in words.
    pub problem: Option<String>,
}

/// Everything about a version. Where `problem` is set, all but the number is unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionDetail {
    /// Its number.
    pub version: u32,
    /// The card's fields.
    #[serde(flatten)]
    pub known: Option<Known>,
    /// Why the card cannot be read.
    pub problem: Option<String>,
}

/// What a card says, with the consent that holds now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "as in card.json")]
pub struct Known {
    pub created: String,
    pub imported: Option<String>,
    pub tool: String,
    pub recipe: String,
    pub engine: String,
    pub base_model_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextFacts>,
    pub request_sha256: String,
    pub source: Source,
    pub rect: [usize; 4],
    #[serde(flatten)]
    pub words: SubjectWords,
    pub metrics: Metrics,
    pub consent: ConsentNow,
    pub tensors_bytes: u64,
    pub tensors_sha256: String,
    pub thumbnail_png: String,
}

/// A consent and whether it holds today.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConsentNow {
    /// As recorded.
    #[serde(flatten)]
    pub consent: Consent,
    /// `valid`, `expired` or `revoked`; `unknown` if the record is damaged.
    pub standing: &'static str,
}

/// About the library and the plugin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// Tool and version.
    pub plugin: String,
    /// The engines there are.
    pub engines: Vec<&'static str>,
    /// The library's folder.
    pub library: PathBuf,
    /// Subjects in it.
    pub subjects: usize,
    /// Versions of all of them.
    pub versions: usize,
    /// Subjects or versions that cannot be read.
    pub problems: usize,
    /// Hash of the newest row of the usage log: note it down to prove later that nothing before it changed.
    pub log_head: Option<String>,
}

impl Library {
    /// Does what `json` asks, at once, and answers in JSON; see the [module](self). `Caller` lists what is known if the
    /// command or one of its fields is not.
    pub fn command(&self, json: &str) -> Result<String> {
        if json.len() > MAX_COMMAND {
            return Err(Error::caller(format!(
                "a library command has at most {MAX_COMMAND} bytes; {} came",
                json.len()
            )));
        }
        let command: Command = serde_json::from_str(json).map_err(|e| {
            Error::caller(format!(
                "the library command cannot be used: {e}. It is a JSON object such as {{\"command\": \"list\"}}; there \
                 are list, show, rename, delete, export, import, attach, verify, rebuild-index, revoke, renew, log, info; for \
                 models: models, model-verify, model-folders, model-folder-add, model-folder-remove; for recipes: recipes"
            ))
        })?;
        serde_json::to_string(&self.answer(command)?).map_err(|e| Error::bug(e.to_string()))
    }

    fn answer(&self, command: Command) -> Result<Value> {
        Ok(match command {
            Command::List {} => {
                let mut subjects: Vec<_> = self.entries()?.into_iter().map(summary).collect();
                subjects.sort_by(|a, b| a.name.cmp(&b.name));
                json!({ "subjects": subjects })
            }
            Command::Show { name } => json!({ "subject": self.detail(&name)? }),
            Command::Rename { name, to } => {
                self.rename(&name, &to)?;
                json!({ "renamed": { "name": name, "to": to } })
            }
            Command::Delete { name, version } => {
                let versions = self.delete(&name, version)?;
                json!({ "deleted": { "name": name, "versions": versions } })
            }
            Command::Export {
                name,
                version,
                path,
                overwrite,
                part,
            } => {
                let overwrite = overwrite.unwrap_or(false);
                let (done, bytes) = match part {
                    Some(part) => self.export_part(&name, version, part, &path, overwrite)?,
                    None => self.export(&name, version, &path, overwrite)?,
                };
                json!({ "exported": { "name": done.name, "version": done.version, "path": path, "bytes": bytes } })
            }
            Command::Import { path, name } => {
                json!({ "imported": self.import(&path, name.as_deref())? })
            }
            Command::Attach(foreign) => json!({ "attached": self.attach(&foreign)? }),
            Command::Verify { name } => json!({ "verified": self.verify(name.as_deref())? }),
            Command::RebuildIndex {} => {
                let (entries, moved_aside) = self.rebuilt()?;
                let versions: usize = entries.iter().map(|e| e.versions.len()).sum();
                json!({ "rebuilt": {
                    "subjects": entries.len(), "versions": versions, "moved_aside": moved_aside
                } })
            }
            Command::Revoke {
                name,
                version,
                reason,
            } => {
                self.revoke(&name, version, reason.as_deref().unwrap_or(""))?;
                json!({ "revoked": { "name": name, "version": version } })
            }
            Command::Renew {
                name,
                version,
                statement,
                person,
                person_agrees,
                expires,
            } => {
                let consent = Consent {
                    statement,
                    person: person.unwrap_or(false),
                    person_agrees: person_agrees.unwrap_or(false),
                    expires,
                };
                self.renew(&name, version, &consent)?;
                json!({ "renewed": { "name": name, "version": version } })
            }
            Command::Log { name, limit } => {
                json!({ "log": self.log().rows(name.as_deref(), limit.unwrap_or(100))? })
            }
            Command::Info {} => json!({ "info": self.info()? }),
        })
    }

    fn detail(&self, name: &str) -> Result<Detail> {
        let folder = self.existing(name)?.key;
        let entry = self
            .entries()?
            .into_iter()
            .find(|e| e.folder == folder)
            .ok_or_else(|| {
                Error::files(format!(
                    "subject “{name}” was just deleted by another program"
                ))
            })?;
        let record = record(&entry);
        let versions = entry
            .versions
            .into_iter()
            .map(|v| match v.card {
                Ok(card) => VersionDetail {
                    version: v.version,
                    known: Some(known(card, record.as_ref())),
                    problem: None,
                },
                Err(problem) => VersionDetail {
                    version: v.version,
                    known: None,
                    problem: Some(problem),
                },
            })
            .collect();
        Ok(Detail {
            name: entry.name,
            folder: self.subjects().join(entry.folder),
            earlier_names: entry.earlier_names,
            changes: entry.changes,
            versions,
            problem: entry.problem,
        })
    }

    fn info(&self) -> Result<Info> {
        let entries = self.entries()?;
        let unreadable = |e: &Entry| {
            usize::from(e.problem.is_some()) + e.versions.iter().filter(|v| v.card.is_err()).count()
        };
        Ok(Info {
            plugin: tool(),
            engines: vec!["patch"],
            library: self.root.clone(),
            subjects: entries.len(),
            versions: entries.iter().map(|e| e.versions.len()).sum(),
            problems: entries.iter().map(unreadable).sum(),
            log_head: self.log().rows(None, 1)?.pop().map(|row| row.hash),
        })
    }
}

/// The part of a record that says what became of the consent; `None` if it is damaged.
fn record(entry: &Entry) -> Option<Record> {
    let mut record = Record::new(&entry.name);
    record.changes.clone_from(&entry.changes);
    entry.problem.is_none().then_some(record)
}

fn consent_now(version: u32, learned: &Consent, record: Option<&Record>) -> ConsentNow {
    match record {
        Some(record) => {
            let (consent, standing) = record.consent(version, learned, today());
            ConsentNow {
                consent,
                standing: standing.word(),
            }
        }
        None => ConsentNow {
            consent: learned.clone(),
            standing: "unknown",
        },
    }
}

fn summary(entry: Entry) -> Summary {
    let record = record(&entry);
    let newest = entry.versions.last().map_or(0, |v| v.version);
    let unreadable = entry
        .versions
        .iter()
        .find_map(|v| v.card.as_ref().err().cloned());
    let card = entry
        .versions
        .iter()
        .rev()
        .find_map(|v| v.card.as_ref().ok());
    Summary {
        versions: entry.versions.iter().map(|v| v.version).collect(),
        newest,
        created: card.map(|c| c.provenance.created.clone()),
        size: card.map(|c| [c.rect[2], c.rect[3]]),
        words: card.map(|c| c.words.clone()).unwrap_or_default(),
        consent: card.map(|c| consent_now(c.version, &c.consent, record.as_ref())),
        thumbnail_png: card.map(|c| c.thumbnail_png.clone()),
        problem: entry.problem.or(unreadable),
        name: entry.name,
        folder: entry.folder,
    }
}

fn known(card: Card, record: Option<&Record>) -> Known {
    Known {
        consent: consent_now(card.version, &card.consent, record),
        created: card.provenance.created,
        imported: card.provenance.imported,
        tool: card.provenance.tool,
        recipe: card.recipe,
        engine: card.engine,
        base_model_sha256: card.base_model_sha256,
        text: card.text,
        request_sha256: card.provenance.request_sha256,
        source: card.source,
        rect: card.rect,
        words: card.words,
        metrics: card.metrics,
        tensors_bytes: card.tensors_bytes,
        tensors_sha256: card.tensors_sha256,
        thumbnail_png: card.thumbnail_png,
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
