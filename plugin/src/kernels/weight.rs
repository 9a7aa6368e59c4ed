//! Parts of a frozen weight as `f32` matrices.

use rayon::prelude::*;

use super::Values;
use super::matrix::Matrix;

/// Values that are widened at once: 16 MiB of `f32`.
pub const PART: usize = 1 << 22;

/// A weight as rows of `columns` values.
#[derive(Debug, Clone, Copy)]
pub struct Weight<'a> {
    values: Values<'a>,
    columns: usize,
}

impl<'a> Weight<'a> {
    /// `values` as rows of `columns`.
    pub fn new(values: Values<'a>, columns: usize) -> Self {
        Self { values, columns }
    }

    /// How many rows [`Weight::rows`] should be asked for at once, of `all`.
    pub fn step(self, all: usize) -> usize {
        match self.values {
            Values::F32(_) => all.max(1),
            _ => (PART / self.columns.max(1)).clamp(1, all.max(1)),
        }
    }

    /// `count` rows from `start` on: in place, or widened by all threads into `scratch`, which holds as many values.
    pub fn rows<'b>(self, start: usize, count: usize, scratch: &'b mut [f32]) -> Matrix<'b>
    where
        'a: 'b,
    {
        let (from, length) = (start * self.columns, count * self.columns);
        if let Values::F32(values) = self.values {
            return Matrix::new(
                &values[from..from + length],
                count,
                self.columns,
                self.columns,
            );
        }
        let scratch = &mut scratch[..length];
        let piece = length.div_ceil(rayon::current_num_threads()).max(1 << 14);
        scratch
            .par_chunks_mut(piece)
            .enumerate()
            .for_each(|(i, out)| self.values.widen(from + i * piece, out));
        Matrix::new(scratch, count, self.columns, self.columns)
    }

    /// `count` rows from `start` on, of each the columns `first..first + width`: in place, or widened by this thread alone.
    pub fn block<'b>(
        self,
        (start, count): (usize, usize),
        (first, width): (usize, usize),
        scratch: &'b mut [f32],
    ) -> Matrix<'b>
    where
        'a: 'b,
    {
        let at = |row: usize| (start + row) * self.columns + first;
        if let Values::F32(values) = self.values {
            return Matrix::new(&values[at(0)..], count, width, self.columns);
        }
        let scratch = &mut scratch[..count * width];
        for (row, out) in scratch.chunks_exact_mut(width).enumerate() {
            self.values.widen(at(row), out);
        }
        Matrix::new(scratch, count, width, width)
    }

    /// Values of scratch that `count` values need.
    pub fn scratch(self, count: usize) -> usize {
        match self.values {
            Values::F32(_) => 0,
            _ => count,
        }
    }
}
