//! A checkpoint, built: everything that turns words and noise into pictures.

mod words;
mod worn;

use std::collections::BTreeSet;
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use super::clip::TextEncoder;
use super::config::ClipConfig;
use super::pace::Pace;
use super::sampler::Schedule;
use super::text::{NewWords, Pad, Tokenizer, time_ids};
use super::unet::{Added, Controls, Input, Place, Seen, UNet};
use super::vae::{Taesd, Tiling, Vae};
use super::weights::lora::Target;
use super::weights::{Checkpoint, Family, Options, Weights};
use crate::outcome::ModelRef;
use crate::{Error, Result};
pub use words::Text;
use worn::Wardrobe;
pub use worn::Worn;

/// Places across of the cross-attention that is read, in pictures as large as the model was trained on: where words point
/// best (Prompt-to-Prompt, arXiv 2208.01626, reads 16×16 of 64×64).
const MAP: usize = 16;

/// A text model, ready to run.
#[derive(Debug)]
pub struct Model {
    name: ModelRef,
    family: Family,
    inpainting: bool,
    device: Device,
    text: Vec<(TextEncoder, Tokenizer)>,
    unet: UNet,
    vae: Vae,
    taesd: Option<Taesd>,
    schedule: Schedule,
    pace: Option<Pace>,
    /// See [`Checkpoint::zeros_for_empty`].
    zeros_for_empty: bool,
    learned: NewWords,
    wardrobe: Wardrobe,
}

/// Networks with fewer numbers than this take a GPU longer to be told of than the CPU to compute: a pose by pocket took 4.2 s
/// with a GPU of 2023, and 2.5 s on one core beside it.
const SMALL: usize = 100_000_000;

/// Where a model computes: on a [`device`] if it is not small.
pub fn device_for(checkpoint: &Checkpoint) -> Device {
    match checkpoint.parameters() < SMALL {
        true => Device::Cpu,
        false => device(),
    }
}

/// Where networks compute: on a GPU where the build and the machine have one, else on the CPU.
pub fn device() -> Device {
    let gpu = if cfg!(feature = "cuda") {
        Device::new_cuda(0).ok()
    } else if cfg!(feature = "metal") {
        Device::new_metal(0).ok()
    } else {
        None
    };
    gpu.unwrap_or(Device::Cpu)
}

impl Model {
    /// Opens a checkpoint (see [`Checkpoint::open`]) and builds its networks on `device`. Weights stay mapped.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; `Files` if a network's weights are not whole.
    pub fn open(path: &Path, options: &Options, device: &Device) -> Result<Self> {
        Self::new(&Checkpoint::open(path, options)?, device)
    }

    /// Builds the networks of an open checkpoint.
    ///
    /// # Errors
    /// `Files` if a network's weights are not whole.
    pub fn new(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        // A GPU computes as the weights are stored; the CPU is no faster in half precision.
        let dtype = match device.is_cpu() {
            true => DType::F32,
            false => checkpoint.dtype(),
        };
        let text = checkpoint
            .text_encoders
            .iter()
            .enumerate()
            .map(|(index, part)| {
                // OpenCLIP fills sequences up with 0: SD 2.x, and the second of SDXL.
                let pad = match (checkpoint.family, index) {
                    (Family::Sd1, _) | (Family::Sdxl, 0) => Pad::End,
                    _ => Pad::Zero,
                };
                let folder = checkpoint.tokenizers.get(index).cloned().flatten();
                let own = folder.map(|f| Tokenizer::open(&f, pad)).transpose()?;
                let encoder = TextEncoder::new(&part.config, &part.weights(device), dtype)?;
                Ok((
                    encoder,
                    own.flatten().unwrap_or_else(|| Tokenizer::built_in(pad)),
                ))
            })
            .collect::<Result<Vec<_>>>()?;
        let unet = UNet::new(
            &checkpoint.unet.config,
            &checkpoint
                .unet
                .weights(device)
                .in_precision(checkpoint.precision),
            dtype,
        )?;
        let (latent, taken) = (
            checkpoint.vae.config.latent_channels,
            checkpoint.unet.config.in_channels,
        );
        let inpainting = taken == 2 * latent + 1;
        if !inpainting && taken != latent {
            return Err(Error::refused(format!(
                "{}: its U-Net takes {taken} channels and its autoencoder makes {latent}; Repose runs models that take as many, \
                 or for inpainting twice as many and one",
                checkpoint.name
            )));
        }
        // Frames are made for these.
        let factor = checkpoint.vae.config.factor();
        if factor > 8 {
            return Err(Error::refused(format!(
                "{}: its autoencoder makes one latent of {factor} pixels; Repose runs models of 8 and fewer",
                checkpoint.name
            )));
        }
        let pace = Pace::of(&checkpoint.name, &checkpoint.scheduler);
        let schedule = match pace {
            Some(pace) => Schedule::new(&pace.schedule(&checkpoint.scheduler))?,
            None => Schedule::new(&checkpoint.scheduler)?,
        };
        Ok(Self {
            name: ModelRef {
                name: checkpoint.name.clone(),
                sha256: checkpoint.fingerprint(),
            },
            family: checkpoint.family,
            inpainting,
            device: device.clone(),
            text,
            unet,
            vae: Vae::new(&checkpoint.vae.config, &checkpoint.vae.weights(device))?,
            taesd: None,
            schedule,
            pace,
            zeros_for_empty: checkpoint.zeros_for_empty,
            learned: NewWords::default(),
            wardrobe: Wardrobe::default(),
        })
    }

    /// What names it in a result's history.
    pub fn reference(&self) -> ModelRef {
        self.name.clone()
    }

    /// Its generation.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Whether its U-Net takes a mask and the masked picture.
    pub fn inpainting(&self) -> bool {
        self.inpainting
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The noise predictor.
    pub fn unet(&self) -> &UNet {
        &self.unet
    }

    /// What it was trained on.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// How it wants to be sampled, if it was distilled to need few steps.
    pub fn pace(&self) -> Option<Pace> {
        self.pace
    }

    /// Side in pixels of the pictures it was trained on.
    pub fn side(&self) -> usize {
        self.unet.config().sample_size.at(0) * self.factor()
    }

    /// How many pixels a latent is wide.
    pub fn factor(&self) -> usize {
        self.vae.config().factor()
    }

    /// Whether its latents are of the kind that TAESD knows: 4 channels at an eighth of the picture's size.
    pub fn has_published_latents(&self) -> bool {
        self.factor() == 8 && self.vae.config().latent_channels == 4
    }

    /// The cross-attentions that show best where words point.
    pub fn pointing(&self) -> BTreeSet<String> {
        let layers = self.unet.layers();
        let cross = || layers.iter().filter(|l| l.cross && l.place != Place::Mid);
        let wanted = (self.unet.config().sample_size.at(0) / MAP).max(1).ilog2() as usize;
        let level = cross().map(|l| l.level).min_by_key(|l| l.abs_diff(wanted));
        let chosen = cross().filter(|l| Some(l.level) == level);
        chosen.map(|l| l.name.clone()).collect()
    }

    /// The U-Net's output for noisy latents, one sample for each text, at the time step of each, or one for all.
    ///
    /// # Errors
    /// `Caller` if shapes or controls do not fit.
    pub fn predict(
        &self,
        latents: &Tensor,
        timesteps: &[f32],
        texts: &[&Text],
        controls: &Controls,
    ) -> Result<(Tensor, Seen)> {
        let contexts: Vec<&Tensor> = texts.iter().map(|t| &t.conditioning.context).collect();
        let context = Tensor::cat(&contexts, 0)?;
        let added = match self.unet.config().addition() {
            Some(_) => Some(self.added(latents, texts)?),
            None => None,
        };
        let input = Input {
            latents,
            timesteps,
            context: &context,
            added: added.as_ref(),
        };
        let (output, seen) = self.unet.forward_with(&input, controls)?;
        Ok((output.to_dtype(DType::F32)?, seen))
    }

    /// SDXL's pooled texts and sizes: the frame is a whole picture of its own.
    fn added(&self, latents: &Tensor, texts: &[&Text]) -> Result<Added> {
        let (_, _, height, width) = latents.dims4()?;
        let pixels = |latents: usize| (latents * self.factor()) as u32;
        let size = (pixels(width), pixels(height));
        let sizes = time_ids(size, (0, 0), size, &self.device)?;
        let pooled = texts
            .iter()
            .map(|t| {
                t.conditioning.pooled.clone().ok_or_else(|| {
                    Error::files(format!(
                        "{}: its U-Net wants a pooled text, which its text encoders do not give",
                        self.name.name
                    ))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Added {
            pooled: Tensor::cat(&pooled, 0)?,
            sizes: sizes.repeat((texts.len(), 1))?,
        })
    }

    /// A picture (`[1, 3, h, w]`, -1 to 1) as the U-Net's latents, the most likely ones; in tiles where it is large. `step` is
    /// called before each tile; its error ends the work.
    ///
    /// # Errors
    /// `Caller` if the shape does not fit; what `step` gives.
    pub fn encode(&self, picture: &Tensor, step: &mut dyn FnMut() -> Result<()>) -> Result<Tensor> {
        let found = self.vae.encode_tiled(picture, self.tiling(), step)?;
        self.vae.scale(&found.mean)
    }

    /// The U-Net's latents as a picture, `[1, 3, h, w]`, a little beyond -1 to 1.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn decode(&self, latents: &Tensor, step: &mut dyn FnMut() -> Result<()>) -> Result<Tensor> {
        // Decoding takes as much memory as the U-Net's weights, which have nothing to do meanwhile.
        self.unet.weights().rest();
        let latents = self.vae.unscale(latents)?;
        self.vae.decode_tiled(&latents, self.tiling(), step)
    }

    /// A quick picture of latents, where TAESD's weights are there: `[1, 3, h, w]`, about -1 to 1.
    ///
    /// # Errors
    /// If the shape does not fit.
    pub fn glance(&self, latents: &Tensor) -> Result<Option<Tensor>> {
        let glance = self.taesd.as_ref().map(|t| t.decode(latents));
        glance.transpose()
    }

    /// Shows [`glance`](Self::glance) by this decoder.
    pub fn set_glance(&mut self, taesd: Option<Taesd>) {
        self.taesd = taesd;
    }

    /// Makes these learned words known, instead of those before.
    pub fn learn_words(&mut self, learned: NewWords) {
        self.learned = learned;
    }

    /// The widths of its text encoders.
    pub fn text_widths(&self) -> Vec<usize> {
        let widths = self.text.iter().map(|(e, _)| e.config().hidden_size);
        widths.collect()
    }

    /// How its first text encoder is built.
    ///
    /// # Errors
    /// `Bug` if it has none.
    pub fn text_config(&self) -> Result<&ClipConfig> {
        let first = self.text.first().map(|(encoder, _)| encoder.config());
        first.ok_or_else(|| Error::bug("a model without a text encoder"))
    }

    /// The networks that can be adapted: the U-Net and each text encoder.
    pub fn networks(&self) -> impl Iterator<Item = (Target, &Weights)> {
        let text = self.text.iter().enumerate();
        let text = text.map(|(index, (encoder, _))| (Target::Text(index), encoder.weights()));
        std::iter::once((Target::UNet, self.unet.weights())).chain(text)
    }

    /// Large pictures are encoded and decoded in tiles of the size that the model was trained at.
    fn tiling(&self) -> Tiling {
        Tiling {
            side: self.unet.config().sample_size.at(0).max(64),
            ..Tiling::default()
        }
    }
}
