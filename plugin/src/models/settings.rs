//! `settings.json`: what the user set once for all documents and hosts.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Models;
use crate::subject::disk::{self, Lock};
use crate::{Error, Result};

/// The longest file that is read.
const MAX_SETTINGS: u64 = 1 << 20;

/// The most folders that can be named.
const MAX_FOLDERS: usize = 100;

/// The settings. What a newer version wrote beside them is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Folders of models, beside our own and the Hugging Face cache.
    #[serde(default)]
    pub model_folders: Vec<PathBuf>,
    /// Settings of other versions.
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Models {
    /// Reads the settings; the default if there are none yet.
    ///
    /// # Errors
    /// `Files` if the file cannot be read or is damaged.
    pub fn settings(&self) -> Result<Settings> {
        if !self.settings.exists() {
            return Ok(Settings::default());
        }
        let bytes = disk::read_bounded(&self.settings, MAX_SETTINGS)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::files(format!(
                "the settings {} cannot be read: {e}. Mend the file, or delete it to begin anew",
                self.settings.display()
            ))
        })
    }

    /// Names a folder of models; one that is named already stays as it is.
    ///
    /// # Errors
    /// `Caller` if it is not there or its path does not begin at the root; `Files` if the settings cannot be written.
    pub fn add_folder(&self, folder: &Path) -> Result<Settings> {
        if !folder.is_absolute() {
            return Err(Error::caller(format!(
                "the folder {} was given by a path that depends on where one stands; give a whole path",
                folder.display()
            )));
        }
        if !folder.is_dir() {
            return Err(Error::caller(format!(
                "{} is not a folder",
                folder.display()
            )));
        }
        self.change(|settings| {
            if settings.model_folders.len() >= MAX_FOLDERS {
                return Err(Error::caller(format!(
                    "at most {MAX_FOLDERS} folders can be named; remove one first"
                )));
            }
            if !settings.model_folders.iter().any(|f| f == folder) {
                settings.model_folders.push(folder.to_owned());
            }
            Ok(())
        })
    }

    /// Forgets a folder; nothing in it is touched.
    ///
    /// # Errors
    /// `Caller` if it was not named; `Files` if the settings cannot be written.
    pub fn remove_folder(&self, folder: &Path) -> Result<Settings> {
        self.change(|settings| {
            let before = settings.model_folders.len();
            settings.model_folders.retain(|f| f != folder);
            if settings.model_folders.len() == before {
                return Err(Error::caller(format!(
                    "{} is not among the folders of models: {}",
                    folder.display(),
                    settings
                        .model_folders
                        .iter()
                        .map(|f| f.display().to_string())
                        .collect::<Vec<_>>()
                        .join(", ")
                )));
            }
            Ok(())
        })
    }

    fn change(&self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<Settings> {
        let folder = self.settings.parent().unwrap_or(Path::new("."));
        disk::make_folder(folder)?;
        let _lock = Lock::exclusive(&self.settings.with_extension("lock"))?;
        let mut settings = self.settings()?;
        change(&mut settings)?;
        let json = serde_json::to_vec_pretty(&settings).map_err(|e| Error::bug(e.to_string()))?;
        disk::replace(&self.settings, |draft| {
            let written = draft.as_file().write_all(&json);
            written.map_err(|e| disk::failed("write", &self.settings, e))
        })?;
        Ok(settings)
    }
}
