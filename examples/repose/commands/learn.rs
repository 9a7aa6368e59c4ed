//! `repose learn`

use repose_host::{LearnRequest, Training};
use serde_json::{Value, json};

use crate::args::{ConsentArgs, Learn, Refine, SubjectWords};
use crate::failure::{Failure, Result};
use crate::picture::Picture;
use crate::select::Mask;
use crate::session::{self, Session};
use crate::ui::Report;
use crate::wire;

/// Learns what is selected.
pub fn run(session: &Session, args: &Learn) -> Result<Report> {
    let photo = session::open_photo(session.ui, &args.photo)?;
    let mask = session::must_select(&args.selection, &photo.picture)?;
    let history = learn(
        session,
        &photo.picture,
        &mask,
        &About {
            name: &args.name,
            consent: &args.consent,
            refine: args.refine,
            words: &args.words,
            training: args.training.options(),
        },
    )?;
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
    let job = session.engine.learn(&request)?;
    session.ui.follow(&job, "learn")?;
    Ok(serde_json::from_str(&job.history()?).unwrap_or(Value::Null))
}
