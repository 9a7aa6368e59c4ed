//! A checkpoint: the networks of one model, whichever layout its files have.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use sha2::{Digest, Sha256};

use super::super::config::{ClipConfig, PredictionType, SchedulerConfig, UNetConfig, VaeConfig};
use super::{Weights, folder, hub, single, store};
use crate::kernels::{Frozen, Precision, Values};
use crate::subject::hex;
use crate::{Error, Result};

/// The generations of Stable Diffusion that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// 1.0 to 1.5: one text encoder, OpenAI's CLIP L.
    Sd1,
    /// 2.0 and 2.1: one text encoder, OpenCLIP H.
    Sd2,
    /// XL (base): CLIP L and OpenCLIP G.
    Sdxl,
}

impl Family {
    /// For lists: `sd1`, `sd2`, `sdxl`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sd1 => "sd1",
            Self::Sd2 => "sd2",
            Self::Sdxl => "sdxl",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd1 => "Stable Diffusion 1.x",
            Self::Sd2 => "Stable Diffusion 2.x",
            Self::Sdxl => "Stable Diffusion XL",
        })
    }
}

/// How a checkpoint is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Keep weights that are stored in `f32` as a copy in `f16`, and choose the `fp16` variant where a folder has both.
    pub half: bool,
    /// What the U-Net predicts, where a single file does not say it or says it wrong.
    pub prediction: Option<PredictionType>,
    /// A diffusers folder whose configurations hold for a single file, instead of what its shapes tell. The number of heads
    /// and of groups of a norm is in no shape: without this they are the published models'.
    pub config: Option<PathBuf>,
    /// What the U-Net's products are rounded to on the CPU. The autoencoder and the text encoders always compute in `f32`: they
    /// run once, and the autoencoder's errors are seen as they are.
    pub precision: Precision,
}

/// One network: weights under diffusers' names, and how they are wired.
#[derive(Clone)]
pub struct Part<C> {
    /// What errors call it: a file or folder.
    pub source: String,
    /// Its weights by their state-dict names. Text encoders begin with `text_model.`, as in published files.
    pub tensors: HashMap<String, Frozen>,
    /// How it is wired.
    pub config: C,
}

impl<C> Part<C> {
    /// The weights for a network that computes on `device`. They are shared, not copied.
    pub fn weights(&self, device: &Device) -> Weights {
        Weights::new(self.source.clone(), self.tensors.clone(), device.clone())
    }
}

impl<C: fmt::Debug> fmt::Debug for Part<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("source", &self.source)
            .field("tensors", &self.tensors.len())
            .field("config", &self.config)
            .finish()
    }
}

/// A whole model: opened, not yet built into networks.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What users call it: the file's or folder's name, or the repository's.
    pub name: String,
    /// The file or folder.
    pub path: PathBuf,
    /// Its generation.
    pub family: Family,
    /// The noise predictor.
    pub unet: Part<UNetConfig>,
    /// The autoencoder.
    pub vae: Part<VaeConfig>,
    /// One, or for SDXL two: CLIP L, then OpenCLIP G.
    pub text_encoders: Vec<Part<ClipConfig>>,
    /// The noise schedule and what is predicted.
    pub scheduler: SchedulerConfig,
    /// Whether an empty negative prompt is zeros instead of its encoding (`force_zeros_for_empty_prompt`).
    pub zeros_for_empty: bool,
    /// Folders with `vocab.json` and `merges.txt`, one for each text encoder that has its own.
    pub tokenizers: Vec<Option<PathBuf>>,
    /// See [`Options::precision`].
    pub precision: Precision,
}

impl Checkpoint {
    /// Opens a checkpoint: a diffusers folder, a single `.safetensors` file, or a repository's folder in the Hugging Face
    /// cache. Weights are mapped, not read, so this takes milliseconds and no memory unless `options.half` makes copies.
    ///
    /// # Errors
    /// `Files` if it is none of these, is not whole, or holds another kind of model; `Refused` for pickles and for models
    /// that this engine does not run. The message says what was found and what to do.
    pub fn open(path: &Path, options: &Options) -> Result<Self> {
        let mut opened = if !path.is_dir() {
            single::open(path, options)?
        } else if let Some(snapshot) = hub::snapshot(path) {
            let inside = inside(&snapshot)?;
            let mut opened = Self::open(&inside, options)?;
            opened.name = hub::repository(path).unwrap_or(opened.name);
            opened
        } else {
            folder::open(path, options)?
        };
        if options.half {
            opened.halve();
        }
        Ok(opened)
    }

    /// Whether its U-Net takes a mask and the masked picture beside the latent.
    pub fn inpainting(&self) -> bool {
        self.unet
            .tensors
            .get("conv_in.weight")
            .is_some_and(|w| w.shape().get(1) == Some(&9))
    }

    /// What identifies the model, in hex: SHA-256 over each weight's name, type, shape and 64 bytes of its beginning, middle
    /// and end, under diffusers' names in order.
    ///
    /// It reads a few thousandths of the file, so it takes a fraction of a second where a hash of all takes many; any
    /// training changes it, for it changes all weights. The same weights give the same hash in every layout. It does not
    /// detect damage between those places: that is what downloads' own hashes are for.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"repose weights 1\n");
        add(&mut hash, "unet", &self.unet.tensors);
        add(&mut hash, "vae", &self.vae.tensors);
        for part in &self.text_encoders {
            add(&mut hash, "text encoder", &part.tensors);
        }
        hex(&hash.finalize())
    }

    /// How many numbers all weights have together.
    pub fn parameters(&self) -> usize {
        let count = |tensors: &HashMap<String, Frozen>| -> usize {
            tensors
                .values()
                .map(|w| w.shape().iter().product::<usize>())
                .sum()
        };
        let text: usize = self.text_encoders.iter().map(|p| count(&p.tensors)).sum();
        count(&self.unet.tensors) + count(&self.vae.tensors) + text
    }

    /// The type in which most of the U-Net is stored.
    pub fn dtype(&self) -> DType {
        self.unet
            .tensors
            .values()
            .max_by_key(|w| w.shape().iter().product::<usize>())
            .map_or(DType::F32, Frozen::dtype)
    }

    fn halve(&mut self) {
        let text = self.text_encoders.iter_mut().map(|p| &mut p.tensors);
        for tensors in [&mut self.unet.tensors, &mut self.vae.tensors]
            .into_iter()
            .chain(text)
        {
            for weight in tensors.values_mut() {
                *weight = store::halved(weight);
            }
        }
    }
}

/// What a snapshot holds: itself where it is a diffusers folder, else its only single file.
fn inside(snapshot: &Path) -> Result<PathBuf> {
    if folder::is_one(snapshot) {
        return Ok(snapshot.to_owned());
    }
    let files = single::candidates(snapshot);
    match files.as_slice() {
        [file] => Ok(file.clone()),
        [] => Err(Error::files(format!(
            "{} has neither a model_index.json nor a .safetensors file: the download is not whole. Get the model again \
             with `repose models add`",
            snapshot.display()
        ))),
        several => Err(Error::files(format!(
            "{} has several checkpoints: give the path of one of {}",
            snapshot.display(),
            several
                .iter()
                .filter_map(|f| f.file_name()?.to_str())
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

fn add(hash: &mut Sha256, network: &str, tensors: &HashMap<String, Frozen>) {
    const SAMPLE: usize = 64;
    let mut names: Vec<_> = tensors.keys().collect();
    names.sort();
    for name in names {
        let weight = &tensors[name];
        hash.update(format!(
            "{network} {name} {:?} {:?}\n",
            weight.dtype(),
            weight.shape()
        ));
        let bytes: &[u8] = match weight.values() {
            Values::F32(values) => bytemuck::cast_slice(values),
            Values::F16(values) => bytemuck::cast_slice(values),
            Values::BF16(values) => bytemuck::cast_slice(values),
        };
        let last = bytes.len().saturating_sub(SAMPLE);
        for start in [0, last / 2, last] {
            hash.update(&bytes[start..bytes.len().min(start + SAMPLE)]);
        }
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
