//! Says what a file is.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use candle_core::{DType, Device};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::engine::stable_diffusion::clip::TextEncoder;
use crate::engine::stable_diffusion::unet::UNet;
use crate::engine::stable_diffusion::vae::Vae;
use crate::engine::stable_diffusion::weights::embedding::Embedding;
use crate::engine::stable_diffusion::weights::lora::Lora;
use crate::engine::stable_diffusion::weights::store::{Store, foreign};
use crate::engine::stable_diffusion::weights::{Checkpoint, Options, hub, single};
use crate::subject::hex;
use crate::{Error, Result};

/// What a file or folder is. What is not known is null.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Verdict {
    /// `checkpoint`, `lora`, `embedding`, `vae`, `unet`, `text_encoder`, `pickle` or `unknown`.
    pub kind: &'static str,
    /// `sd1`, `sd2` or `sdxl`.
    pub family: Option<&'static str>,
    /// `diffusers`, `single_file` or `hub`.
    pub layout: Option<&'static str>,
    /// Whether it takes a mask.
    pub inpainting: Option<bool>,
    /// `epsilon`, `v_prediction` or `sample`.
    pub prediction: Option<String>,
    /// The type of most of its numbers.
    pub dtype: Option<String>,
    /// How many numbers it has.
    pub parameters: Option<usize>,
    /// Whether a tokenizer comes with it; the built-in one is used where none does.
    pub tokenizer: Option<bool>,
    /// What identifies a checkpoint, in whichever layout.
    pub fingerprint: Option<String>,
    /// Words that an embedding is written with.
    pub tokens: Vec<String>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Whether each file in the Hugging Face cache has the hash that it is named after; null where there is none to compare.
    pub hashes_match: Option<bool>,
    /// What is wrong with it, in words; null if it can be used.
    pub problem: Option<String>,
}

/// How closely a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Headers alone: for lists.
    Quick,
    /// A little of each tensor too: finds what is missing, gives the fingerprint.
    Usual,
    /// All of it, compared with the hashes it was downloaded by.
    Hashes,
}

/// Looks at a file or folder.
///
/// # Errors
/// `Files` if there is nothing at `path`. A file that cannot be used is no error: the verdict says why.
pub fn verify(path: &Path, care: Care) -> Result<Verdict> {
    if !path.exists() {
        return Err(Error::files(format!(
            "there is nothing at {}",
            path.display()
        )));
    }
    let mut verdict = match look(path, care) {
        Ok(verdict) => verdict,
        Err(error) => Verdict {
            kind: if is_pickle(path) { "pickle" } else { "unknown" },
            problem: Some(error.message),
            ..Verdict::default()
        },
    };
    verdict.bytes = size(path, 0);
    if care == Care::Hashes {
        verdict.hashes_match = hashed(path, 0)?;
        if verdict.hashes_match == Some(false) {
            verdict.problem = Some(format!(
                "a file of {} does not have the hash it was downloaded by: it is damaged. Delete the model's folder and \
                 download it again with `repose models add`",
                path.display()
            ));
        }
    }
    Ok(verdict)
}

fn look(path: &Path, care: Care) -> Result<Verdict> {
    if path.is_dir() {
        let opened = Checkpoint::open(path, &Options::default())?;
        let layout = if hub::repository(path).is_some() {
            "hub"
        } else {
            "diffusers"
        };
        return Ok(checkpoint(&opened, layout, care));
    }
    if is_pickle(path) {
        // An embedding's pickle can be read; all others stay closed.
        return match Embedding::open(path) {
            Ok(read) => Ok(embedding(&read)),
            Err(error) => Ok(Verdict {
                kind: "pickle",
                problem: Some(error.message),
                ..Verdict::default()
            }),
        };
    }
    let store = Store::open(path)?;
    let mut verdict = tensors(path, &store, care);
    verdict.parameters = Some(store.tensors().values().map(|e| e.count()).sum());
    let largest = store.tensors().values().max_by_key(|e| e.count());
    verdict.dtype = largest.map(|e| format!("{:?}", e.dtype).to_lowercase());
    Ok(verdict)
}

/// What the names in a safetensors file say it is.
fn tensors(path: &Path, store: &Store, care: Care) -> Verdict {
    let has = |part: &str| store.tensors().keys().any(|name| name.contains(part));
    let of = |kind, problem: Option<String>| Verdict {
        kind,
        problem,
        ..Verdict::default()
    };
    if has("model.diffusion_model.") && !has("lora_") {
        return match Checkpoint::open(path, &Options::default()) {
            Ok(opened) => checkpoint(&opened, "single_file", care),
            Err(error) => Verdict {
                family: single::family(store).ok().map(|f| f.word()),
                ..of("checkpoint", Some(error.message))
            },
        };
    }
    if has("lora") || has(".hada_") || has(".lokr_") {
        let family = lora_family(store);
        return match Lora::of(store.clone()) {
            Ok(_) => Verdict {
                family,
                ..of("lora", None)
            },
            Err(error) => of("lora", Some(error.message)),
        };
    }
    if let Ok(read) = Embedding::open(path) {
        return embedding(&read);
    }
    let part = |name: &str| {
        Some(format!(
            "it is a part of a model ({name}) alone; poses by words need a whole checkpoint"
        ))
    };
    if has("decoder.conv_in.") && has("encoder.conv_in.") {
        of("vae", part("the autoencoder"))
    } else if has("down_blocks.0.resnets.") {
        of("unet", part("the U-Net"))
    } else if has("text_model.encoder.layers.") {
        of("text_encoder", part("the text encoder"))
    } else {
        let first = store
            .tensors()
            .keys()
            .next()
            .map_or("nothing", String::as_str);
        of(
            "unknown",
            Some(format!(
                "it is no model that Repose knows: its first tensor is {first}"
            )),
        )
    }
}

fn checkpoint(opened: &Checkpoint, layout: &'static str, care: Care) -> Verdict {
    Verdict {
        kind: "checkpoint",
        family: Some(opened.family.word()),
        layout: Some(layout),
        inpainting: Some(opened.inpainting()),
        prediction: serde_json::to_value(opened.scheduler.prediction_type)
            .ok()
            .and_then(|v| Some(v.as_str()?.to_owned())),
        dtype: Some(format!("{:?}", opened.dtype()).to_lowercase()),
        parameters: Some(opened.parameters()),
        tokenizer: Some(opened.tokenizers.iter().all(Option::is_some)),
        fingerprint: (care != Care::Quick).then(|| opened.fingerprint()),
        problem: (care != Care::Quick)
            .then(|| whole(opened).err())
            .flatten()
            .map(|error| error.message),
        ..Verdict::default()
    }
}

/// That no weight is missing and each has its shape: the networks are built, which copies their small weights alone, and
/// forgotten.
fn whole(opened: &Checkpoint) -> Result<()> {
    let cpu = &Device::Cpu;
    UNet::new(&opened.unet.config, &opened.unet.weights(cpu), DType::F32)?;
    Vae::new(&opened.vae.config, &opened.vae.weights(cpu))?;
    for part in &opened.text_encoders {
        TextEncoder::new(&part.config, &part.weights(cpu), DType::F32)?;
    }
    Ok(())
}

fn embedding(read: &Embedding) -> Verdict {
    let widths: Vec<usize> = read
        .vectors
        .iter()
        .filter_map(|v| v.dims().get(1).copied())
        .collect();
    Verdict {
        kind: "embedding",
        family: match widths.as_slice() {
            [768] => Some("sd1"),
            [1024] => Some("sd2"),
            [768, 1280] => Some("sdxl"),
            _ => None,
        },
        tokens: read.tokens.clone(),
        parameters: Some(read.count() * widths.iter().sum::<usize>()),
        dtype: Some("f32".into()),
        ..Verdict::default()
    }
}

/// The generation that a LoRA was made for: its cross-attention takes texts of that width.
fn lora_family(store: &Store) -> Option<&'static str> {
    store.tensors().iter().find_map(|(name, entry)| {
        let first = name.contains("attn2")
            && name.contains("to_k")
            && (name.contains("down") || name.contains("lora_A"));
        // The up matrix's name may have `down_blocks` in it.
        let first = first
            && !name.contains("lora_up")
            && !name.contains("lora.up")
            && !name.contains("lora_B");
        match entry.shape.get(1).filter(|_| first)? {
            768 => Some("sd1"),
            1024 => Some("sd2"),
            2048 => Some("sdxl"),
            _ => None,
        }
    })
}

fn is_pickle(path: &Path) -> bool {
    let mut head = [0; 16];
    let read = File::open(path)
        .and_then(|mut f| f.read(&mut head))
        .unwrap_or(0);
    foreign(&head[..read]).is_some_and(|said| said.contains("pickle"))
}

/// How deep a model's folders go; the cache has the most.
const MAX_DEPTH: usize = 6;

fn size(path: &Path, depth: usize) -> u64 {
    if path.is_dir() && depth < MAX_DEPTH {
        // In the cache, snapshots link to blobs: counted once.
        let root = if depth == 0 {
            hub::snapshot(path)
        } else {
            None
        };
        let entries = root.as_deref().unwrap_or(path).read_dir();
        return entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| size(&e.path(), depth + 1))
            .sum();
    }
    path.metadata()
        .map_or(0, |m| if m.is_file() { m.len() } else { 0 })
}

/// Whether all files below `path` that are named after their SHA-256 (links to the cache's blobs) have it.
fn hashed(path: &Path, depth: usize) -> Result<Option<bool>> {
    if path.is_dir() {
        if depth >= MAX_DEPTH {
            return Ok(None);
        }
        let root = if depth == 0 {
            hub::snapshot(path)
        } else {
            None
        };
        let mut all = None;
        for entry in root
            .as_deref()
            .unwrap_or(path)
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
        {
            if let Some(matches) = hashed(&entry.path(), depth + 1)? {
                all = Some(matches && all.unwrap_or(true));
            }
        }
        return Ok(all);
    }
    let failed = |e: std::io::Error| Error::files(format!("cannot read {}: {e}", path.display()));
    let real = std::fs::canonicalize(path).map_err(failed)?;
    let name = real
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    if name.len() != 64 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    let mut file = File::open(&real).map_err(failed)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(Some(hex(&hash.finalize()).eq_ignore_ascii_case(name)));
        }
        hash.update(&buffer[..read]);
    }
}
