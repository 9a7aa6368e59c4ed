//! Solves the sparse, symmetric, positive definite systems of a mesh. Its corners are numbered row by row, so all
//! entries lie in a narrow band: an envelope factorisation is exact, short and faster than iterating.

use crate::{Error, Result};

/// More factor entries than this (256 MiB) means a mesh that was not made by `learn::mesh`.
const MOST: usize = 32 << 20;

/// A symmetric matrix, later its Cholesky factor: of each row the entries from its first one to the diagonal.
#[derive(Debug, Clone)]
pub struct Envelope {
    first: Vec<usize>,
    start: Vec<usize>,
    values: Vec<f64>,
}

impl Envelope {
    /// All zero, with room for the diagonal and for the given pairs.
    pub fn new(size: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Result<Self> {
        let mut first: Vec<usize> = (0..size).collect();
        for (a, b) in pairs {
            let (low, high) = (a.min(b), a.max(b));
            first[high] = first[high].min(low);
        }
        let mut start = Vec::with_capacity(size + 1);
        let mut total = 0;
        for (row, first) in first.iter().enumerate() {
            start.push(total);
            total += row - first + 1;
        }
        start.push(total);
        if total > MOST {
            return Err(Error::caller(
                "the subject's mesh is too large or in disorder: learn the subject again",
            ));
        }
        Ok(Self {
            first,
            start,
            values: vec![0.0; total],
        })
    }

    /// Adds to the entry of a pair named in `new`, or of the diagonal.
    pub fn add(&mut self, a: usize, b: usize, value: f64) {
        let (low, high) = (a.min(b), a.max(b));
        let at = self.start[high] + low - self.first[high];
        self.values[at] += value;
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.values[self.start[row]..self.start[row + 1]]
    }

    /// Becomes the factor `L` of `L Lᵀ`. The matrix must be positive definite.
    pub fn factor(mut self) -> Self {
        for i in 0..self.first.len() {
            let (done, rest) = self.values.split_at_mut(self.start[i]);
            let row = &mut rest[..self.start[i + 1] - self.start[i]];
            let first = self.first[i];
            for j in first..i {
                let from = first.max(self.first[j]);
                let other = &done[self.start[j]..self.start[j + 1]];
                let left = &row[from - first..j - first];
                let right = &other[from - self.first[j]..j - self.first[j]];
                row[j - first] = (row[j - first] - dot(left, right)) / other[j - self.first[j]];
            }
            let end = i - first;
            let rest = row[end] - dot(&row[..end], &row[..end]);
            row[end] = rest.max(f64::MIN_POSITIVE).sqrt();
        }
        self
    }

    /// Solves in place, after `factor`.
    pub fn solve(&self, b: &mut [f64]) {
        for i in 0..self.first.len() {
            let (first, row) = (self.first[i], self.row(i));
            let end = i - first;
            b[i] = (b[i] - dot(&row[..end], &b[first..i])) / row[end];
        }
        for i in (0..self.first.len()).rev() {
            let (first, row) = (self.first[i], self.row(i));
            let end = i - first;
            let x = b[i] / row[end];
            b[i] = x;
            for (b, r) in b[first..i].iter_mut().zip(&row[..end]) {
                *b -= r * x;
            }
        }
    }
}

/// Four sums side by side: the compiler may not reorder one.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (mut four_a, mut four_b) = (a.chunks_exact(4), b.chunks_exact(4));
    for (a, b) in four_a.by_ref().zip(four_b.by_ref()) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f64 = four_a
        .remainder()
        .iter()
        .zip(four_b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn solves_what_it_factored() {
        // A ring of springs, each also tied to its place: the last row reaches back to the first.
        let n = 37;
        let pairs: Vec<_> = (0..n).map(|i| (i, (i + 1) % n)).collect();
        let mut matrix = Envelope::new(n, pairs.iter().copied()).unwrap();
        for &(a, b) in &pairs {
            matrix.add(a, a, 1.0);
            matrix.add(b, b, 1.0);
            matrix.add(a, b, -1.0);
        }
        (0..n).for_each(|i| matrix.add(i, i, 0.1));
        let want: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let mut b: Vec<f64> = (0..n)
            .map(|i| 2.1 * want[i] - want[(i + 1) % n] - want[(i + n - 1) % n])
            .collect();
        matrix.factor().solve(&mut b);
        for (got, want) in b.iter().zip(&want) {
            assert!((got - want).abs() < 1e-12);
        }
    }

    #[test]
    fn a_mesh_in_disorder_is_refused_before_memory_is_taken() {
        let pairs = (1..100_000).map(|i| (0, i));
        assert!(
            Envelope::new(100_000, pairs)
                .unwrap_err()
                .message
                .contains("learn")
        );
    }
}
