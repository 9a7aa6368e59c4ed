//! `repose info`

use std::path::Path;

use serde_json::json;

use crate::failure::Result;
use crate::history::{self, between};
use crate::io;
use crate::session::Session;
use crate::ui::Report;

/// About this installation.
pub fn installation(session: &Session) -> Result<Report> {
    let answer = super::subjects::ask(session, &json!({ "command": "info" }))?;
    let about = &answer["info"];
    let library = about["library"].as_str().unwrap_or_default();
    Ok(Report {
        wrong: None,
        lines: vec![
            format!("repose    {}", env!("CARGO_PKG_VERSION")),
            format!(
                "plugin    {}, {}",
                session.plugin.version(),
                session.plugin.path().display()
            ),
            format!("library   {library}"),
            "engines   patch (embedded)".into(),
        ],
        json: json!({
            "ok": true,
            "version": env!("CARGO_PKG_VERSION"),
            "plugin": { "path": session.plugin.path(), "version": session.plugin.version() },
            "library": about,
            "engines": ["patch"],
        }),
    })
}

/// About a picture.
pub fn photo(path: &Path) -> Result<Report> {
    let opened = io::read(path)?;
    let picture = &opened.picture;
    let profile = match &picture.icc {
        Some(icc) => format!("ICC profile of {} bytes", icc.len()),
        None if picture.depth.is_float() => "no profile: taken as sRGB in linear light".into(),
        None => "no profile: taken as sRGB".into(),
    };
    let source = opened.xmp.as_deref().and_then(|xmp| {
        let value = between(xmp, "DigitalSourceType>", "<")
            .or_else(|| between(xmp, "DigitalSourceType=\"", "\""))?;
        value.rsplit('/').next().map(str::to_owned)
    });
    let history = opened.xmp.as_deref().and_then(history::of_xmp);
    let mut lines = vec![
        format!("file      {}", opened.path.display()),
        format!("format    {}", opened.format.name()),
        format!(
            "pixels    {}×{}, {} {}",
            picture.width,
            picture.height,
            picture.depth.name(),
            picture.channels.name()
        ),
        format!("colours   {profile}"),
    ];
    lines.extend(opened.notes.iter().map(|note| format!("note      {note}")));
    match (&opened.xmp, &source) {
        (None, _) => lines.push("history   none (no XMP)".into()),
        (Some(_), None) => lines.push("history   XMP, without a digital source type".into()),
        (Some(_), Some(source)) => lines.push(format!("history   {source}")),
    }
    if let Some(history) = &history {
        for key in ["tool", "action", "prompt", "at", "seed", "request_sha256"] {
            match &history[key] {
                serde_json::Value::Null => {}
                serde_json::Value::String(text) => lines.push(format!("          {key}: {text}")),
                other => lines.push(format!("          {key}: {other}")),
            }
        }
        if let Some(name) = history["subject"]["name"].as_str() {
            lines.push(format!(
                "          subject: {name}, version {}",
                history["subject"]["version"]
            ));
        }
    }
    Ok(Report {
        wrong: None,
        lines,
        json: json!({
            "ok": true,
            "file": opened.path,
            "format": opened.format.name(),
            "width": picture.width,
            "height": picture.height,
            "depth": picture.depth.name(),
            "channels": picture.channels.name(),
            "icc_bytes": picture.icc.as_ref().map(|icc| icc.len()),
            "notes": opened.notes,
            "digital_source_type": source,
            "history": history,
            "xmp": opened.xmp,
        }),
    })
}
