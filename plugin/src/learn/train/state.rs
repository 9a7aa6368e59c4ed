//! The state on disk from which training goes on.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::parts::Parts;
use crate::subject::disk::{self, damaged, failed, read_bounded};
use crate::{Error, Result};

/// The largest state that is read: of whole U-Nets, three times in f32.
const LIMIT: u64 = 32 << 30;
/// Key of the file's metadata: steps taken.
const COUNT: &str = "repose.steps";
/// Key of the file's metadata: what the training was of.
const OF: &str = "repose.of";

impl Parts {
    /// Writes values, moments, averages and the number of steps. `of` names what is trained, on what, and how: only the same
    /// training goes on from here.
    ///
    /// # Errors
    /// `Files` if it cannot be written; what was there before is then whole.
    pub(super) fn save(&self, path: &Path, of: &str) -> Result<()> {
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        for part in &self.all {
            let mut put = |what: &str, tensor: Tensor| {
                tensors.push((format!("{}/{what}", part.name), tensor))
            };
            put("value", part.value.detach());
            put("first", part.moments.first.clone());
            put("second", part.moments.second.clone());
            if let Some(average) = &part.average {
                put("average", average.clone());
            }
        }
        let meta = HashMap::from([
            (COUNT.to_owned(), self.count.to_string()),
            (OF.to_owned(), of.to_owned()),
        ]);
        if let Some(folder) = path.parent() {
            disk::make_folder(folder)?;
        }
        disk::replace(path, |draft| {
            safetensors::serialize_to_file(tensors, Some(meta), draft.path())
                .map_err(|e| failed("write", path, e))
        })
    }

    /// Takes up the state that [`save`](Self::save) wrote, if there is one of the same training. Returns whether there was.
    ///
    /// # Errors
    /// `Files` if the file is there and damaged.
    pub(super) fn resume(&mut self, path: &Path, of: &str) -> Result<bool> {
        if !path.exists() {
            return Ok(false);
        }
        let bytes = read_bounded(path, LIMIT)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(path, e))?;
        let told = header.metadata().clone().unwrap_or_default();
        if told.get(OF).map(String::as_str) != Some(of) {
            return Ok(false);
        }
        let count = told.get(COUNT).and_then(|c| c.parse().ok());
        let count = count.ok_or_else(|| damaged(path, "it does not tell its steps"))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| damaged(path, e))?;
        let find = |name: String, like: &Tensor| -> Result<Option<Tensor>> {
            let Some(found) = tensors.get(&name) else {
                return Ok(None);
            };
            if found.dims() != like.dims() || found.dtype() != like.dtype() {
                return Err(damaged(path, format!("{name} has another shape")));
            }
            Ok(Some(found.to_device(like.device())?))
        };
        // All is looked for before anything is taken up.
        let mut found = Vec::with_capacity(self.all.len());
        for part in &self.all {
            let like = part.value.as_tensor();
            let need = |what: &str| {
                let name = format!("{}/{what}", part.name);
                let missing = damaged(path, format!("it has no {name}"));
                find(name, like)?.ok_or(missing)
            };
            let average = find(format!("{}/average", part.name), like)?;
            found.push((need("value")?, need("first")?, need("second")?, average));
        }
        for (part, (value, first, second, average)) in self.all.iter_mut().zip(found) {
            part.value.set(&value).map_err(Error::from)?;
            part.moments.first = first;
            part.moments.second = second;
            part.average = average;
        }
        self.count = count;
        Ok(true)
    }
}
