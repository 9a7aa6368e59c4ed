//! Laws of autoencoders, on small ones. Their numbers are compared with diffusers' in the suite `parity`.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};

use super::*;
use crate::engine::stable_diffusion::config::TaesdConfig;
use crate::engine::stable_diffusion::testing::{check_gradients, error, invent, pull, random};
use crate::kernels::Frozen;
use crate::{ErrorKind, kernels};

fn config() -> VaeConfig {
    VaeConfig {
        block_out_channels: vec![8, 16],
        norm_num_groups: 4,
        ..VaeConfig::sd()
    }
}

fn weights() -> Result<HashMap<String, Frozen>> {
    invent(|weights| Vae::new(&config(), weights))
}

fn build(tensors: HashMap<String, Frozen>) -> Result<Vae> {
    Vae::new(&config(), &Weights::new("test", tensors, Device::Cpu))
}

#[test]
fn names_and_shapes_of_before_are_the_same_attention() -> Result<()> {
    let vae = build(weights()?)?;
    let mut old = HashMap::new();
    for (name, weight) in weights()? {
        let mut name = name;
        let mut weight = weight;
        for (new, before) in [
            ("to_q", "query"),
            ("to_k", "key"),
            ("to_v", "value"),
            ("to_out.0", "proj_attn"),
        ] {
            if name.contains(&format!(".{new}.")) {
                name = name.replace(new, before);
                if name.ends_with("weight") {
                    weight = weight.reshaped(&[16, 16, 1, 1])?;
                }
            }
        }
        old.insert(name, weight);
    }
    assert!(old.contains_key("decoder.mid_block.attentions.0.query.weight"));
    let latents = random(&[1, 4, 3, 5], 1)?;
    let found = build(old)?.decode(&latents)?;
    assert_eq!(error(&found, &vae.decode(&latents)?)?, 0.0);
    Ok(())
}

#[test]
fn gradients_are_those_of_differences() -> Result<()> {
    let vae = build(weights()?)?;
    let latents = Var::from_tensor(&random(&[1, 4, 3, 2], 1)?.to_dtype(DType::F64)?)?;
    check_gradients(&[("latents", &latents)], || {
        pull(&vae.decode(latents.as_tensor())?, 2)
    })?;
    let picture = Var::from_tensor(&random(&[1, 3, 6, 4], 3)?.to_dtype(DType::F64)?)?;
    check_gradients(&[("picture", &picture)], || {
        let found = vae.encode(picture.as_tensor())?;
        Ok((pull(&found.mean, 2)? + pull(&found.logvar, 3)?)?)
    })
}

#[test]
fn a_sample_without_noise_is_the_mean() -> Result<()> {
    let found = build(weights()?)?.encode(&random(&[2, 3, 6, 4], 1)?)?;
    assert_eq!(found.mean.dims(), [2, 4, 3, 2]);
    let still = found.sample(&found.mean.zeros_like()?)?;
    assert_eq!(error(&still, &found.mean)?, 0.0);
    let moved = found.sample(&found.mean.ones_like()?)?;
    let sigma = (moved - &found.mean)?;
    assert!(error(&(sigma.sqr()?.log()?), &found.logvar)? < 1e-4);
    Ok(())
}

#[test]
fn scaling_is_undone() -> Result<()> {
    let mut vae = build(weights()?)?;
    vae.config.shift_factor = Some(0.4);
    let latents = random(&[1, 4, 2, 2], 1)?;
    assert!(error(&vae.unscale(&vae.scale(&latents)?)?, &latents)? < 1e-6);
    vae.config.shift_factor = None;
    assert!(error(&vae.scale(&latents)?, &(&latents * 0.18215)?)? < 1e-6);
    Ok(())
}

#[test]
fn a_single_tile_is_the_whole() -> Result<()> {
    let vae = build(weights()?)?;
    let latents = random(&[1, 4, 5, 7], 1)?;
    let tiling = Tiling::default();
    let mut steps = 0;
    let found = vae.decode_tiled(&latents, tiling, &mut || {
        steps += 1;
        Ok(())
    })?;
    assert_eq!(steps, 1);
    assert_eq!(error(&found, &vae.decode(&latents)?)?, 0.0);
    let picture = random(&[1, 3, 10, 14], 1)?;
    let found = vae.encode_tiled(&picture, tiling, &mut || Ok(()))?;
    assert_eq!(error(&found.mean, &vae.encode(&picture)?.mean)?, 0.0);
    Ok(())
}

#[test]
fn tiles_of_what_is_local_are_the_whole() -> Result<()> {
    let tiling = Tiling {
        side: 8,
        overlap: 4,
    };
    let latents = random(&[2, 4, 23, 17], 1)?;
    let mut steps = 0;
    let mut step = || {
        steps += 1;
        Ok(())
    };
    let larger = |x: &Tensor| Ok(kernels::upsample_nearest_2x(x)?);
    let found = tiling.run(&latents, (1, 2), &mut step, larger)?;
    assert!(error(&found, &larger(&latents)?)? < 1e-6);
    assert_eq!(steps, 5 * 4);
    let smaller = |x: &Tensor| Ok(x.avg_pool2d(2)?);
    let picture = larger(&latents)?;
    let found = tiling.run(&picture, (2, 1), &mut || Ok(()), smaller)?;
    assert!(error(&found, &latents)? < 1e-6);
    Ok(())
}

/// The largest difference of neighbours in a row.
fn roughest(x: &Tensor) -> Result<f32> {
    let width = x.dim(3)? - 1;
    let steps = (x.narrow(3, 1, width)? - x.narrow(3, 0, width)?)?;
    Ok(steps.abs()?.flatten_all()?.max(0)?.to_scalar()?)
}

#[test]
fn overlaps_soften_seams() -> Result<()> {
    let vae = build(weights()?)?;
    let even = Tensor::ones((1, 4, 16, 64), DType::F32, &Device::Cpu)?;
    // Away from the picture's own border, which is rough in the whole, too.
    let inner = |t: &Tensor| t.narrow(2, 12, 8)?.narrow(3, 16, 96);
    let tiled = |overlap| {
        let tiling = Tiling { side: 16, overlap };
        roughest(&inner(&vae.decode_tiled(&even, tiling, &mut || Ok(()))?)?)
    };
    let (cut, blended) = (tiled(0)?, tiled(12)?);
    assert!(
        blended < cut / 2.0,
        "{blended} after blending, {cut} before"
    );
    assert!(roughest(&inner(&vae.decode(&even)?)?)? < blended);
    Ok(())
}

#[test]
fn weights_of_tiles_sum_to_one() {
    for (side, overlap) in [(8, 0), (8, 3), (8, 7), (1, 0), (64, 16)] {
        let tiling = Tiling { side, overlap };
        for length in 1..80 {
            let spans = tiling.spans(length, 2);
            let mut sum = vec![0.0f32; 2 * length];
            for (i, span) in spans.iter().enumerate() {
                assert_eq!(span.weights.len(), 2 * side.min(length));
                for (at, weight) in span.weights.iter().enumerate() {
                    assert!(*weight > 0.0);
                    sum[2 * span.start + at] += weight;
                }
                if let Some(next) = spans.get(i + 1) {
                    assert!(next.start + overlap.min(length - 1) <= span.start + side);
                }
            }
            assert!(
                sum.iter().all(|w| (w - 1.0).abs() < 1e-5),
                "{side} {overlap} {length}"
            );
        }
    }
}

#[test]
fn cancelling_ends_the_work_before_the_next_tile() -> Result<()> {
    let vae = build(weights()?)?;
    let tiling = Tiling {
        side: 4,
        overlap: 1,
    };
    let mut steps = 0;
    let mut cancel = || {
        steps += 1;
        match steps {
            2 => Err(Error::cancelled()),
            _ => Ok(()),
        }
    };
    let error = vae
        .decode_tiled(&random(&[1, 4, 9, 9], 1)?, tiling, &mut cancel)
        .expect_err("cancelled");
    assert_eq!((error.kind, steps), (ErrorKind::Cancelled, 2));
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error() -> Result<()> {
    let vae = build(weights()?)?;
    let picture = random(&[1, 3, 4, 4], 1)?;
    let latents = random(&[1, 4, 2, 2], 1)?;
    for shape in [&[1, 3, 5, 4][..], &[1, 4, 4, 4], &[3, 4, 4], &[1, 3, 0, 4]] {
        let error = vae.encode(&random(shape, 1)?).expect_err("misfit");
        assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    }
    for shape in [&[1, 3, 2, 2][..], &[4, 2, 2], &[1, 4, 0, 2]] {
        let error = vae.decode(&random(shape, 1)?).expect_err("misfit");
        assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    }
    for (side, overlap) in [(0, 0), (4, 4), (4, usize::MAX)] {
        let tiling = Tiling { side, overlap };
        assert!(vae.encode_tiled(&picture, tiling, &mut || Ok(())).is_err());
        assert!(vae.decode_tiled(&latents, tiling, &mut || Ok(())).is_err());
    }
    Ok(())
}

#[test]
fn a_preview_is_a_picture_of_eight_times_the_size() -> Result<()> {
    let config = TaesdConfig {
        decoder_block_out_channels: vec![8; 4],
        ..TaesdConfig::default()
    };
    let tensors = invent(|weights| Taesd::new(&config, weights))?;
    let taesd = Taesd::new(&config, &Weights::new("test", tensors, Device::Cpu))?;
    let latents = random(&[2, 4, 3, 2], 1)?;
    assert_eq!(taesd.decode(&latents)?.dims(), [2, 3, 24, 16]);
    // Beyond ±3 latents are bent, not believed.
    let far = taesd.decode(&(latents.ones_like()? * 100.0)?)?;
    let further = taesd.decode(&(latents.ones_like()? * 1000.0)?)?;
    assert_eq!(error(&far, &further)?, 0.0);
    assert!(taesd.decode(&random(&[2, 3, 3, 2], 1)?).is_err());
    Ok(())
}

/// A second opinion beside diffusers': candle-transformers' own decoder, on the same weights.
#[test]
fn decodes_as_candle_transformers_does() -> Result<()> {
    use candle_transformers::models::stable_diffusion::vae::{AutoEncoderKL, AutoEncoderKLConfig};
    let config = config();
    let weights = weights()?;
    let tensors: HashMap<String, Tensor> = weights
        .iter()
        .map(|(name, weight)| Ok((name.clone(), weight.tensor(DType::F32, &Device::Cpu)?)))
        .collect::<Result<_>>()?;
    let builder = candle_nn::VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let theirs = AutoEncoderKLConfig {
        block_out_channels: config.block_out_channels.clone(),
        layers_per_block: config.layers_per_block,
        latent_channels: config.latent_channels,
        norm_num_groups: config.norm_num_groups,
        use_quant_conv: config.use_quant_conv,
        use_post_quant_conv: config.use_post_quant_conv,
    };
    let theirs = AutoEncoderKL::new(builder, config.in_channels, config.out_channels, theirs)?;
    let latents = random(&[1, config.latent_channels, 6, 9], 5)?;
    let (ours, theirs) = (build(weights)?.decode(&latents)?, theirs.decode(&latents)?);
    assert!(error(&ours, &theirs)? < 1e-5, "{}", error(&ours, &theirs)?);
    Ok(())
}
