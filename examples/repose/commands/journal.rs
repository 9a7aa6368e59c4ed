//! What a batch has finished: one JSON line for each picture, brought to the disk at once.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// Name of the journal in the output folder.
pub const NAME: &str = "batch-state.jsonl";

/// How one picture ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// SHA-256 of all inputs and settings.
    pub key: String,
    /// The picture.
    pub photo: PathBuf,
    /// The results; empty if it failed.
    pub outputs: Vec<PathBuf>,
    /// Why it failed.
    pub error: Option<String>,
}

/// The journal of one output folder.
pub struct Journal {
    path: PathBuf,
    file: File,
    /// By key.
    lines: HashMap<String, Line>,
    /// Which key a result was last made for: other settings may have replaced it.
    made_for: HashMap<PathBuf, String>,
}

impl Journal {
    /// Reads what is there and goes on behind it. Lines that are not whole (the machine stopped while one was
    /// written) count as not done.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(NAME);
        let fail =
            |e: std::io::Error| Failure::file(&path, format!("cannot be read or written: {e}"));
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(&path)
            .map_err(fail)?;
        let mut lines = Vec::new();
        let mut whole = true;
        for line in BufReader::new(&file).split(b'\n') {
            let line = line.map_err(fail)?;
            let read = serde_json::from_slice::<Line>(&line);
            whole = read.is_ok() || line.is_empty();
            lines.extend(read);
        }
        if !whole {
            file.write_all(b"\n").map_err(fail)?;
        }
        let mut journal = Self {
            path,
            file,
            lines: HashMap::new(),
            made_for: HashMap::new(),
        };
        lines.into_iter().for_each(|line| journal.know(line));
        Ok(journal)
    }

    /// The results of the picture with this key, if they were made and are still there.
    pub fn finished(&self, key: &str) -> Option<&[PathBuf]> {
        let line = self.lines.get(key)?;
        let there = line.error.is_none()
            && line.outputs.iter().all(|path| {
                path.is_file() && self.made_for.get(path).is_some_and(|made| made == key)
            });
        there.then_some(line.outputs.as_slice())
    }

    /// Notes how a picture ended.
    pub fn note(&mut self, line: Line) -> Result<()> {
        let fail = |e: std::io::Error| Failure::file(&self.path, format!("cannot be written: {e}"));
        let mut text = serde_json::to_string(&line)
            .map_err(|e| Failure::file(&self.path, format!("cannot be written: {e}")))?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(fail)?;
        self.file.sync_data().map_err(fail)?;
        self.know(line);
        Ok(())
    }

    fn know(&mut self, line: Line) {
        for path in &line.outputs {
            self.made_for.insert(path.clone(), line.key.clone());
        }
        self.lines.insert(line.key.clone(), line);
    }
}
