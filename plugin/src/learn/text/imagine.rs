//! Pictures that the model makes of words alone: of the class, and of the subject while it is learned.

use candle_core::Tensor;

use crate::Result;
use crate::engine::stable_diffusion::model::{Model, Text};
use crate::engine::stable_diffusion::sampler::{Method, Noise, Sampler, guide};
use crate::engine::stable_diffusion::unet::Controls;

/// Classifier-free guidance, as in diffusers' scripts.
const GUIDANCE: f64 = 7.5;

/// The latents of one picture, `[1, channels, side, side]`, in `steps` steps of a model not made for inpainting. `step` is
/// called before each; its error ends the work.
///
/// # Errors
/// As [`Model::predict`]; what `step` gives.
pub fn imagine(
    model: &Model,
    text: &Text,
    empty: &Text,
    steps: usize,
    noise: &mut Noise,
    step: &mut dyn FnMut() -> Result<()>,
) -> Result<Tensor> {
    let pace = model.pace();
    let method = pace.map_or(Method::DpmKarras, |pace| pace.method);
    let steps = pace.map_or(steps, |pace| pace.steps);
    let guidance = pace.map_or(GUIDANCE, |pace| pace.guidance);
    let mut sampler = Sampler::new(method, model.schedule(), steps)?;
    let config = model.unet().config();
    let side = config.sample_size.at(0);
    let shape = [1, config.out_channels, side, side];
    let mut sample = sampler.start_from(&noise.tensor(&shape, model.device())?)?;
    for index in 0..sampler.steps() {
        step()?;
        let t = [sampler.timesteps()[index]];
        let input = sampler.scale_input(&sample, index)?;
        let controls = Controls::default();
        let output = if guidance == 1.0 {
            model.predict(&input, &t, &[text], &controls)?.0
        } else {
            let both = Tensor::cat(&[&input, &input], 0)?;
            let (made, _) = model.predict(&both, &t, &[empty, text], &controls)?;
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
