//! From noise to a latent and back: noise schedules, samplers, guidance, seeded noise. Their numbers are diffusers'.
//!
//! A [`Schedule`] is what the model was trained on. A [`Sampler`] walks down its noise levels in a chosen number of steps, an
//! [`Inversion`] walks up. Both only combine tensors linearly: the caller runs the network between steps, and may change the
//! sample there (blending, pins). Differences to diffusers are rounding: at most 1e-5 of a sample over 20 steps.
//!
//! ```no_run
//! # use repose::engine::stable_diffusion::{config::SchedulerConfig, sampler::*};
//! # fn network(_: &candle_core::Tensor, _: f32) -> repose::Result<candle_core::Tensor> { unreachable!() }
//! # fn main() -> repose::Result<()> {
//! # let (config, device) = (SchedulerConfig::default(), candle_core::Device::Cpu);
//! let mut sampler = Sampler::new(Method::default(), &Schedule::new(&config)?, 30)?;
//! let mut noise = Noise::new(7, 0);
//! let mut x = sampler.start_from(&noise.tensor(&[1, 4, 64, 64], &device)?)?;
//! for i in 0..sampler.steps() {
//!     let output = network(&sampler.scale_input(&x, i)?, sampler.timesteps()[i])?;
//!     let fresh = sampler.needs_noise(i).then(|| noise.tensor(x.dims(), &device)).transpose()?;
//!     x = sampler.step(&output, i, &x, fresh.as_ref())?.sample;
//! }
//! # Ok(()) }
//! ```

mod coefficients;
mod ddim;
mod dpm;
mod euler;
mod guidance;
mod inversion;
mod lcm;
mod levels;
mod method;
mod noise;
mod prediction;
mod schedule;
#[cfg(test)]
mod tests;
mod unipc;

pub use guidance::{GUIDANCE, guide, rescale};
pub use inversion::Inversion;
pub use method::{Method, Sampler, Step};
pub use noise::Noise;
pub use prediction::{Level, Prediction};
pub use schedule::Schedule;
