//! What learning takes on this machine: measured at the start of each training, kept in the library.

use std::collections::BTreeMap;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::subject::Library;
use crate::subject::disk;

/// The file in the library's folder, and the largest that is read.
const FILE: &str = "speeds.json";
const MAX_FILE: u64 = 1 << 20;
/// As many models are remembered.
const MODELS: usize = 64;

/// What a step of training was seen to take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Seconds that one sample takes on its way through the U-Net.
    pub pass: f32,
    /// The most memory that the whole program had at a time, the host's in it, in bytes; `None` where the system does not tell.
    pub memory: Option<u64>,
}

/// What was measured of all models that were to learn something here, the last one first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Speeds {
    models: Vec<Speed>,
}

/// What was measured of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// What the user calls it.
    pub model: String,
    /// Seconds that one sample takes on its way through the U-Net.
    pub pass: f32,
    /// The most memory that the program had at a time, in bytes, for each recipe that was measured.
    pub memory: BTreeMap<String, u64>,
}

impl Speeds {
    /// What the library remembers. What cannot be read is forgotten: the next training measures anew.
    pub fn read(library: &Library) -> Self {
        let bytes = disk::read_bounded(&library.root().join(FILE), MAX_FILE);
        let read = bytes.ok().and_then(|b| serde_json::from_slice(&b).ok());
        read.unwrap_or_default()
    }

    /// Remembers what was measured.
    ///
    /// # Errors
    /// `Files` if it cannot be written.
    pub fn note(library: &Library, model: &str, recipe: &str, now: Measured) -> Result<()> {
        let mut speeds = Self::read(library);
        speeds.put(model, recipe, now);
        let text = serde_json::to_vec(&speeds).map_err(|e| crate::Error::bug(e.to_string()))?;
        disk::make_folder(library.root())?;
        let path = library.root().join(FILE);
        disk::replace(&path, |draft| {
            let written = draft.as_file().write_all(&text);
            written.map_err(|e| disk::failed("write", &path, e))
        })
    }

    /// Of this model; `None`: of the last one.
    pub fn of(&self, model: Option<&str>) -> Option<&Speed> {
        let wanted = |speed: &&Speed| model.is_none_or(|model| speed.model == model);
        self.models.iter().find(wanted)
    }

    fn put(&mut self, model: &str, recipe: &str, now: Measured) {
        let at = self.models.iter().position(|speed| speed.model == model);
        let mut speed = at.map(|at| self.models.remove(at)).unwrap_or_default();
        speed.model = model.to_owned();
        speed.pass = now.pass;
        if let Some(memory) = now.memory {
            speed.memory.insert(recipe.to_owned(), memory);
        }
        self.models.insert(0, speed);
        self.models.truncate(MODELS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_model_and_its_newest_pace_are_told() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|e| crate::Error::files(e.to_string()))?;
        let library = Library::open(Some(folder.path().to_owned()))?;
        assert_eq!(Speeds::read(&library), Speeds::default());
        let seen = |pass, memory| Measured { pass, memory };
        Speeds::note(&library, "a", "lipe", seen(2.0, Some(7)))?;
        Speeds::note(&library, "b", "lipe", seen(3.0, None))?;
        Speeds::note(&library, "a", "detex", seen(1.0, Some(9)))?;
        let speeds = Speeds::read(&library);
        assert_eq!(speeds.of(None).map(|s| s.model.as_str()), Some("a"));
        assert_eq!(speeds.of(Some("b")).map(|s| s.pass), Some(3.0));
        assert_eq!(speeds.of(Some("c")), None);
        let a = speeds.of(Some("a")).cloned().unwrap_or_default();
        assert_eq!(a.pass, 1.0);
        let memory = [("detex".to_owned(), 9), ("lipe".to_owned(), 7)];
        assert_eq!(a.memory, BTreeMap::from(memory));
        // Whatever lies there instead is no obstacle.
        for broken in ["", "[]", "{\"models\": 3}"] {
            disk::replace(&folder.path().join(FILE), |draft| {
                let written = draft.as_file().write_all(broken.as_bytes());
                written.map_err(|e| crate::Error::files(e.to_string()))
            })?;
            assert_eq!(Speeds::read(&library), Speeds::default());
        }
        Speeds::note(&library, "a", "lipe", seen(2.0, None))
    }
}
