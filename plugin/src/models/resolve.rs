//! From what a user writes to a file.

use std::path::{Path, PathBuf};

use super::{Found, Kind, Models, pocket};
use crate::engine::stable_diffusion::weights::hub;
use crate::{Error, Result};

/// How alike two names must be (Jaro–Winkler, 0 to 1) for one to be offered for the other.
const ALIKE: f64 = 0.8;

/// How many names an error lists.
const LISTED: usize = 8;

impl Models {
    /// The file or folder that `name` means: a path, a repository (`ORG/NAME`) in the Hugging Face cache, or the name of
    /// something that [`find`](Self::find) finds, with or without the folders above it and the ending, in any case; or
    /// [`pocket`](Self::pocket), where nothing of the user's has that name.
    ///
    /// # Errors
    /// `Caller` if nothing has this name (the message lists what there is, names like it first) or several things have it.
    pub fn resolve(&self, kind: Kind, name: &str) -> Result<PathBuf> {
        let path = Path::new(name);
        if path.is_absolute() {
            return if path.exists() {
                Ok(path.to_owned())
            } else {
                Err(Error::caller(format!(
                    "there is no {} at {name}",
                    kind.word()
                )))
            };
        }
        if let (Kind::Checkpoint, true, Some(cache)) =
            (kind, hub::is_repository(name), self.cache())
        {
            let folder = hub::folder(cache, name);
            if hub::snapshot(&folder).is_some() {
                return Ok(folder);
            }
        }
        let all = self.find(kind)?;
        // Exactly so first: names that differ in case alone are two models on most systems.
        let exact: Vec<&Found> = all.iter().filter(|f| f.name == name).collect();
        let wanted = plain(name);
        let chosen = if exact.is_empty() {
            all.iter().filter(|f| is_called(f, &wanted)).collect()
        } else {
            exact
        };
        match chosen.as_slice() {
            [one] => Ok(one.path.clone()),
            [] if kind == Kind::Checkpoint && wanted == pocket::NAME => self.pocket(),
            [] => Err(Error::caller(self.nothing(kind, name, &all))),
            several => Err(Error::caller(format!(
                "several {}s are called {name:?}; give the whole path of one: {}",
                kind.word(),
                several
                    .iter()
                    .map(|f| f.path.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    fn nothing(&self, kind: Kind, name: &str, all: &[Found]) -> String {
        let word = kind.word();
        let how = match kind {
            Kind::Checkpoint => format!(
                "Put one into {}, name a folder of them with `repose models folders add`, or download one with `repose \
                 models add ORG/NAME`",
                self.own().display()
            ),
            Kind::Lora => format!("Put it into {}", self.own().join("loras").display()),
            Kind::Embedding => format!("Put it into {}", self.own().join("embeddings").display()),
        };
        if all.is_empty() {
            return format!("there is no {word} called {name:?}, and none at all. {how}");
        }
        let wanted = plain(name);
        let mut ranked: Vec<(f64, &str)> = all
            .iter()
            .map(|f| {
                let own = plain(&f.name);
                let last = own.rsplit('/').next().unwrap_or(&own);
                let inside = own.contains(&wanted) || wanted.contains(last);
                let like = strsim::jaro_winkler(last, wanted.rsplit('/').next().unwrap_or(&wanted));
                (if inside { 1.0 } else { like }, f.name.as_str())
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near: Vec<&str> = ranked
            .iter()
            .filter(|(like, _)| *like >= ALIKE)
            .map(|(_, n)| *n)
            .take(3)
            .collect();
        let hint = if near.is_empty() {
            String::new()
        } else {
            format!(" Did you mean {}?", near.join(" or "))
        };
        let some: Vec<&str> = ranked.iter().map(|(_, n)| *n).take(LISTED).collect();
        let more = if all.len() > LISTED {
            format!(" and {} more", all.len() - LISTED)
        } else {
            String::new()
        };
        format!(
            "there is no {word} called {name:?}.{hint} There are: {}{more}. {how}",
            some.join(", ")
        )
    }
}

/// A name as it is compared.
fn plain(name: &str) -> String {
    let name = name.replace('\\', "/").to_lowercase();
    let ending = [".safetensors", ".ckpt", ".pt", ".bin"]
        .into_iter()
        .find_map(|e| name.strip_suffix(e));
    ending.map_or_else(|| name.clone(), str::to_owned)
}

fn is_called(found: &Found, wanted: &str) -> bool {
    let own = plain(&found.name);
    own == wanted || (!wanted.contains('/') && own.rsplit('/').next() == Some(wanted))
}
