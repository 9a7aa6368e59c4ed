//! The samplers by name, behind one interface.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;

use super::ddim::Ddim;
use super::dpm::Dpm;
use super::euler::EulerAncestral;
use super::lcm::Lcm;
use super::prediction::Level;
use super::schedule::Schedule;
use super::unipc::UniPc;
use crate::{Error, Result};

/// A way from noise to a latent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Method {
    /// DDIM (arXiv 2010.02502): the inverse of [`Inversion`](super::Inversion). 50 steps.
    Ddim,
    /// DPM-Solver++ 2M (arXiv 2211.01095), evenly spaced. 20 to 30 steps.
    Dpm,
    /// The same with Karras' spacing: the best picture for 20 to 30 steps, hence what is used unless asked otherwise.
    #[default]
    DpmKarras,
    /// Euler's method with fresh noise in each step (k-diffusion's `euler_a`). 30 steps.
    EulerAncestral,
    /// UniPC of order 2 (arXiv 2302.04867). 10 to 20 steps. Its corrector works on the sample before the last step, so that
    /// what the caller changed between steps is partly undone: not for blending.
    UniPc,
    /// Latent consistency (arXiv 2310.04378), for models and adapters made for it. 4 to 8 steps, at most 50.
    Lcm,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 6] = [
        Self::Ddim,
        Self::Dpm,
        Self::DpmKarras,
        Self::EulerAncestral,
        Self::UniPc,
        Self::Lcm,
    ];

    /// Its name in requests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Dpm => "dpm++2m",
            Self::DpmKarras => "dpm++2m-karras",
            Self::EulerAncestral => "euler-a",
            Self::UniPc => "unipc",
            Self::Lcm => "lcm",
        }
    }

    /// The number of steps that is used unless asked otherwise.
    pub fn usual_steps(self) -> usize {
        match self {
            Self::Ddim => 50,
            Self::Dpm | Self::DpmKarras | Self::EulerAncestral => 30,
            Self::UniPc => 20,
            Self::Lcm => 8,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                let name: String = name.chars().take(40).collect();
                Error::caller(format!(
                    "there is no sampler {name:?}; one of {names} was expected"
                ))
            })
    }
}

/// What one step gives.
#[derive(Debug, Clone)]
pub struct Step {
    /// The sample at the next noise level.
    pub sample: Tensor,
    /// x₀ as the network sees it now, without noise: for previews.
    pub denoised: Tensor,
}

/// One run down the noise levels.
///
/// Index `i` stands for the sample before step `i`; index [`steps`](Self::steps) for the finished one.
#[derive(Debug, Clone)]
pub struct Sampler {
    method: Method,
    solver: Solver,
}

#[derive(Debug, Clone)]
enum Solver {
    Ddim(Ddim),
    Dpm(Dpm),
    EulerAncestral(EulerAncestral),
    UniPc(UniPc),
    Lcm(Lcm),
}

/// Runs the same expression on whichever solver it is.
macro_rules! each {
    ($solver:expr, $it:ident => $body:expr) => {
        match $solver {
            Solver::Ddim($it) => $body,
            Solver::Dpm($it) => $body,
            Solver::EulerAncestral($it) => $body,
            Solver::UniPc($it) => $body,
            Solver::Lcm($it) => $body,
        }
    };
}

impl Sampler {
    /// A run of `steps` steps.
    ///
    /// # Errors
    /// `Caller` if the schedule has not so many levels (LCM: more than 50).
    pub fn new(method: Method, schedule: &Schedule, steps: usize) -> Result<Self> {
        let solver = match method {
            Method::Ddim => Solver::Ddim(Ddim::new(schedule, steps)?),
            Method::Dpm => Solver::Dpm(Dpm::new(schedule, steps, false)?),
            Method::DpmKarras => Solver::Dpm(Dpm::new(schedule, steps, true)?),
            Method::EulerAncestral => Solver::EulerAncestral(EulerAncestral::new(schedule, steps)?),
            Method::UniPc => Solver::UniPc(UniPc::new(schedule, steps)?),
            Method::Lcm => Solver::Lcm(Lcm::new(schedule, steps)?),
        };
        Ok(Self { method, solver })
    }

    /// DDIM with this part, from 0 to 1, of the noise that DDPM adds in each step (η). Other methods have no such choice.
    #[must_use]
    pub fn with_eta(mut self, eta: f32) -> Self {
        if let Solver::Ddim(ddim) = &mut self.solver {
            ddim.eta = eta.clamp(0.0, 1.0);
        }
        self
    }

    /// Which method this is.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Number of steps, and of evaluations of the network.
    pub fn steps(&self) -> usize {
        self.timesteps().len()
    }

    /// What the network is told before each step, falling, in training time steps. Euler ancestral may have fractions.
    pub fn timesteps(&self) -> &[f32] {
        each!(&self.solver, s => &s.timesteps)
    }

    /// Signal and noise of the sample at an index. Euler ancestral counts in samples whose signal is not scaled down; what the
    /// network sees has unit variance with every method, see [`scale_input`](Self::scale_input).
    pub fn level(&self, index: usize) -> Level {
        each!(&self.solver, s => s.level(index.min(self.steps())))
    }

    /// Where a run of strength `strength` begins that keeps part of a given latent: 0 (all steps) at 1 and
    /// [`steps`](Self::steps) (none) at 0, as in diffusers' image-to-image.
    pub fn start_at(&self, strength: f64) -> usize {
        let steps = self.steps();
        // A NaN counts as 0.
        steps - ((steps as f64 * strength) as usize).min(steps)
    }

    /// The sample at index 0 from noise of unit variance.
    ///
    /// # Errors
    /// `Device` if there is no memory for it.
    pub fn start_from(&self, noise: &Tensor) -> Result<Tensor> {
        let sigma = match &self.solver {
            Solver::EulerAncestral(euler) => euler.initial_sigma(),
            _ => return Ok(noise.clone()),
        };
        Ok(noise.affine(f64::from(sigma), 0.0)?)
    }

    /// The sample at `index` from a clean latent and noise of unit variance.
    ///
    /// # Errors
    /// `Bug` if the shapes differ.
    pub fn add_noise(&self, clean: &Tensor, noise: &Tensor, index: usize) -> Result<Tensor> {
        self.level(index).add_noise(clean, noise)
    }

    /// What the network is given for the sample before step `index`.
    ///
    /// # Errors
    /// `Device` if there is no memory for it.
    pub fn scale_input(&self, sample: &Tensor, index: usize) -> Result<Tensor> {
        match &self.solver {
            Solver::EulerAncestral(_) => {
                let sigma = self.level(index).noise;
                let scale = (sigma * sigma + 1.0).sqrt();
                Ok(sample.affine(f64::from(1.0 / scale), 0.0)?)
            }
            _ => Ok(sample.clone()),
        }
    }

    /// Whether step `index` uses up fresh noise.
    pub fn needs_noise(&self, index: usize) -> bool {
        match &self.solver {
            Solver::Ddim(ddim) => ddim.eta > 0.0,
            Solver::EulerAncestral(_) | Solver::Lcm(_) => index + 1 < self.steps(),
            Solver::Dpm(_) | Solver::UniPc(_) => false,
        }
    }

    /// Step `index`: from the `sample` before it and the network's `output` for it to the sample after it. Methods with a
    /// memory begin anew where an index does not follow the one before.
    ///
    /// # Errors
    /// `Bug` if the index is beyond the run, noise is missing that [`needs_noise`](Self::needs_noise) asks for, or shapes
    /// differ.
    pub fn step(
        &mut self,
        output: &Tensor,
        index: usize,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Step> {
        let steps = self.steps();
        if index >= steps {
            return Err(Error::bug(format!(
                "step {index} of a run of {steps} steps was asked for"
            )));
        }
        let noise = match (self.needs_noise(index), noise) {
            (false, _) => None,
            (true, None) => {
                return Err(Error::bug(format!(
                    "step {index} of {} needs fresh noise, which did not come",
                    self.method
                )));
            }
            (true, some) => some,
        };
        match &mut self.solver {
            Solver::Ddim(s) => s.step(output, index, sample, noise),
            Solver::Dpm(s) => s.step(output, index, sample),
            Solver::EulerAncestral(s) => s.step(output, index, sample, noise),
            Solver::UniPc(s) => s.step(output, index, sample),
            Solver::Lcm(s) => s.step(output, index, sample, noise),
        }
    }
}
