//! Functions of vectors of `f32`, the same source for every instruction set: pulp chooses when the program runs.

use pulp::{Arch, Simd, WithSimd};

/// Runs `work` with the widest vectors of this machine.
pub fn run<W: WithSimd>(work: W) -> W::Output {
    Arch::new().dispatch(work)
}

/// A vector of the values of a slice, and zeros where it has fewer than a vector.
#[inline(always)]
pub fn load<S: Simd>(simd: S, x: &[f32]) -> S::f32s {
    // A partial load is a call, even where it is whole.
    match S::as_simd_f32s(x) {
        ([whole], _) => *whole,
        _ => simd.partial_load_f32s(x),
    }
}

/// Writes as much of a vector as a slice has room for.
#[inline(always)]
pub fn store<S: Simd>(simd: S, y: &mut [f32], value: S::f32s) {
    match S::as_mut_simd_f32s(y) {
        ([whole], _) => *whole = value,
        (_, y) => simd.partial_store_f32s(y, value),
    }
}

/// exp(x) to about 1 ulp between −87 and 88; held at their values beyond.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(
        simd.min_f32s(x, simd.splat_f32s(88.0)),
        simd.splat_f32s(-87.3),
    );
    // Adding 1.5 · 2²³ rounds to a whole number and leaves it in the low bits.
    let shifted = simd.mul_add_f32s(
        x,
        simd.splat_f32s(std::f32::consts::LOG2_E),
        simd.splat_f32s(12_582_912.0),
    );
    let whole = simd.sub_f32s(shifted, simd.splat_f32s(12_582_912.0));
    // ln 2 in two parts, the first of which has few digits (Cody and Waite).
    let rest = simd.mul_add_f32s(whole, simd.splat_f32s(-0.693_359_4), x);
    let rest = simd.mul_add_f32s(whole, simd.splat_f32s(2.121_944_4e-4), rest);
    // The polynomial of Cephes' expf.
    let mut sum = simd.splat_f32s(1.987_569_1e-4);
    for factor in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        sum = simd.mul_add_f32s(sum, rest, simd.splat_f32s(factor));
    }
    let sum = simd.mul_add_f32s(
        sum,
        simd.mul_f32s(rest, rest),
        simd.add_f32s(rest, simd.splat_f32s(1.0)),
    );
    let bits = simd.transmute_u32s_f32s(shifted);
    let exponent = simd.wrapping_dyn_shl_u32s(bits, simd.splat_u32s(23));
    let power = simd.add_u32s(exponent, simd.splat_u32s(127 << 23));
    simd.mul_f32s(sum, simd.transmute_f32s_u32s(power))
}

/// 1 / (1 + exp(−x)).
#[inline(always)]
pub fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// The normal distribution function Φ(x), within 1e-7, and exp(−x²/2) (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
pub fn normal<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let place = simd.mul_f32s(
        simd.abs_f32s(x),
        simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2),
    );
    let t = simd.div_f32s(
        simd.splat_f32s(1.0),
        simd.mul_add_f32s(place, simd.splat_f32s(0.327_591_1), simd.splat_f32s(1.0)),
    );
    let mut sum = simd.splat_f32s(1.061_405_4);
    for factor in [-1.453_152, 1.421_413_7, -0.284_496_72, 0.254_829_6] {
        sum = simd.mul_add_f32s(sum, t, simd.splat_f32s(factor));
    }
    let bell = exp(simd, simd.neg_f32s(simd.mul_f32s(place, place)));
    let tail = simd.mul_f32s(
        simd.splat_f32s(0.5),
        simd.mul_f32s(simd.mul_f32s(sum, t), bell),
    );
    let left = simd.less_than_f32s(x, simd.splat_f32s(0.0));
    (
        simd.select_f32s(left, tail, simd.sub_f32s(simd.splat_f32s(1.0), tail)),
        bell,
    )
}

// Closures do not inherit an instruction set: in here each needs `inline(always)`, or it calls every intrinsic as a
// function, which is several times slower.

/// Calls `each` with the places of whole vectors in `length` values, then with that of the rest: start and length.
#[inline(always)]
pub fn steps<S: Simd>(_: S, length: usize, mut each: impl FnMut(std::ops::Range<usize>)) {
    let whole = length / S::F32_LANES * S::F32_LANES;
    for start in (0..whole).step_by(S::F32_LANES) {
        each(start..start + S::F32_LANES);
    }
    if whole < length {
        each(whole..length);
    }
}

/// The mean of `x` and the sum of squared distances from it.
#[inline(always)]
pub fn moments<S: Simd>(simd: S, x: &[f32]) -> (f64, f64) {
    // Short pieces stay in the cache between the two passes, and their sums are exact enough in f32; pieces are joined in
    // f64 (Chan, Golub and LeVeque 1979).
    let (mut count, mut mean, mut spread) = (0.0f64, 0.0f64, 0.0f64);
    for piece in x.chunks(2048) {
        let n = piece.len() as f64;
        let own = f64::from(total(
            simd,
            piece,
            #[inline(always)]
            |v| v,
            |v| v,
        )) / n;
        let middle = own as f32;
        let middles = simd.splat_f32s(middle);
        let around = total(
            simd,
            piece,
            #[inline(always)]
            |v| {
                let off = simd.sub_f32s(v, middles);
                simd.mul_f32s(off, off)
            },
            |v| (v - middle) * (v - middle),
        );
        let all = count + n;
        let step = own - mean;
        spread += f64::from(around) + step * step * count * n / all;
        mean += step * n / all;
        count = all;
    }
    (mean, spread)
}

/// Σ of a function of `x`, given for vectors and for single values.
#[inline(always)]
fn total<S: Simd>(
    simd: S,
    x: &[f32],
    vector: impl Fn(S::f32s) -> S::f32s,
    single: impl Fn(f32) -> f32,
) -> f32 {
    let (vectors, rest) = S::as_simd_f32s(x);
    let (fours, ones) = vectors.as_chunks::<4>();
    let zero = simd.splat_f32s(0.0);
    let mut sums = [zero; 4];
    for four in fours {
        for i in 0..4 {
            sums[i] = simd.add_f32s(sums[i], vector(four[i]));
        }
    }
    for one in ones {
        sums[0] = simd.add_f32s(sums[0], vector(*one));
    }
    let all = simd.add_f32s(
        simd.add_f32s(sums[0], sums[1]),
        simd.add_f32s(sums[2], sums[3]),
    );
    simd.reduce_sum_f32s(all) + rest.iter().map(|v| single(*v)).sum::<f32>()
}
