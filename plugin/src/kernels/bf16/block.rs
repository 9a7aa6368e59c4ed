//! The innermost product: a block of sums.

use super::Instructions;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;
#[cfg(target_arch = "x86_64")]
use super::avx512;

/// Rows and columns of a block of sums: two by two tiles of AMX.
pub const SIDE: usize = 32;

/// Sums, row after row, on cache lines of their own.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Block(pub [f32; SIDE * SIDE]);

/// What is multiplied for one block: as many pairs of [`SIDE`] rows as of [`SIDE`] columns.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// [`SIDE`] rows, `stride` apart.
    left: &'a [u32],
    stride: usize,
    /// Pairs of rows, [`SIDE`] columns each.
    right: &'a [u32],
}

impl<'a> Operands<'a> {
    /// See the fields.
    ///
    /// # Panics
    /// If the depths do not agree, or are not whole tiles: what the instructions read lies in the slices then.
    pub fn new(left: &'a [u32], stride: usize, right: &'a [u32]) -> Self {
        let pairs = right.len() / SIDE;
        assert!(
            right.len().is_multiple_of(SIDE * super::TILE)
                && pairs > 0
                && pairs <= stride
                && left.len() >= (SIDE - 1) * stride + pairs,
            "operands of a block that do not fit"
        );
        Self {
            left,
            stride,
            right,
        }
    }

    /// Pairs that are summed.
    pub fn pairs(self) -> usize {
        self.right.len() / SIDE
    }

    /// The pairs of one of the left rows.
    pub fn row(self, index: usize) -> &'a [u32] {
        &self.left[index * self.stride..][..self.pairs()]
    }

    /// The left rows: the first, and the distance.
    pub fn left(self) -> (&'a [u32], usize) {
        (self.left, self.stride)
    }

    /// The right columns.
    pub fn right(self) -> &'a [u32] {
        self.right
    }
}

/// A thread that is set up to multiply.
#[derive(Debug)]
pub enum Unit {
    /// With tiles configured.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    Amx(amx::Tiles),
    /// On a CPU that has these.
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Vectors),
    /// As any CPU can.
    Plain,
}

impl Unit {
    /// Sets this thread up; what the CPU lacks is done in plain code.
    pub fn new(instructions: Instructions) -> Self {
        let found = match instructions {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Instructions::Amx => amx::Tiles::new().map(Self::Amx),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => avx512::Vectors::new().map(Self::Avx512),
            _ => None,
        };
        found.unwrap_or(Self::Plain)
    }

    /// Adds left × right to the sums.
    pub fn add(&self, operands: Operands<'_>, sums: &mut Block) {
        match self {
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Self::Amx(tiles) => tiles.add(operands, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(vectors) => vectors.add(operands, sums),
            Self::Plain => plain(operands, sums),
        }
    }
}

/// The reference for the others: the first of each pair, then the second.
fn plain(operands: Operands<'_>, sums: &mut Block) {
    let low = |pair: u32| f32::from_bits(pair << 16);
    let high = |pair: u32| f32::from_bits(pair & 0xffff_0000);
    for (r, sums) in sums.0.chunks_exact_mut(SIDE).enumerate() {
        let columns = operands.right().chunks_exact(SIDE);
        for (left, right) in operands.row(r).iter().zip(columns) {
            let (first, second) = (low(*left), high(*left));
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum += first * low(*right) + second * high(*right);
            }
        }
    }
}
