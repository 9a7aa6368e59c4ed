//! Each network by itself.

use std::collections::{BTreeMap, HashMap};

use candle_core::Device;
use repose::engine::stable_diffusion::unet::Controls;
use repose::engine::stable_diffusion::vae::Taesd;
use repose::kernels::{Instructions, Precision};

use super::golden::{Goldens, Outcome, Result};
use super::model::{Layout, Model, encode};

pub fn text(goldens: &Goldens, model: &Model) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("text_encoder")? {
        let encoder = &model.text[usize::from(golden.text("folder")? == "text_encoder_2")];
        let ids = golden.ids("ids")?;
        let encoded = encode(encoder, &encoder.embed(&ids)?, &ids)?;
        let penultimate = encoded.states[encoded.states.len() - 2].clone();
        let mut results = BTreeMap::from([
            ("last_hidden".to_owned(), encoded.last),
            ("skipped".to_owned(), encoder.normed(&penultimate)?),
            ("penultimate".to_owned(), penultimate),
            ("pooled".to_owned(), encoded.pooled),
        ]);
        results.extend(encoded.projected.map(|t| ("text_embeds".to_owned(), t)));
        outcomes.extend(golden.check(&results)?);
    }
    Ok(outcomes)
}

pub fn unet(goldens: &Goldens, model: &Model) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("unet")? {
        let layers = model.unet.layers().iter().map(|layer| layer.name.clone());
        let maps = layers.filter(|name| golden.has(&format!("map.{name}")));
        let controls = Controls {
            maps: maps.collect(),
            ..Controls::default()
        };
        let (output, seen) = model.denoise(&golden, &HashMap::new(), &controls)?;
        let mut results = BTreeMap::from([("output".to_owned(), output)]);
        for (name, map) in seen.maps {
            results.insert(format!("map.{name}"), map.probabilities);
        }
        outcomes.extend(golden.check(&results)?);
    }
    Ok(outcomes)
}

/// The U-Net with products in bfloat16: no further off than the reference is in that precision. Its own rounding ends with the
/// products, that of the reference does not.
pub fn half(goldens: &Goldens, layout: Layout) -> Result<Vec<Outcome>> {
    let precision = match Precision::fastest() {
        Precision::F32 => Precision::Bf16(Instructions::Plain),
        fastest => fastest,
    };
    let model = Model::open_in(goldens, layout, precision)?;
    let mut outcomes = Vec::new();
    for golden in goldens.of("unet")? {
        if let Ok(tolerance) = golden.number("bf16_error") {
            let (output, _) = model.denoise(&golden, &HashMap::new(), &Controls::default())?;
            outcomes.push(golden.compare("output", &output, tolerance)?);
        }
    }
    Ok(outcomes)
}

/// Self-attention over a reference's tokens as well.
pub fn reference(goldens: &Goldens, model: &Model) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("unet_reference")? {
        let layers = model.unet.layers().iter().filter(|layer| !layer.cross);
        let record = Controls {
            record: layers.map(|layer| layer.name.clone()).collect(),
            ..Controls::default()
        };
        let mut other = HashMap::new();
        for key in ["sample", "context", "pooled"] {
            if let Some(tensor) = golden.find(&format!("reference_{key}"))? {
                other.insert(key, tensor);
            }
        }
        let (_, seen) = model.denoise(&golden, &other, &record)?;
        let mask: Vec<Vec<f32>> = golden.get("mask")?.squeeze(0)?.squeeze(0)?.to_vec2()?;
        let weight = golden.number("weight")? as f32;
        let mut controls = Controls::default();
        for (name, features) in seen.features {
            // The mask has blocks that every level divides.
            let step = mask.len() / features.height;
            let rows = mask.iter().step_by(step);
            let weights: Vec<f32> = rows
                .flat_map(|row| row.iter().step_by(step).map(|m| m * weight))
                .collect();
            let feed = features.beside(Some(&weights))?.ok_or("an empty mask")?;
            controls.feed.insert(name, feed);
        }
        let (output, _) = model.denoise(&golden, &HashMap::new(), &controls)?;
        outcomes.extend(golden.check(&BTreeMap::from([("output".to_owned(), output)]))?);
    }
    Ok(outcomes)
}

pub fn vae(goldens: &Goldens, model: &Model) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("vae_encode")? {
        let latents = model.vae.encode(&golden.get("image")?)?;
        let results = [("mean", latents.mean), ("logvar", latents.logvar)];
        outcomes.extend(golden.check(&results.map(|(k, v)| (k.to_owned(), v)).into())?);
    }
    for golden in goldens.of("vae_decode")? {
        let image = model.vae.decode(&golden.get("latents")?)?;
        outcomes.extend(golden.check(&BTreeMap::from([("image".to_owned(), image)]))?);
    }
    Ok(outcomes)
}

/// The decoder for previews. It has no checkpoint around it.
pub fn taesd(goldens: &Goldens) -> Result<Vec<Outcome>> {
    let files = [
        "taesd_decoder.safetensors",
        "taesd/diffusion_pytorch_model.safetensors",
    ];
    let mut outcomes = Vec::new();
    for file in files {
        let decoder = Taesd::open(&goldens.path.join(file), &Device::Cpu)?;
        for golden in goldens.of("taesd_decode")? {
            let image = decoder.decode(&golden.get("latents")?)?;
            outcomes.extend(golden.check(&BTreeMap::from([("image".to_owned(), image)]))?);
        }
    }
    Ok(outcomes)
}
