//! What the files `config.json` and `scheduler_config.json` of a diffusers folder say, under the names they have there.
//!
//! Options left out or null take diffusers' defaults. An option that would change a network in a way that is not built
//! here is refused by name instead of being ignored; options that do not change what is computed are skipped. Sizes are
//! bounded, so that nothing built from a configuration overflows or divides by zero.

mod clip;
mod scheduler;
#[cfg(test)]
mod tests;
mod unet;
mod vae;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use clip::{ClipConfig, HiddenAct};
pub use scheduler::{BetaSchedule, PredictionType, SchedulerConfig, TimestepSpacing};
pub use unet::{AdditionEmbed, DownBlock, UNetConfig, UpBlock};
pub use vae::{TaesdConfig, VaeConfig};

use crate::{Error, Result};

/// The largest configuration that is read, in bytes; published ones have 1 to 3 KB.
const LONGEST: usize = 1 << 20;

/// More channels than any network of these families has (SDXL's widest projection has 10240).
const WIDEST: usize = 1 << 14;

/// One value for all levels of a network, or one for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerLevel<T> {
    /// For all levels.
    All(T),
    /// For each level, the finest first.
    Each(Vec<T>),
}

impl<T: Copy> PerLevel<T> {
    /// The value of a level; `None` beyond the list.
    pub fn get(&self, level: usize) -> Option<T> {
        match self {
            Self::All(value) => Some(*value),
            Self::Each(values) => values.get(level).copied(),
        }
    }
}

impl PerLevel<usize> {
    /// The value of a level; 0, which every check refuses, beyond the list.
    pub fn at(&self, level: usize) -> usize {
        self.get(level).unwrap_or(0)
    }
}

/// A configuration that knows whether it makes sense.
trait Checked: DeserializeOwned {
    /// Options that are built here at this value only. A list must consist of it.
    fn only() -> Vec<(&'static str, Value)>;

    /// What is wrong with the values, in words: what was expected and what came.
    fn check(&self) -> std::result::Result<(), String>;

    /// Reads and checks; `source` is what errors call the text.
    fn read(text: &str, source: &str) -> Result<Self> {
        let wrong = |what: String| Error::files(format!("{source}: {what}"));
        if text.len() > LONGEST {
            return Err(wrong(format!(
                "{} bytes; a configuration has at most {LONGEST}",
                text.len()
            )));
        }
        let mut options: Map<String, Value> = serde_json::from_str(text)
            .map_err(|e| wrong(format!("not a configuration in JSON ({e})")))?;
        options.retain(|_, value| !value.is_null());
        for (name, wanted) in Self::only() {
            let Some(found) = options.remove(name) else {
                continue;
            };
            if !is_only(&found, &wanted) {
                return Err(Error::refused(format!(
                    "{source}: a network with {name} = {found} is not supported; only {wanted} is"
                )));
            }
        }
        let config: Self = serde_json::from_value(Value::Object(options))
            .map_err(|e| wrong(format!("not a configuration of this network ({e})")))?;
        config.check().map_err(wrong)?;
        Ok(config)
    }
}

fn is_only(found: &Value, wanted: &Value) -> bool {
    match found {
        Value::Array(items) => items.iter().all(|item| is_only(item, wanted)),
        Value::Number(number) => number.as_f64() == wanted.as_f64(),
        other => other == wanted,
    }
}

/// A name, a size and the bounds it must keep.
fn within(
    name: &str,
    value: usize,
    bounds: std::ops::RangeInclusive<usize>,
) -> std::result::Result<(), String> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (from, to) = (bounds.start(), bounds.end());
    Err(format!("{name} is {value}; {from} to {to} was expected"))
}

/// That `whole` consists of whole `parts`.
fn divides(parts: (&str, usize), whole: (&str, usize)) -> std::result::Result<(), String> {
    if parts.1 != 0 && whole.1.is_multiple_of(parts.1) {
        return Ok(());
    }
    Err(format!(
        "{} ({}) is no multiple of {} ({})",
        whole.0, whole.1, parts.0, parts.1
    ))
}

/// That a real number is finite and within bounds.
fn real(
    name: &str,
    value: f64,
    bounds: std::ops::RangeInclusive<f64>,
) -> std::result::Result<(), String> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (from, to) = (bounds.start(), bounds.end());
    Err(format!("{name} is {value}; {from} to {to} was expected"))
}
