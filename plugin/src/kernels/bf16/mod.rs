//! Products of matrices whose values are rounded to bfloat16, summed in `f32`: sixteen times the multiplications of `f32` in
//! the same time where a CPU has AMX, up to twice as many where it has AVX512-BF16.
//!
//! Values lie in pairs, as those instructions take them: the lower half of a `u32` comes first. The left matrix lies row by
//! row; the right one in panels of [`SIDE`] columns, in each one pair of rows after the other, column by column.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
mod pack;
mod patches;
mod product;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

pub(super) use block::SIDE;
pub(super) use pack::{columns, interleave, rows};
pub(super) use patches::Patches;
pub(super) use product::Product;

/// Pairs of a tile's depth: depths are padded with zeros to whole tiles.
const TILE: usize = 16;

/// What the operands of products are rounded to. Sums are always `f32`, and so is everything else that kernels compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Not at all.
    #[default]
    F32,
    /// bfloat16, of 8 significant bits, as PyTorch's bf16 rounds operands.
    Bf16(Instructions),
}

/// What multiplies bfloat16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// The matrix units of Intel's servers and workstations (Sapphire Rapids and later); Linux only.
    Amx,
    /// Vectors of 16 pairs (Cooper Lake; Zen 4 and later).
    Avx512,
    /// Any CPU's, for tests: it gives the same numbers, slowly.
    Plain,
}

impl Precision {
    /// bfloat16 where this CPU has instructions for it, else `f32`.
    pub fn fastest() -> Self {
        Instructions::fastest().map_or(Self::F32, Self::Bf16)
    }
}

impl Instructions {
    /// The fastest that this CPU and its operating system have, and that give right sums here; none otherwise.
    pub fn fastest() -> Option<Self> {
        static FOUND: OnceLock<Option<Instructions>> = OnceLock::new();
        let trial = |it: &Self| it.present() && product::is_right(*it);
        *FOUND.get_or_init(|| [Self::Amx, Self::Avx512].into_iter().find(trial))
    }

    /// Whether this CPU has them.
    pub fn present(self) -> bool {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx => amx::present(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::present(),
            Self::Plain => true,
            #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
            _ => false,
        }
    }
}

/// Pairs that `depth` values take up, padded to whole tiles.
pub(super) fn pairs(depth: usize) -> usize {
    depth.div_ceil(2).next_multiple_of(TILE)
}

/// Rows or columns that `count` take up, padded to whole blocks.
pub(super) fn padded(count: usize) -> usize {
    count.next_multiple_of(SIDE)
}
