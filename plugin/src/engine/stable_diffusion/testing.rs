//! What the tests of networks share: small networks with random weights, and gradients against differences.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::nn::Adapter;
use super::weights::Weights;
use crate::Result;
use crate::kernels::Frozen;

thread_local! {
    static PASSES: RefCell<Vec<(usize, bool)>> = const { RefCell::new(Vec::new()) };
}

/// Notes a pass of a U-Net on this thread: its samples, and whether it was a fine one.
pub fn note(samples: usize, fine: bool) {
    PASSES.with_borrow_mut(|passes| passes.push((samples, fine)));
}

/// The passes on this thread since this was last asked.
pub fn passes() -> Vec<(usize, bool)> {
    PASSES.take()
}

/// Numbers of mean 0 and variance about 1.
pub fn random(shape: &[usize], seed: u64) -> Result<Tensor> {
    let mut random = Pcg64::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| random.random_range(-1.7f32..1.7))
        .collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// Random weights under the names and shapes that `build` asks for, which its errors tell one by one.
pub fn invent<T>(build: impl Fn(&Weights) -> Result<T>) -> Result<HashMap<String, Frozen>> {
    let mut tensors = HashMap::new();
    loop {
        let weights = Weights::new("test", tensors.clone(), Device::Cpu);
        let Err(error) = build(&weights) else {
            return Ok(tensors);
        };
        let said = error.message.clone();
        if let Some(rest) = said.strip_prefix("test has no weight ") {
            let name = rest.split(':').next().unwrap_or(rest).to_owned();
            let empty = Frozen::of(&Tensor::zeros(0, DType::F32, &Device::Cpu)?, DType::F32)?;
            tensors.insert(name, empty);
        } else if let Some(rest) = said.strip_prefix("test: the weight ") {
            let mut words = rest.splitn(2, " has the shape [0]; [");
            let name = words.next().unwrap_or_default().to_owned();
            let sizes = words.next().and_then(|w| w.split(']').next());
            let shape: Vec<usize> = sizes
                .unwrap_or_default()
                .split(", ")
                .map(|n| n.parse().map_err(|_| error.clone()))
                .collect::<Result<_>>()?;
            let weight = weight(&name, &shape, tensors.len() as u64)?;
            tensors.insert(name, Frozen::of(&weight, DType::F32)?);
        } else {
            return Err(error);
        }
    }
}

/// Scaled so that signals keep their size through the depth and attention is neither flat nor one-hot.
fn weight(name: &str, shape: &[usize], seed: u64) -> Result<Tensor> {
    let draw = random(shape, seed)?;
    let fan_in: usize = shape.iter().skip(1).product();
    Ok(if name.contains("norm") && name.ends_with("weight") {
        ((draw * 0.2)? + 1.0)?
    } else if name.ends_with("bias") {
        (draw * 0.1)?
    } else if name.contains("embedding.weight") {
        (draw * 0.6)?
    } else {
        (draw * (1.2 / (fan_in as f64).sqrt()))?
    })
}

/// An adapter of random values that is a [`Var`] of `dtype` in both parts.
pub fn adapter(
    down: &[usize],
    up: &[usize],
    dtype: DType,
    seed: u64,
) -> Result<(Adapter, [Var; 2])> {
    let of = |shape: &[usize], seed| -> Result<Var> {
        let inputs: usize = shape.iter().skip(1).product();
        let value = (random(shape, seed)? * (0.7 / (inputs as f64).sqrt()))?;
        Ok(Var::from_tensor(&value.to_dtype(dtype)?)?)
    };
    let vars = [of(down, seed)?, of(up, seed + 1)?];
    let adapter = Adapter {
        down: vars[0].as_tensor().clone(),
        up: vars[1].as_tensor().clone(),
        scale: 0.8,
    };
    Ok((adapter, vars))
}

/// The largest difference, over the largest value expected.
pub fn error(found: &Tensor, expected: &Tensor) -> Result<f64> {
    assert_eq!(found.dims(), expected.dims());
    let flat = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (found, expected) = (flat(found)?, flat(expected)?);
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let off = found.iter().zip(&expected).fold(0.0f64, |m, (a, b)| {
        // A NaN is a difference too.
        if (a - b).abs() <= m { m } else { (a - b).abs() }
    });
    Ok(off / largest.max(1e-30))
}

/// A number that depends on all values of a result.
pub fn pull(result: &Tensor, seed: u64) -> Result<Tensor> {
    let weights = random(result.dims(), seed)?.to_dtype(result.dtype())?;
    Ok((result * weights)?.sum_all()?)
}

/// Asserts that the gradients of `loss` for each of `vars`, which are `f64`, are its differences along random directions.
pub fn check_gradients(vars: &[(&str, &Var)], loss: impl Fn() -> Result<Tensor>) -> Result<()> {
    let gradients = loss()?.backward()?;
    for (name, var) in vars {
        let gradient = gradients
            .get(var.as_tensor())
            .unwrap_or_else(|| panic!("no gradient for {name}"));
        let kept = var.as_tensor().copy()?;
        for seed in 0..3 {
            let direction = random(kept.dims(), 100 + seed)?.to_dtype(DType::F64)?;
            let length = direction.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
            let direction = (direction / length)?;
            let expected = (gradient * &direction)?.sum_all()?.to_scalar::<f64>()?;
            let at = |step: f64| -> Result<f64> {
                var.set(&(&kept + (&direction * step)?)?)?;
                Ok(loss()?.to_scalar::<f64>()?)
            };
            let step = 1e-5;
            let found = (at(step)? - at(-step)?) / (2.0 * step);
            var.set(&kept)?;
            let size = gradient.sqr()?.sum_all()?.to_scalar::<f64>()?.sqrt();
            assert!(size > 0.0, "the gradient for {name} is zero");
            assert!(
                (found - expected).abs() < 1e-6 * (size + found.abs()),
                "{name}: {expected} by the backward pass, {found} by differences"
            );
        }
    }
    Ok(())
}
