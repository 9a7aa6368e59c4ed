//! Samplers against diffusers (goldens made by tests/parity/schedulers.py), and their laws.

use std::fs;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use super::*;
use crate::engine::stable_diffusion::config::{SchedulerConfig, TimestepSpacing};
use crate::{ErrorKind, Result};

#[derive(Deserialize)]
struct Goldens {
    shape: Vec<usize>,
    clean: Vec<f32>,
    start: Vec<f32>,
    noise: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    method: String,
    steps: usize,
    start: usize,
    eta: f32,
    config: SchedulerConfig,
    timesteps: Vec<f32>,
    middle: Vec<f32>,
    denoised: Option<Vec<f32>>,
    last: Vec<f32>,
}

/// What a run gave: the time steps told to the network, and each step's result.
struct Run {
    timesteps: Vec<f32>,
    steps: Vec<Step>,
}

fn goldens() -> Goldens {
    let path = std::env::var("REPOSE_SCHEDULERS").unwrap_or_else(|_| {
        let here = env!("CARGO_MANIFEST_DIR");
        format!("{here}/../tests/parity/goldens/schedulers.json")
    });
    let text = fs::read_to_string(path).expect("the goldens are in the repository");
    serde_json::from_str(&text).expect("the goldens have this form")
}

fn network(x: &Tensor, t: f32) -> Result<Tensor> {
    let scale = 0.5 + f64::from(t) / 2000.0;
    Ok(((x * 0.3)?.tanh()? * scale)?)
}

impl Goldens {
    fn tensor(&self, numbers: &[f32]) -> Result<Tensor> {
        Ok(Tensor::from_slice(
            numbers,
            self.shape.as_slice(),
            &Device::Cpu,
        )?)
    }

    fn noise(&self, step: usize) -> Result<Tensor> {
        let count = self.start.len();
        let place = step % (self.noise.len() / count) * count;
        self.tensor(&self.noise[place..place + count])
    }

    fn run(&self, case: &Case) -> Result<Run> {
        let schedule = Schedule::new(&case.config)?;
        let (clean, start) = (self.tensor(&self.clean)?, self.tensor(&self.start)?);
        let mut steps: Vec<Step> = Vec::new();
        if case.method == "inversion" {
            let inversion = Inversion::new(&schedule, case.steps)?;
            let mut x = clean;
            for (i, &t) in inversion.timesteps().iter().enumerate() {
                let step = inversion.step(&network(&x, t)?, i, &x)?;
                x = step.sample.clone();
                steps.push(step);
            }
            let timesteps = inversion.timesteps().to_vec();
            return Ok(Run { timesteps, steps });
        }
        let mut sampler =
            Sampler::new(case.method.parse()?, &schedule, case.steps)?.with_eta(case.eta);
        let mut x = match case.start {
            0 => sampler.start_from(&start)?,
            at => sampler.add_noise(&clean, &start, at)?,
        };
        for i in case.start..sampler.steps() {
            let output = network(&sampler.scale_input(&x, i)?, sampler.timesteps()[i])?;
            let noise = self.noise(i)?;
            let noise = sampler.needs_noise(i).then_some(&noise);
            let step = sampler.step(&output, i, &x, noise)?;
            x = step.sample.clone();
            steps.push(step);
        }
        let timesteps = sampler.timesteps()[case.start..].to_vec();
        Ok(Run { timesteps, steps })
    }
}

/// max |a − b| / max |b|.
fn error(a: &Tensor, b: &[f32]) -> f32 {
    let a = numbers(a);
    assert_eq!(a.len(), b.len());
    let most = b.iter().fold(0.0f32, |m, b| m.max(b.abs()));
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // A NaN must not vanish in a maximum.
    off.map(|o| if o.is_nan() { f32::INFINITY } else { o })
        .fold(0.0, f32::max)
        / most
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all()
        .and_then(|t| t.to_vec1())
        .expect("a tensor of f32")
}

#[test]
fn samplers_equal_diffusers() {
    let goldens = goldens();
    assert!(goldens.cases.len() > 30);
    let mut wrong = Vec::new();
    for case in &goldens.cases {
        let name = format!("{} {} {:?}", case.method, case.steps, case.config);
        let run = match goldens.run(case) {
            Ok(run) => run,
            Err(e) => {
                wrong.push(format!("{name}: {e}"));
                continue;
            }
        };
        if run.timesteps != case.timesteps {
            wrong.push(format!(
                "{name}: {:?} not {:?}",
                run.timesteps, case.timesteps
            ));
            continue;
        }
        let middle = &run.steps[run.steps.len() / 2];
        let last = &run.steps[run.steps.len() - 1];
        let mut off = error(&middle.sample, &case.middle).max(error(&last.sample, &case.last));
        if let Some(denoised) = &case.denoised {
            off = off.max(error(&middle.denoised, denoised));
        }
        if off > 1e-5 {
            wrong.push(format!("{name}: {off:e}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        goldens.cases.len(),
        wrong.join("\n")
    );
}

fn schedule(prediction: Prediction) -> Schedule {
    Schedule::new(&SchedulerConfig::stable_diffusion(prediction)).expect("a sound configuration")
}

/// A network that knows the answer makes every sampler end there, whatever it predicts.
#[test]
fn every_method_finds_a_known_picture() -> Result<()> {
    let mut noise = Noise::new(3, 0);
    let clean = noise.tensor(&[1, 4, 4, 4], &Device::Cpu)?;
    let start = noise.tensor(&[1, 4, 4, 4], &Device::Cpu)?;
    for prediction in [Prediction::Epsilon, Prediction::V, Prediction::Sample] {
        let schedule = schedule(prediction);
        for method in Method::ALL {
            let mut sampler = Sampler::new(method, &schedule, 12)?;
            let mut x = sampler.start_from(&start)?;
            for i in 0..sampler.steps() {
                // x = α x₀ + σ ε solved for ε; with Euler's unscaled samples the network still sees unit variance.
                let ratio = sampler.level(i);
                let scale = ratio.signal.hypot(ratio.noise);
                let level = Level {
                    signal: ratio.signal / scale,
                    noise: ratio.noise / scale,
                };
                let seen = sampler.scale_input(&x, i)?;
                let epsilon = Prediction::Sample.noise(&clean, &seen, level)?;
                let output = prediction.target(&clean, &epsilon, level)?;
                let fresh = noise.tensor(&[1, 4, 4, 4], &Device::Cpu)?;
                let step = sampler.step(&output, i, &x, Some(&fresh))?;
                // Nearly all noise at first: f32 leaves x₀ few digits there.
                let off = error(&step.denoised, &numbers(&clean));
                assert!(
                    off < 1e-3,
                    "{method} {prediction:?} step {i}: x₀ off by {off}"
                );
                x = step.sample;
            }
            let end = sampler.level(sampler.steps());
            let expected = (&clean * f64::from(end.signal))?;
            // DDIM ends at the schedule's first level, whose noise is 3 % of the sample's deviation.
            let off = error(&x, &numbers(&expected));
            assert!(off < 0.1, "{method} {prediction:?}: {off}");
        }
    }
    Ok(())
}

#[test]
fn inversion_and_ddim_undo_each_other() -> Result<()> {
    let schedule = schedule(Prediction::Epsilon);
    let clean = Noise::new(5, 0).tensor(&[1, 4, 4, 4], &Device::Cpu)?;
    let inversion = Inversion::new(&schedule, 50)?;
    // A network that says the same at every level makes both exact.
    let output = Noise::new(6, 0).tensor(&[1, 4, 4, 4], &Device::Cpu)?;
    let mut path = Vec::new();
    let mut x = clean.clone();
    for i in 0..inversion.steps() {
        x = inversion.step(&output, i, &x)?.sample;
        path.push(x.clone());
    }
    let mut sampler = Sampler::new(Method::Ddim, &schedule, 50)?;
    for i in 0..sampler.steps() {
        let expected = path.pop().expect("as many steps");
        assert!(error(&x, &numbers(&expected)) < 1e-4, "index {i}");
        x = sampler.step(&output, i, &x, None)?.sample;
    }
    assert!(error(&x, &numbers(&clean)) < 1e-4);
    Ok(())
}

#[test]
fn a_step_elsewhere_begins_anew() -> Result<()> {
    let x = Noise::new(1, 0).tensor(&[1, 4, 2, 2], &Device::Cpu)?;
    for method in [Method::Dpm, Method::DpmKarras, Method::UniPc] {
        let mut used = Sampler::new(method, &schedule(Prediction::Epsilon), 20)?;
        let mut fresh = used.clone();
        used.step(&network(&x, 900.0)?, 0, &x, None)?;
        used.step(&network(&x, 800.0)?, 1, &x, None)?;
        for i in [7, 8] {
            let output = network(&x, 500.0)?;
            let a = used.step(&output, i, &x, None)?.sample;
            let b = fresh.step(&output, i, &x, None)?.sample;
            assert_eq!(numbers(&a), numbers(&b), "{method}");
        }
    }
    Ok(())
}

#[test]
fn strength_as_in_image_to_image() -> Result<()> {
    let sampler = Sampler::new(Method::Ddim, &schedule(Prediction::Epsilon), 50)?;
    let starts = [0.0, 0.5, 0.75, 1.0, 7.0, -1.0, f64::NAN].map(|s| sampler.start_at(s));
    assert_eq!(starts, [50, 25, 13, 0, 0, 50, 50]);
    Ok(())
}

#[test]
fn impossible_runs_are_refused() {
    let schedule = schedule(Prediction::Epsilon);
    for method in Method::ALL {
        for steps in [0, 1001, usize::MAX] {
            let error = Sampler::new(method, &schedule, steps).expect_err("no such run");
            assert_eq!(error.kind, ErrorKind::Caller, "{method} {steps}");
        }
    }
    let x = Tensor::zeros(4, DType::F32, &Device::Cpu).expect("memory for four numbers");
    let mut sampler = Sampler::new(Method::EulerAncestral, &schedule, 4).expect("four steps");
    assert!(sampler.step(&x, 0, &x, None).is_err());
    assert!(sampler.step(&x, 4, &x, Some(&x)).is_err());
    for name in ["", "DDIM", "euler a", &"x".repeat(1 << 20)] {
        let error = name.parse::<Method>().expect_err("no such name");
        assert!(error.message.len() < 300);
    }
    for method in Method::ALL {
        assert_eq!(method.to_string().parse(), Ok(method));
    }
}

#[test]
fn senseless_schedules_are_refused() {
    let good = SchedulerConfig::stable_diffusion(Prediction::Epsilon);
    for (from, to) in [(0.1, 1.5), (-0.1, 0.1), (f64::NAN, 0.1)] {
        let (beta_start, beta_end) = (from, to);
        let config = SchedulerConfig {
            beta_start,
            beta_end,
            ..good.clone()
        };
        let error = Schedule::new(&config).expect_err("no such schedule");
        assert_eq!(error.kind, ErrorKind::Files);
    }
    let mut config = good;
    config.rescale_betas_zero_snr = true;
    assert!(Schedule::new(&config).is_err());
    config.prediction_type = Prediction::V;
    config.timestep_spacing = Some(TimestepSpacing::Linspace);
    let schedule = Schedule::new(&config).expect("zero SNR with v");
    assert_eq!(schedule.snr(999), 0.0);
    assert!(Inversion::new(&schedule, 50).is_err());
}

#[test]
fn each_sample_of_a_batch_has_its_own_level() -> Result<()> {
    let schedule = schedule(Prediction::V);
    let clean = Noise::new(1, 0).tensor(&[2, 4, 2, 2], &Device::Cpu)?;
    let noise = Noise::new(1, 1).tensor(&[2, 4, 2, 2], &Device::Cpu)?;
    let noisy = schedule.add_noise(&clean, &noise, &[20, 900])?;
    let target = schedule.target(&clean, &noise, &[20, 900])?;
    for (i, t) in [(0, 20), (1, 900)] {
        let [noisy, target] = [&noisy, &target].map(|all| all.narrow(0, i, 1));
        let found = Prediction::V.denoised(&target?, &noisy?, schedule.level(t))?;
        let clean = clean.narrow(0, i, 1)?;
        assert!(error(&found, &numbers(&clean)) < 1e-5);
    }
    assert!(schedule.add_noise(&clean, &noise, &[20]).is_err());
    Ok(())
}

#[test]
fn noise_is_normal_and_the_same_everywhere() -> Result<()> {
    let mut noise = Noise::new(42, 0);
    let first: Vec<f32> = (0..4).map(|_| noise.number()).collect();
    // Computed from the generator's and the transform's definitions in another language.
    let expected: [f32; 4] = NOISE_OF_SEED_42;
    for (a, b) in first.iter().zip(expected) {
        assert!((a - b).abs() <= f32::EPSILON * b.abs(), "{a} {b}");
    }
    let many = numbers(&Noise::new(42, 1).tensor(&[100_000], &Device::Cpu)?);
    let count = many.len() as f64;
    let moment = |p: i32| many.iter().map(|x| f64::from(*x).powi(p)).sum::<f64>() / count;
    for (p, expected, tolerance) in [
        (1, 0.0, 0.015),
        (2, 1.0, 0.02),
        (3, 0.0, 0.05),
        (4, 3.0, 0.12),
    ] {
        assert!(
            (moment(p) - expected).abs() < tolerance,
            "{p}: {}",
            moment(p)
        );
    }
    assert_ne!(many[..4], first);
    Ok(())
}

/// The first numbers of seed 42, stream 0.
const NOISE_OF_SEED_42: [f32; 4] = [-1.309955, 1.042_873_1, -2.106_575, -0.156_807_04];

#[test]
fn guidance_moves_and_rescale_keeps_contrast() -> Result<()> {
    let [without, with] = [0, 1].map(|s| Noise::new(9, s).tensor(&[2, 4, 8, 8], &Device::Cpu));
    let (without, with) = (without?, with?);
    assert!(error(&guide(&without, &with, 1.0)?, &numbers(&with)) < 1e-6);
    assert!(error(&guide(&without, &with, 0.0)?, &numbers(&without)) < 1e-6);
    let guided = guide(&without, &with, 7.5)?;
    assert_eq!(numbers(&rescale(&guided, &with, 0.0)?), numbers(&guided));
    for (share, sample) in [(1.0, 0), (1.0, 1), (0.7, 1)] {
        let deviation = |t: &Tensor| -> Result<f64> {
            let t = t.narrow(0, sample, 1)?.flatten_all()?;
            Ok(f64::from(t.var(0)?.to_scalar::<f32>()?.sqrt()))
        };
        let found = deviation(&rescale(&guided, &with, share)?)?;
        let expected = share * deviation(&with)? + (1.0 - share) * deviation(&guided)?;
        assert!((found / expected - 1.0).abs() < 1e-5);
    }
    Ok(())
}
