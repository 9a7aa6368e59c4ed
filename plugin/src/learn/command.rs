//! What a host asks about recipes: JSON in, JSON out, through the contract's `library_command`.
//!
//! | command | other fields (`?`: may be left out or null) | answer |
//! |---|---|---|
//! | `recipes` | `model?` (the last that learned here) | `recipes`: a list of [`Listed`]; `model` |
//!
//! `model` is what [`TextFacts::model`] says of subjects that it learned: their times on this machine tell those of all recipes.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::recipe::{Course, Recipe, Variant};
use super::text::passes;
use crate::subject::{Library, TextFacts};
use crate::{Error, Result};

/// The name of the command here.
pub const NAME: &str = "recipes";
/// So many trainings of a model, the newest ones, tell its speed.
const LOOKED_AT: usize = 5;

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    Recipes { model: Option<String> },
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
    /// How long it takes here, in seconds; `None` where the model has not learned anything here yet.
    pub seconds: Option<u64>,
}

/// Does what `json` asks, if it is the command of this module, and answers in JSON.
///
/// # Errors
/// `Caller` if a field is not known; as the library.
pub fn answer(library: &Library, json: &str) -> Result<String> {
    let Command::Recipes { model } = serde_json::from_str(json)
        .map_err(|e| Error::caller(format!("the command about recipes cannot be used: {e}")))?;
    let taught = library.taught()?;
    let model = model.or_else(|| Some(taught.first()?.model.clone()));
    let pace = model.as_ref().and_then(|model| pace(&taught, model));
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
            seconds: pace.map(|pace| (pace * passes).ceil() as u64),
        }
    });
    let answer = json!({ "recipes": listed, "model": model });
    serde_json::to_string(&answer).map_err(|e| Error::bug(e.to_string()))
}

/// Seconds that a pass takes a model: the most of the newest trainings, as one that went on after a cancel tells less.
fn pace(taught: &[TextFacts], model: &str) -> Option<f32> {
    let own = taught.iter().filter(|facts| facts.model == model);
    let paces = own.take(LOOKED_AT).filter_map(|facts| {
        let variant: Variant = facts.recipe.parse().ok()?;
        let course: Course = variant.course().with(Some(facts.steps), None);
        Some(facts.seconds / passes(&course))
    });
    paces.filter(|p| p.is_finite() && *p > 0.0).reduce(f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_the_newest_trainings_tells_the_pace() {
        let facts = |model: &str, recipe: &str, share: f32| {
            let course = Recipe::SingleInsert.course().with(Some(30), None);
            TextFacts {
                model: model.to_owned(),
                recipe: recipe.to_owned(),
                steps: 30,
                seconds: share * passes(&course),
                ..TextFacts::default()
            }
        };
        let mut taught = vec![
            facts("other", "single-insert", 9.0),
            facts("own", "single-insert", 0.5),
            facts("own", "a recipe of tomorrow", 9.0),
            facts("own", "single-insert", 0.25),
        ];
        let near = |found: Option<f32>, wanted: f32| {
            assert!(
                found.is_some_and(|p| (p - wanted).abs() < 1e-4),
                "{found:?}"
            );
        };
        near(pace(&taught, "own"), 0.5);
        assert_eq!(pace(&taught, "none"), None);
        // An old computer's time is forgotten.
        taught.splice(1..1, vec![facts("own", "single-insert", 0.125); LOOKED_AT]);
        near(pace(&taught, "own"), 0.125);
    }
}
