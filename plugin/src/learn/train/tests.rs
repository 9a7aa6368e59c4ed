use std::time::Duration;

use candle_core::{DType, Device, Tensor};

use super::scale::Scale;
use super::*;
use crate::engine::stable_diffusion::config::SchedulerConfig;
use crate::engine::stable_diffusion::sampler::Schedule;
use crate::progress::Progress;
use crate::{ErrorKind, Result};

const CPU: &Device = &Device::Cpu;

/// (w · (p − t)²) summed, with p learned from a fixed start.
fn bowl(parts: &mut Parts) -> Result<impl FnMut(&mut Step) -> Result<Losses> + use<>> {
    let start = Tensor::new(&[0.5f32, -1.0, 2.0, 0.25], CPU)?;
    let live = parts.add("p", &start, AdamW::new(0.01))?;
    let target = Tensor::new(&[1f32, 0.5, -1.0, 0.3], CPU)?;
    let weight = Tensor::new(&[1f32, 3.0, 0.1, 40.0], CPU)?;
    Ok(move |step: &mut Step| {
        // Random numbers change nothing here but what an interruption would: the order that they are drawn in.
        let shift = f64::from(step.noise.number()) * 0.0;
        let total = (((&live - &target)? + shift)?.sqr()? * &weight)?.sum_all()?;
        let summands = vec![("bowl", total.clone())];
        Ok(Losses { total, summands })
    })
}

fn plan(steps: u64) -> Plan {
    Plan {
        steps,
        clip: 1.0,
        average: None,
        seed: 1,
        keep: Duration::ZERO,
    }
}

fn values(parts: &Parts) -> Vec<f32> {
    let (_, value) = parts.learned().next().expect("a part");
    value.to_vec1().expect("numbers")
}

#[test]
fn steps_and_clipping_are_pytorchs() -> Result<()> {
    let mut parts = Parts::default();
    let mut loss = bowl(&mut parts)?;
    let mut seen = Vec::new();
    plan(5).run(
        &mut parts,
        None,
        &Progress::new(),
        &mut loss,
        &mut |_, l| {
            seen.push(l[0].1);
            Ok(())
        },
    )?;
    // torch 2.15: AdamW([p], lr=0.01, weight_decay=0.01) after clip_grad_norm_([p], 1.0).
    let known = [8.0, 7.857_525, 7.724_007, 7.599_388, 7.483_334];
    for (a, b) in seen.iter().zip(known) {
        assert!((a - b).abs() < 2e-6 * b, "{seen:?}");
    }
    let known = [0.549_779_1, -0.949_420_9, 1.948_909_8, 0.297_440_1];
    for (a, b) in values(&parts).iter().zip(known) {
        assert!((a - b).abs() < 1e-6, "{a} for {b}");
    }
    Ok(())
}

#[test]
fn gradients_that_half_precision_cannot_hold_halve_their_scale() -> Result<()> {
    let mut parts = Parts::new(DType::F16);
    let live = parts.add("p", &Tensor::new(&[1f32], CPU)?, AdamW::new(0.01))?;
    // Times 2¹⁶, its square is beyond single precision; times 2¹³ it is not.
    let steep = |parts: &mut Parts| parts.step(&(&live * 2e15)?.sum_all()?, 1.0, None);
    let lengths = [0; 4].map(|_| steep(&mut parts));
    let [first, second, third, fourth] = lengths;
    for skipped in [first, second, third] {
        assert!(!skipped?.is_finite());
    }
    assert!((fourth? / 2e15 - 1.0).abs() < 1e-6);
    assert_eq!(parts.count(), 1);
    // The first step of AdamW is as long as the rate, whatever the scale.
    assert!((values(&parts)[0] - (1.0 - 0.01 - 0.0001)).abs() < 1e-6);
    let endless = (&live * f64::INFINITY)?.sum_all()?;
    let error = (0..20).find_map(|_| parts.step(&endless, 1.0, None).err());
    assert_eq!(error.map(|e| e.kind), Some(ErrorKind::Refused));
    Ok(())
}

#[test]
fn a_scale_doubles_after_two_thousand_steps() {
    let mut scale = Scale::new(DType::F16);
    let before = scale.factor();
    assert!((0..1999).all(|_| scale.fits(true)));
    assert_eq!(scale.factor(), before);
    assert!(scale.fits(true));
    assert_eq!(scale.factor(), 2.0 * before);
    let mut single = Scale::new(DType::F32);
    assert!(single.fits(true) && !single.fits(false));
    assert_eq!(single.factor(), 1.0);
}

#[test]
fn an_interrupted_training_ends_as_one_that_was_not() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.safetensors");
    let state = Some((path.as_path(), "a bowl"));
    let averaged = |steps| Plan {
        average: Some(0.9),
        ..plan(steps)
    };
    let mut whole = Parts::default();
    let mut loss = bowl(&mut whole)?;
    averaged(7).run(
        &mut whole,
        None,
        &Progress::new(),
        &mut loss,
        &mut |_, _| Ok(()),
    )?;

    let progress = Progress::new();
    let mut broken = Parts::default();
    let mut loss = bowl(&mut broken)?;
    let cancelled = averaged(7).run(&mut broken, state, &progress, &mut loss, &mut |n, _| {
        if n == 3 {
            progress.cancel();
        }
        Ok(())
    });
    assert_eq!(cancelled.expect_err("a cancel").kind, ErrorKind::Cancelled);
    assert_eq!(broken.count(), 4);

    let mut again = Parts::default();
    let mut loss = bowl(&mut again)?;
    let mut first = None;
    averaged(7).run(
        &mut again,
        state,
        &Progress::new(),
        &mut loss,
        &mut |n, _| {
            first.get_or_insert(n);
            Ok(())
        },
    )?;
    assert_eq!(first, Some(4));
    assert_eq!(values(&again), values(&whole));

    // Of another training nothing is taken up; of a damaged file it is said.
    let mut other = Parts::default();
    let mut loss = bowl(&mut other)?;
    let mut steps = 0;
    let of = Some((path.as_path(), "another bowl"));
    plan(2).run(&mut other, of, &Progress::new(), &mut loss, &mut |_, _| {
        steps += 1;
        Ok(())
    })?;
    assert_eq!(steps, 2);
    let bytes = std::fs::read(&path).expect("a state");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("damage");
    let mut parts = Parts::default();
    let mut loss = bowl(&mut parts)?;
    let error = plan(2).run(&mut parts, of, &Progress::new(), &mut loss, &mut |_, _| {
        Ok(())
    });
    assert_eq!(error.expect_err("damage").kind, ErrorKind::Files);
    Ok(())
}

#[test]
fn a_loss_that_is_no_number_ends_the_training() -> Result<()> {
    let mut parts = Parts::default();
    let live = parts.add("p", &Tensor::new(&[1f32], CPU)?, AdamW::new(0.1))?;
    let mut loss = |_: &mut Step| {
        let total = (&live * f64::NAN)?.sum_all()?;
        Ok(Losses {
            total,
            summands: Vec::new(),
        })
    };
    let error = plan(3).run(
        &mut parts,
        None,
        &Progress::new(),
        &mut loss,
        &mut |_, _| Ok(()),
    );
    assert_eq!(error.expect_err("no number").kind, ErrorKind::Refused);
    assert_eq!(parts.count(), 0);
    Ok(())
}

#[test]
fn weights_of_noise_levels_are_the_papers() -> Result<()> {
    let schedule = |prediction: &str| {
        let text = format!(
            r#"{{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000,
                "prediction_type": "{prediction}"}}"#
        );
        Schedule::new(&SchedulerConfig::from_json(&text, "a test")?)
    };
    let (noise, velocity) = (schedule("epsilon")?, schedule("v_prediction")?);
    let near = |a: f64, b: f64| assert!((a - b).abs() < 0.01 * b, "{a} for {b}");
    // SingleInsert's weight of the noise's error, (1 − ᾱ)/ᾱ: 2.6 at 500, 214 at the end.
    near(Weighting::Clean(1e9).factor(&noise, 500), 2.6);
    near(Weighting::Clean(1e9).factor(&noise, 999), 214.0);
    near(Weighting::Clean(5.0).factor(&noise, 999), 5.0);
    for t in [0, 250, 500, 750, 999] {
        let ratio = f64::from(noise.snr(t));
        near(
            Weighting::MinSnr(5.0).factor(&noise, t),
            ratio.min(5.0) / ratio,
        );
        near(
            Weighting::MinSnr(5.0).factor(&velocity, t),
            ratio.min(5.0) / (ratio + 1.0),
        );
        assert_eq!(Weighting::Plain.factor(&velocity, t), 1.0);
    }
    Ok(())
}

#[test]
fn a_masked_error_counts_where_the_mask_is() -> Result<()> {
    let error = Tensor::new(
        &[[[[1f32, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]],
        CPU,
    )?;
    let mask = Tensor::new(&[[[[0f32, 1.0], [0.0, 0.5]]]], CPU)?;
    // (2 + 6 + 0.5 · (4 + 8)) / 8
    assert_eq!(masked(&error, &mask)?.to_scalar::<f32>()?, 1.75);
    Ok(())
}
