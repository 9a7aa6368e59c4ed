//! What a host asks about learning: JSON in, JSON out, through the contract's `library_command`.
//!
//! | command | other fields (`?`: may be left out or null) | answer |
//! |---|---|---|
//! | `recipes` | `model?` (the last that was to learn here) | `recipes`: a list of [`Listed`]; `model` |
//! | `caption` | `word`, what the subject is; `action?`, what it does | `caption`: what a picture of it may be said to show |
//!
//! `model` is what [`TextFacts::model`](crate::subject::TextFacts::model) says of subjects that it learned. A training begins with
//! a trial step, which tells the times of all recipes on this machine.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::recipe::Recipe;
use super::speed::Speeds;
use super::text::{passes, photo_of};
use crate::subject::Library;
use crate::{Error, Result};

/// The names of the commands here.
pub const NAMES: [&str; 2] = ["recipes", "caption"];

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    Recipes {
        model: Option<String>,
    },
    Caption {
        word: String,
        action: Option<String>,
    },
}

/// A recipe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// What users call it.
    pub name: &'static str,
    /// Whether it is taken where none is named.
    pub default: bool,
    /// Whether a word is learned.
    pub word: bool,
    /// Whether low-rank changes of the model are learned.
    pub lora: bool,
    /// How many pictures of the class the model makes first.
    pub class_pictures: usize,
    /// Its own number of steps.
    pub steps: u64,
    /// What it takes in all, in passes of one sample through the U-Net.
    pub passes: f32,
    /// How long it takes here, in seconds; 0 where nothing is trained, `None` where the model was not to learn anything here yet.
    pub seconds: Option<u64>,
    /// The most memory that the whole program had in a step of it, in bytes; `None` where it was not tried here yet.
    pub memory: Option<u64>,
}

/// Does what `json` asks, if it is a command of this module, and answers in JSON.
///
/// # Errors
/// `Caller` if a field is not known or says nothing; as the library.
pub fn answer(library: &Library, json: &str) -> Result<String> {
    let command = serde_json::from_str(json)
        .map_err(|e| Error::caller(format!("the command about learning cannot be used: {e}")))?;
    let answer = match command {
        Command::Recipes { model } => recipes(library, model),
        Command::Caption { word, action } => {
            json!({ "caption": caption(&word, action.as_deref())? })
        }
    };
    serde_json::to_string(&answer).map_err(|e| Error::bug(e.to_string()))
}

/// What a picture of a subject may be said to show, where the user has not said it: what it is and, if that is known, does.
fn caption(word: &str, action: Option<&str>) -> Result<String> {
    let (word, action) = (word.trim(), action.unwrap_or_default().trim());
    if word.is_empty() {
        return Err(Error::caller(
            "a caption needs to know what the subject is: give a word such as \"teddy bear\"",
        ));
    }
    Ok(format!("{} {action}", photo_of(word)).trim_end().to_owned())
}

fn recipes(library: &Library, model: Option<String>) -> Value {
    let speeds = Speeds::read(library);
    let speed = speeds.of(model.as_deref());
    let model = model.or_else(|| speed.map(|speed| speed.model.clone()));
    let listed = Recipe::ALL.map(|recipe| {
        let course = recipe.course();
        let lessons = &course.lessons;
        let passes = passes(&course);
        Listed {
            name: recipe.name(),
            default: recipe == Recipe::default(),
            word: lessons.iter().any(|l| l.word.is_some()),
            lora: lessons.iter().any(|l| l.adapters.is_some()),
            class_pictures: course.class_pictures,
            steps: lessons.iter().map(|l| l.steps).sum(),
            passes,
            seconds: match lessons.is_empty() {
                true => Some(0),
                false => speed.map(|speed| (speed.pass * passes).ceil() as u64),
            },
            memory: speed.and_then(|speed| speed.memory.get(recipe.name()).copied()),
        }
    });
    json!({ "recipes": listed, "model": model })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_says_what_the_subject_is_and_does() -> Result<()> {
        assert_eq!(caption(" owl ", None)?, "a photo of an owl");
        let both = caption("teddy bear", Some("sitting on a rock "))?;
        assert_eq!(both, "a photo of a teddy bear sitting on a rock");
        assert_eq!(caption("cat", Some(" "))?, "a photo of a cat");
        assert!(caption(" ", Some("sitting")).is_err());
        Ok(())
    }
}
