//! `repose recipes`: how text models learn, and how long it takes here.

use std::time::Duration;

use indicatif::{DecimalBytes, HumanDuration};
use serde_json::{Value, json};

use super::subjects::ask;
use crate::args::Recipes;
use crate::failure::Result;
use crate::session::Session;
use crate::ui::Report;

/// Lists them.
pub fn run(session: &Session, args: &Recipes) -> Result<Report> {
    let mut answer = ask(
        session,
        &json!({ "command": "recipes", "model": args.model }),
    )?;
    let listed = answer["recipes"].as_array().map(Vec::as_slice);
    let listed = listed.unwrap_or_default();
    let mut lines: Vec<String> = listed.iter().map(line).collect();
    let timed = listed
        .iter()
        .any(|recipe| recipe["seconds"].as_u64() > Some(0));
    let model = answer["model"].as_str().unwrap_or("a text model");
    lines.push(match timed {
        true => format!("times are those of {model} on this computer"),
        false => format!(
            "times are known once {model} has begun to learn something here; `repose learn … --estimate` does one step"
        ),
    });
    if let Value::Object(fields) = &mut answer {
        fields.insert("ok".into(), true.into());
    }
    Ok(Report {
        wrong: None,
        lines,
        json: answer,
    })
}

/// A recipe, and what it takes.
pub fn line(recipe: &Value) -> String {
    let name = recipe["name"].as_str().unwrap_or_default();
    let learned = match (&recipe["word"], &recipe["lora"]) {
        (Value::Bool(true), Value::Bool(true)) => "a word and a LoRA",
        (Value::Bool(true), _) => "a word",
        (_, Value::Bool(true)) => "a LoRA",
        _ => "nothing",
    };
    let steps = recipe["steps"].as_u64().unwrap_or_default();
    let mut said = format!("{name:18} {learned:17} {steps:>5} steps");
    if let Some(count @ 1..) = recipe["class_pictures"].as_u64() {
        said += &format!(", {count} pictures of the class");
    }
    if let Some(seconds) = recipe["seconds"].as_f64().filter(|_| steps > 0) {
        let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        said += &format!(", about {}", HumanDuration(time));
    }
    if let Some(bytes) = recipe["memory"].as_u64() {
        said += &format!(", {} of memory", DecimalBytes(bytes));
    }
    if steps == 0 {
        said += ", each pose looks at the picture instead";
    }
    if recipe["default"] == true {
        said += " (default)";
    }
    said
}
