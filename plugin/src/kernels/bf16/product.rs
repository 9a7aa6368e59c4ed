//! Blocks of sums, joined to a product.

use pulp::{Simd, WithSimd};

use super::super::matrix::Tile;
use super::super::vector;
use super::Instructions;
use super::block::{Block, Operands, SIDE, Unit};

/// Pairs of rows and of columns that are worked on together: 32 KiB of each, which the first cache holds.
const DEPTH: usize = 256;
/// Panels that stay in the second cache while rows go past them.
const PANELS: usize = 16;

/// left × right + bias, written to `to`, on this thread alone.
#[derive(Debug)]
pub struct Product<'a, 'b> {
    /// What multiplies.
    pub instructions: Instructions,
    /// Pairs of a row, and of a column; whole tiles ([`pairs`](super::pairs)).
    pub pairs: usize,
    /// Rows as [`rows`](super::rows) makes them, padded to whole blocks.
    pub left: &'a [u32],
    /// Panels.
    pub right: &'a [u32],
    /// For each column; `None` is 0.
    pub bias: Option<&'a [f32]>,
    /// Whether it is added to what `to` holds.
    pub add: bool,
    /// As many rows and columns as the operands before padding.
    pub to: Tile<'b>,
}

impl Product<'_, '_> {
    /// Computes it.
    ///
    /// # Panics
    /// If the sizes do not fit.
    pub fn run(self) {
        vector::run(self);
    }
}

impl WithSimd for Product<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let unit = Unit::new(self.instructions);
        let size = SIDE * self.pairs;
        let mut sums = Block([0.0; SIDE * SIDE]);
        for from in (0..self.pairs).step_by(DEPTH) {
            let depth = DEPTH.min(self.pairs - from);
            for (n, panels) in self.right.chunks(PANELS * size).enumerate() {
                for (r, left) in self.left.chunks_exact(size).enumerate() {
                    for (p, panel) in panels.chunks_exact(size).enumerate() {
                        let right = &panel[from * SIDE..][..depth * SIDE];
                        sums.0.fill(0.0);
                        unit.add(Operands::new(&left[from..], self.pairs, right), &mut sums);
                        let first = (r * SIDE, (n * PANELS + p) * SIDE);
                        let bias = self.bias.filter(|_| from == 0);
                        write(&sums, bias, self.add || from > 0, first, &mut self.to);
                    }
                }
            }
        }
    }
}

/// Writes the sums that have a place.
#[inline(always)]
fn write(
    sums: &Block,
    bias: Option<&[f32]>,
    add: bool,
    (row, column): (usize, usize),
    to: &mut Tile<'_>,
) {
    let rows = to.rows().saturating_sub(row).min(SIDE);
    let width = to.columns().saturating_sub(column).min(SIDE);
    for (r, sums) in sums.0.chunks_exact(SIDE).enumerate().take(rows) {
        let to = &mut to.row(row + r)[column..][..width];
        match (bias, add) {
            (None, false) => to.copy_from_slice(&sums[..width]),
            (None, true) => to.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum),
            (Some(bias), add) => {
                let bias = &bias[column..][..width];
                for ((to, sum), bias) in to.iter_mut().zip(sums).zip(bias) {
                    *to = if add { *to + sum + bias } else { sum + bias };
                }
            }
        }
    }
}

/// Whether a product of every kind of operand comes out as in plain code: a virtual machine may claim what it does not do.
pub fn is_right(instructions: Instructions) -> bool {
    let pairs = 2 * super::TILE;
    // Small whole numbers of both signs: all products and sums are exact.
    let value = |i: usize| f32::from((i * 37 % 17) as u8) - 8.0;
    let operand = |seed: usize| -> Vec<u32> {
        let pair = |i: usize| super::pack::pair(value(i + seed), value(3 * i + seed));
        (0..SIDE * pairs).map(pair).collect()
    };
    let (left, right) = (operand(1), operand(5));
    let sums = |unit: Unit| {
        let mut sums = Block([0.5; SIDE * SIDE]);
        unit.add(Operands::new(&left, pairs, &right), &mut sums);
        sums.0
    };
    sums(Unit::new(instructions)) == sums(Unit::Plain)
}
