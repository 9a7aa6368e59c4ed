//! Which files of a repository are a model: its weights once, configurations, tokenizers.

use crate::failure::{Failure, Kind, Result};

/// What the user wants of a repository.
pub struct Wanted<'a> {
    /// One file.
    pub file: Option<&'a str>,
    /// Full precision where there are both.
    pub full: bool,
}

/// Folders of a diffusers model with weights, and the stem of their files.
const NETWORKS: [(&str, &str); 4] = [
    ("unet", "diffusion_pytorch_model"),
    ("vae", "diffusion_pytorch_model"),
    ("text_encoder", "model"),
    ("text_encoder_2", "model"),
];

/// Folders with small files alone.
const OTHERS: [&str; 3] = ["tokenizer", "tokenizer_2", "scheduler"];

/// Whether a name is one that a repository can have and a disk may be asked for.
fn is_safe(name: &str) -> bool {
    name.len() < 500
        && !name.contains(['\\', ':', '\0'])
        && name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

/// The files to download, the smallest first; `names` are all that the repository has.
pub fn files(repository: &str, names: &[String], wanted: &Wanted) -> Result<Vec<String>> {
    let names: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|n| is_safe(n))
        .collect();
    let refused = |message: String| Failure {
        kind: Kind::Files,
        message: format!("{repository}: {message}"),
    };
    let single: Vec<&str> = names
        .iter()
        .copied()
        .filter(|n| !n.contains('/') && n.ends_with(".safetensors"))
        .collect();
    if let Some(file) = wanted.file {
        if !file.ends_with(".safetensors") {
            return Err(Failure::usage(format!(
                "{file} is no .safetensors file; Repose reads no others, because they can run any program"
            )));
        }
        return if names.contains(&file) {
            Ok(vec![file.to_owned()])
        } else {
            Err(refused(format!(
                "it has no file {file}; it has {}",
                some(&single)
            )))
        };
    }
    if names.contains(&"model_index.json") {
        return diffusers(&names, wanted.full).map_err(refused);
    }
    match single.as_slice() {
        [one] => Ok(vec![(*one).to_owned()]),
        [] => Err(refused(
            "it has neither a model_index.json nor a .safetensors file: it is no model that Repose can use".into(),
        )),
        several => Err(refused(format!("it has several models: choose with --file one of {}", some(several)))),
    }
}

fn some(names: &[&str]) -> String {
    if names.is_empty() {
        return "no .safetensors file beside its folders".into();
    }
    names.join(", ")
}

fn diffusers(names: &[&str], full: bool) -> std::result::Result<Vec<String>, String> {
    let mut small = vec!["model_index.json".to_owned()];
    let mut large = Vec::new();
    for folder in OTHERS {
        let inside = names
            .iter()
            .filter(|n| n.strip_prefix(folder).is_some_and(|r| r.starts_with('/')));
        small.extend(
            inside
                .filter(|n| n.ends_with(".json") || n.ends_with(".txt"))
                .map(|n| (*n).to_owned()),
        );
    }
    for (folder, stem) in NETWORKS {
        let config = format!("{folder}/config.json");
        if !names.contains(&config.as_str()) {
            continue;
        }
        small.push(config);
        let mut kinds = [("fp16.", "fp16."), ("", "")];
        if full {
            kinds.reverse();
        }
        let found = kinds.iter().find_map(|(middle, index)| {
            let whole = format!("{folder}/{stem}.{middle}safetensors");
            if names.contains(&whole.as_str()) {
                return Some((None, vec![whole]));
            }
            let index = format!("{folder}/{stem}.safetensors.index.{index}json");
            let start = format!("{folder}/{stem}.{middle}")
                .trim_end_matches('.')
                .to_owned()
                + "-";
            let shards = names
                .iter()
                .filter(|n| n.starts_with(&start) && n.ends_with(".safetensors"));
            let shards: Vec<_> = shards.map(|n| (*n).to_owned()).collect();
            (names.contains(&index.as_str()) && !shards.is_empty()).then_some((Some(index), shards))
        });
        let Some((index, weights)) = found else {
            return Err(format!(
                "its {folder} has no .safetensors weights{}",
                if names
                    .iter()
                    .any(|n| n.starts_with(folder) && n.ends_with(".bin"))
                {
                    ", only pickles (.bin), which can run any program when they are read; look for another version of it"
                } else {
                    ""
                }
            ));
        };
        small.extend(index);
        large.extend(weights);
    }
    if large.is_empty() {
        return Err(
            "it has no unet, vae or text_encoder: it is no model that Repose can use".into(),
        );
    }
    small.extend(large);
    Ok(small)
}
