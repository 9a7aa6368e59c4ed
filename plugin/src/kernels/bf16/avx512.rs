//! Blocks by AVX512-BF16: each instruction adds the products of 16 pairs.
#![allow(unsafe_code, reason = "instructions that not every CPU has")]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_storeu_ps,
};

use super::block::{Block, Operands, SIDE};

/// Rows that are summed together: with two vectors of columns, 16 sums, more than the instruction takes cycles.
const ROWS: usize = 8;
/// Values of a vector.
const LANES: usize = 16;

/// Whether the CPU has them.
pub fn present() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

/// Shows that the CPU has them.
#[derive(Debug, Clone, Copy)]
pub struct Vectors(());

impl Vectors {
    /// `None` where there are none.
    pub fn new() -> Option<Self> {
        present().then_some(Self(()))
    }

    /// Adds left × right to the sums.
    pub fn add(self, operands: Operands<'_>, sums: &mut Block) {
        for (index, sums) in sums.0.chunks_exact_mut(ROWS * SIDE).enumerate() {
            let rows = std::array::from_fn(|r| operands.row(index * ROWS + r));
            // SAFETY: the CPU has the instructions, as `self` shows.
            unsafe { add(rows, operands.right(), sums) };
        }
    }
}

/// Adds the products of a few rows with all columns.
#[target_feature(enable = "avx512f,avx512bf16")]
fn add(rows: [&[u32]; ROWS], right: &[u32], sums: &mut [f32]) {
    let mut own: [[__m512; 2]; ROWS] =
        std::array::from_fn(|r| [0, LANES].map(|c| load(&sums[r * SIDE + c..])));
    let [a, b, c, d, e, f, g, h] = rows;
    let left = a.iter().zip(b).zip(c).zip(d).zip(e).zip(f).zip(g).zip(h);
    for (right, (((((((a, b), c), d), e), f), g), h)) in
        right.as_chunks::<SIDE>().0.iter().zip(left)
    {
        let columns = [pairs(&right[..LANES]), pairs(&right[LANES..])];
        for (own, left) in own.iter_mut().zip([a, b, c, d, e, f, g, h]) {
            let left = as_pairs(_mm512_set1_epi32(left.cast_signed()));
            for (sum, column) in own.iter_mut().zip(columns) {
                *sum = _mm512_dpbf16_ps(*sum, left, column);
            }
        }
    }
    for (sums, own) in sums.chunks_exact_mut(LANES).zip(own.as_flattened()) {
        // SAFETY: 16 values are borrowed.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *own) };
    }
}

#[target_feature(enable = "avx512f")]
fn load(values: &[f32]) -> __m512 {
    let values = &values[..LANES];
    // SAFETY: 16 values are borrowed.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
fn pairs(values: &[u32]) -> __m512bh {
    let values = &values[..LANES];
    // SAFETY: 16 values are borrowed.
    as_pairs(unsafe { _mm512_loadu_si512(values.as_ptr().cast()) })
}

#[target_feature(enable = "avx512f")]
fn as_pairs(bits: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits of any value.
    unsafe { std::mem::transmute(bits) }
}
