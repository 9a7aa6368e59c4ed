//! Embeddings that torch saved: a zip archive with a pickle and files of numbers, or, before torch 1.6, pickles and numbers
//! one after the other.
//!
//! A pickle is a program. Here it goes to [`pickle`](super::pickle), which executes nothing; how much it may unpack is bounded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use candle_core::DType;
use zip::ZipArchive;

use super::MAX_FILE;
use super::pickle::{Machine, Object, Stop, Value, View};
use crate::kernels::Frozen;
use crate::{Error, Result};

/// The longest pickle, in bytes: an embedding's has 1 KB.
const MAX_PICKLE: u64 = 1 << 20;

/// How a pickle of protocol 2 to 5 begins.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..])
}

/// Whether torch may have saved these bytes.
pub fn is_torch(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || (is_pickle(bytes) && bytes.get(8) != Some(&b'{'))
}

/// The tensors of an embedding, by their names.
///
/// # Errors
/// See [`Embedding::open`](super::Embedding::open).
pub fn tensors(path: &Path, bytes: &[u8]) -> Result<Vec<(String, Frozen)>> {
    let saved = if is_pickle(bytes) {
        legacy(bytes)
    } else {
        archive(bytes)
    };
    let name = path.display();
    let saved = saved.map_err(|stop| match stop {
        Stop::Damaged(why) => Error::files(format!("{name} is not a whole embedding: {why}")),
        Stop::Unsafe(what) => Error::refused(format!(
            "{name} is refused: its pickle wants {what}, which no embedding needs and which could run a program. Get it \
             as a .safetensors file"
        )),
    })?;
    let found = saved.named();
    if found.is_empty() {
        return Err(Error::files(format!(
            "{name} is not an embedding: a tensor in string_to_param, or tensors by their tokens, were expected"
        )));
    }
    found
        .into_iter()
        .map(|(token, view)| {
            let weight = saved
                .weight(&view)
                .map_err(|why| Error::files(format!("{name} is not a whole embedding: {why}")))?;
            Ok((token, weight))
        })
        .collect()
}

/// What torch saved.
struct Saved {
    machine: Machine,
    root: Value,
    storages: HashMap<String, Vec<u8>>,
}

impl Saved {
    fn dictionary(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.machine.object(value)? {
            Object::Dictionary(entries) => Some(entries),
            _ => None,
        }
    }

    fn entry(&self, dictionary: Value, name: &str) -> Option<Value> {
        let entries = self.dictionary(dictionary)?;
        // A later entry replaces an earlier one.
        entries
            .iter()
            .rev()
            .find_map(|(key, value)| match self.machine.object(*key)? {
                Object::Text(text) if text == name => Some(*value),
                _ => None,
            })
    }

    /// The tensors that are named: A1111's parameters (in a dictionary, or in a module's), else the outermost ones.
    fn named(&self) -> Vec<(String, View)> {
        let parameters = self
            .entry(self.root, "string_to_param")
            .map(|inner| self.entry(inner, "_parameters").unwrap_or(inner));
        let entries = self
            .dictionary(parameters.unwrap_or(self.root))
            .unwrap_or_default();
        entries
            .iter()
            .filter_map(|(key, value)| {
                match (self.machine.object(*key)?, self.machine.object(*value)?) {
                    (Object::Text(name), Object::Tensor(view)) => {
                        Some((name.clone(), view.clone()))
                    }
                    _ => None,
                }
            })
            .collect()
    }

    fn weight(&self, view: &View) -> std::result::Result<Frozen, String> {
        let storage = self
            .storages
            .get(&view.key)
            .ok_or("its numbers are missing")?;
        let size = match view.dtype {
            DType::F32 => 4,
            DType::F16 | DType::BF16 => 2,
            other => return Err(format!("its type is {other:?}; F32, F16 and BF16 are read")),
        };
        let bytes = view
            .shape
            .iter()
            .try_fold(size, |all: usize, n| all.checked_mul(*n))
            .and_then(|length| {
                let start = view.offset.checked_mul(size)?;
                storage.get(start..start.checked_add(length)?)
            })
            .ok_or("its numbers are cut off")?;
        let length = bytes.len();
        Frozen::new(Arc::new(bytes.to_vec()), 0..length, view.dtype, &view.shape)
            .map_err(|e| e.to_string())
    }
}

type Step<T> = std::result::Result<T, Stop>;

/// An archive: `NAME/data.pkl` and `NAME/data/KEY`.
fn archive(bytes: &[u8]) -> Step<Saved> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|_| Stop::Damaged("its archive cannot be read; it may be cut off"))?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| Some(name.ok()?.into_owned()))
        .collect();
    let mut left = MAX_FILE;
    let mut read = |name: &str, limit: u64| -> Step<Vec<u8>> {
        let entry = archive
            .by_name(name)
            .map_err(|_| Stop::Damaged("a file of its archive cannot be read"))?;
        let limit = limit.min(left);
        let mut out = Vec::new();
        entry
            .take(limit + 1)
            .read_to_end(&mut out)
            .map_err(|_| Stop::Damaged("a file of its archive is damaged"))?;
        if out.len() as u64 > limit {
            return Err(Stop::Damaged("it unpacks to more than an embedding has"));
        }
        left -= out.len() as u64;
        Ok(out)
    };
    let program = names
        .iter()
        .find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
        .ok_or(Stop::Damaged("its archive has no data.pkl"))?;
    let folder = program.strip_suffix("data.pkl").unwrap_or_default();
    if names
        .iter()
        .any(|n| n.strip_prefix(folder) == Some("byteorder"))
        && read(&format!("{folder}byteorder"), 16)? != b"little"
    {
        return Err(Stop::Damaged("its numbers are not little endian"));
    }
    let mut machine = Machine::default();
    let root = machine.run(&mut read(program, MAX_PICKLE)?.as_slice())?;
    let mut saved = Saved {
        machine,
        root,
        storages: HashMap::new(),
    };
    for (_, view) in saved.named() {
        let file = format!("{folder}data/{}", view.key);
        if let Entry::Vacant(place) = saved.storages.entry(view.key) {
            place.insert(read(&file, MAX_FILE)?);
        }
    }
    Ok(saved)
}

/// Before torch 1.6: a magic number, a version, the system, the object and the storages' keys as pickles, then for each key a
/// count and the numbers.
fn legacy(mut bytes: &[u8]) -> Step<Saved> {
    let mut machine = Machine::default();
    let bytes = &mut bytes;
    if !matches!(machine.run(bytes)?, Value::Int(_)) {
        return Err(Stop::Damaged("it is a pickle, but not one of torch's"));
    }
    machine.run(bytes)?;
    machine.run(bytes)?;
    let root = machine.run(bytes)?;
    let keys = machine.run(bytes)?;
    let keys = match machine.object(keys) {
        Some(Object::Sequence(keys)) => keys.clone(),
        _ => return Err(Stop::Damaged("it does not list its tensors")),
    };
    let mut saved = Saved {
        machine,
        root,
        storages: HashMap::new(),
    };
    let sizes: HashMap<String, usize> = saved
        .named()
        .into_iter()
        .map(|(_, view)| (view.key, view.dtype.size_in_bytes()))
        .collect();
    for key in keys {
        let Some(Object::Text(key)) = saved.machine.object(key) else {
            return Err(Stop::Damaged("it does not name its tensors"));
        };
        let key = key.clone();
        let (count, rest) = bytes
            .split_first_chunk::<8>()
            .ok_or(Stop::Damaged("it is cut off"))?;
        // A storage that no tensor of the embedding is in has a size that is not known here: nothing behind it can be read.
        let Some(size) = sizes.get(&key) else { break };
        let length = usize::try_from(u64::from_le_bytes(*count))
            .ok()
            .and_then(|count| count.checked_mul(*size));
        let (numbers, rest) = length
            .and_then(|length| rest.split_at_checked(length))
            .ok_or(Stop::Damaged("it is cut off"))?;
        saved.storages.insert(key, numbers.to_vec());
        *bytes = rest;
    }
    Ok(saved)
}
