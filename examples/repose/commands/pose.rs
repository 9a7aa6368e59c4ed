//! `repose pose` and `repose erase`

use std::path::{Path, PathBuf};

use repose_host::{EraseRequest, Job, ReposeRequest};

use super::learn;
use crate::args::{self, Posing, Varying};
use crate::failure::Result;
use crate::io::Opened;
use crate::outputs::Plan;
use crate::picture::Picture;
use crate::select::Mask;
use crate::session::{self, Pose, Session};
use crate::ui::Report;
use crate::wire;

/// Which subject, and how it is posed.
pub struct Wanted<'a> {
    /// Its name.
    pub subject: &'a str,
    /// Its version.
    pub version: Option<u32>,
    /// The options.
    pub posing: &'a Posing,
    /// What they read.
    pub pose: &'a Pose,
    /// Candidates and seeds.
    pub varying: &'a Varying,
}

/// Re-poses a subject, learning it first if that was asked.
pub fn pose(session: &Session, args: &args::Pose) -> Result<Report> {
    let photo = session::open_photo(session.ui, &args.photo)?;
    let mask = session::select(&args.selection, &photo.picture)?;
    let pose = Pose::read(&args.posing, &photo.picture)?;
    let selection = session::selection_file(&args.selection);
    let mut inputs: Vec<&Path> = vec![&photo.path];
    inputs.extend(selection);
    inputs.extend(pose.files.iter().map(PathBuf::as_path));
    let plan = Plan::new(
        &args.output,
        args.varying.candidates,
        &photo.picture,
        &inputs,
    )?;

    let subject = match (&args.learn, &mask) {
        (Some(name), Some(mask)) => {
            let refine = args.posing.refine;
            let xmp = photo.xmp.as_deref();
            let caption = learn::caption(session, name, &args.words, xmp)?;
            let about = learn::About {
                training: None,
                name,
                consent: &args.consent,
                refine,
                caption: caption.as_deref(),
                word: args.words.word.as_deref(),
            };
            learn::learn(session, &photo.picture, mask, &about)?;
            name
        }
        // clap asks for --subject where --learn is missing, and for --selection where it is there.
        _ => args
            .subject
            .as_ref()
            .or(args.learn.as_ref())
            .ok_or_else(|| {
                crate::failure::Failure::usage(
                    "--subject NAME, or --learn NAME with a selection, is needed",
                )
            })?,
    };
    let wanted = Wanted {
        subject,
        version: args.version,
        posing: &args.posing,
        pose: &pose,
        varying: &args.varying,
    };
    let job = submit_pose(session, &photo.picture, mask.as_ref(), &wanted)?;
    finish(session, &job, "pose", &plan, &photo)
}

/// Hands a re-pose to the engine.
pub fn submit_pose(
    session: &Session,
    picture: &Picture,
    mask: Option<&Mask>,
    wanted: &Wanted<'_>,
) -> Result<Job> {
    let posing = wanted.posing;
    let pins: Vec<_> = wanted.pose.pins.iter().map(wire::lend_pin).collect();
    let mut request = ReposeRequest::new(
        wire::lend(picture),
        mask.map(|mask| wire::lend_mask(mask, picture)),
        wanted.subject,
    );
    request.version = wanted.version;
    request.pins = &pins;
    request.guide = wanted.pose.guide.as_ref().map(wire::lend);
    request.prompt = posing.text.prompt.as_deref();
    request.text = posing.text.options();
    request.offset = posing.offset.unwrap_or(request.offset);
    request.scale = posing.scale.unwrap_or(request.scale);
    request.angle = posing.rotate.unwrap_or(request.angle);
    request.refine = session::refine(posing.refine);
    request.candidates = wanted.varying.candidates;
    request.seed = wanted.varying.seed;
    request.grow = wanted.varying.grow;
    Ok(session.engine.repose(&request)?)
}

/// Removes what is selected.
pub fn erase(session: &Session, args: &args::Erase) -> Result<Report> {
    let photo = session::open_photo(session.ui, &args.photo)?;
    let mask = session::must_select(&args.selection, &photo.picture)?;
    let mut inputs: Vec<&Path> = vec![&photo.path];
    inputs.extend(session::selection_file(&args.selection));
    let plan = Plan::new(
        &args.output,
        args.varying.candidates,
        &photo.picture,
        &inputs,
    )?;
    let job = submit_erase(session, &photo.picture, &mask, &args.varying)?;
    finish(session, &job, "erase", &plan, &photo)
}

/// Hands an erase to the engine.
pub fn submit_erase(
    session: &Session,
    picture: &Picture,
    mask: &Mask,
    varying: &Varying,
) -> Result<Job> {
    let mut request = EraseRequest::new(wire::lend(picture), wire::lend_mask(mask, picture));
    request.candidates = varying.candidates;
    request.seed = varying.seed;
    request.grow = varying.grow;
    Ok(session.engine.erase(&request)?)
}

/// Follows the job and writes its results.
fn finish(session: &Session, job: &Job, what: &str, plan: &Plan, photo: &Opened) -> Result<Report> {
    session.ui.follow(job, what)?;
    let saved = plan.save(
        job,
        &photo.picture,
        photo.exif.as_ref(),
        &layer_name(&photo.path),
    )?;
    Ok(Report {
        wrong: None,
        json: plan.json(&saved),
        lines: plan.lines(&saved),
    })
}

/// What the original is called in a list of layers.
pub fn layer_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
