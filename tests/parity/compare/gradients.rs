//! The training loss and its gradients.

use std::collections::{BTreeMap, HashMap};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use repose::engine::stable_diffusion::config::SchedulerConfig;
use repose::engine::stable_diffusion::nn::Adapter;
use repose::engine::stable_diffusion::sampler::Schedule;
use repose::engine::stable_diffusion::unet::{Controls, UNet};

use super::golden::{Golden, Goldens, Outcome, Result};
use super::model::{Layout, Model};

/// What a trainer gives the network and asks of it.
pub fn noising(goldens: &Goldens) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("noising")? {
        let text = golden.setting("scheduler")?.to_string();
        let schedule = Schedule::new(&SchedulerConfig::from_json(&text, "noising")?)?;
        let (clean, noise) = (golden.get("clean")?, golden.get("noise")?);
        let steps: Vec<usize> = golden
            .numbers("timesteps")?
            .iter()
            .map(|t| *t as usize)
            .collect();
        let results = BTreeMap::from([
            (
                "noisy".to_owned(),
                schedule.add_noise(&clean, &noise, &steps)?,
            ),
            (
                "target".to_owned(),
                schedule.target(&clean, &noise, &steps)?,
            ),
        ]);
        outcomes.extend(golden.check(&results)?);
    }
    Ok(outcomes)
}

/// With and without gradient checkpointing, which must not change a gradient.
pub fn unet(goldens: &Goldens, layout: Layout, checkpoint: bool) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("gradient_unet")? {
        let model = Model::open(goldens, layout)?;
        let mut wanted: BTreeMap<String, Var> = BTreeMap::new();
        let alpha_by_rank = golden.number("alpha")? / golden.number("rank")?;
        for module in golden.setting("modules")?.as_array().ok_or("modules")? {
            let module = module.as_str().ok_or("module")?;
            let mut side = |half: &str| -> Result<Tensor> {
                let name = format!("{module}.lora_{half}");
                let var = Var::from_tensor(&golden.get(&name)?)?;
                wanted.insert(name, var.clone());
                Ok(var.as_tensor().clone())
            };
            let (down, up) = (side("A")?, side("B")?);
            put(
                &model.unet,
                module,
                Adapter {
                    down,
                    up,
                    scale: alpha_by_rank,
                },
            )?;
        }
        // A whole matrix is an adapter of full rank: with the identity below, the upper half is what is added to it.
        let weight = golden.text("weight")?;
        let module = weight.strip_suffix(".weight").ok_or("weight")?;
        let shape = golden.get(&format!("grad.{weight}"))?.dims2()?;
        let whole = Var::zeros(shape, DType::F32, &Device::Cpu)?;
        let down = Tensor::eye(shape.1, DType::F32, &Device::Cpu)?;
        let up = whole.as_tensor().clone();
        put(
            &model.unet,
            module,
            Adapter {
                down,
                up,
                scale: 1.0,
            },
        )?;
        wanted.insert(weight.to_owned(), whole);

        let mut given = HashMap::new();
        for key in ["sample", "context"] {
            let var = Var::from_tensor(&golden.get(key)?)?;
            given.insert(key, var.as_tensor().clone());
            wanted.insert(key.to_owned(), var);
        }
        let controls = Controls {
            checkpoint,
            ..Controls::default()
        };
        let (output, _) = model.denoise(&golden, &given, &controls)?;
        outcomes.extend(check(&golden, &output, &wanted)?);
    }
    Ok(outcomes)
}

/// Textual inversion: through the U-Net and the text encoders down to the word vectors.
pub fn words(goldens: &Goldens, model: &Model) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("gradient_words")? {
        let mut wanted = BTreeMap::new();
        let mut vectors = Vec::new();
        for key in ["vectors", "vectors_2"].iter().take(model.text.len()) {
            let var = Var::from_tensor(&golden.get(key)?)?;
            vectors.push(var.as_tensor().clone());
            wanted.insert((*key).to_owned(), var);
        }
        let prompt = model.encode(&golden, Some(&vectors))?;
        let mut given = HashMap::from([("context", prompt.context)]);
        given.extend(prompt.pooled.map(|pooled| ("pooled", pooled)));
        let (output, _) = model.denoise(&golden, &given, &Controls::default())?;
        outcomes.extend(check(&golden, &output, &wanted)?);
    }
    Ok(outcomes)
}

fn put(unet: &UNet, module: &str, adapter: Adapter) -> Result<()> {
    let slots = unet.weights().slots();
    let slot = slots
        .get(module)
        .ok_or_else(|| format!("no projection {module}"))?;
    slot.lock().map_err(|_| "poisoned")?.push(adapter);
    Ok(())
}

/// The mean square error of `output`, and its gradients.
fn check(golden: &Golden, output: &Tensor, wanted: &BTreeMap<String, Var>) -> Result<Vec<Outcome>> {
    let loss = (output - golden.get("target")?)?.sqr()?.mean_all()?;
    let grads: GradStore = loss.backward()?;
    let mut results = BTreeMap::from([("loss".to_owned(), loss)]);
    for (name, var) in wanted {
        let grad = grads
            .get(var)
            .ok_or_else(|| format!("{name} got no gradient"))?;
        results.insert(format!("grad.{name}"), grad.clone());
    }
    golden.check(&results)
}
