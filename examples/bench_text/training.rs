//! Steps of training: the noise that was added is predicted, and the mean square error's gradients are taken. The optimiser's
//! own step is in nobody's time.

use candle_core::{DType, Device, Tensor, Var};
use repose::engine::stable_diffusion::clip::TextEncoder;
use repose::engine::stable_diffusion::nn::Adapter;
use repose::engine::stable_diffusion::text::{
    Conditioning, Learned, Pad, Prompt, Stage, Tokenizer, time_ids,
};
use repose::engine::stable_diffusion::unet::{Added, Controls, Input, UNet};
use repose::engine::stable_diffusion::weights::{Checkpoint, Options};

use crate::Result;
use crate::case::{Case, Measured};

const RANK: usize = 8;
/// What peft's names of the projections end in, too.
const ADAPTED: [&str; 4] = ["to_q", "to_k", "to_v", "to_out.0"];
const CPU: &Device = &Device::Cpu;

/// LoRAs on all attentions.
pub fn lora(case: &Case) -> Result<Measured> {
    let scene = Scene::new(case)?;
    let vars = adapt(&scene.unet)?;
    let width = scene.unet.config().cross_attention_dim;
    let context = Tensor::randn(0f32, 1.0, (case.batch, 77, width), CPU)?;
    let mut checked = false;
    case.time(CPU, || scene.gradients(&context, &vars, &mut checked))
}

/// A word's vector, in the place of one token.
pub fn inversion(case: &Case) -> Result<Measured> {
    let scene = Scene::new(case)?;
    let [part] = &scene.checkpoint.text_encoders[..] else {
        return Err("textual inversion is measured with one text encoder: SD 1.x or 2.x".into());
    };
    let encoder = TextEncoder::new(&part.config, &part.weights(CPU), DType::F32)?;
    let tokenizer = Tokenizer::built_in(Pad::End);
    let vector = Var::randn(0f32, 0.02, (1, part.config.hidden_size), CPU)?;
    let stage = Stage {
        encoder: &encoder,
        tokenizer: &tokenizer,
        learned: &[vector.as_tensor().clone()],
    };
    let words = [Learned {
        name: "puppet".into(),
        vectors: 1,
    }];
    let prompt = Prompt::parse("a photo of puppet")?;
    let vars = [vector.clone()];
    let mut checked = false;
    case.time(CPU, || {
        let context = Conditioning::new(&[stage], &prompt, &words, 1, 0)?.context;
        let context = context.repeat((case.batch, 1, 1))?;
        scene.gradients(&context, &vars, &mut checked)
    })
}

/// A U-Net and what it shall predict.
struct Scene {
    checkpoint: Checkpoint,
    unet: UNet,
    latents: Tensor,
    target: Tensor,
    added: Option<Added>,
    controls: Controls,
}

impl Scene {
    fn new(case: &Case) -> Result<Self> {
        let checkpoint = Checkpoint::open(&case.checkpoint, &Options::default())?;
        let unet = UNet::new(
            &checkpoint.unet.config,
            &checkpoint.unet.weights(CPU),
            DType::F32,
        )?;
        let (batch, side) = (case.batch, case.side / 8);
        let noise = || Tensor::randn(0f32, 1.0, (batch, 4, side, side), CPU);
        let pixels = case.side as u32;
        let added = match unet.config().addition() {
            Some((each, all)) => Some(Added {
                pooled: Tensor::randn(0f32, 1.0, (batch, all - 6 * each), CPU)?,
                sizes: time_ids((pixels, pixels), (0, 0), (pixels, pixels), CPU)?
                    .repeat((batch, 1))?,
            }),
            None => None,
        };
        Ok(Self {
            unet,
            latents: noise()?,
            target: noise()?,
            added,
            controls: Controls {
                checkpoint: case.checkpointing,
                ..Controls::default()
            },
            checkpoint,
        })
    }

    /// A step. The first time, `checked` is false: then each gradient is held to be finite and not zero.
    fn gradients(&self, context: &Tensor, vars: &[Var], checked: &mut bool) -> Result<()> {
        let input = Input {
            latents: &self.latents,
            timesteps: &[481.0],
            context,
            added: self.added.as_ref(),
        };
        let (output, _) = self.unet.forward_with(&input, &self.controls)?;
        let loss = (output - &self.target)?.sqr()?.mean_all()?;
        let gradients = loss.backward()?;
        if std::mem::replace(checked, true) {
            return Ok(());
        }
        for var in vars {
            let gradient = gradients.get(var).ok_or("a gradient is missing")?;
            let size = gradient.abs()?.sum_all()?.to_scalar::<f32>()?;
            if !size.is_finite() || size == 0.0 {
                return Err(format!("a gradient of shape {:?} is {size}", var.dims()).into());
            }
        }
        Ok(())
    }
}

/// Puts LoRAs on. Both halves are random: beside an upper half of zeros the lower one would get a gradient of zeros.
fn adapt(unet: &UNet) -> Result<Vec<Var>> {
    let mut vars = Vec::new();
    for (name, slot) in unet.weights().slots() {
        if !ADAPTED.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let weights = unet.weights().at(&name);
        let &[outputs, inputs] = weights.shape("weight").ok_or("a slot without a weight")? else {
            return Err(format!("{name} is no matrix").into());
        };
        let down = Var::randn(0f32, 1.0 / RANK as f32, (RANK, inputs), CPU)?;
        let up = Var::randn(0f32, 0.02, (outputs, RANK), CPU)?;
        slot.lock().map_err(|_| "poisoned")?.push(Adapter {
            down: down.as_tensor().clone(),
            up: up.as_tensor().clone(),
            scale: 1.0,
        });
        vars.extend([down, up]);
    }
    match vars.is_empty() {
        true => Err("no projection to adapt".into()),
        false => Ok(vars),
    }
}
