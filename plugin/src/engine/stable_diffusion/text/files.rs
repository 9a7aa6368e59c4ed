//! Tokenizers that come with a checkpoint: `vocab.json` and `merges.txt`, or `tokenizer.json`.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::BPE;

use super::tokenizer::{BEGIN, END, Pad, Tokenizer};
use crate::{Error, Result};

/// The largest file that is read; CLIP's `tokenizer.json` has 3.6 MB.
const LARGEST: u64 = 32 << 20;

/// What is taken from `tokenizer.json`. The rest of it describes the cleaning of text, which is built in.
#[derive(Deserialize)]
struct Whole {
    model: Merging,
}

#[derive(Deserialize)]
struct Merging {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// Older files have "a b", newer ones ["a", "b"].
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Line(String),
    Pair(String, String),
}

impl Tokenizer {
    /// The tokenizer of a `tokenizer/` folder of a checkpoint; `None` if there is none in it, so that the built-in one is to
    /// be used. `pad` is what sequences are filled up with where the folder does not say.
    ///
    /// # Errors
    /// `Files` if a file is damaged, too large, or of another kind of tokenizer.
    pub fn open(folder: &Path, pad: Pad) -> Result<Option<Self>> {
        let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        let whole = folder.join("tokenizer.json");
        let (source, merging) = if vocab.is_file() && merges.is_file() {
            let merging = Merging {
                vocab: json(&vocab)?,
                merges: lines(&text(&merges)?),
            };
            (vocab, merging)
        } else if whole.is_file() {
            let merging = json::<Whole>(&whole)?.model;
            (whole, merging)
        } else {
            return Ok(None);
        };
        let pad = pad_of(folder)?.unwrap_or(pad);
        merging.tokenizer(&source, pad).map(Some)
    }
}

impl Merging {
    fn tokenizer(self, source: &Path, pad: Pad) -> Result<Tokenizer> {
        let wrong = |what: &str| {
            let source = source.display();
            Error::files(format!("{source} is no CLIP tokenizer: {what}"))
        };
        let special = |name: &str| {
            let id = self.vocab.get(name).copied();
            id.ok_or_else(|| wrong(&format!("it has no token {name}")))
        };
        let (begin, end) = (special(BEGIN)?, special(END)?);
        let merges = self
            .merges
            .into_iter()
            .map(|merge| match merge {
                Merge::Pair(a, b) => Some((a, b)),
                Merge::Line(line) => {
                    let (a, b) = line.split_once(' ')?;
                    Some((a.to_owned(), b.to_owned()))
                }
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| wrong("a merge has not two parts"))?;
        let vocab: tokenizers::models::bpe::Vocab = self.vocab.into_iter().collect();
        let bpe = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .end_of_word_suffix("</w>".into())
            .unk_token(END.into())
            // Prompts are short, and its memory would stay with the thread.
            .cache_capacity(0)
            .build()
            .map_err(|e| wrong(&e.to_string()))?;
        Ok(Tokenizer::of_file(bpe, begin, end, pad))
    }
}

/// The lines of `merges.txt` but the first, which names its version.
fn lines(text: &str) -> Vec<Merge> {
    text.lines()
        .skip_while(|line| line.starts_with("#version"))
        .filter(|line| !line.trim().is_empty())
        .map(|line| Merge::Line(line.trim_end().to_owned()))
        .collect()
}

/// The padding token that `tokenizer_config.json` or `special_tokens_map.json` names.
fn pad_of(folder: &Path) -> Result<Option<Pad>> {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let path = folder.join(name);
        if !path.is_file() {
            continue;
        }
        let options: Value = json(&path)?;
        let token = &options["pad_token"];
        // A string, or an object that holds it.
        let token = token.as_str().or_else(|| token["content"].as_str());
        match token {
            Some("!") => return Ok(Some(Pad::Zero)),
            Some(END) => return Ok(Some(Pad::End)),
            _ => {}
        }
    }
    Ok(None)
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&text(path)?).map_err(|e| {
        let path = path.display();
        Error::files(format!("{path} is damaged or no tokenizer's file: {e}"))
    })
}

/// A whole file, if it is of bearable size whatever the file system says.
fn text(path: &Path) -> Result<String> {
    let wrong = |what: &dyn std::fmt::Display| {
        let path = path.display();
        Error::files(format!(
            "the tokenizer's file {path} cannot be read: {what}"
        ))
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|e| wrong(&e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(wrong(&format!("it has more than {LARGEST} bytes")));
    }
    String::from_utf8(bytes).map_err(|e| wrong(&e))
}
