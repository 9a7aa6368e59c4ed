//! Adapters against weights that they were added to.

use super::*;
use crate::ErrorKind;
use crate::engine::stable_diffusion::nn::Adapter;
use crate::engine::stable_diffusion::testing::error;

/// A projection, the shapes of an adapter's parts.
const KINDS: [(&str, &[usize], &[usize]); 4] = [
    (
        "mid_block.attentions.0.transformer_blocks.0.attn1.to_v",
        &[3, 16],
        &[16, 3],
    ),
    (
        "down_blocks.0.attentions.0.proj_in",
        &[2, 8, 1, 1],
        &[8, 2, 1, 1],
    ),
    (
        "down_blocks.0.downsamplers.0.conv",
        &[2, 8, 3, 3],
        &[8, 2, 1, 1],
    ),
    (
        "down_blocks.1.resnets.0.conv_shortcut",
        &[2, 8, 1, 1],
        &[16, 2, 1, 1],
    ),
];

#[test]
fn an_adapter_is_a_change_of_the_weight() -> Result<()> {
    let (config, given) = (plain(), Given::new()?);
    let original = weights(&config)?;
    let before = build(&config, DType::F32)?.forward(&given.input())?;
    for (name, down, up) in KINDS {
        let unet = build(&config, DType::F32)?;
        let adapter = Adapter {
            down: random(down, 5)?,
            up: random(up, 6)?,
            scale: 0.3,
        };
        let slot = unet.weights().slots()[name].clone();
        slot.lock()
            .expect("no test panicked here")
            .push(adapter.clone());
        let found = unet.forward(&given.input())?;
        assert!(error(&found, &before)? > 1e-3, "{name} has no effect");

        let rank = down[0];
        let product = adapter
            .up
            .reshape(((), rank))?
            .matmul(&adapter.down.reshape((rank, ()))?)?;
        let key = format!("{name}.weight");
        let weight = original[&key].tensor(DType::F32, &Device::Cpu)?;
        let changed = (&weight + (product * 0.3)?.reshape(weight.shape())?)?;
        let mut tensors = original.clone();
        tensors.insert(key, Frozen::of(&changed, DType::F32)?);
        let merged = UNet::new(
            &config,
            &Weights::new("test", tensors, Device::Cpu),
            DType::F32,
        )?;
        assert!(
            error(&found, &merged.forward(&given.input())?)? < 1e-5,
            "{name}"
        );

        slot.lock().expect("no test panicked here")[0].scale = 0.0;
        assert_eq!(error(&unet.forward(&given.input())?, &before)?, 0.0);
    }
    Ok(())
}

#[test]
fn an_adapter_of_another_model_is_an_error() -> Result<()> {
    let given = Given::new()?;
    for (name, down, up) in KINDS {
        let wrong = |shape: &[usize], at: usize| {
            let mut shape = shape.to_vec();
            shape[at] += 1;
            random(&shape, 5)
        };
        for (down, up) in [
            (wrong(down, 1)?, random(up, 6)?),
            (random(down, 5)?, wrong(up, 1)?),
            (random(down, 5)?, wrong(up, 0)?),
        ] {
            let unet = build(&plain(), DType::F32)?;
            let slot = unet.weights().slots()[name].clone();
            let adapter = Adapter {
                down,
                up,
                scale: 1.0,
            };
            slot.lock().expect("no test panicked here").push(adapter);
            let error = unet.forward(&given.input()).expect_err("misfit");
            assert_eq!(error.kind, ErrorKind::Caller, "{error}");
        }
    }
    Ok(())
}
