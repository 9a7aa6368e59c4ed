//! LoRA files (low-rank changes, arXiv 2106.09685) as users have them: kohya's and LyCORIS' LoCon, PEFT's, and the older ones
//! of diffusers.
//!
//! [`Lora::open`] groups the tensors by the projection they change; [`Lora::changes`] finds these projections in a model.
//! Neither reads a matrix before its shape has been compared with the projection's.

mod keys;
mod merge;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use serde_json::Value;

use super::super::nn::{Adapter, put};
use super::Weights;
use super::store::Store;
use crate::{Error, Result};
use keys::Role;
pub use keys::Target;

/// A LoRA file, taken apart.
#[derive(Debug, Clone)]
pub struct Lora {
    /// What users call it.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    store: Store,
    /// By the module's name as the file has it.
    groups: BTreeMap<String, Group>,
    /// Tensors that belong to no group.
    strange: Vec<String>,
    scales: Scales,
}

/// The tensors that change one projection, by their names.
#[derive(Debug, Clone, Default)]
struct Group {
    down: Option<String>,
    up: Option<String>,
    mid: Option<String>,
    alpha: Option<String>,
}

/// What a PEFT file's header says about scales; kohya's alphas are tensors.
#[derive(Debug, Clone, Default)]
struct Scales(Value);

impl Scales {
    /// The scale for a module of this rank: alpha / rank, or alpha / √rank where the file says rank-stabilised
    /// (arXiv 2312.03732); 1 where it says nothing, as in diffusers.
    fn of(&self, stem: &str, rank: usize) -> f64 {
        let network = stem.split_once('.').map_or(stem, |(network, _)| network);
        let field = |name: &str| {
            let own = &self.0[format!("{network}.{name}")];
            if own.is_null() {
                self.0[name].clone()
            } else {
                own.clone()
            }
        };
        let by_name = field("alpha_pattern")
            .as_object()
            .and_then(|o| o.iter().find(|(name, _)| stem.ends_with(*name))?.1.as_f64());
        let Some(alpha) = by_name.or_else(|| field("lora_alpha").as_f64()) else {
            return 1.0;
        };
        let rank = rank as f64;
        alpha
            / if field("use_rslora") == true {
                rank.sqrt()
            } else {
                rank
            }
    }
}

/// The networks of a model, as a LoRA sees them: [`Weights`] at their roots, after the networks were built.
#[derive(Debug, Clone, Copy)]
pub struct Networks<'a> {
    /// The U-Net.
    pub unet: &'a Weights,
    /// Residual blocks of each of its levels, for LDM's block names.
    pub layers: usize,
    /// The text encoders.
    pub text: &'a [Weights],
}

/// One projection's change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which network.
    pub target: Target,
    /// The projection's diffusers name.
    pub module: String,
    /// The change at the file's own scale.
    pub adapter: Adapter,
}

/// What a LoRA changes in one model.
#[derive(Debug, Clone)]
pub struct Changes {
    /// The changes.
    pub changes: Vec<Change>,
    /// Names of the file's that mean nothing in this model, sorted.
    pub unmatched: Vec<String>,
}

impl Lora {
    /// Opens a file and groups its tensors.
    ///
    /// # Errors
    /// `Files` if it cannot be read or is no LoRA; `Refused` for relatives of LoRA whose changes are not low-rank sums
    /// (DoRA, LoHa, LoKr, OFT, (IA)³, whole differences).
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(Store::open(path)?)
    }

    /// The same for an open file.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of(store: Store) -> Result<Self> {
        let name = store.path().display();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        let mut strange = Vec::new();
        for key in store.tensors().keys() {
            let Some((stem, role)) = keys::role(key) else {
                strange.push(key.clone());
                continue;
            };
            if let Role::Other(kind) = role {
                return Err(Error::refused(format!(
                    "{name} is a {kind} (it has {key}); Repose applies LoRA and LoCon. Convert it, or use another file"
                )));
            }
            let group = groups.entry(stem.to_owned()).or_default();
            let place = match role {
                Role::Down => &mut group.down,
                Role::Up => &mut group.up,
                Role::Mid => &mut group.mid,
                _ => &mut group.alpha,
            };
            *place = Some(key.clone());
        }
        // An alpha alone says nothing, and is no LoRA.
        groups.retain(|stem, group| {
            let whole = group.down.is_some() || group.up.is_some();
            if !whole {
                strange.push(stem.clone());
            }
            whole
        });
        if groups.is_empty() {
            return Err(Error::files(format!(
                "{name} is not a LoRA: it has no tensor with a name like lora_down or lora_A (`repose models verify` says \
                 what it is)"
            )));
        }
        let scales = store
            .metadata()
            .get("lora_adapter_metadata")
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        Ok(Self {
            name: super::called(store.path()),
            path: store.path().to_owned(),
            groups,
            strange,
            scales: Scales(scales),
            store,
        })
    }

    /// How many projections it changes.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether it changes nothing; never for a file that [`open`](Self::open) took.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The names of the modules that it changes, as the file has them.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// What it changes in a model. Matrices are copied in `f32` to each network's device.
    ///
    /// # Errors
    /// `Files` if a matrix is missing, has another shape than its projection needs, or if nothing in it fits this model:
    /// it was made for another generation.
    pub fn changes(&self, networks: &Networks) -> Result<Changes> {
        let names = keys::Names::new(networks);
        let (mut changes, mut unmatched) = (Vec::new(), self.strange.clone());
        for (stem, group) in &self.groups {
            match names.find(stem) {
                Some((target, module)) => {
                    let weights = match target {
                        Target::UNet => networks.unet,
                        Target::Text(index) => &networks.text[index],
                    };
                    let adapter = self.adapter(stem, group, &module, weights)?;
                    changes.push(Change {
                        target,
                        module,
                        adapter,
                    });
                }
                None => unmatched.push(stem.clone()),
            }
        }
        unmatched.sort();
        if changes.is_empty() {
            return Err(Error::files(format!(
                "{}: none of its {} changes fits this model (the first is of {}): it was made for another kind of model",
                self.path.display(),
                self.groups.len(),
                unmatched.first().map_or("", String::as_str)
            )));
        }
        Ok(Changes { changes, unmatched })
    }

    fn adapter(
        &self,
        stem: &str,
        group: &Group,
        module: &str,
        weights: &Weights,
    ) -> Result<Adapter> {
        let wrong = |why: String| Error::files(format!("{}: {stem}: {why}", self.path.display()));
        let (Some(down), Some(up)) = (&group.down, &group.up) else {
            return Err(wrong(
                "it has only one of its two matrices; the file is not whole".into(),
            ));
        };
        let shape = |key: &str| Ok::<_, Error>(self.store.entry(key)?.shape.as_slice());
        let mid = group.mid.as_deref().map(shape).transpose()?;
        let weight = weights
            .shape(&format!("{module}.weight"))
            .unwrap_or_default();
        let plan = merge::Plan::new(weight, shape(down)?, shape(up)?, mid).map_err(|came| {
            wrong(format!(
                "{came}; the model's {module} has a weight of the shape {weight:?}. This LoRA was made for another model"
            ))
        })?;
        let scale = match &group.alpha {
            Some(alpha) => self.number(alpha)? / plan.rank as f64,
            None => self.scales.of(stem, plan.rank),
        };
        if !scale.is_finite() {
            return Err(wrong(format!(
                "its scale is {scale}; a number was expected"
            )));
        }
        let device = weights.device();
        let read = |key: &str| -> Result<Tensor> {
            Ok(self.store.frozen(key)?.tensor(DType::F32, device)?)
        };
        let mid = group.mid.as_deref().map(read).transpose()?;
        let (down, up) = plan.matrices(&read(down)?, &read(up)?, mid.as_ref())?;
        Ok(Adapter { down, up, scale })
    }

    /// A tensor of one number.
    fn number(&self, key: &str) -> Result<f64> {
        let entry = self.store.entry(key)?;
        if entry.count() != 1 {
            return Err(Error::files(format!(
                "{}: {key} has the shape {:?}; one number was expected",
                self.path.display(),
                entry.shape
            )));
        }
        if let (safetensors::Dtype::I64, Ok(raw)) = (entry.dtype, self.store.raw(entry).try_into())
        {
            return Ok(i64::from_le_bytes(raw) as f64);
        }
        let mut out = [0.0];
        self.store.frozen(key)?.values().widen(0, &mut out);
        Ok(f64::from(out[0]))
    }
}

impl Changes {
    /// Puts the changes on top of what the networks' projections have, each times `weight`.
    pub fn put(&self, networks: &Networks, weight: f64) {
        for change in &self.changes {
            let weights = match change.target {
                Target::UNet => networks.unet,
                Target::Text(index) => &networks.text[index],
            };
            let mut adapter = change.adapter.clone();
            adapter.scale *= weight;
            put(&weights.at(&change.module).slot(), adapter);
        }
    }

    /// A sentence for the user about what was left out; `None` if nothing was.
    pub fn left_out(&self) -> Option<String> {
        let first = self.unmatched.first()?;
        Some(format!(
            "{} of its entries mean nothing in this model and were left out; the first is {first}",
            self.unmatched.len()
        ))
    }
}

#[cfg(test)]
mod tests;
