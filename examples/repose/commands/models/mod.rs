//! `repose models`: what the plugin says about models, in words; and downloads.

mod choose;
mod download;

use serde_json::{Value, json};

use super::subjects::{absolute, ask};
use crate::args::{Folders, Models};
use crate::failure::{Failure, Kind, Result};
use crate::session::Session;
use crate::ui::Report;

/// Does what the user wants done.
pub fn run(session: &Session, args: &Models) -> Result<Report> {
    match args {
        Models::List => list(session),
        Models::Verify { model, hashes } => verify(session, model, *hashes),
        Models::Add {
            repository,
            file,
            revision,
            full,
        } => {
            let wanted = choose::Wanted {
                file: file.as_deref(),
                full: *full,
            };
            let folders = ask(session, &json!({ "command": "model-folders" }))?;
            let cache = folders["folders"]["cache"].as_str().ok_or_else(|| {
                Failure::usage("no place for downloads was found: set HF_HOME to a folder")
            })?;
            let done = download::run(session.ui, cache.as_ref(), repository, revision, &wanted)?;
            let mut report = verify(session, &done.model.to_string_lossy(), false)?;
            report.lines.insert(
                0,
                format!("{repository}: {} files, {}", done.files, bytes(done.bytes)),
            );
            report.json["downloaded"] = json!({ "files": done.files, "bytes": done.bytes });
            Ok(report)
        }
        Models::Folders(folders) => {
            let command = match folders {
                Folders::List => json!({ "command": "model-folders" }),
                Folders::Add { folder } => {
                    json!({ "command": "model-folder-add", "path": absolute(folder)? })
                }
                Folders::Remove { folder } => {
                    json!({ "command": "model-folder-remove", "path": absolute(folder)? })
                }
            };
            let answer = ask(session, &command)?;
            Ok(Report {
                wrong: None,
                lines: folder_lines(&answer["folders"]),
                json: with_ok(answer, true),
            })
        }
    }
}

fn with_ok(mut answer: Value, ok: bool) -> Value {
    answer["ok"] = ok.into();
    answer
}

/// All that poses can be made with.
fn list(session: &Session) -> Result<Report> {
    let mut answer = ask(session, &json!({ "command": "models" }))?;
    let mut lines = vec![
        "patch   embedded, needs no download; poses by pins, guide, move, scale and rotate; erases"
            .to_owned(),
        "pocket  embedded; poses in words, but knows the drawn toys of examples/world alone".into(),
    ];
    for (kind, title) in [
        ("models", "Models for poses in words"),
        ("loras", "LoRAs"),
        ("embeddings", "Embeddings"),
    ] {
        let found = answer[kind].as_array().map_or(&[][..], Vec::as_slice);
        if !found.is_empty() {
            lines.push(String::new());
            lines.push(format!("{title}:"));
            lines.extend(found.iter().map(one_line));
        }
    }
    if answer["models"].as_array().is_none_or(Vec::is_empty) {
        lines.push(String::new());
        lines.push("No models for poses in words yet. `repose models add ORG/NAME` downloads one; or name a folder of".into());
        lines.push(
            "ComfyUI, A1111 or your own with `repose models folders add DIR`. Looked in:".into(),
        );
        lines.extend(folder_lines(&answer["folders"]));
    }
    let embedded = [
        json!({
            "name": "patch",
            "embedded": true,
            "poses": ["pins", "guide", "move", "scale", "rotate"],
            "prompts": false,
        }),
        json!({ "name": "pocket", "embedded": true, "prompts": true }),
    ];
    if let Some(models) = answer["models"].as_array_mut() {
        for model in models.iter_mut() {
            model["embedded"] = false.into();
        }
        models.splice(0..0, embedded);
    }
    Ok(Report {
        wrong: None,
        json: with_ok(answer, true),
        lines,
    })
}

fn one_line(model: &Value) -> String {
    let mut line = format!("  {}", text(&model["name"]));
    let inpainting = (model["inpainting"] == true).then(|| "inpainting".to_owned());
    let family = model["family"].as_str().map(family);
    let size = model["bytes"].as_u64().map(bytes);
    let about: Vec<_> = [family, inpainting, size].into_iter().flatten().collect();
    line.push_str(&format!("  {}", about.join(", ")));
    if let Some(problem) = model["problem"].as_str() {
        line.push_str(&format!("  PROBLEM: {problem}"));
    }
    line
}

/// What one file or folder is.
fn verify(session: &Session, model: &str, hashes: bool) -> Result<Report> {
    // What is there by this path is meant; else the plugin looks for the name.
    let path = std::path::Path::new(model);
    let path = if path.exists() {
        absolute(path)?
    } else {
        model.to_owned()
    };
    let command = json!({ "command": "model-verify", "path": path, "hashes": hashes });
    let answer = ask(session, &command)?;
    let model = &answer["model"];
    let mut lines = vec![text(&model["path"])];
    for (key, value) in model.as_object().into_iter().flatten() {
        let shown = match (key.as_str(), value) {
            ("name" | "path" | "problem", _) | (_, Value::Null) => continue,
            ("tokens", Value::Array(list)) if list.is_empty() => continue,
            ("bytes", value) => bytes(value.as_u64().unwrap_or(0)),
            ("family", value) => family(&text(value)),
            (_, value) => text(value),
        };
        lines.push(format!("  {:<12} {shown}", key.replace('_', " ")));
    }
    let wrong = model["problem"].as_str().map(|_| Kind::Files);
    lines.push(match model["problem"].as_str() {
        Some(problem) => format!("  PROBLEM: {problem}"),
        None => "  can be used".into(),
    });
    Ok(Report {
        wrong,
        json: with_ok(answer, wrong.is_none()),
        lines,
    })
}

fn folder_lines(folders: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("  own                 {}", text(&folders["own"])),
        format!("  Hugging Face cache  {}", text(&folders["cache"])),
    ];
    for folder in folders["named"].as_array().into_iter().flatten() {
        lines.push(format!("  named               {}", text(folder)));
    }
    lines
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn family(word: &str) -> String {
    match word {
        "sd1" => "Stable Diffusion 1.x",
        "sd2" => "Stable Diffusion 2.x",
        "sdxl" => "Stable Diffusion XL",
        other => other,
    }
    .to_owned()
}

fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
