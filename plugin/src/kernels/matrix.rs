//! Matrices in place, and an output that several threads fill at once, each its own tile.
#![allow(
    unsafe_code,
    reason = "tiles lie side by side, which slices cannot express, and gemm takes pointers"
)]

use std::marker::PhantomData;

/// A matrix as it lies in memory.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    /// From row to row, and from column to column.
    strides: (usize, usize),
}

/// A matrix that is lent out in tiles which do not overlap.
#[derive(Debug)]
pub struct Shared<'a> {
    start: *mut f32,
    length: usize,
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer stands for an exclusive borrow of `f32`s, and whoever takes a tile promises that nobody else has it.
unsafe impl Sync for Shared<'_> {}
// SAFETY: as above.
unsafe impl Send for Shared<'_> {}

/// Rows of equal length, at equal distances.
#[derive(Debug)]
pub struct Tile<'a> {
    start: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    memory: PhantomData<&'a mut [f32]>,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values, `stride` apart.
    ///
    /// # Panics
    /// If they do not lie in the values.
    pub fn new(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            rows == 0 || (rows - 1) * stride + columns <= values.len(),
            "a matrix beyond its values"
        );
        Self {
            values,
            rows,
            columns,
            strides: (stride, 1),
        }
    }

    /// How many rows it has.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// How many columns it has.
    pub fn columns(self) -> usize {
        self.columns
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If there is none, or rows do not lie in one piece.
    pub fn row(self, index: usize) -> &'a [f32] {
        assert!(index < self.rows && self.strides.1 == 1, "no such row");
        &self.values[index * self.strides.0..][..self.columns]
    }

    /// `count` rows from `start` on.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn part(self, start: usize, count: usize) -> Self {
        assert!(start + count <= self.rows, "rows beyond a matrix");
        Self {
            values: &self.values[(start * self.strides.0).min(self.values.len())..],
            rows: count,
            ..self
        }
    }

    /// Rows as columns.
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            strides: (self.strides.1, self.strides.0),
            ..self
        }
    }
}

impl<'a> Shared<'a> {
    /// Lends out `values`.
    pub fn new(values: &'a mut [f32]) -> Self {
        Self {
            start: values.as_mut_ptr(),
            length: values.len(),
            memory: PhantomData,
        }
    }

    /// `rows` rows of `columns` values, `stride` apart, the first at `offset`.
    ///
    /// # Panics
    /// If they do not lie in the values, or overlap each other.
    ///
    /// # Safety
    /// No value of it may be in another tile that lives at the same time.
    pub unsafe fn tile(
        &self,
        offset: usize,
        rows: usize,
        columns: usize,
        stride: usize,
    ) -> Tile<'_> {
        let end = rows.saturating_sub(1) * stride + offset + columns;
        assert!(end <= self.length, "a tile beyond its matrix");
        assert!(rows <= 1 || columns <= stride, "rows that overlap");
        // SAFETY: `offset` lies in the values, as asserted.
        let start = unsafe { self.start.add(offset) };
        Tile {
            start,
            rows,
            columns,
            stride,
            memory: PhantomData,
        }
    }
}

impl<'a> Tile<'a> {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `values` as rows of `columns` without gaps.
    pub fn new(values: &'a mut [f32], columns: usize) -> Self {
        Self {
            start: values.as_mut_ptr(),
            rows: values.len() / columns.max(1),
            columns,
            stride: columns,
            memory: PhantomData,
        }
    }

    /// Row `index`.
    ///
    /// # Panics
    /// If there is none.
    pub fn row(&mut self, index: usize) -> &mut [f32] {
        assert!(index < self.rows, "a row beyond its tile");
        // SAFETY: the row lies in the borrowed values: asserted when the tile was made.
        let start = unsafe { self.start.add(index * self.stride) };
        // SAFETY: its `columns` values do too, are initialised, and are this tile's alone while it is borrowed.
        unsafe { std::slice::from_raw_parts_mut(start, self.columns) }
    }

    /// left × right, added to what the tile holds if `add`; on this thread alone.
    ///
    /// # Panics
    /// If the sizes do not fit.
    pub fn multiply(&mut self, left: Matrix<'_>, right: Matrix<'_>, add: bool) {
        assert!(
            left.rows == self.rows && right.columns == self.columns && left.columns == right.rows,
            "a product of {}×{} and {}×{} for a tile of {}×{}",
            left.rows,
            left.columns,
            right.rows,
            right.columns,
            self.rows,
            self.columns
        );
        // SAFETY: both matrices and the tile lie in borrowed memory, asserted when they were made, and the tile is borrowed
        // exclusively; where it is not read, it is only written.
        unsafe {
            gemm::gemm(
                self.rows,
                self.columns,
                left.columns,
                self.start,
                1,
                self.stride as isize,
                add,
                left.values.as_ptr(),
                left.strides.1 as isize,
                left.strides.0 as isize,
                right.values.as_ptr(),
                right.strides.1 as isize,
                right.strides.0 as isize,
                1.0f32,
                1.0f32,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}
