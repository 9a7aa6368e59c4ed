//! Giving a subject a new pose.

pub mod background;
pub mod deform;
mod figure;
mod grow;
mod guide;
mod lift;
pub mod prompt;
pub mod warp;

use crate::canvas::{
    Canvas, Depth, Grid, Image, Mask, Rect, Role, Selection, SelectionDepth, erode, grow,
};
use crate::engine::patch::field::mix;
use crate::engine::patch::level::Level;
use crate::engine::stable_diffusion::Cache;
use crate::learn::{WHOLE, colours, matte, picture_hash, selected, surroundings};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::request::{Placement, Repose};
use crate::subject::{Library, Subject};
use crate::{Error, Result};
use figure::Figure;

/// Share of the work that comes before the first candidate, and of each candidate's work that is background.
const PREPARATION: f32 = 0.12;
const BACKGROUND: f32 = 0.8;
/// Background that is seen is filled this many pixels under the subject's edge.
const UNDER_EDGE: usize = 4;

/// Re-poses a subject: find it, deform it, restore what was behind it, renew what was stretched, in this order. A pose in
/// words is [`prompt`]'s.
///
/// # Errors
/// `Caller` where no new pose is asked for or the request does not fit the picture; as the library.
pub fn run(
    request: &Repose,
    library: &Library,
    models: &mut Cache,
    progress: &Progress,
) -> Result<Outcome> {
    if prompt::asked(request) {
        return prompt::run(request, library, models, progress);
    }
    progress.begin(100);
    progress.stage("subject")?;
    let (subject, used) = library.load(&request.subject, request.version)?;
    let canvas = Canvas::new(&request.picture)?;
    let found = locate(&canvas, request, &subject)?;
    if !asks_for_shape(request) && found.removal.is_some() {
        return Err(Error::caller(
            "no new pose was asked for: give at least one pin that moves, a guide layer, a placement, or a prompt",
        ));
    }
    progress.reach(PREPARATION * 0.7)?;
    progress.stage("pose")?;
    let posed = found.posed(&canvas, request)?;
    progress.reach(PREPARATION)?;
    let mut outcome = Outcome {
        subject: Some(used),
        ..Outcome::default()
    };
    let depth = mask_depth(request);
    for candidate in 0..request.candidates {
        let seed = mix(request.seed ^ u64::from(candidate));
        let named = |what: String| match request.candidates {
            1 => what,
            _ => format!("{what} {}", candidate + 1),
        };
        let mut report = |done: f32| {
            let all = (candidate as f32 + done) / request.candidates as f32;
            progress.reach(PREPARATION + (1.0 - PREPARATION) * all)
        };
        let work = Work {
            canvas: &canvas,
            request,
            subject: &subject,
            found: &found,
            posed: &posed,
            progress,
        };
        let (below, colours) = work.made(seed, &mut report)?;
        if let (Some((rect, filled)), Some((_, removal))) = (&below, &found.removal) {
            let (pixels, mask) = lift::lift(&canvas.image(*rect)?, filled, removal);
            let name = named(format!("Background behind {}", request.subject));
            outcome.layers.push(canvas.layer(
                &name,
                candidate,
                Role::Background,
                *rect,
                &pixels,
                &mask,
                depth,
            )?);
        }
        if posed.rect.width > 0 {
            let name = named(format!("{}, re-posed", request.subject));
            outcome.layers.push(canvas.layer(
                &name,
                candidate,
                Role::Subject,
                posed.rect,
                &colours,
                &posed.matte,
                depth,
            )?);
        }
    }
    Ok(outcome)
}

/// Whether pins, a guide or a placement give the pose.
fn asks_for_shape(request: &Repose) -> bool {
    !request.pins.is_empty() || request.placement != Placement::default() || request.guide.is_some()
}

/// What one candidate of the patch engine is made from.
struct Work<'a> {
    canvas: &'a Canvas<'a>,
    request: &'a Repose,
    subject: &'a Subject,
    found: &'a Found,
    posed: &'a Posed,
    progress: &'a Progress,
}

/// The restored background with where it lies, if anything was removed.
type Below = Option<(Rect, Image)>;

impl Work<'_> {
    /// The restored background, and the deformed subject's colours, renewed. `report` is told the share that is done.
    fn made(&self, seed: u64, report: &mut dyn FnMut(f32) -> Result<()>) -> Result<(Below, Image)> {
        let Self { canvas, posed, .. } = *self;
        let mut below = None;
        if let Some((rect, removal)) = &self.found.removal {
            self.progress.stage("background")?;
            let covered = posed.covers(*rect);
            let filled = background::restore(
                canvas,
                *rect,
                removal,
                Some(&covered),
                seed,
                &mut |done, level: &Level| {
                    self.progress.preview(&level.picture());
                    report(BACKGROUND * done)
                },
            )?;
            below = Some((*rect, filled));
        }
        self.progress.stage("subject texture")?;
        let figure = &self.found.figure;
        let sources = [
            (&self.subject.colours, &self.subject.matte),
            (&figure.colours, &figure.matte),
        ];
        let mut report = |done: f32| report(BACKGROUND + (1.0 - BACKGROUND) * done);
        let colours = match &self.request.guide {
            Some(_) => guide::renew(canvas, posed, below.as_ref(), &sources, seed, &mut report)?,
            None => grow::renew(posed, &sources, seed, &mut report)?,
        };
        Ok((below, colours))
    }
}

/// The subject in its new pose on a rectangle of the picture.
pub(crate) struct Posed {
    /// Where it lies, inside the picture; empty if all of it left the picture.
    rect: Rect,
    /// Its colours.
    colours: Image,
    /// Its coverage.
    matte: Mask,
    /// How much its texture is stretched; 1 where it is not.
    stretch: Mask,
}

impl Posed {
    /// Where it hides what is below it for certain, on a rectangle of the picture.
    fn covers(&self, rect: Rect) -> Grid<bool> {
        let whole = self.matte.map(|&v| f32::from(u8::from(v >= WHOLE)));
        let sure = erode(&whole, UNDER_EDGE);
        Grid::from_fn(rect.width, rect.height, |x, y| {
            let column = (x + rect.x).checked_sub(self.rect.x);
            let row = (y + rect.y).checked_sub(self.rect.y);
            let inside = column
                .zip(row)
                .filter(|&(column, row)| column < self.rect.width && row < self.rect.height);
            inside.is_some_and(|(column, row)| sure.at(column, row) > 0.0)
        })
    }
}

/// A subject as it stands in this picture, and what has to go for it to move: a rectangle of the picture and, on it,
/// where the background is to be restored.
struct Found {
    figure: Figure,
    removal: Option<(Rect, Mask)>,
}

impl Found {
    /// The subject as pins, a guide or a placement ask for it.
    fn posed(&self, canvas: &Canvas<'_>, request: &Repose) -> Result<Posed> {
        match &request.guide {
            Some(guide) => guide::painted(canvas, guide),
            None => self.figure.posed(canvas, &request.pins, &request.placement),
        }
    }
}

/// Layer masks go back in the selection's format, or in one as fine as the picture's.
fn mask_depth(request: &Repose) -> SelectionDepth {
    match (&request.selection, request.picture.depth) {
        (Some(selection), _) => selection.depth,
        (None, Depth::U8) => SelectionDepth::U8,
        (None, Depth::U16) => SelectionDepth::U16,
        (None, Depth::F16 | Depth::F32) => SelectionDepth::F32,
    }
}

/// Finds the subject: under the selection; else, in the picture it was learned from, where it was learned; else it is new
/// here and begins with its middle in the middle of the picture.
fn locate(canvas: &Canvas<'_>, request: &Repose, subject: &Subject) -> Result<Found> {
    let at_home =
        request.selection.is_none() && picture_hash(&request.picture) == subject.source_hash;
    match &request.selection {
        Some(selection) => under_selection(canvas, request, selection),
        None if at_home => {
            let seen = subject.matte.support();
            let place = Rect {
                x: subject.rect.x + seen.x,
                y: subject.rect.y + seen.y,
                ..seen
            };
            let all = canvas.bounds();
            let rect = place.grown(request.grow as usize, all.width, all.height);
            let whole = Selection {
                depth: mask_depth(request),
                rect: place,
                mask: subject.matte.crop(seen),
            };
            let removal = crate::canvas::grow(&whole.place(rect), request.grow as usize);
            Ok(Found {
                figure: Figure::of(subject),
                removal: Some((rect, removal)),
            })
        }
        None => Ok(Found {
            figure: Figure::of(subject).centred(canvas.bounds()),
            removal: None,
        }),
    }
}

fn under_selection(canvas: &Canvas<'_>, request: &Repose, selection: &Selection) -> Result<Found> {
    let rect = surroundings(canvas, selected(selection)?);
    let image = canvas.image(rect)?;
    // The matte is of what the user selected; the grown rim is only cleared of what the subject left there.
    let cut = matte::cut_out(&image, &selection.place(rect), request.refine);
    let (colours, _) = colours::unmix(&image, &cut.matte);
    let all = canvas.bounds();
    let by = request.grow as usize;
    let place = selection.rect.grown(by, all.width, all.height);
    let removal = grow(&cut.removal.placed(rect, place), by);
    Ok(Found {
        figure: Figure::new([rect.x as i32, rect.y as i32], colours, cut.matte),
        removal: Some((place, removal)),
    })
}
