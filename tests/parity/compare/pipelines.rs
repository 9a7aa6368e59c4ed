//! Whole runs: text to context, the sampler's steps with guidance, the decoded picture.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, IndexOp, Tensor};
use repose::engine::stable_diffusion::config::SchedulerConfig;
use repose::engine::stable_diffusion::sampler::{
    Inversion, Method, Sampler, Schedule, guide, rescale,
};
use repose::engine::stable_diffusion::unet::Controls;

use super::golden::{Golden, Goldens, Outcome, Result};
use super::model::{Context, Model};

pub fn run(goldens: &Goldens, model: &Model) -> Result<Vec<Outcome>> {
    let prompt = goldens.named("prompt")?;
    let context = model.encode(&prompt, None)?;
    let mut results = BTreeMap::from([("context".to_owned(), context.context.clone())]);
    if let Some(pooled) = &context.pooled {
        results.insert("pooled".to_owned(), pooled.clone());
    }
    let mut outcomes = prompt.check(&results)?;
    for golden in goldens.of("sample")? {
        outcomes.extend(golden.check(&sample(&golden, model, &prompt, &context)?)?);
    }
    for golden in goldens.of("invert")? {
        outcomes.extend(golden.check(&invert(&golden, model, &prompt, &context)?)?);
    }
    Ok(outcomes)
}

fn schedule(golden: &Golden) -> Result<Schedule> {
    let text = golden.setting("scheduler")?.to_string();
    Ok(Schedule::new(&SchedulerConfig::from_json(
        &text,
        &golden.case.name,
    )?)?)
}

/// What every evaluation of the network is given, for the prompts of `rows`.
fn given(
    prompt: &Golden,
    context: &Context,
    rows: std::ops::Range<usize>,
) -> Result<HashMap<&'static str, Tensor>> {
    let mut given = HashMap::from([("context", context.context.i(rows.clone())?)]);
    if let Some(pooled) = &context.pooled {
        given.insert("pooled", pooled.i(rows.clone())?);
        given.insert("time_ids", prompt.get("time_ids")?.i(rows)?);
    }
    Ok(given)
}

/// Results of the kept steps, and what the network was told.
fn results(
    golden: &Golden,
    timesteps: &[f32],
    samples: &[Tensor],
) -> Result<BTreeMap<String, Tensor>> {
    let kept = golden.setting("kept")?.as_array().ok_or("kept")?;
    let kept: Vec<_> = kept
        .iter()
        .filter_map(|k| samples.get(k.as_u64()? as usize))
        .collect();
    Ok(BTreeMap::from([
        ("latents".to_owned(), Tensor::cat(&kept, 0)?),
        (
            "timesteps".to_owned(),
            Tensor::new(timesteps, &Device::Cpu)?,
        ),
    ]))
}

fn sample(
    golden: &Golden,
    model: &Model,
    prompt: &Golden,
    context: &Context,
) -> Result<BTreeMap<String, Tensor>> {
    let method = match golden.text("sampler")? {
        "ddim" => Method::Ddim,
        "dpmpp_2m_karras" => Method::DpmKarras,
        "euler_a" => Method::EulerAncestral,
        "unipc" => Method::UniPc,
        "lcm" => Method::Lcm,
        other => return Err(format!("no sampler {other}").into()),
    };
    let mut sampler = Sampler::new(method, &schedule(golden)?, golden.count("steps")?)?;
    let strength = golden.number("strength")?;
    let noise = golden.get("noise")?;
    let (first, mut x) = match golden.find("start")? {
        Some(start) => {
            let first = sampler.start_at(strength);
            (first, sampler.add_noise(&start, &noise, first)?)
        }
        None => (0, sampler.start_from(&noise)?),
    };
    let mut input = given(prompt, context, 0..2)?;
    let beside = match golden.find("mask")? {
        Some(mask) => Some(Tensor::cat(&[&mask, &golden.get("masked_latents")?], 1)?),
        None => None,
    };
    let fresh = golden.find("steps")?;
    // diffusers draws noise for the last step of some samplers too and gives it no weight.
    let mut drawn = 0;
    let scale = golden.number("guidance")?;
    let share = golden.number("guidance_rescale")?;
    let mut samples = Vec::new();
    for i in first..sampler.steps() {
        let mut latents = sampler.scale_input(&x, i)?;
        if let Some(beside) = &beside {
            latents = Tensor::cat(&[&latents, beside], 1)?;
        }
        input.insert("sample", Tensor::cat(&[&latents, &latents], 0)?);
        input.insert(
            "timesteps",
            Tensor::new(&[sampler.timesteps()[i]], &Device::Cpu)?,
        );
        let (output, _) = model.denoise(golden, &input, &Controls::default())?;
        let (without, with) = (output.i(0..1)?, output.i(1..2)?);
        let mut guided = guide(&without, &with, scale)?;
        if share > 0.0 {
            guided = rescale(&guided, &with, share)?;
        }
        let noise = match (&fresh, sampler.needs_noise(i)) {
            (Some(fresh), true) => {
                drawn += 1;
                Some(fresh.i(drawn - 1..drawn)?)
            }
            (None, true) => return Err("noise is needed and none is given".into()),
            _ => None,
        };
        x = sampler.step(&guided, i, &x, noise.as_ref())?.sample;
        samples.push(x.clone());
    }
    let mut results = results(golden, &sampler.timesteps()[first..], &samples)?;
    if golden.has("image") {
        let image = model.vae.decode(&model.vae.unscale(&x)?)?;
        results.insert("image".to_owned(), every_fourth(&image)?);
    }
    Ok(results)
}

fn every_fourth(image: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = image.dims4()?;
    let pick = |n: usize| Tensor::arange_step(0, n as u32, 4, &Device::Cpu);
    let rows = image.contiguous()?.index_select(&pick(height)?, 2)?;
    Ok(rows.index_select(&pick(width)?, 3)?)
}

fn invert(
    golden: &Golden,
    model: &Model,
    prompt: &Golden,
    context: &Context,
) -> Result<BTreeMap<String, Tensor>> {
    let inversion = Inversion::new(&schedule(golden)?, golden.count("steps")?)?;
    let mut input = given(prompt, context, 1..2)?;
    let mut x = golden.get("start")?;
    let mut samples = Vec::new();
    for (i, t) in inversion.timesteps().iter().enumerate() {
        input.insert("sample", x.clone());
        input.insert("timesteps", Tensor::new(&[*t], &Device::Cpu)?);
        let (output, _) = model.denoise(golden, &input, &Controls::default())?;
        x = inversion.step(&output, i, &x)?.sample;
        samples.push(x.clone());
    }
    results(golden, inversion.timesteps(), &samples)
}
