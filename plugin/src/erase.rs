//! Removing what is selected.

use crate::Result;
use crate::canvas::{Canvas, Role};
use crate::engine::patch::field::mix;
use crate::learn::grown;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::repose::background::restore;
use crate::request::Erase;

/// Restores the background under the selection, once for every candidate. The layer's mask is the selection itself.
pub fn run(request: &Erase, progress: &Progress) -> Result<Outcome> {
    progress.begin(100);
    let canvas = Canvas::new(&request.picture)?;
    let (rect, mask) = grown(&canvas, &request.selection, request.grow)?;
    let mut outcome = Outcome::default();
    for candidate in 0..request.candidates {
        progress.stage("background")?;
        let seed = mix(request.seed ^ u64::from(candidate));
        let share = |done: f32| (candidate as f32 + done) / request.candidates as f32;
        let filled = restore(&canvas, rect, &mask, None, seed, &mut |done, level| {
            progress.preview(&level.picture());
            progress.reach(share(done))
        })?;
        let name = match request.candidates {
            1 => "Background".to_owned(),
            _ => format!("Background {}", candidate + 1),
        };
        let depth = request.selection.depth;
        outcome.layers.push(canvas.layer(
            &name,
            candidate,
            Role::Background,
            rect,
            &filled,
            &mask,
            depth,
        )?);
    }
    Ok(outcome)
}
