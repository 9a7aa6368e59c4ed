//! Pictures that the model makes of words alone: of the class, and of the subject while it is learned.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::Result;
use crate::engine::stable_diffusion::model::{Model, Text};
use crate::engine::stable_diffusion::sampler::{GUIDANCE, Method, Noise, Sampler, guide};
use crate::engine::stable_diffusion::unet::{Controls, Feed};

/// ω_ref of DreamTuner (arXiv 2312.13691, §3.2) for photographs.
const LIKENESS: f32 = 3.0;

/// A picture that the model made.
#[derive(Debug)]
pub struct Made {
    /// `[1, channels, side, side]`.
    pub latents: Tensor,
    /// Of what.
    pub caption: String,
}

/// A picture that others are to look like.
#[derive(Debug, Clone, Copy)]
pub struct Like<'a> {
    /// Its latents.
    pub latents: &'a Tensor,
    /// What it shows.
    pub text: &'a Text,
}

/// What is to be made.
#[derive(Debug)]
pub struct Wish<'a> {
    /// What it shall show.
    pub text: &'a Text,
    /// No words.
    pub empty: &'a Text,
    /// Steps of the sampler.
    pub steps: usize,
    /// What it shall look like.
    pub like: Option<Like<'a>>,
}

/// The latents of one picture, `[1, channels, side, side]`, by a model not made for inpainting. `step` is called before each
/// step; its error ends the work.
///
/// # Errors
/// As [`Model::predict`]; what `step` gives.
pub fn imagine(
    model: &Model,
    wish: &Wish<'_>,
    noise: &mut Noise,
    step: &mut dyn FnMut() -> Result<()>,
) -> Result<Tensor> {
    let pace = model.pace();
    let method = pace.map_or(Method::DpmKarras, |pace| pace.method);
    let steps = pace.map_or(wish.steps, |pace| pace.steps);
    let guidance = pace.map_or(GUIDANCE, |pace| pace.guidance);
    let mut sampler = Sampler::new(method, model.schedule(), steps)?;
    let config = model.unet().config();
    let side = config.sample_size.at(0);
    let shape = [1, config.out_channels, side, side];
    let mut sample = sampler.start_from(&noise.tensor(&shape, model.device())?)?;
    let shown = match wish.like {
        Some(like) => Some((like, noise.tensor(like.latents.dims(), model.device())?)),
        None => None,
    };
    for index in 0..sampler.steps() {
        step()?;
        let t = [sampler.timesteps()[index]];
        let input = sampler.scale_input(&sample, index)?;
        let mut controls = Controls::default();
        if let Some((like, under)) = &shown {
            let seen = sampler.add_noise(like.latents, under, index)?;
            let seen = sampler.scale_input(&seen, index)?;
            controls.feed = features(model, &seen, &t, like.text)?;
        }
        let output = if guidance == 1.0 {
            model.predict(&input, &t, &[wish.text], &controls)?.0
        } else {
            let both = Tensor::cat(&[&input, &input], 0)?;
            let (made, _) = model.predict(&both, &t, &[wish.empty, wish.text], &controls)?;
            guide(&made.narrow(0, 0, 1)?, &made.narrow(0, 1, 1)?, guidance)?
        };
        let fresh = match sampler.needs_noise(index) {
            true => Some(noise.tensor(&shape, model.device())?),
            false => None,
        };
        sample = sampler
            .step(&output, index, &sample, fresh.as_ref())?
            .sample;
    }
    Ok(sample)
}

/// The keys and values of all self-attentions for a noisy picture.
fn features(
    model: &Model,
    seen: &Tensor,
    t: &[f32],
    text: &Text,
) -> Result<BTreeMap<String, Feed>> {
    let own = model.unet().layers().iter().filter(|l| !l.cross);
    let controls = Controls {
        record: own.map(|l| l.name.clone()).collect(),
        ..Controls::default()
    };
    let (_, seen) = model.predict(seen, t, &[text], &controls)?;
    seen.beside(|features| vec![LIKENESS; features.width * features.height])
}
