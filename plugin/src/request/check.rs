//! What every request must be, wherever it comes from. Limits are those of `repose.h`.

use std::fmt::Display;

use super::{Erase, Learn, Pin, Placement, Repose, Request};
use crate::canvas::{MAX_PIXELS, Mask, Raster, Selection, Space};
use crate::{Error, Result};

/// Most results of one job.
const MAX_CANDIDATES: u32 = 16;
/// Most pixels by which a selection grows.
const MAX_GROW: u32 = 256;
/// Most pins of one pose.
const MAX_PINS: usize = 1000;
/// A pin may reach beyond the picture by this many times its longer side …
const BEYOND: f32 = 4.0;
/// … counted as at least this many pixels.
const SMALL_SIDE: u32 = 256;
/// Nothing is moved further, in pixels: positions stay exact in `f32`.
pub const FURTHEST: f32 = 400_000.0;
/// Longest consent or prompt, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Longest caption and word of a subject, in bytes: they stand in its file's header.
const MAX_CAPTION: usize = 4096;
const MAX_WORD: usize = 200;
/// Largest ICC profile, in bytes.
const MAX_PROFILE: usize = 64 << 20;

impl Request {
    /// Checks everything that needs no look at the library or at every pixel; its time does not grow with the picture.
    ///
    /// # Errors
    /// `Caller`, saying what was expected and what came; `Refused` where consent is missing.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Learn(request) => learn(request),
            Self::Repose(request) => repose(request),
            Self::Erase(request) => erase(request),
        }
    }
}

fn learn(request: &Learn) -> Result<()> {
    raster(&request.picture, "the picture")?;
    selection(&request.selection, &request.picture)?;
    name(&request.name)?;
    for (it, most, what) in [
        (&request.caption, MAX_CAPTION, "the caption"),
        (&request.word, MAX_WORD, "the subject's word"),
    ] {
        if let Some(it) = it
            && it.len() > most
        {
            return Err(Error::caller(format!(
                "{what} is {} bytes long: at most {most} were expected",
                it.len()
            )));
        }
    }
    if let Some(training) = &request.training {
        training.check()?;
    }
    let consent = &request.consent;
    text(&consent.statement, "the consent")?;
    if consent.statement.trim().is_empty() {
        return Err(Error::refused(
            "consent is missing: say in a sentence who allows this subject to be learned, and for what",
        ));
    }
    if consent.person && !consent.person_agrees {
        return Err(Error::refused(
            "this is a real person's likeness: it can be learned only once that person has said yes",
        ));
    }
    if let Some(day) = &consent.expires
        && (day.len() != 10 || day.parse::<jiff::civil::Date>().is_err())
    {
        return Err(Error::caller(format!(
            "the last day of use must be a date such as 2027-12-31, not {}",
            shown(day)
        )));
    }
    Ok(())
}

fn repose(request: &Repose) -> Result<()> {
    raster(&request.picture, "the picture")?;
    if let Some(it) = &request.selection {
        selection(it, &request.picture)?;
    }
    name(&request.subject)?;
    if request.version == Some(0) {
        return Err(Error::caller("versions of a subject start at 1"));
    }
    if request.pins.len() > MAX_PINS {
        return Err(Error::caller(format!(
            "at most {MAX_PINS} pins were expected, {} came",
            request.pins.len()
        )));
    }
    for (index, it) in request.pins.iter().enumerate() {
        pin(it, index, &request.picture)?;
    }
    if let Some(guide) = &request.guide {
        raster(guide, "the guide")?;
        let (got, want) = (guide, &request.picture);
        if (got.width, got.height) != (want.width, want.height) {
            return Err(Error::caller(format!(
                "the guide is {}×{}, the picture is {}×{}: both must be the same size",
                got.width, got.height, want.width, want.height
            )));
        }
        if !guide.channels.has_alpha() {
            return Err(Error::caller(
                "the guide needs alpha, to tell where something was painted",
            ));
        }
    }
    if let Some(prompt) = &request.prompt {
        text(prompt, "the prompt")?;
    }
    if let Some(words) = &request.words {
        words.check()?;
    }
    placement(&request.placement)?;
    candidates(request.candidates)?;
    grow(request.grow)
}

fn erase(request: &Erase) -> Result<()> {
    raster(&request.picture, "the picture")?;
    selection(&request.selection, &request.picture)?;
    candidates(request.candidates)?;
    grow(request.grow)
}

fn raster(raster: &Raster, what: &str) -> Result<()> {
    let (width, height) = (raster.width, raster.height);
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS {
        return Err(Error::caller(format!(
            "{what} is {width}×{height}: 1 to {MAX_PIXELS} pixels were expected"
        )));
    }
    let bytes = pixels * raster.bytes_per_pixel() as u64;
    if raster.bytes.len() as u64 != bytes {
        return Err(Error::caller(format!(
            "{what} is {width}×{height}: {bytes} bytes were expected, {} came",
            raster.bytes.len()
        )));
    }
    match &raster.space {
        Space::Icc(profile) if profile.is_empty() || profile.len() > MAX_PROFILE => {
            Err(Error::caller(format!(
                "the colour profile of {what} has {} bytes: 1 to {MAX_PROFILE} were expected",
                profile.len()
            )))
        }
        _ => Ok(()),
    }
}

fn selection(selection: &Selection, picture: &Raster) -> Result<()> {
    let rect = selection.rect;
    let inside = |start: usize, length: usize, limit: u32| {
        start
            .checked_add(length)
            .is_some_and(|end| end <= limit as usize)
    };
    if !inside(rect.x, rect.width, picture.width) || !inside(rect.y, rect.height, picture.height) {
        return Err(Error::caller(format!(
            "the selection ({}×{} at {}, {}) reaches beyond the picture ({}×{})",
            rect.width, rect.height, rect.x, rect.y, picture.width, picture.height
        )));
    }
    if (selection.mask.width(), selection.mask.height()) != (rect.width, rect.height) {
        return Err(Error::caller("the selection's size and its values differ"));
    }
    Ok(())
}

/// What the values of a saved selection must be. A host's are made so while they are copied: no second look at every
/// pixel keeps the host waiting.
pub(super) fn values(mask: &Mask) -> Result<()> {
    if !mask.data().iter().all(|v| (0.0..=1.0).contains(v)) {
        return Err(Error::caller("the selection's values must be 0 to 1"));
    }
    if mask.support().width == 0 {
        return Err(empty_selection());
    }
    Ok(())
}

/// For a selection that selects nothing of the picture.
pub(super) fn empty_selection() -> Error {
    Error::caller("nothing is selected inside the picture: select something first")
}

/// That each number that was given lies in its range.
pub(super) fn ranges<T: PartialOrd + Display>(numbers: &[(&str, Option<T>, T, T)]) -> Result<()> {
    for (what, value, low, high) in numbers {
        if let Some(value) = value
            && !(low..=high).contains(&value)
        {
            return Err(Error::caller(format!(
                "{what} must be {low} to {high}, not {value}"
            )));
        }
    }
    Ok(())
}

fn name(name: &str) -> Result<()> {
    let length = name.chars().count();
    let bad = |c: char| c.is_control() || c == '/' || c == '\\';
    if !(1..=80).contains(&length) || name.trim().is_empty() || name.contains(bad) {
        return Err(Error::caller(format!(
            "a subject's name has 1 to 80 characters, none of / \\ or control characters; {} was given",
            shown(name)
        )));
    }
    Ok(())
}

fn pin(pin: &Pin, index: usize, picture: &Raster) -> Result<()> {
    let index = index + 1;
    let angle = pin.angle.unwrap_or(0.0);
    let numbers = [
        pin.from[0],
        pin.from[1],
        pin.to[0],
        pin.to[1],
        angle,
        pin.depth,
    ];
    if !numbers.iter().all(|v| v.is_finite()) {
        return Err(Error::caller(format!(
            "pin {index} must be made of numbers: {pin:?}"
        )));
    }
    let reach = picture.width.max(picture.height).max(SMALL_SIDE) as f32 * BEYOND;
    let near = |at: [f32; 2]| {
        let sides = [picture.width, picture.height];
        (0..2).all(|k| (-reach..=sides[k] as f32 + reach).contains(&at[k]))
    };
    for (what, at) in [("is at", pin.from), ("goes to", pin.to)] {
        if !near(at) {
            return Err(Error::caller(format!(
                "pin {index} {what} ({}, {}): at most {reach} pixels beyond the picture ({}×{}) were expected",
                at[0], at[1], picture.width, picture.height
            )));
        }
    }
    Ok(())
}

fn placement(placement: &Placement) -> Result<()> {
    let good = placement.offset.into_iter().all(|v| v.abs() < FURTHEST)
        && (0.05..=20.0).contains(&placement.scale)
        && placement.angle.is_finite();
    if good {
        Ok(())
    } else {
        Err(Error::caller(format!(
            "the move must be below {FURTHEST} pixels, the scale 0.05 to 20, the angle a number: {placement:?}"
        )))
    }
}

fn candidates(candidates: u32) -> Result<()> {
    if (1..=MAX_CANDIDATES).contains(&candidates) {
        Ok(())
    } else {
        Err(Error::caller(format!(
            "1 to {MAX_CANDIDATES} candidates can be made, not {candidates}"
        )))
    }
}

fn grow(grow: u32) -> Result<()> {
    if grow <= MAX_GROW {
        Ok(())
    } else {
        Err(Error::caller(format!(
            "a selection can be grown by 0 to {MAX_GROW} pixels, not {grow}"
        )))
    }
}

pub(super) fn text(text: &str, what: &str) -> Result<()> {
    if text.len() <= MAX_TEXT {
        Ok(())
    } else {
        Err(Error::caller(format!(
            "{what} is {} bytes long: at most {MAX_TEXT} were expected",
            text.len()
        )))
    }
}

/// A user's text, short and quoted, for a message.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(100).collect::<String>())
}
