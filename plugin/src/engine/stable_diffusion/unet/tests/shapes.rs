//! Batches, sizes, and what does not fit.

use super::*;
use crate::ErrorKind;
use crate::engine::stable_diffusion::testing::error;

#[test]
fn each_sample_has_its_own_time_step() -> Result<()> {
    for config in [plain(), extended()] {
        let (unet, given) = (build(&config, DType::F32)?, Given::new()?);
        let input = match config.addition() {
            Some(_) => given.extended(),
            None => given.input(),
        };
        let both = unet.forward(&input)?;
        for i in 0..2 {
            let added = Added {
                pooled: given.added.pooled.narrow(0, i, 1)?,
                sizes: given.added.sizes.narrow(0, i, 1)?,
            };
            let alone = unet.forward(&Input {
                latents: &given.latents.narrow(0, i, 1)?,
                timesteps: &input.timesteps[i..=i],
                context: &given.context.narrow(0, i, 1)?,
                added: input.added.map(|_| &added),
            })?;
            assert!(error(&alone.get(0)?, &both.get(i)?)? < 1e-5);
        }
        let one = Input {
            timesteps: &[801.0],
            ..input
        };
        assert!(error(&unet.forward(&one)?.get(1)?, &both.get(1)?)? > 1e-2);
    }
    Ok(())
}

#[test]
fn sizes_need_not_halve_evenly() -> Result<()> {
    let (unet, given) = (build(&plain(), DType::F32)?, Given::new()?);
    for (height, width) in [(1, 1), (5, 3), (2, 7)] {
        let latents = random(&[2, 4, height, width], 5)?;
        let input = Input {
            latents: &latents,
            ..given.input()
        };
        assert_eq!(unet.forward(&input)?.dims(), latents.dims());
    }
    Ok(())
}

#[test]
fn every_attention_is_listed_by_its_module_name() -> Result<()> {
    for config in [plain(), extended()] {
        let unet = build(&config, DType::F32)?;
        let slots = unet.weights().slots();
        let mut listed: Vec<String> = unet
            .layers()
            .iter()
            .map(|l| format!("{}.to_q", l.name))
            .collect();
        let mut built: Vec<String> = slots
            .into_keys()
            .filter(|name| name.ends_with(".to_q"))
            .collect();
        listed.sort();
        built.sort();
        assert_eq!(listed, built);
    }
    let real = layers(&UNetConfig::sd15());
    assert_eq!(real.iter().filter(|layer| !layer.cross).count(), 16);
    assert_eq!(layers(&UNetConfig::sdxl()).len(), 140);
    Ok(())
}

#[test]
fn inputs_that_do_not_fit_are_errors() -> Result<()> {
    let given = Given::new()?;
    let (unet, xl) = (
        build(&plain(), DType::F32)?,
        build(&extended(), DType::F32)?,
    );
    let (five, narrow) = (random(&[2, 5, 6, 4], 1)?, random(&[2, 3, 11], 1)?);
    let (empty, single) = (random(&[2, 4, 0, 4], 1)?, random(&[1, 3, 12], 1)?);
    let few = Added {
        sizes: random(&[2, 5], 1)?,
        ..given.added.clone()
    };
    let (input, extended) = (given.input(), given.extended());
    for (unet, input) in [
        (
            &unet,
            Input {
                latents: &five,
                ..input
            },
        ),
        (
            &unet,
            Input {
                latents: &empty,
                ..input
            },
        ),
        (
            &unet,
            Input {
                context: &narrow,
                ..input
            },
        ),
        (
            &unet,
            Input {
                context: &single,
                ..input
            },
        ),
        (
            &unet,
            Input {
                timesteps: &[],
                ..input
            },
        ),
        (
            &unet,
            Input {
                timesteps: &[1.0; 3],
                ..input
            },
        ),
        (
            &unet,
            Input {
                timesteps: &[f32::NAN],
                ..input
            },
        ),
        (&unet, extended),
        (&xl, input),
        (
            &xl,
            Input {
                added: Some(&few),
                ..extended
            },
        ),
    ] {
        let error = unet.forward(&input).expect_err("misfit");
        assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    }
    Ok(())
}

#[test]
fn weights_that_do_not_fit_are_named() -> Result<()> {
    let config = plain();
    let name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    let mut tensors = weights(&config)?;
    let found = tensors.remove(name).expect("the U-Net has this weight");
    let build = |tensors| {
        UNet::new(
            &config,
            &Weights::new("a file", tensors, Device::Cpu),
            DType::F32,
        )
    };
    let missing = build(tensors.clone()).expect_err("a weight is missing");
    tensors.insert(name.to_owned(), found.reshaped(&[12, 16])?);
    let turned = build(tensors).expect_err("a weight is turned");
    for error in [missing, turned] {
        assert_eq!(error.kind, ErrorKind::Files);
        assert!(
            error.message.contains(name) && error.message.contains("a file"),
            "{error}"
        );
    }
    Ok(())
}
