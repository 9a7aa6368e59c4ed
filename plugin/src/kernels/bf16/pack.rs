//! Values, rounded and laid out in pairs.

use pulp::{Simd, WithSimd};

use super::super::Values;
use super::super::matrix::Matrix;
use super::super::vector;
use super::{SIDE, pairs};

/// Values that are widened at once on the way to columns.
const LINE: usize = 64;

/// The nearest bfloat16, to even where two are as near; NaN stays NaN. As half's own, which takes an eighth longer over rows
/// of pairs.
#[inline(always)]
pub fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    let bits = if value.is_nan() {
        bits | 1 << 22
    } else {
        rounded
    };
    (bits >> 16) as u16
}

/// Two values as one.
#[inline(always)]
pub fn pair(first: f32, second: f32) -> u32 {
    u32::from(round(first)) | u32::from(round(second)) << 16
}

/// Lays rows out as the left operand, on this thread: `to` has room for whole blocks of rows of
/// [`pairs`](super::pairs)`(columns)` pairs. What is padding becomes 0.
pub fn rows(from: Matrix<'_>, to: &mut [u32]) {
    vector::run(Rows { from, to });
}

struct Rows<'a, 'b> {
    from: Matrix<'a>,
    to: &'b mut [u32],
}

impl WithSimd for Rows<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let depth = self.from.columns();
        let lines = self.to.chunks_exact_mut(pairs(depth));
        for (r, line) in lines.enumerate() {
            if r < self.from.rows() {
                let (twos, one) = self.from.row(r).as_chunks::<2>();
                let (own, rest) = line.split_at_mut(twos.len());
                for (to, two) in own.iter_mut().zip(twos) {
                    *to = pair(two[0], two[1]);
                }
                rest.fill(0);
                if let ([one], [to, ..]) = (one, rest) {
                    *to = pair(*one, 0.0);
                }
            } else {
                line.fill(0);
            }
        }
    }
}

/// Lays `count` rows of `depth` values, from the one that begins at value `start` on, out as the columns of one panel, on this
/// thread. Missing columns, and depth beyond the values, become 0.
///
/// # Panics
/// If there are more rows than a panel has columns.
pub fn columns(
    values: Values<'_>,
    start: usize,
    (count, depth): (usize, usize),
    panel: &mut [u32],
) {
    assert!(count <= SIDE, "more columns than a panel has");
    vector::run(Columns {
        values,
        start,
        count,
        depth,
        panel,
    });
}

struct Columns<'a, 'b> {
    values: Values<'a>,
    start: usize,
    count: usize,
    depth: usize,
    panel: &'b mut [u32],
}

impl WithSimd for Columns<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut line = [0.0; LINE];
        for (n, block) in self.panel.chunks_mut(LINE / 2 * SIDE).enumerate() {
            // A panel is padded to half a line: each line of it begins with a value.
            let own = (self.depth - n * LINE).min(LINE);
            if self.count < SIDE {
                block.fill(0);
            }
            line[own..].fill(0.0);
            for column in 0..self.count {
                let from = self.start + column * self.depth + n * LINE;
                self.values.widen(from, &mut line[..own]);
                let twos = line.as_chunks::<2>().0;
                for (to, two) in block[column..].iter_mut().step_by(SIDE).zip(twos) {
                    *to = pair(two[0], two[1]);
                }
            }
        }
    }
}

/// Lays a matrix out as the right operand, on this thread: panels of its columns, pairs of its rows. Missing rows and columns
/// become 0.
pub fn interleave(from: Matrix<'_>, panels: &mut [u32]) {
    vector::run(Interleave { from, panels });
}

struct Interleave<'a, 'b> {
    from: Matrix<'a>,
    panels: &'b mut [u32],
}

impl WithSimd for Interleave<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (rows, columns) = (self.from.rows(), self.from.columns());
        let panels = self.panels.chunks_exact_mut(pairs(rows) * SIDE);
        for (p, panel) in panels.enumerate() {
            let first = p * SIDE;
            let width = columns.saturating_sub(first).min(SIDE);
            for (n, line) in panel.chunks_exact_mut(SIDE).enumerate() {
                let (own, rest) = line.split_at_mut(width);
                rest.fill(0);
                let row = |r: usize| &self.from.row(r)[first..first + width];
                match rows.saturating_sub(2 * n) {
                    0 => own.fill(0),
                    1 => {
                        for (to, one) in own.iter_mut().zip(row(2 * n)) {
                            *to = pair(*one, 0.0);
                        }
                    }
                    _ => {
                        let twos = row(2 * n).iter().zip(row(2 * n + 1));
                        for (to, (first, second)) in own.iter_mut().zip(twos) {
                            *to = pair(*first, *second);
                        }
                    }
                }
            }
        }
    }
}
