//! Parts of a frozen weight as `f32` matrices.

use rayon::prelude::*;

use super::Values;
use super::bf16::{self, SIDE};
use super::matrix::Matrix;
use super::product;
use super::scratch::Scratch;

/// Values that are widened at once: 16 MiB of `f32`.
pub const PART: usize = 1 << 22;

/// Values of a row that are widened at once on the way to columns.
const LINE: usize = 64;

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

    /// Lays `count` rows from `start` on out as the columns of panels (see [`Product`](super::product::Product)), by all
    /// threads.
    pub fn columns(self, start: usize, count: usize, panels: &mut [f32]) {
        let (width, depth) = (product::width(), self.columns);
        let panels = panels.par_chunks_mut(depth * width).enumerate();
        panels.for_each(|(p, panel)| {
            let own = panel.len() / depth;
            let first = start + p * width;
            let rows = width.min(start + count - first);
            let mut line = [0.0; LINE];
            for (n, block) in panel.chunks_mut(LINE * own).enumerate() {
                let line = &mut line[..block.len() / own];
                for r in 0..rows {
                    self.values.widen((first + r) * depth + n * LINE, line);
                    for (to, from) in block[r..].iter_mut().step_by(own).zip(&*line) {
                        *to = *from;
                    }
                }
                for line in block.chunks_exact_mut(own) {
                    line[rows..].fill(0.0);
                }
            }
        });
    }

    /// Lays `count` rows from `start` on out as the rows of panels, by all threads.
    pub fn panels(self, start: usize, count: usize, panels: &mut [f32]) {
        let width = product::width();
        let panels = panels.par_chunks_mut(count * width).enumerate();
        panels.for_each(|(p, panel)| {
            let own = panel.len() / count;
            let first = p * width;
            let columns = width.min(self.columns - first);
            for (r, line) in panel.chunks_exact_mut(own).enumerate() {
                let from = (start + r) * self.columns + first;
                self.values.widen(from, &mut line[..columns]);
                line[columns..].fill(0.0);
            }
        });
    }

    /// Rounds `count` rows from `start` on and lays them out as the left operand of [`bf16::Product`], by all threads. `to`
    /// has room for whole blocks.
    pub fn half_rows(self, start: usize, count: usize, to: &mut [u32]) {
        let depth = self.columns;
        let lines = to.par_chunks_exact_mut(bf16::pairs(depth)).enumerate();
        lines.for_each(|(r, line)| {
            if r >= count {
                return line.fill(0);
            }
            let mut wide = Scratch::of(depth);
            self.values.widen((start + r) * depth, &mut wide);
            bf16::rows(Matrix::new(&wide, 1, depth, depth), line);
        });
    }

    /// Rounds `count` rows from `start` on and lays them out as the columns of panels of [`bf16::Product`], by all threads.
    pub fn half_columns(self, start: usize, count: usize, panels: &mut [u32]) {
        let depth = self.columns;
        let panels = panels.par_chunks_exact_mut(bf16::pairs(depth) * SIDE);
        panels.enumerate().for_each(|(p, panel)| {
            let first = p * SIDE;
            let own = count.saturating_sub(first).min(SIDE);
            bf16::columns(self.values, (start + first) * depth, (own, depth), panel);
        });
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
