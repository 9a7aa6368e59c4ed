//! Steps of training as the plugin takes them when a subject is learned: the longest one of each recipe, from the words to the
//! optimiser, on the photo in `examples/photos`.

use std::path::Path;

use repose::canvas::Grid;
use repose::engine::stable_diffusion::model::Model;
use repose::engine::stable_diffusion::weights::Options;
use repose::learn::recipe::{Lesson, Recipe};
use repose::learn::text::{Picture, Study};
use repose::progress::Progress;

use crate::Result;
use crate::case::{Case, Computed, Measured, SELF, forget_peak, megabytes};

/// Noisy samples of the subject's picture in a recipe's longest step, and pictures of the class.
pub fn samples(recipe: Recipe) -> (usize, usize) {
    let lessons = recipe.course().lessons;
    let of = |l: &Lesson| (l.batch, usize::from(l.class_pictures > 0.0));
    lessons.iter().map(of).max().unwrap_or_default()
}

/// Times one recipe's steps.
pub fn steps(case: &Case) -> Result<Measured> {
    let recipe = case.recipe.ok_or("learning is measured with a recipe")?;
    let model = Model::open(&case.checkpoint, &Options::default(), &case.device()?)?;
    let study = Study {
        recipe: recipe.into(),
        steps: None,
        rank: None,
        seed: 1,
        word: "teddy bear",
        token: "my-teddy".to_owned(),
        state: None,
    };
    let mut seconds = Vec::with_capacity(case.steps);
    let mut computed = None;
    study.rehearse(&model, &[picture()?], &Progress::new(), &mut |took| {
        match computed {
            // The first step reads the weights from the disk, and the pictures were encoded before it.
            None => {
                forget_peak();
                computed = Some(Computed::begin(SELF));
            }
            Some(_) => seconds.push(took.as_secs_f64()),
        }
        seconds.len() < case.steps
    })?;
    Ok(Measured {
        seconds,
        peak: megabytes("VmHWM"),
        cores: computed.map_or(0.0, |computed| computed.cores()),
        ..Measured::default()
    })
}

fn picture() -> Result<Picture> {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/photos");
    let photo = image::open(photos.join("teddy.jpg"))?.to_rgb32f();
    let mask = image::open(photos.join("teddy_mask.png"))?.to_luma32f();
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    Ok(Picture {
        image: Grid::from_fn(width, height, |x, y| photo.get_pixel(x as u32, y as u32).0),
        matte: Grid::from_fn(width, height, |x, y| {
            mask.get_pixel(x as u32, y as u32).0[0]
        }),
        caption: Some("a teddy bear on a rock".to_owned()),
    })
}
