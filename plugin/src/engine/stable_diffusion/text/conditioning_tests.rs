//! Laws of conditioning, with a small text encoder. Its numbers are compared with transformers' in the suite `parity`.

use candle_core::{D, DType, Device, Var};

use super::super::{Learned, Pad, Prompt, SEQUENCE, Tokenizer, time_ids, weigh};
use super::*;
use crate::engine::stable_diffusion::config::ClipConfig;
use crate::engine::stable_diffusion::testing::{error, invent};
use crate::engine::stable_diffusion::weights::Weights;

fn encoder(width: usize, projected: bool) -> Result<TextEncoder> {
    let class = match projected {
        true => "CLIPTextModelWithProjection",
        false => "CLIPTextModel",
    };
    let config = ClipConfig {
        architectures: vec![class.into()],
        hidden_size: width,
        intermediate_size: 16,
        projection_dim: 5,
        num_hidden_layers: 3,
        num_attention_heads: 2,
        ..ClipConfig::default()
    };
    let tensors = invent(|weights| TextEncoder::new(&config, weights, DType::F32))?;
    let weights = Weights::new("test", tensors, Device::Cpu);
    TextEncoder::new(&config, &weights, DType::F32)
}

fn mean(t: &Tensor) -> Result<f32> {
    Ok(t.mean_all()?.to_scalar()?)
}

#[test]
fn plain_prompts_are_encoded_as_they_are() -> Result<()> {
    let (encoder, tokenizer) = (encoder(8, false)?, Tokenizer::built_in(Pad::End));
    let stage = Stage {
        encoder: &encoder,
        tokenizer: &tokenizer,
        learned: &[],
    };
    let prompt = Prompt::parse("a cat BREAK a dog")?;
    let found = Conditioning::new(&[stage], &prompt, &[], 1, 0)?;
    assert_eq!(found.context.dims(), [1, 2 * SEQUENCE, 8]);
    assert!(found.pooled.is_none());
    let mut ids = vec![49407; SEQUENCE];
    ids[..3].copy_from_slice(&[49406, 320, 1929]);
    let expected = encoder.encode(&encoder.embed(&[ids])?, &[3])?;
    let second = found.context.narrow(1, SEQUENCE, SEQUENCE)?;
    assert!(error(&second, &expected.last)? < 1e-6);

    // A layer left out: the state before it, normed; one before all layers is left.
    let skipped = Conditioning::new(&[stage], &prompt, &[], 1, 1)?.context;
    let wanted = encoder.normed(&expected.states[2])?;
    let second = skipped.narrow(1, SEQUENCE, SEQUENCE)?;
    assert!(error(&second, &wanted)? < 1e-6);
    for skip in [3, usize::MAX] {
        assert!(Conditioning::new(&[stage], &prompt, &[], 1, skip).is_err());
    }
    Ok(())
}

#[test]
fn both_prompts_have_as_many_sequences() -> Result<()> {
    let (first, second) = (encoder(8, false)?, encoder(6, true)?);
    let pads = [Pad::End, Pad::Zero].map(Tokenizer::built_in);
    let stages = [(&first, &pads[0]), (&second, &pads[1])].map(|(encoder, tokenizer)| Stage {
        encoder,
        tokenizer,
        learned: &[],
    });
    let follow = Prompt::parse(&"a cat, ".repeat(40))?;
    let avoid = Prompt::parse("cat")?;
    let [follow, avoid] = Conditioning::pair(&stages, [&follow, &avoid], &[], 0)?;
    for found in [&follow, &avoid] {
        assert_eq!(found.context.dims(), [1, 2 * SEQUENCE, 14]);
        assert_eq!(found.pooled.as_ref().map(Tensor::dims), Some(&[1, 5][..]));
    }
    // Side by side, each the state before the last layer; pooled is the second's, of the first sequence.
    let mut ids = vec![0; SEQUENCE];
    ids[..3].copy_from_slice(&[49406, 2368, 49407]);
    let expected = second.encode(&second.embed(&[ids])?, &[2])?;
    let half = avoid.context.narrow(1, 0, SEQUENCE)?.narrow(2, 8, 6)?;
    assert!(error(&half, &expected.states[2])? < 1e-6);
    let (pooled, wanted) = (avoid.pooled.as_ref(), expected.projected.as_ref());
    assert!(error(pooled.expect("SDXL"), wanted.expect("a projection"))? < 1e-6);
    let zeros = avoid.zeros()?;
    assert_eq!(mean(&zeros.context.abs()?)?, 0.0);
    assert_eq!(zeros.context.dims(), follow.context.dims());
    Ok(())
}

#[test]
fn weights_multiply_places_and_keep_the_mean() -> Result<()> {
    let encoded = Tensor::arange(1f32, 13.0, &Device::Cpu)?.reshape((1, 4, 3))?;
    let found = weigh(&encoded, &[1.0, 2.0, 0.5, 1.0])?;
    assert!((mean(&found)? / mean(&encoded)? - 1.0).abs() < 1e-6);
    let ratio: Vec<f32> = (found / &encoded)?.mean(D::Minus1)?.squeeze(0)?.to_vec1()?;
    for (a, b) in [(1, 2.0), (2, 0.5), (3, 1.0)] {
        assert!((ratio[a] / ratio[0] - b).abs() < 1e-6);
    }
    let same = weigh(&encoded, &[1.0; 4])?;
    assert_eq!(error(&same, &encoded)?, 0.0);
    assert_eq!(mean(&weigh(&encoded, &[0.0; 4])?)?, 0.0);
    Ok(())
}

#[test]
fn a_learned_word_is_like_a_known_one_and_gets_a_gradient() -> Result<()> {
    let (encoder, tokenizer) = (encoder(8, false)?, Tokenizer::built_in(Pad::End));
    let (cat, dog) = (2368, 1929);
    let vectors = Var::from_tensor(&encoder.embed(&[vec![cat, dog]])?.squeeze(0)?)?;
    let learned = [vectors.as_tensor().clone()];
    let names = [Learned {
        name: "<pets>".into(),
        vectors: 2,
    }];
    let stage = Stage {
        encoder: &encoder,
        tokenizer: &tokenizer,
        learned: &learned,
    };
    let encode = |text: &str| -> Result<Tensor> {
        let prompt = Prompt::parse(text)?;
        Ok(Conditioning::new(&[stage], &prompt, &names, 1, 0)?.context)
    };
    let found = encode("two (<pets>:1.2)")?;
    assert!(error(&found, &encode("two (cat dog:1.2)")?)? < 1e-6);
    let gradients = found.sqr()?.sum_all()?.backward()?;
    let gradient = gradients.get(&vectors).expect("a gradient");
    assert_eq!(gradient.dims(), [2, 8]);
    assert!(mean(&gradient.abs()?)? > 0.0);
    // A word without vectors is a mistake of the caller's program, not a panic.
    let without = Stage {
        learned: &[],
        ..stage
    };
    let prompt = Prompt::parse("<pets>")?;
    assert!(Conditioning::new(&[without], &prompt, &names, 1, 0).is_err());
    Ok(())
}

#[test]
fn sizes_are_told_heights_first() -> Result<()> {
    let found = time_ids((1024, 768), (10, 20), (512, 256), &Device::Cpu)?;
    let expected = [[768.0, 1024.0, 20.0, 10.0, 256.0, 512.0]];
    assert_eq!(found.to_vec2::<f32>()?, expected);
    Ok(())
}
