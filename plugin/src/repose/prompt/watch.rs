//! How far a run is, and what it looks like so far.

use candle_core::Tensor;

use super::Scene;
use super::preview::Preview;
use super::turns::Turn;
use crate::Result;
use crate::canvas::{Grid, Image, Mask, fit};
use crate::engine::stable_diffusion::frame::{from_tensor, scale_image, scale_mask};
use crate::engine::stable_diffusion::model::Model;
use crate::progress::{PREVIEW_SIDE, Progress};

/// Share of a job before the first pass of the network, with loading and encoding.
const BEFORE: f32 = 0.04;
/// What decoding takes, in passes of the network.
const DECODING: f32 = 2.0;

/// Reports a job's steps and previews.
pub(super) struct Watch<'a> {
    progress: &'a Progress,
    turns: &'a [Turn],
    /// Pictures of the subject that each turn looks at.
    looks: usize,
    candidates: u32,
    candidate: u32,
    /// Passes done and all.
    done: f32,
    total: f32,
    picture: Image,
    model: &'a Model,
    preview: Option<Preview>,
}

impl<'a> Watch<'a> {
    pub fn new(
        scene: &'a Scene,
        model: &'a Model,
        progress: &'a Progress,
        candidates: u32,
        looks: usize,
    ) -> Self {
        let turns = &scene.turns[..];
        let each = passes(turns, looks) + DECODING;
        let inversion = if scene.inverts(model) { turns.len() } else { 0 };
        Self {
            progress,
            turns,
            looks,
            candidates,
            candidate: 0,
            done: 0.0,
            total: inversion as f32 + candidates as f32 * each,
            picture: fit(&scene.picture, PREVIEW_SIDE),
            model,
            preview: None,
        }
    }

    /// Learns from the picture's own latents how latents look, for models that have no quick decoder.
    pub fn know(&mut self, latents: &Tensor) -> Result<()> {
        self.preview = Some(Preview::fit(latents, &self.picture)?);
        self.progress.reach(BEFORE)
    }

    /// Enters a stage.
    pub fn stage(&self, name: &'static str) -> Result<()> {
        self.progress.stage(name)
    }

    /// One step of the inversion begins.
    pub fn inverted(&mut self) -> Result<()> {
        self.reach(self.done + 1.0)
    }

    /// A candidate begins.
    pub fn candidate(&mut self, candidate: u32) {
        self.candidate = candidate;
    }

    /// So many steps of this candidate are done.
    pub fn step(&mut self, done: usize, denoised: &Tensor, region: &Mask) -> Result<()> {
        let seen = match (self.model.glance(denoised)?, &self.preview) {
            (Some(picture), _) => Some(from_tensor(&picture)?),
            (None, Some(preview)) => Some(preview.show(denoised)?),
            (None, None) => None,
        };
        if let Some(seen) = seen {
            self.progress.preview(&self.over(&seen, region));
        }
        self.reach(self.at(self.candidate) + passes(&self.turns[..done], self.looks))
    }

    /// A candidate is finished.
    pub fn decoded(&mut self, candidate: u32) -> Result<()> {
        self.reach(self.at(candidate + 1))
    }

    /// Passes before a candidate.
    fn at(&self, candidate: u32) -> f32 {
        let each = passes(self.turns, self.looks) + DECODING;
        self.total - (self.candidates - candidate) as f32 * each
    }

    fn reach(&mut self, done: f32) -> Result<()> {
        self.done = done;
        self.progress
            .reach(BEFORE + (1.0 - BEFORE) * done / self.total)
    }

    /// What is seen so far over the picture.
    fn over(&self, seen: &Image, region: &Mask) -> Image {
        let (width, height) = (self.picture.width(), self.picture.height());
        let (seen, region) = (
            scale_image(seen, width, height),
            scale_mask(region, width, height),
        );
        Grid::from_fn(width, height, |x, y| {
            let (a, s, p) = (region.at(x, y), seen.at(x, y), self.picture.at(x, y));
            std::array::from_fn(|c| a * s[c] + (1.0 - a) * p[c])
        })
    }
}

/// What these take.
fn passes(turns: &[Turn], looks: usize) -> f32 {
    turns.iter().map(|turn| turn.passes(looks)).sum()
}
