//! The picture as it is, at every noise level of a run: what lies outside an edit comes from here.

use candle_core::Tensor;

use crate::Result;
use crate::engine::stable_diffusion::sampler::{Inversion, Sampler, Schedule};

/// Noisy latents of one picture, one for each index of a sampler's run.
#[derive(Debug, Clone)]
pub enum Path {
    /// On the way that DDIM itself would take to the picture, found by inversion: index `start` and on.
    Inverted {
        /// First index that is known.
        start: usize,
        /// From `start` to the finished latent.
        latents: Vec<Tensor>,
    },
    /// On the straight way between one noise and the picture, as in Blended Latent Diffusion (arXiv 2206.02779).
    Straight {
        /// The picture's latent.
        clean: Tensor,
        /// Of unit variance.
        noise: Tensor,
    },
}

impl Path {
    /// Inverts `clean` to index `start` of DDIM's run of `steps` steps. `predict` is the network's output for a sample and a
    /// time step.
    ///
    /// # Errors
    /// As the network, and as [`Inversion::new`].
    pub fn invert(
        clean: &Tensor,
        schedule: &Schedule,
        steps: usize,
        start: usize,
        predict: &mut dyn FnMut(&Tensor, f32) -> Result<Tensor>,
    ) -> Result<Self> {
        let inversion = Inversion::new(schedule, steps)?;
        let mut latents = vec![clean.clone()];
        let mut sample = clean.clone();
        for (index, &t) in inversion.timesteps().iter().enumerate() {
            if index + start >= steps {
                break;
            }
            let output = predict(&sample, t)?;
            sample = inversion.step(&output, index, &sample)?.sample;
            latents.push(sample.clone());
        }
        latents.reverse();
        Ok(Self::Inverted { start, latents })
    }

    /// The sample at an index of the run; index [`steps`](Sampler::steps) is the picture's own latent.
    ///
    /// # Errors
    /// `Device` if there is no memory for it.
    pub fn at(&self, sampler: &Sampler, index: usize) -> Result<Tensor> {
        match self {
            Self::Inverted { start, latents } => {
                let known = index.saturating_sub(*start).min(latents.len() - 1);
                Ok(latents[known].clone())
            }
            Self::Straight { clean, .. } if index >= sampler.steps() => Ok(clean.clone()),
            Self::Straight { clean, noise } => sampler.add_noise(clean, noise, index),
        }
    }
}

/// `inside` where `region` (`[1, 1, h, w]`, 1 or 0) is 1, `outside` elsewhere.
///
/// # Errors
/// `Bug` if the shapes do not fit.
pub fn blend(inside: &Tensor, outside: &Tensor, region: &Tensor) -> Result<Tensor> {
    let difference = (inside - outside)?;
    Ok((outside + difference.broadcast_mul(region)?)?)
}
