//! The pictures that a text model learns a subject from.

use candle_core::Tensor;

use crate::Result;
use crate::canvas::{Grid, Image, Mask};
use crate::engine::stable_diffusion::frame::{Frame, mask_tensor, scale_mask};
use crate::engine::stable_diffusion::model::Model;
use crate::progress::Progress;

/// A picture with the subject in it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The picture, or as much of it as is known.
    pub image: Image,
    /// Where the subject is in it.
    pub matte: Mask,
    /// What it shows.
    pub caption: Option<String>,
}

/// A picture as the model sees it.
#[derive(Debug)]
pub struct Reference {
    /// `[1, channels, height, width]`.
    pub latents: Tensor,
    /// The same of the subject on white.
    pub alone: Tensor,
    /// The subject's share of each latent, `[1, 1, height, width]`.
    pub mask: Tensor,
    /// The same, not yet on the device.
    pub matte: Mask,
    /// What the picture shows.
    pub caption: Option<String>,
}

impl Reference {
    /// Frames a picture around its subject and encodes it.
    ///
    /// # Errors
    /// As [`Model::encode`]; `Cancelled`.
    pub fn new(picture: &Picture, model: &Model, progress: &Progress) -> Result<Self> {
        let size = (picture.image.width(), picture.image.height());
        let frame = Frame::around(size, picture.matte.support(), model.side(), model.factor());
        let image = picture.image.crop(frame.rect);
        let cut = picture.matte.crop(frame.rect);
        let on_white = Grid::from_fn(image.width(), image.height(), |x, y| {
            let share = cut.at(x, y);
            image.at(x, y).map(|v| share * v + 1.0 - share)
        });
        let encode = |image: &Image| {
            let pixels = frame.to_model(image, model.device())?;
            model.encode(&pixels, &mut || progress.check())
        };
        let (width, height) = frame.latent();
        let matte = scale_mask(&cut, width, height);
        Ok(Self {
            latents: encode(&image)?,
            alone: encode(&on_white)?,
            mask: mask_tensor(&matte, model.device())?,
            matte,
            caption: picture.caption.clone(),
        })
    }
}

/// All pictures, framed and encoded.
///
/// # Errors
/// As [`Reference::new`].
pub fn references(
    pictures: &[Picture],
    model: &Model,
    progress: &Progress,
) -> Result<Vec<Reference>> {
    let encoded = pictures.iter().map(|p| Reference::new(p, model, progress));
    encoded.collect()
}
