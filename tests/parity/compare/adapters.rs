//! The networks with LoRA and embedding files.

use std::collections::{BTreeMap, HashMap};

use candle_core::{IndexOp, Tensor};
use repose::engine::stable_diffusion::unet::Controls;
use repose::engine::stable_diffusion::weights::Weights;
use repose::engine::stable_diffusion::weights::embedding::Embedding;
use repose::engine::stable_diffusion::weights::lora::{Lora, Networks};

use super::golden::{Goldens, Outcome, Result};
use super::model::{Layout, Model};

pub fn loras(goldens: &Goldens, layout: Layout) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("lora")? {
        // Each with fresh networks, on which nothing was put before.
        let model = Model::open(goldens, layout)?;
        let text: Vec<Weights> = model.text.iter().map(|e| e.weights().clone()).collect();
        let networks = Networks {
            unet: model.unet.weights(),
            layers: model.unet.config().layers(0),
            text: &text,
        };
        for lora in golden.setting("loras")?.as_array().ok_or("loras")? {
            let file = lora["file"].as_str().ok_or("file")?;
            let weight = lora["weight"].as_f64().ok_or("weight")?;
            let changes = Lora::open(&goldens.path.join(file))?.changes(&networks)?;
            if let Some(words) = changes.left_out() {
                return Err(format!("{file}: {words}").into());
            }
            changes.put(&networks, weight);
        }
        let prompt = model.encode(&golden, None)?;
        let (output, _) = model.denoise(&golden, &HashMap::new(), &Controls::default())?;
        let mut results = BTreeMap::from([
            ("text_context".to_owned(), prompt.context.i(1..2)?),
            ("output".to_owned(), output),
        ]);
        if let Some(pooled) = prompt.pooled {
            results.insert("text_embeds".to_owned(), pooled.i(1..2)?);
        }
        outcomes.extend(golden.check(&results)?);
    }
    Ok(outcomes)
}

pub fn embeddings(goldens: &Goldens, model: &Model) -> Result<Vec<Outcome>> {
    let widths: Vec<usize> = model.text.iter().map(|e| e.config().hidden_size).collect();
    let mut outcomes = Vec::new();
    for golden in goldens.of("embedding")? {
        let embedding = Embedding::open(&goldens.path.join(golden.text("file")?))?;
        let vectors: Vec<Tensor> = embedding.for_encoders(&widths)?;
        let prompt = model.encode(&golden, Some(&vectors))?;
        let mut results = BTreeMap::from([("context".to_owned(), prompt.context)]);
        results.extend(prompt.pooled.map(|t| ("text_embeds".to_owned(), t)));
        outcomes.extend(golden.check(&results)?);
    }
    Ok(outcomes)
}
