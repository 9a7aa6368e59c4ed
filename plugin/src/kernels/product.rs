//! Products of matrices of which the right one lies in panels, as the code that makes its values writes them: nothing is
//! laid out twice.

use pulp::{Simd, WithSimd};

use super::matrix::{Matrix, Tile};
use super::vector;

/// Rows of the left matrix that are worked on together: as many sums as registers hold, with four vectors of columns where
/// there are 32 registers, with two elsewhere.
const ROWS: usize = 6;
/// Rows of the right matrix, and values of its panels, that are worked on together: 256 KiB, which stay in a core's cache.
const DEPTH: usize = 512;
const KEPT: usize = 1 << 16;

/// Columns of a panel on this machine.
pub fn width() -> usize {
    vector::run(Width)
}

/// Columns that `columns` take up in panels: whole vectors.
pub fn padded(columns: usize) -> usize {
    columns.next_multiple_of(vector::run(Lanes))
}

struct Width;
struct Lanes;

impl WithSimd for Width {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        vectors::<S>() * S::F32_LANES
    }
}

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

#[inline(always)]
fn vectors<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 { 4 } else { 2 }
}

/// left × right + bias, written to `to`, on this thread alone.
#[derive(Debug)]
pub struct Product<'a, 'b> {
    /// Rows of contiguous values.
    pub left: Matrix<'a>,
    /// Panels of [`width`] columns, the last as narrow as whole vectors allow ([`padded`]); in each, row after row.
    pub right: &'a [f32],
    /// For each column; `None` is 0.
    pub bias: Option<&'a [f32]>,
    /// Whether it is added to what `to` holds.
    pub add: bool,
    /// As many columns as `right` before padding.
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
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (depth, rows) = (self.left.columns(), self.left.rows());
        let width = vectors::<S>() * S::F32_LANES;
        for from in (0..depth).step_by(DEPTH) {
            let places = from..depth.min(from + DEPTH);
            let block = (KEPT / (places.len() * width)).max(1) * width;
            for (n, panels) in self.right.chunks(depth * block).enumerate() {
                for first in (0..rows).step_by(ROWS) {
                    let count = ROWS.min(rows - first);
                    // Missing rows are computed twice.
                    let left: [&[f32]; ROWS] = std::array::from_fn(|r| {
                        &self.left.row(first + r.min(count - 1))[places.clone()]
                    });
                    for (p, panel) in panels.chunks(depth * width).enumerate() {
                        let column = n * block + p * width;
                        let own = panel.len() / depth;
                        let panel = &panel[places.start * own..places.end * own];
                        let (right, _) = S::as_simd_f32s(panel);
                        let to = Target {
                            first,
                            count,
                            column,
                            bias: self.bias.filter(|_| from == 0).map(|b| &b[column..]),
                            add: self.add || from > 0,
                            tile: &mut self.to,
                        };
                        match own / S::F32_LANES {
                            4 => sums::<S, 4>(simd, left, right, to),
                            3 => sums::<S, 3>(simd, left, right, to),
                            2 => sums::<S, 2>(simd, left, right, to),
                            _ => sums::<S, 1>(simd, left, right, to),
                        }
                    }
                }
            }
        }
    }
}

/// Where a product of a few rows and one panel goes.
struct Target<'a, 'b> {
    first: usize,
    count: usize,
    column: usize,
    bias: Option<&'a [f32]>,
    add: bool,
    tile: &'a mut Tile<'b>,
}

/// The product of `left` and a panel of `V` vectors.
#[inline(always)]
fn sums<S: Simd, const V: usize>(
    simd: S,
    left: [&[f32]; ROWS],
    right: &[S::f32s],
    to: Target<'_, '_>,
) {
    let mut sums = [[simd.splat_f32s(0.0); V]; ROWS];
    // Side by side instead of by index: nothing is checked inside, and all sums stay in registers.
    let [a, b, c, d, e, f] = left;
    let left = a.iter().zip(b).zip(c).zip(d).zip(e).zip(f);
    for (right, (((((a, b), c), d), e), f)) in right.as_chunks::<V>().0.iter().zip(left) {
        for (sums, left) in sums.iter_mut().zip([a, b, c, d, e, f]) {
            let left = simd.splat_f32s(*left);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add_f32s(left, *right, *sum);
            }
        }
    }
    if to.count == ROWS && to.tile.columns() >= to.column + V * S::F32_LANES {
        whole(simd, sums, to);
    } else {
        part(simd, sums, to);
    }
}

/// Writes all sums: loops of constant length, so that these stay in registers.
#[inline(always)]
fn whole<S: Simd, const V: usize>(simd: S, mut sums: [[S::f32s; V]; ROWS], to: Target<'_, '_>) {
    let wide = V * S::F32_LANES;
    if let Some(bias) = to.bias {
        let bias = S::as_simd_f32s(&bias[..wide]).0.as_chunks::<V>().0[0];
        for r in 0..ROWS {
            for v in 0..V {
                sums[r][v] = simd.add_f32s(sums[r][v], bias[v]);
            }
        }
    }
    if to.add {
        for r in 0..ROWS {
            let row = &to.tile.row(to.first + r)[to.column..][..wide];
            let row = S::as_simd_f32s(row).0.as_chunks::<V>().0[0];
            for v in 0..V {
                sums[r][v] = simd.add_f32s(sums[r][v], row[v]);
            }
        }
    }
    for r in 0..ROWS {
        let row = &mut to.tile.row(to.first + r)[to.column..][..wide];
        S::as_mut_simd_f32s(row).0.as_chunks_mut::<V>().0[0] = sums[r];
    }
}

/// Writes the sums that have a place, where rows or columns end within them.
#[inline(always)]
fn part<S: Simd, const V: usize>(simd: S, sums: [[S::f32s; V]; ROWS], to: Target<'_, '_>) {
    for (r, sums) in sums.into_iter().enumerate().take(to.count) {
        let row = &mut to.tile.row(to.first + r)[to.column..];
        for (v, (place, mut sum)) in row.chunks_mut(S::F32_LANES).zip(sums).enumerate() {
            if let Some(bias) = to.bias {
                let bias = &bias[v * S::F32_LANES..][..place.len()];
                sum = simd.add_f32s(sum, vector::load(simd, bias));
            }
            if to.add {
                sum = simd.add_f32s(sum, vector::load(simd, place));
            }
            vector::store(simd, place, sum);
        }
    }
}
