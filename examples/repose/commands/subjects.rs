//! `repose subjects`: commands to the plugin's library, and its answers in words.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::{Part, Subjects};
use crate::failure::{Failure, Kind, Result};
use crate::session::Session;
use crate::ui::Report;

/// Asks the library.
pub fn ask(session: &Session, command: &Value) -> Result<Value> {
    let answer = session.engine.library(&command.to_string())?;
    serde_json::from_str(&answer)
        .map_err(|e| Failure::bug(format!("the library's answer is not JSON: {e}")))
}

/// Asks what the user wants to know or to have done.
pub fn run(session: &Session, args: &Subjects) -> Result<Report> {
    let mut answer = ask(session, &command(args)?)?;
    let wrong = match &answer["verified"]["whole"] {
        Value::Bool(false) => Some(Kind::Files),
        _ => None,
    };
    let lines = words(&answer);
    if let Value::Object(fields) = &mut answer {
        fields.insert("ok".into(), wrong.is_none().into());
    }
    Ok(Report {
        json: answer,
        lines,
        wrong,
    })
}

fn command(args: &Subjects) -> Result<Value> {
    Ok(match args {
        Subjects::List => json!({ "command": "list" }),
        Subjects::Show { name } => json!({ "command": "show", "name": name }),
        Subjects::Rename { name, to } => json!({ "command": "rename", "name": name, "to": to }),
        Subjects::Delete { name, version, yes } => {
            if !yes {
                let what = version.map_or("all its versions".into(), |n| format!("version {n}"));
                return Err(Failure::usage(format!(
                    "{name:?}, {what}, would be deleted for good: add --yes"
                )));
            }
            json!({ "command": "delete", "name": name, "version": version })
        }
        Subjects::Export {
            name,
            version,
            out,
            overwrite,
            part,
        } => json!({
            "command": "export", "name": name, "version": version, "path": absolute(out)?, "overwrite": overwrite,
            "part": part.map(Part::name),
        }),
        Subjects::Import { file, name } => {
            json!({ "command": "import", "path": absolute(file)?, "name": name })
        }
        Subjects::Attach {
            name,
            lora,
            word,
            token,
            is,
            model,
        } => json!({
            "command": "attach", "name": name, "token": token, "is": is, "model": model,
            "lora": lora.as_deref().map(absolute).transpose()?, "word": word.as_deref().map(absolute).transpose()?,
        }),
        Subjects::Verify { name } => json!({ "command": "verify", "name": name }),
        Subjects::RebuildIndex => json!({ "command": "rebuild-index" }),
        Subjects::Revoke {
            name,
            version,
            reason,
        } => json!({ "command": "revoke", "name": name, "version": version, "reason": reason }),
        Subjects::Renew {
            name,
            version,
            consent,
        } => json!({
            "command": "renew",
            "name": name,
            "version": version,
            "statement": consent.consent.as_deref().ok_or_else(|| {
                Failure::usage("--consent is missing: say who allows it now, and for what")
            })?,
            "person": consent.person,
            "person_agrees": consent.person_agrees,
            "expires": consent.expires,
        }),
        Subjects::Log { name, last } => json!({ "command": "log", "name": name, "limit": last }),
    })
}

/// A path that means the same to the plugin, as text.
pub fn absolute(path: &Path) -> Result<String> {
    let full = std::path::absolute(path).map_err(|e| Failure::file(path, e))?;
    full.into_os_string()
        .into_string()
        .map_err(|_| Failure::file(path, "the library takes only names that are UTF-8"))
}

/// An answer for people.
fn words(answer: &Value) -> Vec<String> {
    let text = |v: &Value| match v {
        Value::String(s) => s.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    let Some((kind, body)) = answer.as_object().and_then(|o| o.iter().next()) else {
        return vec![answer.to_string()];
    };
    let list = || body.as_array().cloned().unwrap_or_default();
    match kind.as_str() {
        "subjects" => {
            let subjects = list();
            if subjects.is_empty() {
                return vec!["no subjects yet: `repose learn` makes one".into()];
            }
            subjects.iter().map(|s| one_line(s, &text)).collect()
        }
        "subject" => detail(body, &text),
        "renamed" => vec![format!(
            "{} is now {}",
            text(&body["name"]),
            text(&body["to"])
        )],
        "deleted" => vec![format!(
            "deleted {}, versions {}",
            text(&body["name"]),
            text(&body["versions"])
        )],
        "exported" => vec![format!(
            "wrote {}: {}, version {}",
            text(&body["path"]),
            text(&body["name"]),
            text(&body["version"])
        )],
        "imported" => vec![format!(
            "imported {}, version {}",
            text(&body["name"]),
            text(&body["version"])
        )],
        "attached" => vec![format!(
            "{}, version {}, has it now",
            text(&body["name"]),
            text(&body["version"])
        )],
        "verified" => {
            let mut lines = vec![format!(
                "{} subjects, {} versions, {} log entries checked: {}",
                text(&body["subjects"]),
                text(&body["versions"]),
                text(&body["log_rows"]),
                if body["whole"] == true {
                    "all whole"
                } else {
                    "not whole"
                }
            )];
            for problem in body["problems"].as_array().into_iter().flatten() {
                lines.push(format!(
                    "  {} {}: {}",
                    text(&problem["subject"]),
                    text(&problem["version"]),
                    text(&problem["problem"])
                ));
            }
            lines
        }
        "rebuilt" => vec![format!(
            "index made again: {} subjects, {} versions",
            text(&body["subjects"]),
            text(&body["versions"])
        )],
        "revoked" => vec![format!(
            "consent for {} is revoked; it can no longer be used",
            text(&body["name"])
        )],
        "renewed" => vec![format!("consent for {} is renewed", text(&body["name"]))],
        "log" => list()
            .iter()
            .map(|row| {
                format!(
                    "{:>5}  {}  {:<8}  {} {}  {}",
                    text(&row["seq"]),
                    text(&row["at"]),
                    text(&row["action"]),
                    text(&row["subject"]),
                    text(&row["version"]),
                    text(&row["detail"])
                )
                .trim_end()
                .to_owned()
            })
            .collect(),
        _ => vec![answer.to_string()],
    }
}

fn one_line(subject: &Value, text: &dyn Fn(&Value) -> String) -> String {
    let mut line = format!(
        "{}  version {}",
        text(&subject["name"]),
        text(&subject["newest"])
    );
    if let [w, h] = subject["size"].as_array().map_or(&[][..], Vec::as_slice) {
        line.push_str(&format!("  {w}×{h}"));
    }
    if subject["consent"].is_object() {
        line.push_str(&format!(
            "  consent {}: {:?}",
            text(&subject["consent"]["standing"]),
            text(&subject["consent"]["statement"])
        ));
    }
    if subject["problem"].is_string() {
        line.push_str(&format!("  PROBLEM: {}", text(&subject["problem"])));
    }
    line
}

fn detail(subject: &Value, text: &dyn Fn(&Value) -> String) -> Vec<String> {
    let mut lines = vec![
        format!("name      {}", text(&subject["name"])),
        format!("folder    {}", text(&subject["folder"])),
    ];
    for version in subject["versions"].as_array().into_iter().flatten() {
        lines.push(format!("version   {}", text(&version["version"])));
        for (key, value) in version.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                // The thumbnail is for windows.
                ("version" | "thumbnail_png", _) | (_, Value::Null) => {}
                ("consent", consent) => lines.push(format!(
                    "    consent: {} ({})",
                    text(&consent["statement"]),
                    text(&consent["standing"])
                )),
                (key, value) => lines.push(format!("    {key}: {}", text(value))),
            }
        }
    }
    for change in subject["changes"].as_array().into_iter().flatten() {
        lines.push(format!("change    {change}"));
    }
    if subject["problem"].is_string() {
        lines.push(format!("problem   {}", text(&subject["problem"])));
    }
    lines
}
