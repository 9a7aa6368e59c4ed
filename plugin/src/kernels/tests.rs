//! Each kernel against its reference: values, gradients, odd shapes, several threads, all storage types; and input that
//! does not fit.

use candle_core::{DType, Device, Result, Tensor};

use super::testing::{agree, error, random};
use super::{
    Frozen, Precision, add, add_channels, attention, conv2d, geglu, gelu_erf, group_norm, join,
    layer_norm, linear, linear_low_rank, merge_heads, quick_gelu, reference, silu, split_heads,
    transpose, upsample_nearest_2x,
};

const STORED: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

#[test]
fn linear_is_its_reference() -> Result<()> {
    for (rows, k, n, bias) in [
        (vec![1], 1, 1, true),
        (vec![2, 77], 33, 70, true),
        (vec![3, 5, 7], 8, 5, false),
        (vec![1100], 40, 130, true),
    ] {
        for (i, dtype) in STORED.into_iter().enumerate() {
            let shape: Vec<usize> = rows.iter().copied().chain([k]).collect();
            let x = random(&shape, 1)?;
            let w = Frozen::of(&random(&[n, k], 2 + i as u64)?, dtype)?;
            let bias = bias.then(|| random(&[n], 5)).transpose()?;
            agree(
                &[x],
                2e-6,
                |x| linear(&x[0], &w, bias.as_ref()),
                |x| reference::linear(&x[0], &w, bias.as_ref()),
            )?;
        }
    }
    Ok(())
}

#[test]
fn linear_low_rank_is_its_reference() -> Result<()> {
    for (rows, k, n, rank) in [
        (vec![1], 1, 1, 1),
        (vec![2, 77], 33, 70, 4),
        (vec![2, 550], 40, 130, 17),
    ] {
        let shape: Vec<usize> = rows.iter().copied().chain([k]).collect();
        let (x, bias) = (random(&shape, 1)?, random(&[n], 2)?);
        let (down, up) = (random(&[rank, k], 3)?, random(&[n, rank], 4)?);
        let w = Frozen::of(&random(&[n, k], 5)?, DType::F16)?;
        agree(
            &[x.clone(), down.clone(), up.clone()],
            5e-6,
            |x| linear_low_rank(&x[0], &w, Some(&bias), &x[1], &x[2]),
            |x| reference::linear_low_rank(&x[0], &w, Some(&bias), &x[1], &x[2]),
        )?;
        assert!(linear_low_rank(&x, &w, None, &up, &down).is_err() || (n, k) == (1, 1));
        assert!(linear_low_rank(&x, &w, Some(&random(&[n + 1], 1)?), &down, &up).is_err());
    }
    Ok(())
}

#[test]
fn layouts_are_their_references() -> Result<()> {
    for (batch, tokens, heads, d) in [(1, 1, 1, 1), (2, 19, 3, 5), (2, 130, 2, 1), (1, 700, 4, 40)]
    {
        let x = random(&[batch, tokens, heads * d], 1)?;
        let shape = (batch, tokens, heads, d);
        agree(
            &[x],
            0.0,
            |x| split_heads(&x[0], heads),
            |x| x[0].reshape(shape)?.transpose(1, 2)?.contiguous(),
        )?;
        let x = random(&[batch, heads, tokens, d], 1)?;
        agree(
            &[x],
            0.0,
            |x| merge_heads(&x[0]),
            |x| x[0].transpose(1, 2)?.reshape((batch, tokens, heads * d)),
        )?;
    }
    for (batch, n, m) in [(1, 1, 7), (2, 33, 50), (3, 16, 16), (1, 300, 257)] {
        agree(
            &[random(&[batch, n, m], 1)?],
            0.0,
            |x| transpose(&x[0]),
            |x| x[0].transpose(1, 2)?.contiguous(),
        )?;
    }
    for (batch, n, m, side) in [(1, 1, 2, 1), (2, 3, 5, 9), (2, 40, 7, 40)] {
        let inputs = [
            random(&[batch, n, side, side], 1)?,
            random(&[batch, m, side, side], 2)?,
        ];
        agree(
            &inputs,
            0.0,
            |x| join(&x[0], &x[1]),
            |x| Tensor::cat(&[&x[0], &x[1]], 1),
        )?;
    }
    let x = random(&[2, 3, 4], 1)?;
    assert!(split_heads(&x, 3).is_err() && split_heads(&x, 0).is_err());
    assert!(merge_heads(&x).is_err());
    assert!(transpose(&x.unsqueeze(0)?).is_err());
    assert!(join(&x, &random(&[1, 3, 4], 1)?).is_err());
    Ok(())
}

#[test]
fn conv2d_is_its_reference() -> Result<()> {
    for (batch, ci, co, (h, w), kernel, stride, padding) in [
        (2, 5, 7, (9, 11), 3, 1, 1),
        (1, 4, 33, (8, 8), 3, 1, 1),
        (2, 6, 10, (9, 8), 3, 2, 1),
        (1, 3, 5, (10, 9), 3, 2, 0),
        (3, 17, 9, (5, 13), 1, 1, 0),
        (2, 7, 3, (6, 7), 1, 2, 0),
        (1, 2, 3, (1, 1), 3, 1, 1),
        (1, 3, 4, (7, 6), 4, 3, 2),
        (1, 2, 2, (40, 37), 3, 1, 0),
    ] {
        for dtype in STORED {
            let x = random(&[batch, ci, h, w], 1)?;
            let weight = Frozen::of(&random(&[co, ci, kernel, kernel], 2)?, dtype)?;
            let bias = random(&[co], 3)?;
            agree(
                &[x],
                2e-6,
                |x| conv2d(&x[0], &weight, Some(&bias), stride, padding),
                |x| reference::conv2d(&x[0], &weight, Some(&bias), stride, padding),
            )?;
        }
    }
    Ok(())
}

#[test]
fn winograd_is_the_reference_too() -> Result<()> {
    for (batch, ci, co, (h, w)) in [
        (1, 32, 40, (21, 19)),
        (2, 33, 32, (16, 17)),
        (1, 40, 35, (3, 97)),
        (3, 32, 32, (12, 10)),
    ] {
        for dtype in STORED {
            let x = random(&[batch, ci, h, w], 1)?;
            let weight = Frozen::of(&random(&[co, ci, 3, 3], 2)?, dtype)?;
            let bias = random(&[co], 3)?;
            agree(
                &[x],
                2e-5,
                |x| conv2d(&x[0], &weight, Some(&bias), 1, 1),
                |x| reference::conv2d(&x[0], &weight, Some(&bias), 1, 1),
            )?;
        }
    }
    Ok(())
}

#[test]
fn sums_are_their_references() -> Result<()> {
    for shape in [vec![2, 3], vec![1, 5, 7], vec![2, 3, 130, 131]] {
        let (a, b) = (random(&shape, 1)?, random(&shape, 2)?);
        agree(
            &[a.clone(), b],
            1e-6,
            |x| add(&x[0], &x[1]),
            |x| &x[0] + &x[1],
        )?;
        let shift = random(&shape[..2], 3)?;
        let mut wide = vec![1; shape.len()];
        wide[..2].copy_from_slice(&shape[..2]);
        agree(
            &[a, shift],
            1e-5,
            |x| add_channels(&x[0], &x[1]),
            |x| x[0].broadcast_add(&x[1].reshape(wide.as_slice())?),
        )?;
    }
    assert!(add_channels(&random(&[2, 3, 4], 1)?, &random(&[3, 2], 1)?).is_err());
    assert!(add(&random(&[2, 3], 1)?, &random(&[3, 2], 1)?).is_err());
    Ok(())
}

#[test]
fn attention_is_its_reference() -> Result<()> {
    for (batch, heads, n, m, d, mask, causal) in [
        (1, 1, 1, 1, 8, false, false),
        (2, 3, 19, 77, 40, false, false),
        (2, 2, 77, 77, 16, false, true),
        (2, 2, 65, 131, 13, true, false),
        (1, 1, 50, 301, 80, true, false),
        (1, 1, 33, 33, 512, false, false),
        (1, 2, 101, 7, 160, true, false),
    ] {
        let q = random(&[batch, heads, n, d], 1)?;
        let k = random(&[batch, heads, m, d], 2)?;
        let v = random(&[batch, heads, m, d], 3)?;
        let mask = mask.then(|| log_mask(batch, m)).transpose()?;
        let scale = 1.0 / (d as f64).sqrt();
        agree(
            &[q, k, v],
            5e-6,
            |x| {
                attention(
                    &x[0],
                    &x[1],
                    &x[2],
                    scale,
                    mask.as_ref(),
                    causal,
                    Precision::F32,
                )
            },
            |x| reference::attention(&x[0], &x[1], &x[2], scale, mask.as_ref(), causal),
        )?;
    }
    Ok(())
}

/// Weights of keys, some of them hidden.
fn log_mask(batch: usize, m: usize) -> Result<Tensor> {
    let values: Vec<f32> = (0..batch * m)
        .map(|i| match i % 5 {
            0 => f32::NEG_INFINITY,
            i => -0.3 * i as f32,
        })
        .collect();
    Tensor::from_vec(values, (batch, m), &Device::Cpu)
}

#[test]
fn attention_to_nothing_is_nothing() -> Result<()> {
    let [q, k, v] = [1, 2, 3].map(|seed| random(&[1, 2, 9, 16], seed));
    let hidden = Tensor::full(f32::NEG_INFINITY, (1, 9), &Device::Cpu)?;
    let [q, k, v] = [q?, k?, v?].map(|t| candle_core::Var::from_tensor(&t));
    let (q, k, v) = (q?, k?, v?);
    let y = attention(&q, &k, &v, 0.25, Some(&hidden), false, Precision::F32)?;
    assert_eq!(y.abs()?.sum_all()?.to_scalar::<f32>()?, 0.0);
    let gradients = y.sum_all()?.backward()?;
    for input in [&q, &k, &v] {
        let gradient = gradients.get(input).expect("each input has a gradient");
        assert_eq!(gradient.abs()?.sum_all()?.to_scalar::<f32>()?, 0.0);
    }
    Ok(())
}

#[test]
fn attention_stands_large_scores() -> Result<()> {
    let q = (random(&[1, 1, 40, 16], 1)? * 100.0)?;
    let k = (random(&[1, 1, 300, 16], 2)? * 100.0)?;
    let v = random(&[1, 1, 300, 16], 3)?;
    let found = attention(&q, &k, &v, 1.0, None, false, Precision::F32)?;
    let wide = |t: &Tensor| t.to_dtype(DType::F64);
    let expected = reference::attention(&wide(&q)?, &wide(&k)?, &wide(&v)?, 1.0, None, false)?;
    // Scores of about 1e5 carry an error of about 1e-2 in f32 themselves.
    assert!(error(&found, &expected)? < 0.05);
    Ok(())
}

#[test]
fn norms_are_their_references() -> Result<()> {
    for (shape, groups) in [
        (vec![2, 6, 5, 7], 3),
        (vec![1, 32, 1, 1], 1),
        (vec![3, 8, 33], 8),
        (vec![1, 4, 70, 9], 2),
    ] {
        for activate in [false, true] {
            let x = (random(&shape, 1)? + 0.5)?;
            let weight = random(&[shape[1]], 2)?;
            let bias = random(&[shape[1]], 3)?;
            agree(
                &[x],
                5e-6,
                |x| group_norm(&x[0], &weight, &bias, groups, 1e-5, activate),
                |x| reference::group_norm(&x[0], &weight, &bias, groups, 1e-5, activate),
            )?;
        }
    }
    for shape in [vec![2, 77, 40], vec![5], vec![3, 1, 321]] {
        let x = (random(&shape, 1)? + 0.5)?;
        let n = shape[shape.len() - 1];
        let weight = random(&[n], 2)?;
        let bias = random(&[n], 3)?;
        agree(
            &[x],
            5e-6,
            |x| layer_norm(&x[0], &weight, &bias, 1e-5),
            |x| reference::layer_norm(&x[0], &weight, &bias, 1e-5),
        )?;
    }
    Ok(())
}

#[test]
fn activations_are_their_references() -> Result<()> {
    for shape in [vec![11], vec![2, 3, 37], vec![5, 1000]] {
        let x = (random(&shape, 1)? * 4.0)?;
        let x = std::slice::from_ref(&x);
        agree(x, 2e-6, |x| silu(&x[0]), |x| reference::silu(&x[0]))?;
        agree(x, 2e-6, |x| gelu_erf(&x[0]), |x| reference::gelu_erf(&x[0]))?;
        agree(
            x,
            2e-6,
            |x| quick_gelu(&x[0]),
            |x| reference::quick_gelu(&x[0]),
        )?;
    }
    for shape in [vec![2], vec![2, 7, 74], vec![3, 2000]] {
        let x = [(random(&shape, 1)? * 3.0)?];
        agree(&x, 2e-6, |x| geglu(&x[0]), |x| reference::geglu(&x[0]))?;
    }
    Ok(())
}

#[test]
fn activations_stand_extreme_values() -> Result<()> {
    let far = [
        -1e30f32, -200.0, -88.0, -10.0, -0.0, 1e-30, 10.0, 88.0, 1e30,
    ];
    let x = Tensor::new(&far, &Device::Cpu)?;
    let wide = x.to_dtype(DType::F64)?;
    for (found, expected) in [
        (silu(&x)?, reference::silu(&wide)?),
        (gelu_erf(&x)?, reference::gelu_erf(&wide)?),
        (quick_gelu(&x)?, reference::quick_gelu(&wide)?),
    ] {
        let pairs = found
            .to_vec1::<f32>()?
            .into_iter()
            .zip(expected.to_vec1::<f64>()?);
        for (found, expected) in pairs {
            let off = (f64::from(found) - expected).abs();
            assert!(
                off <= 1e-6 * expected.abs().max(1.0),
                "{found} for {expected}"
            );
        }
    }
    Ok(())
}

#[test]
fn upsampling_is_its_reference() -> Result<()> {
    for shape in [vec![1, 1, 1, 1], vec![2, 3, 5, 7], vec![1, 9, 4, 33]] {
        agree(
            &[random(&shape, 1)?],
            1e-7,
            // Used twice: the gradients of both uses must add up.
            |x| {
                upsample_nearest_2x(
                    &(&x[0]
                        + upsample_nearest_2x(&x[0])?
                            .mean_all()?
                            .broadcast_as(x[0].shape())?)?,
                )
            },
            |x| {
                reference::upsample_nearest_2x(
                    &(&x[0]
                        + reference::upsample_nearest_2x(&x[0])?
                            .mean_all()?
                            .broadcast_as(x[0].shape())?)?,
                )
            },
        )?;
    }
    Ok(())
}

#[test]
fn strided_input_is_taken_as_it_is() -> Result<()> {
    let x = random(&[3, 8, 6, 10], 1)?;
    let turned = x.transpose(2, 3)?.narrow(0, 1, 2)?;
    let straight = turned.contiguous()?;
    let w = Frozen::of(&random(&[4, 6], 2)?, DType::F32)?;
    let c = Frozen::of(&random(&[4, 8, 3, 3], 2)?, DType::F32)?;
    let (weight, bias) = (random(&[8], 3)?, random(&[8], 4)?);
    let same = |a: Tensor, b: Tensor| -> Result<()> {
        assert_eq!(error(&a, &b)?, 0.0);
        Ok(())
    };
    same(linear(&turned, &w, None)?, linear(&straight, &w, None)?)?;
    same(
        conv2d(&turned, &c, None, 1, 1)?,
        conv2d(&straight, &c, None, 1, 1)?,
    )?;
    same(
        group_norm(&turned, &weight, &bias, 4, 1e-5, true)?,
        group_norm(&straight, &weight, &bias, 4, 1e-5, true)?,
    )?;
    same(geglu(&turned)?, geglu(&straight)?)?;
    same(
        attention(&turned, &turned, &turned, 0.3, None, false, Precision::F32)?,
        attention(
            &straight,
            &straight,
            &straight,
            0.3,
            None,
            false,
            Precision::F32,
        )?,
    )?;
    same(
        upsample_nearest_2x(&turned)?,
        upsample_nearest_2x(&straight)?,
    )
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let x = random(&[2, 6, 5, 4], 1)?;
    let w = Frozen::of(&random(&[3, 5], 2)?, DType::F32)?;
    let c = |shape: &[usize]| Frozen::of(&random(shape, 2)?, DType::F32);
    let three = random(&[3], 3)?;
    let six = random(&[6], 3)?;
    assert!(linear(&x, &w, None).is_err());
    assert!(linear(&x, &c(&[3, 4])?, Some(&six)).is_err());
    assert!(linear(&x, &c(&[3, 4, 1])?, None).is_err());
    assert!(conv2d(&x, &c(&[3, 5, 3, 3])?, None, 1, 1).is_err());
    assert!(conv2d(&x, &c(&[3, 6, 3])?, None, 1, 1).is_err());
    assert!(conv2d(&x, &c(&[3, 6, 3, 3])?, Some(&six), 1, 1).is_err());
    assert!(conv2d(&x, &c(&[3, 6, 3, 3])?, None, 0, 1).is_err());
    assert!(conv2d(&x, &c(&[3, 6, 7, 7])?, None, 1, 0).is_err());
    assert!(conv2d(&x, &c(&[3, 6, 3, 3])?, None, 1, usize::MAX).is_err());
    assert!(conv2d(&x.get(0)?, &c(&[3, 6, 3, 3])?, None, 1, 1).is_err());
    assert!(group_norm(&x, &six, &six, 4, 1e-5, false).is_err());
    assert!(group_norm(&x, &six, &six, 0, 1e-5, false).is_err());
    assert!(group_norm(&x, &three, &six, 3, 1e-5, false).is_err());
    assert!(layer_norm(&x, &six, &six, 1e-5).is_err());
    assert!(geglu(&random(&[2, 3], 1)?).is_err());
    assert!(upsample_nearest_2x(&six).is_err());
    let mask = random(&[3, 5], 1)?;
    assert!(attention(&x, &x, &x, 1.0, Some(&mask), false, Precision::F32).is_err());
    assert!(
        attention(
            &x,
            &x.narrow(2, 0, 3)?,
            &x,
            1.0,
            None,
            false,
            Precision::F32
        )
        .is_err()
    );
    let short = x.narrow(2, 0, 3)?;
    assert!(attention(&x, &short, &short, 1.0, None, true, Precision::F32).is_err());
    assert!(attention(&six, &x, &x, 1.0, None, false, Precision::F32).is_err());
    let other = x.to_dtype(DType::F64)?;
    assert!(attention(&x, &other, &x, 1.0, None, false, Precision::F32).is_err());
    Ok(())
}

#[test]
fn other_float_types_are_computed_too() -> Result<()> {
    let x = random(&[1, 4, 6, 6], 1)?;
    let w = Frozen::of(&random(&[3, 4, 3, 3], 2)?, DType::F32)?;
    let full = silu(&conv2d(&x, &w, None, 1, 1)?)?;
    for (dtype, tolerance) in [(DType::F64, 1e-5), (DType::F16, 1e-2), (DType::BF16, 4e-2)] {
        let x = x.to_dtype(dtype)?;
        let y = silu(&conv2d(&x, &w, None, 1, 1)?)?;
        assert_eq!(y.dtype(), dtype);
        assert!(error(&y, &full)? < tolerance, "{dtype:?}");
        let y = attention(&x, &x, &x, 0.4, None, false, Precision::F32)?;
        assert_eq!(y.dtype(), dtype);
    }
    Ok(())
}
