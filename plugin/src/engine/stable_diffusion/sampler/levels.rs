//! Which of the training time steps a run visits.

use super::schedule::Schedule;
use crate::engine::stable_diffusion::config::{BetaSchedule, TimestepSpacing};
use crate::{Error, Result};

/// How a class of samplers counts evenly spaced steps in diffusers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counting {
    /// `steps` points between the two ends, in whole time steps.
    Whole,
    /// The same, fractions kept.
    Fractional,
    /// `steps` + 1 points, the lowest left out.
    OneMore,
}

/// The time steps of a run from noisy to clean. `default` is used where the model's configuration has no spacing.
///
/// In diffusers rounding sometimes gives one step too many for `Trailing` (61 of 1000, for one), which it then takes at time
/// step −1; here it is left out.
///
/// # Errors
/// `Caller` if there are not so many time steps.
pub(super) fn timesteps(
    schedule: &Schedule,
    steps: usize,
    counting: Counting,
    default: TimestepSpacing,
) -> Result<Vec<f32>> {
    let train = schedule.train_steps();
    let points = steps.saturating_add(usize::from(counting == Counting::OneMore));
    if steps == 0 || points > train {
        return Err(beyond(train, steps));
    }
    let found: Vec<f64> = match schedule.spacing.unwrap_or(default) {
        TimestepSpacing::Linspace => {
            let all = (0..points).map(|i| spread(0.0, (train - 1) as f64, points, i));
            let mut all: Vec<f64> = match counting {
                Counting::Fractional => all.collect(),
                Counting::Whole | Counting::OneMore => all.map(f64::round_ties_even).collect(),
            };
            all.reverse();
            all
        }
        TimestepSpacing::Leading => {
            let ratio = train / points;
            (0..points)
                .rev()
                .map(|i| (i * ratio + schedule.offset) as f64)
                .collect()
        }
        TimestepSpacing::Trailing => {
            let ratio = train as f64 / steps as f64;
            (0..steps)
                .map(|i| (train as f64 - i as f64 * ratio).round_ties_even() - 1.0)
                .collect()
        }
    };
    if found[0] > (train - 1) as f64 {
        return Err(beyond(train, steps));
    }
    Ok(found.into_iter().take(steps).map(|t| t as f32).collect())
}

fn beyond(train: usize, steps: usize) -> Error {
    Error::caller(format!(
        "{steps} steps were asked for; the model has {train} noise levels, so that at least 1 and fewer than {train} were \
         expected"
    ))
}

/// σ/α at time steps that may lie between those of training, and 0 at the end.
pub(super) fn ratios_at(ratios: &[f32], timesteps: &[f32]) -> Vec<f32> {
    let at = |t: f32| {
        let low = (t as usize).min(ratios.len() - 2);
        let (y0, y1) = (f64::from(ratios[low]), f64::from(ratios[low + 1]));
        ((y1 - y0) * (f64::from(t) - low as f64) + y0) as f32
    };
    timesteps.iter().map(|t| at(*t)).chain([0.0]).collect()
}

/// σ/α as Karras et al. space them (arXiv 2206.00364, equation 5, ρ = 7), 0 at the end; and the nearest time steps.
///
/// # Errors
/// `Caller` if there are not so many time steps.
pub(super) fn karras(schedule: &Schedule, steps: usize) -> Result<(Vec<f32>, Vec<f32>)> {
    const RHO: f64 = 7.0;
    let train = schedule.train_steps();
    if steps == 0 || steps >= train {
        return Err(beyond(train, steps));
    }
    let ratios = schedule.ratios();
    let logs: Vec<f32> = ratios.iter().map(|s| s.ln()).collect();
    let root = |ratio: f32| f64::from(ratio).powf(1.0 / RHO);
    let (most, least) = (root(ratios[ratios.len() - 1]), root(ratios[0]));
    let mut sigmas = Vec::with_capacity(steps + 1);
    let mut timesteps = Vec::with_capacity(steps);
    for i in 0..steps {
        let ramp = spread(0.0, 1.0, steps, i);
        let sigma = (most + ramp * (least - most)).powf(RHO);
        let t = timestep_of(&logs, sigma);
        sigmas.push(sigma as f32);
        timesteps.push(match schedule.beta_schedule {
            // diffusers rounds down here.
            BetaSchedule::SquaredCos => t.trunc(),
            BetaSchedule::Linear | BetaSchedule::ScaledLinear => t.round_ties_even(),
        } as f32);
    }
    sigmas.push(0.0);
    Ok((sigmas, timesteps))
}

/// The time step whose σ/α this is, between two of training by the logarithm.
fn timestep_of(logs: &[f32], sigma: f64) -> f64 {
    let log = sigma.max(1e-10).ln();
    let below = logs.partition_point(|l| f64::from(*l) <= log);
    let low = below.saturating_sub(1).min(logs.len() - 2);
    let weight = (f64::from(logs[low]) - log) / f64::from(logs[low] - logs[low + 1]);
    low as f64 + weight.clamp(0.0, 1.0)
}

/// Point `i` of `count` from `from` to `to`, both included; `from` alone if there is one.
fn spread(from: f64, to: f64, count: usize, i: usize) -> f64 {
    match i {
        0 => from,
        _ if i + 1 == count => to,
        _ => from + i as f64 * ((to - from) / (count - 1) as f64),
    }
}
