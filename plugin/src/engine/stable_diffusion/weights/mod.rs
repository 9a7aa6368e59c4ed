//! Named weights, as files give them and networks take them.
//!
//! [`Checkpoint::open`] takes a file or folder apart ([`folder`], [`single`], [`hub`]) over [`store`], which reads one file;
//! [`keys`] knows the names.

mod checkpoint;
pub mod embedding;
pub mod folder;
pub mod hub;
mod infer;
pub mod keys;
pub mod lora;
mod map;
mod prediction;
pub mod single;
pub mod store;
pub mod taesd;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};

pub use checkpoint::{Checkpoint, Family, Options, Part};

use super::nn::Slot;
use crate::kernels::{Frozen, Precision};
use crate::{Error, Result};

/// The weights of one network under diffusers' state-dict names, seen from one module of it.
#[derive(Debug, Clone)]
pub struct Weights {
    network: Arc<Network>,
    path: String,
    precision: Precision,
}

#[derive(Debug)]
struct Network {
    /// What errors call it: a file or folder.
    source: String,
    tensors: HashMap<String, Frozen>,
    device: Device,
    slots: Mutex<BTreeMap<String, Slot>>,
}

impl Weights {
    /// The weights of a network that computes on `device`. `source` is what errors call it.
    pub fn new(
        source: impl Into<String>,
        tensors: HashMap<String, Frozen>,
        device: Device,
    ) -> Self {
        Self {
            network: Arc::new(Network {
                source: source.into(),
                tensors,
                device,
                slots: Mutex::default(),
            }),
            path: String::new(),
            precision: Precision::default(),
        }
    }

    /// The same weights, for a network whose products are computed to this precision on the CPU.
    pub fn in_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// See [`in_precision`](Self::in_precision).
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The same weights, seen from a module inside this one.
    pub fn at(&self, module: impl std::fmt::Display) -> Self {
        Self {
            network: Arc::clone(&self.network),
            path: self.name(&module.to_string()),
            precision: self.precision,
        }
    }

    /// The name of this module; empty for the network itself.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the network computes.
    pub fn device(&self) -> &Device {
        &self.network.device
    }

    /// Whether this module has a weight of this name.
    pub fn has(&self, name: &str) -> bool {
        self.network.tensors.contains_key(&self.name(name))
    }

    /// A weight of this module.
    ///
    /// # Errors
    /// `Files` if it is missing or has another shape, naming file and weight.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Frozen> {
        let name = self.name(name);
        let source = &self.network.source;
        let found = self.network.tensors.get(&name).ok_or_else(|| {
            Error::files(format!(
                "{source} has no weight {name}: it is not a whole checkpoint of this kind"
            ))
        })?;
        if found.shape() != shape {
            return Err(Error::files(format!(
                "{source}: the weight {name} has the shape {:?}; {shape:?} was expected",
                found.shape()
            )));
        }
        Ok(found.clone().in_precision(self.precision))
    }

    /// Tells that the network's weights are not needed for a while: mapped ones leave the process's memory until then.
    pub fn rest(&self) {
        self.network.tensors.values().for_each(Frozen::rest);
    }

    /// The shape of a weight of this module; `None` if there is none of this name.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.network
            .tensors
            .get(&self.name(name))
            .map(Frozen::shape)
    }

    /// A small weight (a bias, a norm's scale) as an `f32` tensor on the network's device.
    ///
    /// # Errors
    /// As [`get`](Self::get), or if the device has no room.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let frozen = self.get(name, shape)?;
        Ok(frozen.tensor(DType::F32, self.device())?)
    }

    /// The slot for adapters of this module, which is a projection; made when it is first asked for.
    pub fn slot(&self) -> Slot {
        let mut slots = lock(&self.network.slots);
        Arc::clone(slots.entry(self.path.clone()).or_default())
    }

    /// All projections of the network that can be adapted, by their module names. Ask after the network was built.
    pub fn slots(&self) -> BTreeMap<String, Slot> {
        lock(&self.network.slots).clone()
    }

    /// Takes all adapters off the network.
    pub fn take_off(&self) {
        for slot in lock(&self.network.slots).values() {
            lock(slot).clear();
        }
    }

    fn name(&self, name: &str) -> String {
        match (self.path.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{name}", self.path),
        }
    }
}

/// Poison is no danger here: what is guarded is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What users call a model, LoRA or embedding: the name of its file without the ending, or of its folder.
pub(crate) fn called(path: &std::path::Path) -> String {
    let name = if path.is_dir() {
        path.file_name()
    } else {
        path.file_stem()
    };
    name.map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}
