//! Learning a subject from a selection.

pub mod mesh;

use crate::Result;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::request::Learn;
use crate::subject::Library;

/// Does the work of one job.
pub fn run(request: &Learn, library: &Library, progress: &Progress) -> Result<Outcome> {
    let _ = (request, library);
    progress.begin(20);
    for _ in 0..20 {
        progress.stage("working")?;
        std::thread::sleep(std::time::Duration::from_millis(20));
        progress.step()?;
    }
    Ok(Outcome::default())
}
