//! Deep features kept and reused.

use super::*;
use crate::engine::stable_diffusion::testing::error;

/// A finest level of which fine passes compute a part.
fn longer() -> UNetConfig {
    UNetConfig {
        layers_per_block: PerLevel::All(2),
        ..plain()
    }
}

fn keep(memory: &DeepMemory) -> Controls {
    Controls {
        deep: Some(Deep::Keep(memory.clone())),
        ..Controls::default()
    }
}

fn take(memory: &DeepMemory) -> Controls {
    Controls {
        deep: Some(Deep::Take(memory.clone())),
        ..Controls::default()
    }
}

#[test]
fn the_same_again_gives_the_same_to_the_bit() -> Result<()> {
    for config in [plain(), longer(), extended()] {
        let (unet, given) = (build(&config, DType::F32)?, Given::new()?);
        let input = Input {
            added: config.addition().map(|_| &given.added),
            ..given.input()
        };
        let expected = unet.forward(&input)?;
        let memory = DeepMemory::default();
        for (controls, fine) in [(keep(&memory), false), (take(&memory), true)] {
            let (found, seen) = unet.forward_with(&input, &controls)?;
            assert_eq!(error(&found, &expected)?, 0.0);
            assert_eq!(seen.fine, fine);
        }
        // What is deep stays as it was, what is fine follows.
        let latents = (&given.latents * 1.2)?;
        let other = Input {
            latents: &latents,
            ..input
        };
        let whole = unet.forward(&other)?;
        let (found, seen) = unet.forward_with(&other, &take(&memory))?;
        assert!(seen.fine);
        assert!(error(&found, &whole)? > 1e-4 && error(&found, &expected)? > 1e-4);
        assert!(error(&found, &whole)? < error(&expected, &whole)?);
        // A fine pass leaves the memory as it is.
        let (found, _) = unet.forward_with(&input, &take(&memory))?;
        assert_eq!(error(&found, &expected)?, 0.0);
    }
    Ok(())
}

#[test]
fn what_cannot_be_reused_is_computed_and_kept() -> Result<()> {
    let (unet, given) = (build(&longer(), DType::F32)?, Given::new()?);
    let memory = DeepMemory::default();
    let (found, seen) = unet.forward_with(&given.input(), &take(&memory))?;
    assert!(!seen.fine);
    assert_eq!(error(&found, &unet.forward(&given.input())?)?, 0.0);
    let half = |t: &Tensor| t.narrow(0, 1, 1);
    let (latents, context) = (half(&given.latents)?, half(&given.context)?);
    let one = Input {
        latents: &latents,
        timesteps: &[37.25],
        context: &context,
        added: None,
    };
    for fine in [false, true] {
        let (found, seen) = unet.forward_with(&one, &take(&memory))?;
        assert_eq!(seen.fine, fine);
        assert_eq!(error(&found, &unet.forward(&one)?)?, 0.0);
    }
    // The features are one sample's now.
    let (_, seen) = unet.forward_with(&given.input(), &take(&memory))?;
    assert!(!seen.fine);
    Ok(())
}

#[test]
fn attentions_are_read_and_fed_where_they_are_computed() -> Result<()> {
    let (unet, given) = (build(&longer(), DType::F32)?, Given::new()?);
    let fine: Vec<&str> = unet
        .layers()
        .iter()
        .filter(|layer| layer.fine && !layer.cross)
        .map(|layer| layer.name.as_str())
        .collect();
    assert_eq!(
        fine,
        [
            "down_blocks.0.attentions.0.transformer_blocks.0.attn1",
            "up_blocks.1.attentions.1.transformer_blocks.0.attn1",
            "up_blocks.1.attentions.2.transformer_blocks.0.attn1",
        ]
    );
    let memory = DeepMemory::default();
    let input = given.input();
    unet.forward_with(&input, &keep(&memory))?;
    for layer in unet.layers() {
        let names = || [layer.name.clone()].into_iter().collect();
        let mut controls = take(&memory);
        controls.maps = names();
        let (_, seen) = unet.forward_with(&input, &controls)?;
        assert_eq!((seen.fine, seen.maps.len()), (layer.fine, 1), "{layer:?}");
        if layer.cross {
            continue;
        }
        let mut controls = take(&memory);
        controls.record = names();
        let (_, seen) = unet.forward_with(&input, &controls)?;
        assert_eq!(
            (seen.fine, seen.features.len()),
            (layer.fine, 1),
            "{layer:?}"
        );
        let mut controls = take(&memory);
        if let Some(feed) = seen.features[&layer.name].beside(None)? {
            controls.feed.insert(layer.name.clone(), feed);
        }
        let (_, seen) = unet.forward_with(&input, &controls)?;
        assert_eq!(seen.fine, layer.fine, "{layer:?}");
        // What a fed layer changes deep down is kept, and shall not be.
        unet.forward_with(&input, &keep(&memory))?;
    }
    Ok(())
}

#[test]
fn passes_with_gradients_are_whole() -> Result<()> {
    let (unet, given) = (build(&longer(), DType::F32)?, Given::new()?);
    let memory = DeepMemory::default();
    unet.forward_with(&given.input(), &keep(&memory))?;
    let latents = candle_core::Var::from_tensor(&given.latents)?;
    let input = Input {
        latents: latents.as_tensor(),
        ..given.input()
    };
    let (output, seen) = unet.forward_with(&input, &take(&memory))?;
    assert!(!seen.fine);
    assert!(output.sum_all()?.backward()?.get(&latents).is_some());
    let checkpointed = Controls {
        checkpoint: true,
        ..take(&memory)
    };
    assert!(!unet.forward_with(&given.input(), &checkpointed)?.1.fine);
    // Nothing of it was kept.
    let other = DeepMemory::default();
    unet.forward_with(&input, &keep(&other))?;
    assert!(!unet.forward_with(&given.input(), &take(&other))?.1.fine);
    Ok(())
}
