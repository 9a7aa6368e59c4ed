//! Laws of text encoders, on small ones. Their numbers are compared with transformers' in the suite `parity`.

use candle_core::{Device, Var};

use super::*;
use crate::ErrorKind;
use crate::engine::stable_diffusion::config::HiddenAct;
use crate::engine::stable_diffusion::testing::{
    adapter, check_gradients, error, invent, pull, random,
};

fn config(hidden_act: HiddenAct) -> ClipConfig {
    ClipConfig {
        architectures: vec!["CLIPTextModelWithProjection".into()],
        vocab_size: 30,
        hidden_size: 12,
        intermediate_size: 20,
        projection_dim: 7,
        num_hidden_layers: 3,
        num_attention_heads: 3,
        max_position_embeddings: 9,
        hidden_act,
        ..ClipConfig::default()
    }
}

fn build(hidden_act: HiddenAct, dtype: DType) -> Result<TextEncoder> {
    let config = config(hidden_act);
    let tensors = invent(|weights| TextEncoder::new(&config, weights, dtype))?;
    TextEncoder::new(&config, &Weights::new("test", tensors, Device::Cpu), dtype)
}

#[test]
fn gradients_are_those_of_differences() -> Result<()> {
    for act in [HiddenAct::QuickGelu, HiddenAct::Gelu] {
        let encoder = build(act, DType::F64)?;
        let words = Var::from_tensor(&random(&[2, 9, 12], 1)?.to_dtype(DType::F64)?)?;
        let mut vars = vec![("words".to_owned(), words.clone())];
        let slots = encoder.weights().slots();
        for (name, down, up) in [
            ("encoder.layers.0.self_attn.q_proj", [2, 12], [12, 2]),
            ("encoder.layers.1.self_attn.out_proj", [2, 12], [12, 2]),
            ("encoder.layers.2.mlp.fc1", [3, 12], [20, 3]),
        ] {
            let (adapter, [down, up]) = adapter(&down, &up, DType::F64, 9)?;
            slots[name]
                .lock()
                .expect("no test panicked here")
                .push(adapter);
            vars.push((format!("{name}.down"), down));
            vars.push((format!("{name}.up"), up));
        }
        let vars: Vec<(&str, &Var)> = vars.iter().map(|(n, v)| (&**n, v)).collect();
        check_gradients(&vars, || {
            let found = encoder.encode(words.as_tensor(), &[3, 8])?;
            let projected = found.projected.expect("there is a projection");
            let penultimate = pull(&found.states[2], 4)?;
            Ok(
                (((pull(&found.last, 2)? + penultimate)? + pull(&found.pooled, 3)?)?
                    + pull(&projected, 3)?)?,
            )
        })?;
    }
    Ok(())
}

#[test]
fn in_single_precision_gradients_are_the_same() -> Result<()> {
    let gradient = |dtype| {
        let encoder = build(HiddenAct::Gelu, dtype)?;
        let words = Var::from_tensor(&random(&[2, 9, 12], 1)?.to_dtype(dtype)?)?;
        let found = encoder.encode(words.as_tensor(), &[3, 8])?;
        let gradients = pull(&found.last, 2)?.backward()?;
        Ok::<_, Error>(
            gradients
                .get(words.as_tensor())
                .expect("words get a gradient")
                .clone(),
        )
    };
    assert!(error(&gradient(DType::F32)?, &gradient(DType::F64)?)? < 1e-5);
    Ok(())
}

#[test]
fn a_state_knows_only_what_came_before_it() -> Result<()> {
    let encoder = build(HiddenAct::QuickGelu, DType::F32)?;
    let one = encoder.embed(&[vec![28, 5, 6, 7, 29, 29]])?;
    let other = encoder.embed(&[vec![28, 5, 6, 9, 29, 29]])?;
    let (one, other) = (encoder.encode(&one, &[4])?, encoder.encode(&other, &[4])?);
    let first = |encoded: &Encoded| encoded.last.narrow(1, 0, 3);
    assert_eq!(error(&first(&one)?, &first(&other)?)?, 0.0);
    assert!(error(&one.pooled, &other.pooled)? > 1e-3);
    Ok(())
}

#[test]
fn states_are_named_from_both_ends() -> Result<()> {
    let encoder = build(HiddenAct::QuickGelu, DType::F32)?;
    let words = encoder.embed(&[vec![28, 5, 29], vec![28, 29, 29]])?;
    let found = encoder.encode(&words, &[2, 1])?;
    assert_eq!(found.states.len(), 4);
    assert_eq!(error(&encoder.normed(&found.states[3])?, &found.last)?, 0.0);
    assert_eq!(
        error(&found.pooled.get(0)?, &found.last.get(0)?.get(2)?)?,
        0.0
    );
    assert_eq!(
        error(&found.pooled.get(1)?, &found.last.get(1)?.get(1)?)?,
        0.0
    );
    // A word vector is the token's row.
    assert_eq!(error(&words.get(0)?.get(2)?, &words.get(1)?.get(1)?)?, 0.0);
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error() -> Result<()> {
    let encoder = build(HiddenAct::QuickGelu, DType::F32)?;
    for sequences in [
        vec![],
        vec![vec![]],
        vec![vec![1; 10]],
        vec![vec![30]],
        vec![vec![u32::MAX]],
        vec![vec![1, 2], vec![1]],
    ] {
        let error = encoder.embed(&sequences).expect_err("misfit");
        assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    }
    let words = random(&[1, 4, 12], 1)?;
    for (words, pooled) in [
        (words.clone(), vec![4]),
        (words.clone(), vec![]),
        (words.narrow(2, 0, 11)?, vec![0]),
        (random(&[1, 10, 12], 1)?, vec![0]),
        (random(&[4, 12], 1)?, vec![0]),
    ] {
        let error = encoder.encode(&words, &pooled).expect_err("misfit");
        assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    }
    Ok(())
}
