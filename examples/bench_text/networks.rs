//! Networks without gradients.

use candle_core::Tensor;
use repose::engine::stable_diffusion::model::{Model, Text};
use repose::engine::stable_diffusion::unet::Controls;
use repose::engine::stable_diffusion::weights::Options;
use repose::kernels::Precision;

use crate::Result;
use crate::case::{Case, Measured, Task};

/// A step of the U-Net as guidance has it, or the autoencoder on one picture.
pub fn run(case: &Case) -> Result<Measured> {
    let device = &case.device()?;
    let options = Options {
        precision: match case.bf16 {
            true => Precision::fastest(),
            false => Precision::F32,
        },
        ..Options::default()
    };
    let model = Model::open(&case.checkpoint, &options, device)?;
    let (side, batch) = (case.side / 8, case.batch);
    let latents = |batch| Tensor::randn(0f32, 1.0, (batch, 4, side, side), device);
    match case.task {
        Task::Encode => {
            let picture = Tensor::rand(-1f32, 1.0, (1, 3, 8 * side, 8 * side), device)?;
            case.time(device, || {
                Ok(model.encode(&picture, &mut || Ok(())).map(drop)?)
            })
        }
        Task::Decode => {
            let latents = latents(1)?;
            case.time(device, || {
                Ok(model.decode(&latents, &mut || Ok(())).map(drop)?)
            })
        }
        _ => {
            let [text, ..] = model.texts(["a bear", "", "a bear"], &[], 0)?;
            let texts: Vec<&Text> = vec![&text; batch];
            let latents = latents(batch)?;
            let controls = Controls::default();
            case.time(device, || {
                Ok(model
                    .predict(&latents, &[481.0], &texts, &controls)
                    .map(drop)?)
            })
        }
    }
}
