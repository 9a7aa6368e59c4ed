//! What a host asks about models: JSON in, JSON out, through the contract's `library_command`.
//!
//! | command | other fields (`?`: may be left out or null) | answer |
//! |---|---|---|
//! | `models` | | `models`, `loras`, `embeddings`: lists of [`Listed`]; `folders`: as below |
//! | `model-verify` | `path`, `hashes?` (false) | `model`: a [`Verdict`] and the `path` |
//! | `model-folders` | | `folders`: `{own, cache, named: [path]}` |
//! | `model-folder-add` | `path` | as `model-folders` |
//! | `model-folder-remove` | `path` | as `model-folders` |
//!
//! `path` in `model-verify` may be a name, too. With `hashes` it reads the whole file, which takes seconds.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Care, Found, Kind, Models, Verdict, verify};
use crate::{Error, Result};

/// The names of the commands here.
pub const NAMES: [&str; 5] = [
    "models",
    "model-verify",
    "model-folders",
    "model-folder-add",
    "model-folder-remove",
];

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    Models {},
    ModelVerify { path: String, hashes: Option<bool> },
    ModelFolders {},
    ModelFolderAdd { path: PathBuf },
    ModelFolderRemove { path: PathBuf },
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// What users call it.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// What it is.
    #[serde(flatten)]
    pub verdict: Verdict,
}

impl Models {
    /// Does what `json` asks, at once, and answers in JSON; see the [module](self).
    ///
    /// # Errors
    /// `Caller` if a field is not known or cannot be used; else as the work.
    pub fn command(&self, json: &str) -> Result<String> {
        let command: Command = serde_json::from_str(json)
            .map_err(|e| Error::caller(format!("the command about models cannot be used: {e}")))?;
        let answer = match command {
            Command::Models {} => json!({
                "models": self.listed(Kind::Checkpoint)?,
                "loras": self.listed(Kind::Lora)?,
                "embeddings": self.listed(Kind::Embedding)?,
                "folders": self.folders()?,
            }),
            Command::ModelVerify { path, hashes } => {
                let path = self.any(&path)?;
                let care = match hashes {
                    Some(true) => Care::Hashes,
                    _ => Care::Usual,
                };
                let verdict = verify(&path, care)?;
                let name = path.display().to_string();
                json!({ "model": Listed { name, path, verdict } })
            }
            Command::ModelFolders {} => json!({ "folders": self.folders()? }),
            Command::ModelFolderAdd { path } => {
                self.add_folder(&path)?;
                json!({ "folders": self.folders()? })
            }
            Command::ModelFolderRemove { path } => {
                self.remove_folder(&path)?;
                json!({ "folders": self.folders()? })
            }
        };
        serde_json::to_string(&answer).map_err(|e| Error::bug(e.to_string()))
    }

    /// What a path or a name of any kind means.
    fn any(&self, name: &str) -> Result<PathBuf> {
        if Path::new(name).is_absolute() {
            return Ok(PathBuf::from(name));
        }
        let other = [Kind::Lora, Kind::Embedding];
        self.resolve(Kind::Checkpoint, name).or_else(|error| {
            let found = other.iter().find_map(|kind| self.resolve(*kind, name).ok());
            found.ok_or(error)
        })
    }

    fn listed(&self, kind: Kind) -> Result<Vec<Listed>> {
        let found = self.find(kind)?.into_iter();
        Ok(found
            .map(|Found { name, path, .. }| {
                let verdict = verify(&path, Care::Quick).unwrap_or_else(|error| Verdict {
                    kind: "unknown",
                    problem: Some(error.message),
                    ..Verdict::default()
                });
                Listed {
                    name,
                    path,
                    verdict: expected(kind, verdict),
                }
            })
            .collect())
    }

    fn folders(&self) -> Result<Value> {
        Ok(json!({
            "own": self.own(),
            "cache": self.cache(),
            "named": self.settings()?.model_folders,
        }))
    }
}

/// A verdict with a problem if the thing is not what its folder is for.
fn expected(kind: Kind, mut verdict: Verdict) -> Verdict {
    let wanted = match kind {
        Kind::Checkpoint => "checkpoint",
        Kind::Lora => "lora",
        Kind::Embedding => "embedding",
    };
    if verdict.kind != wanted && verdict.problem.is_none() {
        verdict.problem = Some(format!(
            "it is a file of the kind {}, in a folder for the kind {wanted}",
            verdict.kind
        ));
    }
    verdict
}
