//! Repose's networks, built from a golden folder's checkpoint.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor, safetensors};
use repose::engine::stable_diffusion::clip::{Encoded, TextEncoder};
use repose::engine::stable_diffusion::unet::{Added, Controls, Input, Seen, UNet};
use repose::engine::stable_diffusion::vae::Vae;
use repose::engine::stable_diffusion::weights::{Checkpoint, Options};
use repose::kernels::{Frozen, Precision};

use super::golden::{Golden, Goldens, Result};

/// Which files the weights are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Folder,
    Single,
}

impl Layout {
    /// The layouts that a folder has its weights in.
    pub fn of(goldens: &Goldens) -> Vec<Self> {
        let manifest = &goldens.manifest;
        let mut layouts = Vec::new();
        if manifest.folder.is_some() {
            layouts.push(Self::Folder);
        }
        if manifest.single_file.is_some() || manifest.difference_of.is_some() {
            layouts.push(Self::Single);
        }
        layouts
    }
}

/// The checkpoint of a golden folder.
pub fn checkpoint(goldens: &Goldens, layout: Layout) -> Result<Checkpoint> {
    let manifest = &goldens.manifest;
    if layout == Layout::Folder {
        let folder = manifest.folder.as_deref().ok_or("no folder")?;
        return Ok(Checkpoint::open(
            &goldens.path.join(folder),
            &Options::default(),
        )?);
    }
    // Heads and groups of norms are in no shape; the folder has the configurations even where it has no weights.
    let options = Options {
        config: Some(goldens.path.join("checkpoint")),
        ..Options::default()
    };
    let single = |folder: &Path, family: &str| folder.join(format!("{family}.safetensors"));
    let Some(base) = &manifest.difference_of else {
        let path = single(&goldens.path, &manifest.family);
        return Ok(Checkpoint::open(&path, &options)?);
    };
    let beside = goldens.path.parent().ok_or("no folder beside")?.join(base);
    let mut opened = Checkpoint::open(&single(&beside, base), &options)?;
    let path = goldens.path.join("conv_in.safetensors");
    for (name, tensor) in safetensors::load(path, &Device::Cpu)? {
        let weight = Frozen::of(&tensor, tensor.dtype())?;
        opened.unet.tensors.insert(name, weight);
    }
    Ok(opened)
}

/// The networks.
pub struct Model {
    pub unet: UNet,
    pub vae: Vae,
    pub text: Vec<TextEncoder>,
}

/// What a prompt becomes.
pub struct Context {
    /// `[B, T, C]`
    pub context: Tensor,
    /// `[B, P]`, for SDXL.
    pub pooled: Option<Tensor>,
}

impl Model {
    pub fn open(goldens: &Goldens, layout: Layout) -> Result<Self> {
        Self::open_in(goldens, layout, Precision::F32)
    }

    /// With a U-Net whose products are computed to this precision.
    pub fn open_in(goldens: &Goldens, layout: Layout, precision: Precision) -> Result<Self> {
        let checkpoint = checkpoint(goldens, layout)?;
        let device = Device::Cpu;
        let text = checkpoint
            .text_encoders
            .iter()
            .map(|part| TextEncoder::new(&part.config, &part.weights(&device), DType::F32));
        Ok(Self {
            text: text.collect::<repose::Result<_>>()?,
            unet: UNet::new(
                &checkpoint.unet.config,
                &checkpoint.unet.weights(&device).in_precision(precision),
                DType::F32,
            )?,
            vae: Vae::new(&checkpoint.vae.config, &checkpoint.vae.weights(&device))?,
        })
    }

    /// Encodes a golden's `ids` and `ids_2`, with word vectors in place of the tokens at its `positions` (one after
    /// another), as many `vectors` as there are encoders.
    pub fn encode(&self, golden: &Golden, vectors: Option<&[Tensor]>) -> Result<Context> {
        let mut encoded = Vec::new();
        for (i, encoder) in self.text.iter().enumerate() {
            let ids = golden.ids(["ids", "ids_2"][i])?;
            let mut words = encoder.embed(&ids)?;
            if let Some(vectors) = vectors {
                words = spliced(&words, &vectors[i], golden)?;
            }
            encoded.push(encode(encoder, &words, &ids)?);
        }
        let penultimate = |e: &Encoded| e.states[e.states.len() - 2].clone();
        Ok(match &encoded[..] {
            [only] => Context {
                context: only.last.clone(),
                pooled: None,
            },
            both => Context {
                context: Tensor::cat(&both.iter().map(penultimate).collect::<Vec<_>>(), 2)?,
                pooled: both[1].projected.clone(),
            },
        })
    }

    /// The U-Net on a golden's inputs, as far as they are not given here.
    pub fn denoise(
        &self,
        golden: &Golden,
        given: &HashMap<&str, Tensor>,
        controls: &Controls,
    ) -> Result<(Tensor, Seen)> {
        let input = |key: &str| match given.get(key) {
            Some(tensor) => Ok(Some(tensor.clone())),
            None => golden.find(key),
        };
        let needed = |key: &str| -> Result<Tensor> { Ok(input(key)?.ok_or(key)?) };
        let added = match (input("pooled")?, input("time_ids")?) {
            (Some(pooled), Some(sizes)) => Some(Added { pooled, sizes }),
            _ => None,
        };
        Ok(self.unet.forward_with(
            &Input {
                latents: &needed("sample")?,
                timesteps: &needed("timesteps")?.to_vec1::<f32>()?,
                context: &needed("context")?,
                added: added.as_ref(),
            },
            controls,
        )?)
    }
}

pub fn encode(encoder: &TextEncoder, words: &Tensor, ids: &[Vec<u32>]) -> Result<Encoded> {
    let pooled: Vec<_> = ids
        .iter()
        .map(|row| encoder.config().pooled_at(row))
        .collect();
    Ok(encoder.encode(words, &pooled)?)
}

/// Word vectors `[1, T, C]` with `vectors` `[N, C]` in place of those at a golden's positions.
fn spliced(words: &Tensor, vectors: &Tensor, golden: &Golden) -> Result<Tensor> {
    let positions = &golden.ids("positions")?[0];
    let (first, count) = (positions[0] as usize, positions.len());
    let after = first + count;
    let tokens = words.dim(1)?;
    let (before, behind) = (
        words.narrow(1, 0, first)?,
        words.narrow(1, after, tokens - after)?,
    );
    Ok(Tensor::cat(&[&before, &vectors.unsqueeze(0)?, &behind], 1)?)
}
