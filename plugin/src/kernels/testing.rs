//! How the tests here compare a kernel with its reference, in values and in gradients.

use candle_core::{DType, Device, Result, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use rayon::ThreadPoolBuilder;

/// Numbers of mean 0 between −1.7 and 1.7 (variance about 1), in `f32`.
pub fn random(shape: &[usize], seed: u64) -> Result<Tensor> {
    let mut random = Pcg64::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| random.random_range(-1.7f32..1.7))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// The largest difference, over the largest value expected, or 0.01 where all are smaller.
pub fn error(found: &Tensor, expected: &Tensor) -> Result<f64> {
    assert_eq!(found.dims(), expected.dims());
    let flat = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>();
    let (found, expected) = (flat(found)?, flat(expected)?);
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let off = found.iter().zip(&expected).fold(0.0f64, |m, (a, b)| {
        // A NaN is a difference too.
        if (a - b).abs() <= m { m } else { (a - b).abs() }
    });
    Ok(off / largest.max(1e-2))
}

/// Asserts that `kernel` in `f32` gives the values and the gradients of `reference` in `f64` to `tolerance`, on one, two and
/// three threads, and that the reference's gradients are those of its own finite differences.
pub fn agree(
    inputs: &[Tensor],
    tolerance: f64,
    kernel: impl Fn(&[Tensor]) -> Result<Tensor> + Sync,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> Result<()> {
    let exact: Vec<Var> = inputs
        .iter()
        .map(|t| Var::from_tensor(&t.to_dtype(DType::F64)?))
        .collect::<Result<_>>()?;
    let places: Vec<Tensor> = exact.iter().map(|v| v.as_tensor().clone()).collect();
    let expected = reference(&places)?;
    let pull = random(expected.dims(), 991)?;
    let pull64 = pull.to_dtype(DType::F64)?;
    let gradients = (&expected * &pull64)?.sum_all()?.backward()?;

    let loss = |inputs: &[Tensor]| -> Result<f64> {
        (reference(inputs)? * &pull64)?.sum_all()?.to_scalar()
    };
    for (which, place) in places.iter().enumerate() {
        let gradient = gradients
            .get(place)
            .expect("the reference has a gradient for each input");
        check_numerically(&places, which, gradient, &loss)?;
    }

    for threads in [1, 2, 3] {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads start");
        pool.install(|| -> Result<()> {
            let vars: Vec<Var> = inputs.iter().map(Var::from_tensor).collect::<Result<_>>()?;
            let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            let found = kernel(&tensors)?;
            let off = error(&found, &expected)?;
            assert!(off <= tolerance, "values differ by {off:e}");
            let found = (found * &pull)?.sum_all()?.backward()?;
            for (which, (tensor, place)) in tensors.iter().zip(&places).enumerate() {
                let found = found.get(tensor).expect("each input has a gradient");
                let expected = gradients.get(place).expect("seen above");
                let off = error(found, expected)?;
                assert!(
                    off <= tolerance,
                    "gradients of input {which} differ by {off:e}"
                );
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Central differences of `loss` at a few values of one input.
fn check_numerically(
    inputs: &[Tensor],
    which: usize,
    gradient: &Tensor,
    loss: &impl Fn(&[Tensor]) -> Result<f64>,
) -> Result<()> {
    let gradient = gradient.flatten_all()?.to_vec1::<f64>()?;
    let largest = gradient.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let values = inputs[which].flatten_all()?.to_vec1::<f64>()?;
    let step = 1e-5;
    for probe in 0..6 {
        let at = probe * 7919 % values.len();
        let mut inputs = inputs.to_vec();
        let mut moved = |by: f64| {
            let mut values = values.clone();
            values[at] += by;
            inputs[which] = Tensor::from_vec(values, inputs[which].shape(), &Device::Cpu)?;
            loss(&inputs)
        };
        let slope = (moved(step)? - moved(-step)?) / (2.0 * step);
        let off = (slope - gradient[at]).abs();
        assert!(
            off <= 1e-6 * largest.max(1.0),
            "gradient {} of input {which} is {}, the slope {slope}",
            at,
            gradient[at]
        );
    }
    Ok(())
}
