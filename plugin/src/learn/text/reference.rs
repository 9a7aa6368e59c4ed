//! The pictures that a text model learns a subject from.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor};

use super::view::View;
use crate::Result;
use crate::canvas::{Grid, Image, Mask, Rect};
use crate::engine::stable_diffusion::frame::{Frame, mask_tensor, scale_mask};
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::progress::Progress;

/// The first of the seed's streams for places and sizes of views, which go down from here.
const VIEWS: u64 = u64::MAX - 16;

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
    /// As it is.
    pub whole: Rc<Seen>,
    /// The subject on white.
    pub alone: Rc<Seen>,
    /// What the picture shows.
    pub caption: Option<String>,
    /// What the frame holds of the picture.
    pub image: Image,
    cut: Mask,
    frame: Frame,
    progress: Progress,
    seed: u64,
    /// Other views, of the whole or of the subject alone, as they are first asked for: encoding takes long.
    others: RefCell<BTreeMap<(View, bool), Rc<Seen>>>,
}

/// A view of a picture, encoded.
#[derive(Debug)]
pub struct Seen {
    /// `[1, channels, height, width]`.
    pub latents: Tensor,
    /// The subject's share of each latent, `[1, 1, height, width]`.
    pub mask: Tensor,
    /// The same, not yet on the device.
    pub matte: Mask,
    /// 1 where the picture is, in the same form, and 0 beside it; `None`: it is everywhere.
    pub part: Option<Tensor>,
}

impl Reference {
    /// Frames a picture around its subject and encodes it. Other views depend on `seed`.
    ///
    /// # Errors
    /// As [`Model::encode`]; `Cancelled`.
    pub fn new(picture: &Picture, model: &Model, progress: &Progress, seed: u64) -> Result<Self> {
        let size = (picture.image.width(), picture.image.height());
        let frame = Frame::around(size, picture.matte.support(), model.side(), model.factor());
        let image = picture.image.crop(frame.rect);
        let cut = picture.matte.crop(frame.rect);
        let see = |alone| {
            see(
                View::default(),
                alone,
                (&image, &cut),
                &frame,
                (model, progress),
                seed,
            )
        };
        Ok(Self {
            whole: Rc::new(see(false)?),
            alone: Rc::new(see(true)?),
            caption: picture.caption.clone(),
            image,
            cut,
            frame,
            progress: progress.clone(),
            seed,
            others: RefCell::default(),
        })
    }

    /// A view of the picture, or of the subject alone.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn seen(&self, view: View, alone: bool, model: &Model) -> Result<Rc<Seen>> {
        if view == View::default() {
            let usual = if alone { &self.alone } else { &self.whole };
            return Ok(Rc::clone(usual));
        }
        let known = self.others.borrow().get(&(view, alone)).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let of = (&self.image, &self.cut);
        let seen = see(
            view,
            alone,
            of,
            &self.frame,
            (model, &self.progress),
            self.seed,
        )?;
        let seen = Rc::new(seen);
        let mut others = self.others.borrow_mut();
        others.insert((view, alone), Rc::clone(&seen));
        Ok(seen)
    }
}

/// Draws a view and encodes it.
fn see(
    view: View,
    alone: bool,
    (image, cut): (&Image, &Mask),
    frame: &Frame,
    (model, progress): (&Model, &Progress),
    seed: u64,
) -> Result<Seen> {
    let on_white = alone.then(|| {
        Grid::from_fn(image.width(), image.height(), |x, y| {
            let share = cut.at(x, y);
            image.at(x, y).map(|v| share * v + 1.0 - share)
        })
    });
    let mut noise = Noise::new(seed, VIEWS - view.number() as u64);
    let drawn = view.of(on_white.as_ref().unwrap_or(image), cut, frame, &mut noise);
    let pixels = frame.to_model(&drawn.image, model.device())?;
    let (width, height) = frame.latent();
    let matte = scale_mask(&drawn.matte, width, height);
    let part = drawn
        .part
        .map(|part| ones((width, height), part, model.device()));
    Ok(Seen {
        latents: model.encode(&pixels, &mut || progress.check())?,
        mask: mask_tensor(&matte, model.device())?,
        matte,
        part: part.transpose()?,
    })
}

/// `[1, 1, height, width]`: 1 in `rect`, 0 elsewhere.
fn ones((width, height): (usize, usize), rect: Rect, device: &Device) -> Result<Tensor> {
    let one = Tensor::ones((1, 1, rect.height, rect.width), DType::F32, device)?;
    let one = one.pad_with_zeros(3, rect.x, width - rect.x - rect.width)?;
    Ok(one.pad_with_zeros(2, rect.y, height - rect.y - rect.height)?)
}

/// All pictures, framed and encoded.
///
/// # Errors
/// As [`Reference::new`].
pub fn references(
    pictures: &[Picture],
    model: &Model,
    progress: &Progress,
    seed: u64,
) -> Result<Vec<Reference>> {
    // Each has other places and sizes in its views.
    let encoded = pictures
        .iter()
        .zip(0..)
        .map(|(picture, n)| Reference::new(picture, model, progress, seed.wrapping_add(n)));
    encoded.collect()
}
