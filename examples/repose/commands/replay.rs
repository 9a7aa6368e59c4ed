//! `repose replay`

use std::path::Path;

use serde_json::json;

use crate::args::{Output, Replay};
use crate::failure::{Failure, Result};
use crate::outputs::Plan;
use crate::picture::MAX_BYTES;
use crate::session::Session;
use crate::ui::Report;
use crate::wire;

/// Does a saved request again.
pub fn run(session: &Session, args: &Replay) -> Result<Report> {
    let path = args.request.as_path();
    let unreadable = |e: std::io::Error| Failure::file(path, format!("cannot be read: {e}"));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    // Picture, selection and guide together.
    if size > 3 * MAX_BYTES {
        return Err(Failure::file(
            path,
            format!("{size} bytes are more than any request has"),
        ));
    }
    let request = std::fs::read(path).map_err(unreadable)?;
    let job = session.engine.replay(&request).map_err(|e| {
        let failure = Failure::from(e);
        Failure {
            message: format!("{}: {}", path.display(), failure.message),
            ..failure
        }
    })?;
    drop(request);
    let original = wire::take(&job.picture()?);
    let plan = args
        .out
        .as_ref()
        .map(|out| {
            let output = Output {
                out: out.clone(),
                before_after: args.before_after.clone(),
                save_request: None,
            };
            // How many candidates it has is known when it is done; up to then the most are assumed.
            Plan::new(&output, 16, &original, &[path])
        })
        .transpose()?;
    session.ui.follow(&job, "replay")?;
    match plan {
        Some(plan) => {
            // A request holds pixels, not what their file said.
            let saved = plan.save(&job, &original, None, "Original")?;
            Ok(Report {
                wrong: None,
                json: plan.json(&saved),
                lines: plan.lines(&saved),
            })
        }
        None if job.layers()?.is_empty() => Ok(Report {
            wrong: None,
            json: json!({ "ok": true, "outputs": Vec::<&Path>::new() }),
            lines: vec!["done; the request has no picture as its result".into()],
        }),
        None => Err(Failure::usage(
            "this request makes a picture: say where it goes with --out",
        )),
    }
}
