//! On the CPU, in values and gradients.

use candle_core::{DType, Result, Tensor, Var};

use crate::kernels::testing::{agree, error, random};
use crate::kernels::{gpu, reference};

#[test]
fn what_gpus_compute_is_its_reference() -> Result<()> {
    for (n, m, d) in [(1, 1, 1), (5, 3, 4), (150, 140, 8), (40, 400, 3)] {
        let shape = |n| [2, 3, n, d];
        let inputs = [
            random(&shape(n), 1)?,
            random(&shape(m), 2)?,
            random(&shape(m), 3)?,
        ];
        agree(
            &inputs,
            5e-6,
            |x| gpu::attention(&x[0], &x[1], &x[2], 0.3),
            |x| reference::attention(&x[0], &x[1], &x[2], 0.3, None, false),
        )?;
    }
    let (weight, bias) = (random(&[12], 2)?, random(&[12], 3)?);
    for silu in [false, true] {
        agree(
            &[random(&[2, 12, 5, 7], 1)?],
            5e-6,
            |x| gpu::group_norm(&x[0], &weight, &bias, 4, 1e-5, silu),
            |x| reference::group_norm(&x[0], &weight, &bias, 4, 1e-5, silu),
        )?;
    }
    agree(
        &[random(&[2, 9, 12], 1)?],
        5e-6,
        |x| gpu::layer_norm(&x[0], &weight, &bias, 1e-5),
        |x| reference::layer_norm(&x[0], &weight, &bias, 1e-5),
    )
}

#[test]
fn what_gpus_compute_in_half_precision_is_near() -> Result<()> {
    let exact = [
        random(&[2, 3, 150, 16], 150)?,
        random(&[2, 3, 140, 16], 140)?,
        random(&[2, 3, 140, 16], 140)?,
    ];
    let pull = random(&[2, 3, 150, 16], 4)?;
    let all = |dtype, attention: &dyn Fn(&[Tensor]) -> Result<Tensor>| -> Result<Vec<Tensor>> {
        let leaf = |x: &Tensor| Var::from_tensor(&x.to_dtype(dtype)?);
        let leaves: Vec<Var> = exact.iter().map(leaf).collect::<Result<_>>()?;
        let inputs: Vec<Tensor> = leaves.iter().map(|v| v.as_tensor().clone()).collect();
        let y = attention(&inputs)?;
        let gradients = (&y * pull.to_dtype(dtype)?)?.sum_all()?.backward()?;
        let of = |v| gradients.get(v).expect("a gradient").clone();
        Ok(inputs.iter().map(of).chain([y.detach()]).collect())
    };
    let found = all(DType::F16, &|x| gpu::attention(&x[0], &x[1], &x[2], 0.3))?;
    let expected = all(DType::F32, &|x| {
        reference::attention(&x[0], &x[1], &x[2], 0.3, None, false)
    })?;
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.dtype(), DType::F16);
        let off = error(found, expected)?;
        assert!(off < 5e-3, "{off}");
    }
    Ok(())
}
