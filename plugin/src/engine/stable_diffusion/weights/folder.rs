//! diffusers folders: a folder for each network, with `config.json` and one file of weights or several.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::super::config::{AdditionEmbed, ClipConfig, SchedulerConfig, UNetConfig, VaeConfig};
use super::checkpoint::{Checkpoint, Family, Options, Part};
use super::keys;
use super::store::Store;
use crate::kernels::Frozen;
use crate::{Error, Result};

/// The longest JSON file that is read; an index of SDXL's shards has 200 KB.
const MAX_JSON: u64 = 8 << 20;

/// Whether a folder has the outer marks of one.
pub fn is_one(folder: &Path) -> bool {
    folder.join("model_index.json").is_file() || folder.join("unet").join("config.json").is_file()
}

/// Opens one.
///
/// # Errors
/// See [`Checkpoint::open`].
pub fn open(folder: &Path, options: &Options) -> Result<Checkpoint> {
    if !is_one(folder) {
        return Err(Error::files(format!(
            "{} is not a model: a diffusers folder (with model_index.json) or a .safetensors file was expected",
            folder.display()
        )));
    }
    let configs = Configs::read(folder)?;
    let part = |name: &str| folder.join(name);
    let unet = load(&part("unet"), NETWORK, options, str::to_owned)?;
    let vae = load(&part("vae"), NETWORK, options, keys::vae::modern)?;
    let mut text_encoders = Vec::new();
    for (name, config) in configs.text.iter() {
        let tensors = load(&part(name), TEXT, options, keys::clip::modern)?;
        text_encoders.push(Part {
            source: part(name).display().to_string(),
            tensors,
            config: config.clone(),
        });
    }
    let tokenizer = |name: &str| {
        Some(part(name))
            .filter(|p| p.join("vocab.json").is_file() && p.join("merges.txt").is_file())
    };
    let mut tokenizers = vec![tokenizer("tokenizer")];
    if text_encoders.len() > 1 {
        tokenizers.push(tokenizer("tokenizer_2"));
    }
    Ok(Checkpoint {
        name: super::called(folder),
        path: folder.to_owned(),
        family: configs.family(),
        unet: Part {
            source: part("unet").display().to_string(),
            tensors: unet,
            config: configs.unet,
        },
        vae: Part {
            source: part("vae").display().to_string(),
            tensors: super::single::squeezed(vae)?,
            config: configs.vae,
        },
        text_encoders,
        scheduler: configs.scheduler,
        zeros_for_empty: configs.zeros_for_empty,
        tokenizers,
        precision: options.precision,
    })
}

/// The configurations of a diffusers folder.
pub struct Configs {
    /// `unet/config.json`
    pub unet: UNetConfig,
    /// `vae/config.json`
    pub vae: VaeConfig,
    /// `text_encoder/config.json` and, for SDXL, `text_encoder_2/config.json`, by their folders.
    pub text: Vec<(&'static str, ClipConfig)>,
    /// `scheduler/scheduler_config.json`
    pub scheduler: SchedulerConfig,
    /// `force_zeros_for_empty_prompt` of `model_index.json`, which only SDXL knows.
    pub zeros_for_empty: bool,
}

impl Configs {
    /// Reads them.
    ///
    /// # Errors
    /// `Files` if one is missing or wrong; `Refused` for other kinds of models.
    pub fn read(folder: &Path) -> Result<Self> {
        let index: Value = match folder.join("model_index.json") {
            path if path.is_file() => json(&path)?,
            _ => Value::Null,
        };
        refuse_others(folder, &index)?;
        let config = |path: &str| text(&folder.join(path));
        let (unet, source) = config("unet/config.json")?;
        let unet = UNetConfig::from_json(&unet, &source)?;
        let (vae, source) = config("vae/config.json")?;
        let vae = VaeConfig::from_json(&vae, &source)?;
        let (scheduler, source) = config("scheduler/scheduler_config.json")?;
        let mut scheduler = SchedulerConfig::from_json(&scheduler, &source)?;
        let two = unet.addition_embed_type == Some(AdditionEmbed::TextTime);
        if !two {
            // Older files lack it; diffusers' pipelines for 1.x and 2.x set it whatever the file says.
            scheduler.steps_offset = 1;
        }
        // As diffusers' SDXL pipeline has it where the file is silent.
        let zeros = index["force_zeros_for_empty_prompt"].as_bool();
        let zeros_for_empty = two && zeros.unwrap_or(true);
        let names: &[&str] = if two {
            &["text_encoder", "text_encoder_2"]
        } else {
            &["text_encoder"]
        };
        let mut text = Vec::new();
        for name in names {
            let (json, source) = config(&format!("{name}/config.json"))?;
            text.push((*name, ClipConfig::from_json(&json, &source)?));
        }
        Ok(Self {
            unet,
            vae,
            text,
            scheduler,
            zeros_for_empty,
        })
    }

    /// The generation: only SDXL has two text encoders, and 1.x projects tokens by convolutions.
    pub fn family(&self) -> Family {
        if self.text.len() > 1 {
            Family::Sdxl
        } else if self.unet.use_linear_projection {
            Family::Sd2
        } else {
            Family::Sd1
        }
    }
}

fn refuse_others(folder: &Path, index: &Value) -> Result<()> {
    let class = index["_class_name"]
        .as_str()
        .unwrap_or("StableDiffusionPipeline");
    let name = folder.display();
    if !class.starts_with("StableDiffusion") || class.starts_with("StableDiffusion3") {
        return Err(Error::refused(format!(
            "{name} is a model for diffusers' {class}; Repose runs Stable Diffusion 1.x, 2.x and XL"
        )));
    }
    let missing = |part: &str| {
        index
            .get(part)
            .is_some_and(|v| v[0].is_null() && v[1].is_null())
    };
    if missing("text_encoder") && index.get("text_encoder_2").is_some() {
        return Err(Error::refused(format!(
            "{name} is the SDXL refiner, which only finishes pictures: use the SDXL base model"
        )));
    }
    if class.contains("Upscale") || class.contains("InstructPix2Pix") || class.contains("Depth2Img")
    {
        return Err(Error::refused(format!(
            "{name} is a model for diffusers' {class}; Repose needs a text-to-image or an inpainting model"
        )));
    }
    Ok(())
}

/// The file names of a network's weights.
const NETWORK: &str = "diffusion_pytorch_model";
/// And of a text encoder's.
const TEXT: &str = "model";

/// All weights in a network's folder, under the names that `rename` makes.
fn load(
    folder: &Path,
    stem: &str,
    options: &Options,
    rename: impl Fn(&str) -> String,
) -> Result<HashMap<String, Frozen>> {
    let mut tensors = HashMap::new();
    for store in open_all(folder, stem, options.half)? {
        for (name, entry) in store.tensors() {
            if entry.is_float() {
                tensors.insert(rename(name), store.frozen(name)?);
            }
        }
    }
    Ok(tensors)
}

/// The files of a network, opened: one, or the shards that an index names.
fn open_all(folder: &Path, stem: &str, half: bool) -> Result<Vec<Store>> {
    let whole = [
        (
            format!("{stem}.safetensors"),
            format!("{stem}.safetensors.index.json"),
        ),
        (
            format!("{stem}.fp16.safetensors"),
            format!("{stem}.safetensors.index.fp16.json"),
        ),
    ];
    let order = if half { [1, 0] } else { [0, 1] };
    for (file, index) in order.map(|i| &whole[i]) {
        let file = folder.join(file);
        if file.is_file() {
            return Ok(vec![Store::open(&file)?]);
        }
        let index = folder.join(index);
        if index.is_file() {
            return shards(folder, &index);
        }
    }
    // Another variant, or a name that a tool chose: any single file is meant.
    let mut others = super::single::candidates(folder);
    if let (Some(file), true) = (others.pop(), others.is_empty()) {
        return Ok(vec![Store::open(&file)?]);
    }
    let pickle = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|e| e == "bin" || e == "ckpt" || e == "pt")
        });
    Err(Error::files(if pickle {
        format!(
            "{} has its weights only as a pickle (.bin), which can run any program when it is read; get the .safetensors \
             files of this model",
            folder.display()
        )
    } else {
        format!(
            "{} has no {stem}.safetensors: the model is not whole. Download it again with `repose models add`",
            folder.display()
        )
    }))
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<Store>> {
    let Index { weight_map } = json(index)?;
    let files: BTreeSet<&String> = weight_map.values().collect();
    let mut stores = HashMap::new();
    for file in files {
        // A shard lies beside its index: a name with folders in it would lead out of the model.
        let plain = Path::new(file)
            .file_name()
            .is_some_and(|name| name == file.as_str());
        if !plain || !file.ends_with(".safetensors") {
            return Err(Error::files(format!(
                "{} names {file:?} as a part of the model; names of .safetensors files beside it were expected",
                index.display()
            )));
        }
        stores.insert(file, Store::open(&folder.join(file))?);
    }
    for (name, file) in &weight_map {
        if !stores
            .get(file)
            .is_some_and(|s| s.tensors().contains_key(name))
        {
            return Err(Error::files(format!(
                "{} has no {name}, which {} says it has: download both again",
                folder.join(file).display(),
                index.display()
            )));
        }
    }
    Ok(stores.into_values().collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    crate::subject::read_bounded(path, MAX_JSON)
}

/// A configuration, and what errors call it.
pub(super) fn text(path: &Path) -> Result<(String, String)> {
    let source = path.display().to_string();
    match String::from_utf8(read(path)?) {
        Ok(text) => Ok((text, source)),
        Err(_) => Err(Error::files(format!("{source} is not a text in UTF-8"))),
    }
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read(path)?)
        .map_err(|e| Error::files(format!("{} cannot be used: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::stable_diffusion::weights::testing::golden;

    /// A golden's configurations with fields changed in one of them.
    fn changed(family: &str, file: &str, fields: &[(&str, Value)]) -> Configs {
        let folder = tempfile::tempdir().expect("a folder");
        let from = golden(&format!("{family}/checkpoint"));
        for name in [
            "model_index.json",
            "unet/config.json",
            "vae/config.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder_2/config.json",
        ] {
            let Ok(mut text) = fs::read_to_string(from.join(name)) else {
                continue;
            };
            if name == file {
                let mut json: Value = serde_json::from_str(&text).expect("JSON");
                for (field, value) in fields {
                    json[*field] = value.clone();
                }
                text = json.to_string();
            }
            let to = folder.path().join(name);
            fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
            fs::write(to, text).expect("written");
        }
        Configs::read(folder.path()).expect("configurations")
    }

    #[test]
    fn what_diffusers_pipelines_set_is_set_here() {
        let file = "scheduler/scheduler_config.json";
        let offset = [("steps_offset", Value::from(0))];
        assert_eq!(changed("sd15", file, &offset).scheduler.steps_offset, 1);
        assert_eq!(changed("sd21", file, &offset).scheduler.steps_offset, 1);
        assert_eq!(changed("sdxl", file, &offset).scheduler.steps_offset, 0);
        let zeros = |family: &str, value: Value| {
            let fields = [("force_zeros_for_empty_prompt", value)];
            changed(family, "model_index.json", &fields).zeros_for_empty
        };
        assert!(zeros("sdxl", Value::from(true)) && zeros("sdxl", Value::Null));
        assert!(!zeros("sdxl", Value::from(false)) && !zeros("sd15", Value::from(true)));
    }
}
