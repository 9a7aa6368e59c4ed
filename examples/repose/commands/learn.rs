//! `repose learn`

use repose_host::{Job, LearnRequest, Training};
use serde_json::{Value, json};

use super::recipes;
use super::subjects::ask;
use crate::args::{ConsentArgs, Learn, Refine, SubjectWords};
use crate::failure::{Failure, Kind, Result};
use crate::history;
use crate::picture::Picture;
use crate::select::Mask;
use crate::session::{self, Session};
use crate::ui::Report;
use crate::wire;

/// Longest caption that subjects take, in bytes: prompts may be longer.
const MAX_CAPTION: usize = 4096;

/// Learns what is selected.
pub fn run(session: &Session, args: &Learn) -> Result<Report> {
    let photo = session::open_photo(session.ui, &args.photo)?;
    let mask = session::must_select(&args.selection, &photo.picture)?;
    let caption = caption(session, &args.name, &args.words, photo.xmp.as_deref())?;
    let about = About {
        name: &args.name,
        consent: &args.consent,
        refine: args.refine,
        caption: caption.as_deref(),
        word: args.words.word.as_deref(),
        training: args.training.options(),
    };
    if args.training.estimate {
        return estimate(session, &photo.picture, &mask, &about);
    }
    let history = learn(session, &photo.picture, &mask, &about)?;
    let version = &history["subject"]["version"];
    let mut lines = vec![match version.as_u64() {
        Some(n) => format!("learned {:?}, version {n}", args.name),
        None => format!("learned {:?}", args.name),
    }];
    if let (Some(proposed), None) = (&caption, &args.words.caption) {
        lines.push(format!(
            "as {proposed:?}: where the picture shows more, or something else, say so with --caption"
        ));
    }
    Ok(Report {
        wrong: None,
        lines,
        json: json!({
            "ok": true,
            "subject": args.name,
            "version": version,
            "caption": caption,
            "history": history,
        }),
    })
}

/// What is said about a subject when it is learned.
pub struct About<'a> {
    /// Its name.
    pub name: &'a str,
    /// Who allows it.
    pub consent: &'a ConsentArgs,
    /// Whether the selection's edge is refined.
    pub refine: Refine,
    /// What the picture shows.
    pub caption: Option<&'a str>,
    /// What the subject is.
    pub word: Option<&'a str>,
    /// By a text model.
    pub training: Option<Training<'a>>,
}

/// What a picture shows that a subject is learned from: as the user says; else, from what the subject is and does; else the
/// prompt by which Repose posed the subject in it, which the picture's `xmp` tells; else from what the subject is. `None` where
/// nothing of that is known.
///
/// # Errors
/// As the plugin.
pub fn caption(
    session: &Session,
    name: &str,
    words: &SubjectWords,
    xmp: Option<&str>,
) -> Result<Option<String>> {
    if words.caption.is_some() {
        return Ok(words.caption.clone());
    }
    let posed = xmp.and_then(history::of_xmp);
    let posed = posed.and_then(|history| history::prompt(&history));
    let posed = posed.filter(|prompt| prompt.len() <= MAX_CAPTION);
    if words.action.is_none() && (posed.is_some() || words.word.is_none()) {
        return Ok(posed);
    }
    let word = words.word.as_deref().unwrap_or(name);
    let command = json!({ "command": "caption", "word": word, "action": words.action });
    let answer = ask(session, &command)?;
    Ok(answer["caption"].as_str().map(str::to_owned))
}

/// Learns a subject and returns what was done, as the plugin tells it.
pub fn learn(
    session: &Session,
    picture: &Picture,
    mask: &Mask,
    about: &About<'_>,
) -> Result<Value> {
    let job = begin(session, picture, mask, about)?;
    session.ui.follow(&job, "learn")?;
    Ok(serde_json::from_str(&job.history()?).unwrap_or(Value::Null))
}

/// What a learn would take: it ends where its first step has been measured.
fn estimate(
    session: &Session,
    picture: &Picture,
    mask: &Mask,
    about: &About<'_>,
) -> Result<Report> {
    let asked = about.training.and_then(|t| t.recipe);
    let chosen = |one: &&Value| match asked {
        Some(name) => one["name"] == name,
        None => one["default"] == true,
    };
    let find = |recipes: &Value| {
        let listed = recipes["recipes"].as_array();
        listed.and_then(|all| all.iter().find(chosen)).cloned()
    };
    let known = ask(session, &json!({ "command": "recipes" }))?;
    if let Some(one) = find(&known).filter(|one| one["steps"] == 0) {
        // There is no step to measure: the job would learn.
        return Ok(told(&known["model"], &one));
    }
    let job = begin(session, picture, mask, about)?;
    let end = session.ui.follow_until(&job, "measure", &|status| {
        matches!(status.stage.as_str(), "pictures of the class" | "training")
    });
    match end {
        Err(failure) if failure.kind == Kind::Cancelled => (),
        other => other?,
    }
    let recipes = ask(session, &json!({ "command": "recipes" }))?;
    let found =
        find(&recipes).filter(|one| one["memory"].is_number() || one["seconds"].is_number());
    let one = found.ok_or_else(|| {
        Failure::usage("nothing was measured: ask for a whole recipe, without parts left out")
    })?;
    Ok(told(&recipes["model"], &one))
}

/// An estimate.
fn told(model: &Value, one: &Value) -> Report {
    Report {
        wrong: None,
        lines: vec![recipes::line(one)],
        json: json!({ "ok": true, "model": model, "estimate": one }),
    }
}

/// Asks the plugin to learn.
fn begin(session: &Session, picture: &Picture, mask: &Mask, about: &About<'_>) -> Result<Job> {
    let consent = about.consent;
    let words = consent.consent.as_deref().ok_or_else(|| {
        Failure::usage(
            "--consent is missing: say who allows this subject to be learned, and for what, \
             as in --consent \"my own cat\"",
        )
    })?;
    let mut request = LearnRequest::new(
        wire::lend(picture),
        wire::lend_mask(mask, picture),
        about.name,
        words,
    );
    request.expires = consent.expires.as_deref();
    request.person = consent.person;
    request.person_agrees = consent.person_agrees;
    request.refine = session::refine(about.refine);
    request.caption = about.caption;
    request.word = about.word;
    request.training = about.training;
    Ok(session.engine.learn(&request)?)
}
