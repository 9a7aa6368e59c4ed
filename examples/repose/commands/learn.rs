//! `repose learn`

use repose_host::{Job, LearnRequest, Training};
use serde_json::{Value, json};

use super::recipes;
use super::subjects::ask;
use crate::args::{ConsentArgs, Learn, Refine, SubjectWords};
use crate::failure::{Failure, Kind, Result};
use crate::picture::Picture;
use crate::select::Mask;
use crate::session::{self, Session};
use crate::ui::Report;
use crate::wire;

/// Learns what is selected.
pub fn run(session: &Session, args: &Learn) -> Result<Report> {
    let photo = session::open_photo(session.ui, &args.photo)?;
    let mask = session::must_select(&args.selection, &photo.picture)?;
    let about = About {
        name: &args.name,
        consent: &args.consent,
        refine: args.refine,
        words: &args.words,
        training: args.training.options(),
    };
    if args.training.estimate {
        return estimate(session, &photo.picture, &mask, &about);
    }
    let history = learn(session, &photo.picture, &mask, &about)?;
    let version = &history["subject"]["version"];
    Ok(Report {
        wrong: None,
        lines: vec![match version.as_u64() {
            Some(n) => format!("learned {:?}, version {n}", args.name),
            None => format!("learned {:?}", args.name),
        }],
        json: json!({
            "ok": true,
            "subject": args.name,
            "version": version,
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
    /// For text models.
    pub words: &'a SubjectWords,
    /// By a text model.
    pub training: Option<Training<'a>>,
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
    let job = begin(session, picture, mask, about)?;
    let end = session.ui.follow_until(&job, "measure", &|status| {
        matches!(status.stage.as_str(), "pictures of the class" | "training")
    });
    match end {
        Err(failure) if failure.kind == Kind::Cancelled => (),
        other => other?,
    }
    let recipes = ask(session, &json!({ "command": "recipes" }))?;
    let asked = about.training.and_then(|t| t.recipe);
    let chosen = |one: &&Value| match asked {
        Some(name) => one["name"] == name,
        None => one["default"] == true,
    };
    let listed = recipes["recipes"].as_array();
    let found = listed.and_then(|all| all.iter().find(chosen));
    let found = found.filter(|one| one["memory"].is_number() || one["seconds"].is_number());
    let one = found.ok_or_else(|| {
        Failure::usage("nothing was measured: ask for a whole recipe, without parts left out")
    })?;
    Ok(Report {
        wrong: None,
        lines: vec![recipes::line(one)],
        json: json!({ "ok": true, "model": recipes["model"], "estimate": one }),
    })
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
    request.caption = about.words.caption.as_deref();
    request.word = about.words.word.as_deref();
    request.training = about.training;
    Ok(session.engine.learn(&request)?)
}
