//! Gradients against differences, the fast kernels' against the plain ones', and with checkpoints.

use candle_core::Var;

use super::*;
use crate::engine::stable_diffusion::testing::{adapter, check_gradients, error, pull};

const MAP: &str = "up_blocks.0.attentions.0.transformer_blocks.0.attn2";

/// Projections of every kind, with the shapes of an adapter's parts.
const ADAPTED: [(&str, &[usize], &[usize]); 9] = [
    (
        "down_blocks.1.attentions.0.proj_in",
        &[2, 16, 1, 1],
        &[16, 2, 1, 1],
    ),
    (
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        &[2, 16],
        &[16, 2],
    ),
    (
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_k",
        &[3, 12],
        &[16, 3],
    ),
    (
        "up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_out.0",
        &[2, 16],
        &[16, 2],
    ),
    (
        "up_blocks.0.attentions.1.transformer_blocks.0.ff.net.0.proj",
        &[2, 16],
        &[128, 2],
    ),
    (
        "up_blocks.0.resnets.0.conv1",
        &[2, 32, 3, 3],
        &[16, 2, 1, 1],
    ),
    (
        "up_blocks.0.resnets.0.conv_shortcut",
        &[2, 32, 1, 1],
        &[16, 2, 1, 1],
    ),
    (
        "down_blocks.0.downsamplers.0.conv",
        &[2, 8, 3, 3],
        &[8, 2, 1, 1],
    ),
    ("mid_block.resnets.1.time_emb_proj", &[2, 32], &[16, 2]),
];

/// A U-Net with adapters, and all that can get a gradient.
struct Trained {
    unet: UNet,
    vars: Vec<(String, Var)>,
    added: Added,
    extended: bool,
}

impl Trained {
    fn new(config: &UNetConfig, dtype: DType) -> Result<Self> {
        let unet = build(config, dtype)?;
        let given = Given::new()?;
        let var = |t: &Tensor| Var::from_tensor(&t.to_dtype(dtype)?);
        let mut vars = vec![
            ("latents".to_owned(), var(&given.latents)?),
            ("context".to_owned(), var(&given.context)?),
        ];
        let slots = unet.weights().slots();
        for (i, (name, down, up)) in ADAPTED.iter().enumerate() {
            let (adapter, parts) = adapter(down, up, dtype, 40 + 2 * i as u64)?;
            slots[*name]
                .lock()
                .expect("no test panicked here")
                .push(adapter);
            for (part, var) in ["down", "up"].into_iter().zip(parts) {
                vars.push((format!("{name}.{part}"), var));
            }
        }
        Ok(Self {
            unet,
            vars,
            added: Added {
                pooled: given.added.pooled.to_dtype(dtype)?,
                sizes: given.added.sizes,
            },
            extended: config.addition().is_some(),
        })
    }

    fn loss(&self, controls: &Controls) -> Result<Tensor> {
        let input = Input {
            latents: self.vars[0].1.as_tensor(),
            timesteps: &[801.0, 37.25],
            context: self.vars[1].1.as_tensor(),
            added: self.extended.then_some(&self.added),
        };
        let (result, seen) = self.unet.forward_with(&input, controls)?;
        let mut loss = pull(&result, 7)?;
        for map in seen.maps.values() {
            loss = (loss + (pull(&map.probabilities, 8)? * 3.0)?)?;
        }
        Ok(loss)
    }

    fn gradients(&self, controls: &Controls) -> Result<Vec<Tensor>> {
        let gradients = self.loss(controls)?.backward()?;
        let of = |(name, var): &(String, Var)| {
            let found = gradients.get(var.as_tensor());
            found
                .unwrap_or_else(|| panic!("no gradient for {name}"))
                .clone()
        };
        Ok(self.vars.iter().map(of).collect())
    }
}

fn watching() -> Controls {
    Controls {
        maps: [MAP.to_owned()].into(),
        ..Controls::default()
    }
}

#[test]
fn gradients_are_those_of_differences() -> Result<()> {
    for config in [plain(), extended()] {
        let trained = Trained::new(&config, DType::F64)?;
        let vars: Vec<(&str, &Var)> = trained.vars.iter().map(|(n, v)| (&**n, v)).collect();
        check_gradients(&vars, || trained.loss(&watching()))?;
    }
    Ok(())
}

#[test]
fn in_single_precision_gradients_are_the_same() -> Result<()> {
    let exact = Trained::new(&plain(), DType::F64)?;
    let single = Trained::new(&plain(), DType::F32)?;
    let (expected, found) = (
        exact.gradients(&watching())?,
        single.gradients(&watching())?,
    );
    for (((name, _), expected), found) in exact.vars.iter().zip(&expected).zip(&found) {
        let off = error(found, expected)?;
        assert!(off < 1e-4, "{name}: {off:e}");
    }
    Ok(())
}

#[test]
fn checkpoints_change_no_gradient() -> Result<()> {
    for config in [plain(), extended()] {
        let trained = Trained::new(&config, DType::F32)?;
        let checkpointed = Controls {
            checkpoint: true,
            ..watching()
        };
        let (loss, again) = (trained.loss(&watching())?, trained.loss(&checkpointed)?);
        assert_eq!(loss.to_scalar::<f32>()?, again.to_scalar::<f32>()?);
        let expected = trained.gradients(&watching())?;
        let found = trained.gradients(&checkpointed)?;
        for (((name, _), expected), found) in trained.vars.iter().zip(&expected).zip(&found) {
            let off = error(found, expected)?;
            assert!(off < 2e-5, "{name}: {off:e}");
        }
        // The adapters lie in their slots as before, not as copies.
        let slots = trained.unet.weights().slots();
        let held = slots[ADAPTED[0].0].lock().expect("no test panicked here");
        assert_eq!(held[0].down.id(), trained.vars[2].1.id());
    }
    Ok(())
}

#[test]
fn without_anything_to_train_checkpoints_keep_nothing() -> Result<()> {
    let (unet, given) = (build(&plain(), DType::F32)?, Given::new()?);
    let controls = Controls {
        checkpoint: true,
        ..Controls::default()
    };
    let (result, _) = unet.forward_with(&given.input(), &controls)?;
    assert!(!result.track_op());
    assert_eq!(error(&result, &unet.forward(&given.input())?)?, 0.0);
    Ok(())
}
