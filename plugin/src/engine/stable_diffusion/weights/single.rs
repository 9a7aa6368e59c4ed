//! Single-file checkpoints, as A1111, ComfyUI and Civitai have them: all networks in one `.safetensors` file under LDM's
//! names.
//!
//! Weights stay where they lie in the mapped file: OpenCLIP's fused projections of queries, keys and values are three
//! ranges of one tensor, 1×1 convolutions of the autoencoder's attention are seen as matrices. Only OpenCLIP's text
//! projection is copied, because it lies transposed.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::config::ClipConfig;
use super::checkpoint::{Checkpoint, Family, Options, Part};
use super::folder::Configs;
use super::keys::clip::Place;
use super::store::{Store, owned};
use super::{infer, keys, prediction};
use crate::kernels::{Frozen, Values};
use crate::{Error, Result};

/// Where the U-Net begins in every such file.
const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";

/// Opens one.
///
/// # Errors
/// See [`Checkpoint::open`].
pub fn open(path: &Path, options: &Options) -> Result<Checkpoint> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .map(str::to_ascii_lowercase);
    if matches!(extension.as_deref(), Some("ckpt" | "pt" | "pth" | "bin")) && path.is_file() {
        return Err(Error::refused(format!(
            "{} is a pickle, which can run any program when it is read; Repose never does. Get the .safetensors file of \
             this model, or convert it with a program you trust",
            path.display()
        )));
    }
    from_store(&Store::open(path)?, options)
}

/// The generation of the model in a file; what it is instead, if it is no checkpoint of a generation that is run here.
pub fn family(store: &Store) -> Result<Family> {
    let has = |start: &str| {
        store
            .tensors()
            .range(start.to_owned()..)
            .next()
            .is_some_and(|(k, _)| k.starts_with(start))
    };
    let name = store.path().display();
    if has(UNET) {
        if has("conditioner.embedders.1.model.") && has("conditioner.embedders.0.transformer.") {
            return Ok(Family::Sdxl);
        }
        if has("conditioner.embedders.0.model.") {
            return Err(Error::refused(format!(
                "{name} is the SDXL refiner, which only finishes pictures: use the SDXL base model"
            )));
        }
        if has("cond_stage_model.model.") {
            return Ok(Family::Sd2);
        }
        if has("cond_stage_model.transformer.") {
            return Ok(Family::Sd1);
        }
    }
    let other = if has("model.diffusion_model.joint_blocks.") {
        "Stable Diffusion 3"
    } else if has("model.diffusion_model.double_blocks.") || has("double_blocks.") {
        "Flux"
    } else if has(UNET) {
        return Err(Error::files(format!(
            "{name} has a U-Net but no text encoder of Stable Diffusion 1.x, 2.x or XL: a whole checkpoint was expected"
        )));
    } else {
        return Err(Error::files(format!(
            "{name} is not a Stable Diffusion checkpoint: it has no weights that begin with {UNET} (`repose models verify` \
             says what it is)"
        )));
    };
    Err(Error::refused(format!(
        "{name} is a {other} model; Repose runs Stable Diffusion 1.x, 2.x and XL"
    )))
}

/// A checkpoint from its opened file.
///
/// # Errors
/// See [`Checkpoint::open`].
pub fn from_store(store: &Store, options: &Options) -> Result<Checkpoint> {
    let family = family(store)?;
    let configs = options.config.as_deref().map(Configs::read).transpose()?;
    if let Some(configs) = configs.as_ref().filter(|c| c.family() != family) {
        return Err(Error::caller(format!(
            "{} is {family}; the configurations given for it are of {}",
            store.path().display(),
            configs.family()
        )));
    }
    let source = store.path().display().to_string();
    let layers = unet_layers(store);
    let unet = renamed(store, UNET, |key| keys::unet::from_ldm(key, layers))?;
    let levels = vae_levels(store);
    let vae = squeezed(renamed(store, VAE, |key| keys::vae::from_ldm(key, levels))?)?;
    let encoder = |index: usize| configs.as_ref().map(|c| &c.text[index].1);
    let text = match family {
        Family::Sd1 => vec![open_ai(store, "cond_stage_model.transformer.", encoder(0))?],
        Family::Sd2 => vec![open_clip(
            store,
            "cond_stage_model.model.",
            true,
            encoder(0),
        )?],
        Family::Sdxl => vec![
            open_ai(store, "conditioner.embedders.0.transformer.", encoder(0))?,
            open_clip(store, "conditioner.embedders.1.model.", false, encoder(1))?,
        ],
    };
    let (unet_config, vae_config) = match &configs {
        Some(configs) => (configs.unet.clone(), configs.vae.clone()),
        None => {
            let pooled = text.get(1).map(|t| t.config.projection_dim);
            (
                infer::unet(&unet, family, layers, pooled, &source)?,
                infer::vae(&vae, family, &source)?,
            )
        }
    };
    let zeros = configs.as_ref().map(|c| c.zeros_for_empty);
    let scheduler = match configs {
        Some(configs) => configs.scheduler,
        None => prediction::scheduler(store, family, unet_config.in_channels, options.prediction),
    };
    Ok(Checkpoint {
        name: super::called(store.path()),
        path: store.path().to_owned(),
        family,
        unet: Part {
            source: source.clone(),
            tensors: unet,
            config: unet_config,
        },
        vae: Part {
            source,
            tensors: vae,
            config: vae_config,
        },
        tokenizers: vec![None; text.len()],
        text_encoders: text,
        scheduler,
        zeros_for_empty: zeros.unwrap_or(family == Family::Sdxl),
        precision: options.precision,
    })
}

/// Residual blocks of a level: the first downsampler follows them.
fn unet_layers(store: &Store) -> usize {
    let has = |i: usize, rest: &str| {
        store
            .tensors()
            .contains_key(&format!("{UNET}input_blocks.{i}.0.{rest}"))
    };
    (1..)
        .take_while(|i| !has(*i, "op.weight") && has(*i, "in_layers.2.weight"))
        .count()
        .max(1)
}

fn vae_levels(store: &Store) -> usize {
    (0..)
        .take_while(|i| {
            let first = format!("{VAE}decoder.up.{i}.block.0.conv1.weight");
            store.tensors().contains_key(&first)
        })
        .count()
}

/// The floating-point tensors below `prefix` under new names. Those that `rename` does not know are left out: single files
/// carry what other programs put there, and a network names what it misses.
fn renamed(
    store: &Store,
    prefix: &str,
    rename: impl Fn(&str) -> Option<String>,
) -> Result<HashMap<String, Frozen>> {
    let mut tensors = HashMap::new();
    for (key, rest) in below(store, prefix) {
        if let Some(name) = rename(rest) {
            tensors.insert(name, store.frozen(key)?);
        }
    }
    Ok(tensors)
}

/// The floating-point tensors below `prefix`: whole names, and the rest of each.
fn below<'a>(store: &'a Store, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    store
        .tensors()
        .range(prefix.to_owned()..)
        .map_while(move |(key, entry)| Some((key.as_str(), key.strip_prefix(prefix)?, entry)))
        .filter(|(_, _, entry)| entry.is_float())
        .map(|(key, rest, _)| (key, rest))
}

/// The autoencoder's weights with the 1×1 convolutions of its attention as matrices, which diffusers has since 0.13.
pub fn squeezed(mut tensors: HashMap<String, Frozen>) -> Result<HashMap<String, Frozen>> {
    for (name, weight) in &mut tensors {
        if name.contains(".attentions.")
            && let [rows, columns, 1, 1] = *weight.shape()
        {
            *weight = weight.reshaped(&[rows, columns])?;
        }
    }
    Ok(tensors)
}

/// A text encoder under transformers' names.
fn open_ai(store: &Store, prefix: &str, config: Option<&ClipConfig>) -> Result<Part<ClipConfig>> {
    let tensors = renamed(store, prefix, |key| Some(keys::clip::modern(key)))?;
    part(store, tensors, config, infer::open_ai)
}

/// A text encoder under OpenCLIP's names. `drop_last`: its last layer is not used, as in SD 2.x.
fn open_clip(
    store: &Store,
    prefix: &str,
    drop_last: bool,
    config: Option<&ClipConfig>,
) -> Result<Part<ClipConfig>> {
    let mut tensors = HashMap::new();
    for (key, rest) in below(store, prefix) {
        match keys::clip::from_open_clip(rest) {
            None => {}
            Some(Place::Whole(name)) => {
                tensors.insert(name, store.frozen(key)?);
            }
            Some(Place::Projection) => {
                tensors.insert(
                    "text_projection.weight".into(),
                    transposed(&store.frozen(key)?)?,
                );
            }
            Some(Place::Fused(layer, kind)) => {
                let shape = &store.entry(key)?.shape;
                let third = shape.first().unwrap_or(&0) / 3;
                let part: Vec<usize> = std::iter::once(third)
                    .chain(shape.iter().skip(1).copied())
                    .collect();
                for (i, projection) in ["q_proj", "k_proj", "v_proj"].into_iter().enumerate() {
                    let name =
                        format!("text_model.encoder.layers.{layer}.self_attn.{projection}.{kind}");
                    tensors.insert(name, store.rows(key, i * third, third, &part)?);
                }
            }
        }
    }
    if drop_last {
        let there = infer::layers(&tensors);
        let used = config.map_or(there.saturating_sub(1), |c| c.num_hidden_layers);
        tensors.retain(|name, _| keys::clip::layer(name).is_none_or(|layer| layer < used));
        // It projects the last layer's state, which is not there.
        tensors.remove("text_projection.weight");
    }
    part(store, tensors, config, infer::open_clip)
}

fn part(
    store: &Store,
    tensors: HashMap<String, Frozen>,
    config: Option<&ClipConfig>,
    infer: impl Fn(&HashMap<String, Frozen>, &str) -> Result<ClipConfig>,
) -> Result<Part<ClipConfig>> {
    let source = store.path().display().to_string();
    let config = match config {
        Some(config) => config.clone(),
        None => infer(&tensors, &source)?,
    };
    Ok(Part {
        source,
        tensors,
        config,
    })
}

fn transposed(weight: &Frozen) -> Result<Frozen> {
    fn turn<T: Copy>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
        (0..rows * columns)
            .map(|i| values[i % rows * columns + i / rows])
            .collect()
    }
    let [rows, columns] = *weight.shape() else {
        return Err(Error::files(format!(
            "the text projection has the shape {:?}; a matrix was expected",
            weight.shape()
        )));
    };
    let (dtype, shape) = (weight.dtype(), [columns, rows]);
    Ok(match weight.values() {
        Values::F32(values) => owned(turn(values, rows, columns), dtype, &shape),
        Values::F16(values) => owned(turn(values, rows, columns), dtype, &shape),
        Values::BF16(values) => owned(turn(values, rows, columns), dtype, &shape),
    }?)
}

/// The `.safetensors` files of a folder, by name.
pub fn candidates(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
                && path.is_file()
        })
        .collect();
    files.sort();
    files
}
