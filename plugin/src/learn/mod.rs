//! Learning a subject from a selection.

pub mod colours;
pub mod command;
pub mod matte;
pub mod mesh;
pub mod recipe;
mod speed;
pub mod text;
pub mod train;
mod trim;

use sha2::{Digest, Sha256};
pub use speed::Measured;
use speed::Speeds;
pub use text::photo_of;
use text::{Picture, Study};

use crate::canvas::{Canvas, Grid, Image, Mask, Raster, Rect, Selection, Space, grow};
use crate::engine::patch::level::RADIUS;
use crate::engine::stable_diffusion::Cache;
use crate::outcome::{ModelRef, Outcome};
use crate::progress::Progress;
use crate::request::{Learn, Training};
use crate::subject::{Library, Prior, Subject, SubjectWords, TextPart, hex};
use crate::{Error, Result};

/// Coverage from which a pixel shows the subject alone.
pub const WHOLE: f32 = 0.99;

/// Share of the job before a text model's training, and where it ends.
const BEFORE: f32 = 0.02;
const AFTER: f32 = 0.99;

/// Learns a subject: matte, the subject's own colours, mesh, patches, what a text model shall know of it, and the file in the
/// library, in this order.
///
/// # Errors
/// As the library and the models; `Caller` if nothing is selected.
pub fn run(
    request: &Learn,
    library: &Library,
    models: &mut Cache,
    progress: &Progress,
) -> Result<Outcome> {
    progress.begin(1000);
    let before = match request.training {
        Some(_) => BEFORE,
        None => 1.0,
    };
    Library::check(&request.name, &request.consent)?;
    let canvas = Canvas::new(&request.picture)?;
    let rect = surroundings(&canvas, selected(&request.selection)?);
    progress.stage("matte")?;
    let image = canvas.image(rect)?;
    let selection = request.selection.place(rect);
    let matte = matte::cut_out(&image, &selection, request.refine).matte;
    progress.reach(0.3 * before)?;
    progress.stage("colours")?;
    let (colours, _) = colours::unmix(&image, &matte);
    progress.preview(&on_grey(&colours, &matte));
    progress.reach(0.6 * before)?;
    progress.stage("mesh")?;
    let mut subject = Subject {
        name: request.name.clone(),
        rect,
        source_size: [request.picture.width, request.picture.height],
        source_hash: picture_hash(&request.picture),
        raster: cut(&request.picture, rect),
        mesh: mesh::mesh(&matte),
        prior: prior(&matte),
        words: SubjectWords {
            caption: request.caption.clone(),
            word: request.word.clone(),
        },
        colours,
        matte,
        text: None,
    };
    progress.reach(0.8 * before)?;
    let mut model = None;
    if let Some(training) = &request.training {
        let text = study(
            request, training, &canvas, &subject, library, models, progress,
        )?;
        model = Some(text.1);
        subject.text = Some(text.0);
    }
    progress.stage("saving")?;
    let saved = library.save(&subject, &request.consent)?;
    Ok(Outcome {
        layers: Vec::new(),
        subject: Some(saved),
        model,
    })
}

/// What a text model learns of a subject, and which.
fn study(
    request: &Learn,
    training: &Training,
    canvas: &Canvas<'_>,
    subject: &Subject,
    library: &Library,
    models: &mut Cache,
    progress: &Progress,
) -> Result<(TextPart, ModelRef)> {
    progress.stage("model")?;
    let word = request.word.as_deref().unwrap_or(&request.name);
    let all = canvas.bounds();
    let mut pictures = vec![Picture {
        image: canvas.image(all)?,
        matte: subject.matte.placed(subject.rect, all),
        caption: request.caption.clone(),
    }];
    for earlier in library.newest(&request.name, training.earlier as usize)? {
        let canvas = Canvas::new(&earlier.raster)?;
        pictures.push(Picture {
            image: canvas.image(canvas.bounds())?,
            matte: earlier.matte,
            caption: earlier.words.caption,
        });
    }
    let model = models.open(training.model.as_deref(), &[], &[])?;
    let study = Study {
        recipe: training.recipe()?,
        steps: training.steps.map(u64::from),
        rank: training.rank.map(|rank| rank as usize),
        seed: training.seed,
        word,
        token: token(&request.name),
        state: Some(library.root().join("training").join(library.request())),
    };
    let (named, recipe) = (model.reference(), study.recipe.name());
    let part = study.run(model, &pictures, progress, &|now| {
        Speeds::note(library, &named.name, &recipe, now)
    })?;
    Ok((part, named))
}

/// What stands in prompts for a subject's learned word: `my-` and the letters and digits of its name.
fn token(name: &str) -> String {
    let plain = name.to_lowercase();
    let words = plain.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|w| !w.is_empty()).collect();
    format!("my-{}", words.join("-"))
}

/// Where a selection is not 0; a caller error if that is nowhere.
pub fn selected(selection: &Selection) -> Result<Rect> {
    if selection.mask.support().width == 0 {
        return Err(Error::caller(
            "nothing is selected: select the subject first",
        ));
    }
    Ok(selection.rect)
}

/// `rect` with enough of the background around it to tell the two apart.
pub fn surroundings(canvas: &Canvas<'_>, rect: Rect) -> Rect {
    let all = canvas.bounds();
    rect.grown(
        (rect.width.max(rect.height) / 16).max(16),
        all.width,
        all.height,
    )
}

/// A selection grown by `by` pixels: the rectangle of the picture it then lies in, and its values there.
pub fn grown(canvas: &Canvas<'_>, selection: &Selection, by: u32) -> Result<(Rect, Mask)> {
    let all = canvas.bounds();
    let rect = selected(selection)?.grown(by as usize, all.width, all.height);
    Ok((rect, grow(&selection.place(rect), by as usize)))
}

/// SHA-256 of a picture's size, format and samples, in hex.
pub fn picture_hash(picture: &Raster) -> String {
    let mut hash = Sha256::new();
    hash.update(format!(
        "{}x{} {:?} {:?}",
        picture.width, picture.height, picture.depth, picture.channels
    ));
    match &picture.space {
        Space::Srgb => hash.update("srgb"),
        Space::LinearSrgb => hash.update("linear-srgb"),
        Space::Icc(profile) => hash.update(profile),
    }
    hash.update(&picture.bytes);
    hex(&hash.finalize())
}

/// The pixels of `rect`, in the picture's own format.
fn cut(picture: &Raster, rect: Rect) -> Raster {
    let pixel = picture.bytes_per_pixel();
    let stride = picture.width as usize * pixel;
    let mut bytes = Vec::with_capacity(rect.width * rect.height * pixel);
    for y in rect.y..rect.y + rect.height {
        let start = y * stride + rect.x * pixel;
        bytes.extend_from_slice(&picture.bytes[start..start + rect.width * pixel]);
    }
    Raster {
        width: rect.width as u32,
        height: rect.height as u32,
        depth: picture.depth,
        channels: picture.channels,
        space: picture.space.clone(),
        bytes,
    }
}

/// The centres of all patches that lie wholly on the subject.
fn prior(matte: &Mask) -> Prior {
    let side = 2 * RADIUS + 1;
    let mut centres = Vec::new();
    // For each column: rows so far, ending here, in which the last `side` pixels are all the subject's.
    let mut down = vec![0usize; matte.width()];
    for y in 0..matte.height() {
        let mut across = 0;
        for (x, &value) in matte.row(y).iter().enumerate() {
            across = if value >= WHOLE { across + 1 } else { 0 };
            down[x] = if across >= side { down[x] + 1 } else { 0 };
            if down[x] >= side {
                centres.push([(x - RADIUS) as u32, (y - RADIUS) as u32]);
            }
        }
    }
    Prior {
        patch: side as u32,
        centres,
    }
}

/// The subject over grey, for a preview.
fn on_grey(colours: &Image, matte: &Mask) -> Image {
    Grid::from_fn(colours.width(), colours.height(), |x, y| {
        let a = matte.at(x, y);
        colours.at(x, y).map(|v| a * v + (1.0 - a) * 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_holds_exactly_the_patches_that_lie_on_the_subject() {
        let matte = Grid::from_fn(40, 30, |x, y| {
            f32::from(u8::from((5..22).contains(&x) && (4..13).contains(&y)))
        });
        let prior = prior(&matte);
        let mut expected = Vec::new();
        for y in 7..10u32 {
            for x in 8..19u32 {
                expected.push([x, y]);
            }
        }
        assert_eq!((prior.patch, prior.centres), (7, expected));
    }
}
