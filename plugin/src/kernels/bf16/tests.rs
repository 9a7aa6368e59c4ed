//! Every set of instructions that this machine has against plain sums of rounded values, and the kernels that use them.

use candle_core::{DType, Result, Tensor};
use half::bf16;
use proptest::prelude::*;

use super::super::matrix::{Matrix, Tile};
use super::super::testing::{error, random};
use super::super::{Frozen, Values, attention, conv2d, linear, reference};
use super::pack::round;
use super::{Instructions, Precision, Product, SIDE, columns, interleave, padded, pairs, rows};

/// Those that are here; `Plain` always is.
fn present() -> Vec<Instructions> {
    let all = [Instructions::Amx, Instructions::Avx512, Instructions::Plain];
    let found: Vec<_> = all.into_iter().filter(|it| it.present()).collect();
    found
}

/// The nearest bfloat16 of each value.
fn rounded(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_dtype(DType::BF16)?.to_dtype(DType::F32)
}

#[test]
fn rounding_is_to_the_nearest_and_to_even() {
    let special = [
        0.0,
        -0.0,
        1.0,
        f32::MAX,
        f32::MIN_POSITIVE,
        1e-42,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ];
    let ties = (0..64).map(|i| f32::from_bits(0x3f80_0000 + i * 0x4000));
    for value in special.into_iter().chain(ties) {
        assert_eq!(round(value), bf16::from_f32(value).to_bits(), "{value}");
    }
    assert!(bf16::from_bits(round(f32::NAN)).is_nan());
    // A NaN whose low bits alone say so must not become an infinity.
    assert!(bf16::from_bits(round(f32::from_bits(0x7f80_0001))).is_nan());
}

proptest! {
    #[test]
    fn any_value_is_rounded_as_half_does(bits: u32) {
        let value = f32::from_bits(bits);
        prop_assume!(!value.is_nan());
        prop_assert_eq!(round(value), bf16::from_f32(value).to_bits());
    }
}

/// A product of rows × depth × columns, from operands laid out in both ways, against `f64` sums of the rounded values.
#[test]
fn products_of_every_shape_are_sums_of_rounded_values() -> Result<()> {
    let shapes = [
        (1, 1, 1),
        (31, 33, 65),
        (32, 32, 32),
        (33, 31, 7),
        (70, 513, 40),
        // More than one depth, and more panels than are kept.
        (40, 1100, 600),
    ];
    for (m, k, n) in shapes {
        let (a, b) = (random(&[m, k], 1)?, random(&[k, n], 2)?);
        let bias = random(&[n], 3)?.to_vec1::<f32>()?;
        let before = random(&[m, n], 4)?;
        let exact = rounded(&a)?
            .to_dtype(DType::F64)?
            .matmul(&rounded(&b)?.to_dtype(DType::F64)?)?;
        let a = a.flatten_all()?.to_vec1::<f32>()?;
        let across = b.t()?.contiguous()?.flatten_all()?.to_vec1::<f32>()?;
        let down = b.flatten_all()?.to_vec1::<f32>()?;
        let mut left = vec![u32::MAX; padded(m) * pairs(k)];
        rows(Matrix::new(&a, m, k, k), &mut left);
        let mut by_columns = vec![u32::MAX; padded(n) * pairs(k)];
        let each = by_columns.chunks_exact_mut(SIDE * pairs(k)).enumerate();
        for (p, panel) in each {
            let count = SIDE.min(n - p * SIDE);
            columns(Values::F32(&across), p * SIDE * k, (count, k), panel);
        }
        let mut by_rows = vec![u32::MAX; padded(n) * pairs(k)];
        interleave(Matrix::new(&down, k, n, n), &mut by_rows);
        assert_eq!(by_columns, by_rows);
        for instructions in present() {
            for add in [false, true] {
                for bias in [None, Some(&bias[..])] {
                    let mut to = before.flatten_all()?.to_vec1::<f32>()?;
                    Product {
                        instructions,
                        pairs: pairs(k),
                        left: &left,
                        right: &by_rows,
                        bias,
                        add,
                        to: Tile::new(&mut to, n),
                    }
                    .run();
                    let mut expected = exact.clone();
                    if add {
                        expected = (expected + before.to_dtype(DType::F64)?)?;
                    }
                    if let Some(bias) = bias {
                        let bias = Tensor::new(bias, before.device())?.to_dtype(DType::F64)?;
                        expected = expected.broadcast_add(&bias)?;
                    }
                    let to = Tensor::from_vec(to, (m, n), before.device())?;
                    let off = error(&to, &expected)?;
                    assert!(off < 2e-6, "{instructions:?} {m}×{k}×{n}: {off:e}");
                }
            }
        }
    }
    Ok(())
}

/// On a machine or an emulator that has them, `--ignored` shows that the other tests have really run them.
#[test]
#[ignore = "needs a CPU with AMX"]
fn amx_is_found() {
    assert_eq!(Instructions::fastest(), Some(Instructions::Amx));
}

#[test]
#[ignore = "needs a CPU with AVX512-BF16"]
fn avx512_is_found() {
    assert!(present().contains(&Instructions::Avx512));
    assert!(Instructions::fastest().is_some());
}

#[test]
fn what_is_asked_for_and_missing_is_done_in_plain_code() {
    for instructions in [Instructions::Amx, Instructions::Avx512] {
        assert!(super::product::is_right(instructions));
    }
}

#[test]
fn projections_round_only_what_they_multiply() -> Result<()> {
    for (rows, k, n) in [(700, 40, 130), (650, 321, 33)] {
        let (x, bias) = (random(&[rows, k], 1)?, random(&[n], 3)?);
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let w = Frozen::of(&random(&[n, k], 2)?, dtype)?;
            let near = Frozen::of(&rounded(&w.tensor(DType::F32, x.device())?)?, DType::F32)?;
            let expected = reference::linear(&rounded(&x)?, &near, Some(&bias))?;
            for instructions in present() {
                let w = w.clone().in_precision(Precision::Bf16(instructions));
                let off = error(&linear(&x, &w, Some(&bias))?, &expected)?;
                assert!(off < 2e-6, "{instructions:?}: {off:e}");
            }
        }
    }
    Ok(())
}

#[test]
fn convolutions_round_only_what_they_multiply() -> Result<()> {
    // Batch, inputs, outputs, height, width, side of the kernel, stride, padding.
    let shapes = [
        [2, 34, 40, 9, 13, 3, 1, 1],
        [1, 32, 70, 20, 40, 3, 2, 1],
        [2, 64, 33, 8, 8, 1, 1, 0],
        [1, 6, 32, 40, 33, 3, 1, 1],
        [1, 32, 32, 5, 70, 3, 2, 0],
    ];
    for [batch, ci, co, height, width, side, stride, padding] in shapes {
        let x = random(&[batch, ci, height, width], 1)?;
        let bias = random(&[co], 3)?;
        let w = Frozen::of(&random(&[co, ci, side, side], 2)?, DType::F16)?;
        let near = Frozen::of(&rounded(&w.tensor(DType::F32, x.device())?)?, DType::F32)?;
        let expected = reference::conv2d(&rounded(&x)?, &near, Some(&bias), stride, padding)?;
        // Where vectors multiply, Winograd's filtering stays in f32.
        let exact = reference::conv2d(&x, &w, Some(&bias), stride, padding)?;
        for instructions in present() {
            let w = w.clone().in_precision(Precision::Bf16(instructions));
            let found = conv2d(&x, &w, Some(&bias), stride, padding)?;
            let off = error(&found, &expected)?.min(error(&found, &exact)?);
            assert!(off < 5e-6, "{instructions:?} {ci} to {co}: {off:e}");
        }
    }
    Ok(())
}

#[test]
fn attention_rounds_by_no_more_than_bfloat16() -> Result<()> {
    for (heads, n, m, d) in [(3, 300, 77, 40), (2, 70, 600, 64), (1, 33, 257, 160)] {
        let [q, k, v] =
            [(n, 1), (m, 2), (m, 3)].map(|(length, seed)| random(&[2, heads, length, d], seed));
        let (q, k, v) = (q?, k?, v?);
        let mask = (random(&[2, m], 4)?.abs()? * -1.0)?;
        let scale = 1.0 / (d as f64).sqrt();
        let exact = reference::attention(&q, &k, &v, scale, Some(&mask), false)?;
        let inputs = [rounded(&q)?, rounded(&k)?, rounded(&v)?];
        let near = reference::attention(
            &inputs[0],
            &inputs[1],
            &inputs[2],
            scale,
            Some(&mask),
            false,
        )?;
        for instructions in present() {
            let precision = Precision::Bf16(instructions);
            let found = attention(&q, &k, &v, scale, Some(&mask), false, precision)?;
            // Beside the inputs, the weights are rounded: by 2⁻⁹ of each at most.
            let off = error(&found, &near)?;
            assert!(off < 2e-3, "{instructions:?}: {off:e}");
            assert!(error(&found, &exact)? < 1e-2);
            assert!(error(&found, &exact)? > 1e-6, "nothing was rounded");
        }
    }
    Ok(())
}
