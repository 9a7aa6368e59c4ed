//! The products of attention in bfloat16.

use rayon::prelude::*;

use super::super::Values;
use super::super::bf16::{self, Instructions, Product, SIDE};
use super::super::matrix::{Matrix, Tile};
use super::super::scratch::Scratch;
use super::forward::KEYS;
use super::{Inputs, Problem};

/// Keys and values of all heads, rounded and laid out once for all queries.
#[derive(Debug)]
pub struct Packed {
    instructions: Instructions,
    /// Keys, and values of one.
    sizes: (usize, usize),
    /// For each head panels of keys.
    keys: Vec<u32>,
    /// For each head and tile of keys, panels of values.
    values: Vec<u32>,
}

/// One head, and the queries of a tile.
#[derive(Debug)]
pub struct Head<'a> {
    packed: &'a Packed,
    queries: Scratch,
    keys: &'a [u32],
    values: &'a [u32],
    weights: Scratch,
}

impl Packed {
    /// Lays out what all heads attend to, by all threads.
    pub fn new(instructions: Instructions, p: &Problem, inputs: Inputs<'_>, heads: usize) -> Self {
        let (m, d) = (p.m, p.d);
        let [each_keys, each_values] = rooms(m, d);
        let mut keys = vec![0; heads * each_keys];
        let mut values = vec![0; heads * each_values];
        let each = keys.par_chunks_exact_mut(each_keys);
        let each = each.zip(values.par_chunks_exact_mut(each_values));
        each.enumerate().for_each(|(head, (keys, values))| {
            let inputs = inputs.head(head, p);
            for (n, panel) in keys.chunks_exact_mut(bf16::pairs(d) * SIDE).enumerate() {
                let count = SIDE.min(m - n * SIDE);
                bf16::columns(Values::F32(inputs.k), n * SIDE * d, (count, d), panel);
            }
            for start in (0..m).step_by(KEYS) {
                let count = KEYS.min(m - start);
                let tile = Matrix::new(&inputs.v[start * d..], count, d, d);
                let to = &mut values[start / 2 * bf16::padded(d)..];
                bf16::interleave(tile, &mut to[..bf16::pairs(count) * bf16::padded(d)]);
            }
        });
        Self {
            instructions,
            sizes: (m, d),
            keys,
            values,
        }
    }

    /// One head, for the queries `q`.
    pub fn head(&self, index: usize, q: &[f32]) -> Head<'_> {
        let (m, d) = self.sizes;
        let [keys, values] = rooms(m, d);
        let count = q.len() / d;
        let mut queries = Scratch::of(bf16::padded(count) * bf16::pairs(d));
        bf16::rows(Matrix::new(q, count, d, d), queries.pairs());
        Head {
            packed: self,
            queries,
            keys: &self.keys[index * keys..][..keys],
            values: &self.values[index * values..][..values],
            weights: Scratch::of(bf16::padded(count) * bf16::pairs(KEYS)),
        }
    }
}

/// Pairs of the keys of a head, and of its values.
fn rooms(keys: usize, d: usize) -> [usize; 2] {
    [
        bf16::padded(keys) * bf16::pairs(d),
        bf16::pairs(keys) * bf16::padded(d),
    ]
}

impl Head<'_> {
    /// Queries × keys from `start` on, as many as the tile has columns.
    pub fn scores(&mut self, start: usize, to: Tile<'_>) {
        let pairs = bf16::pairs(self.packed.sizes.1);
        Product {
            instructions: self.packed.instructions,
            pairs,
            left: self.queries.pairs(),
            right: &self.keys[start * pairs..][..bf16::padded(to.columns()) * pairs],
            bias: None,
            add: false,
            to,
        }
        .run();
    }

    /// Weights × values from `start` on, added to what `to` holds unless they are the first.
    pub fn values(&mut self, start: usize, weights: Matrix<'_>, to: Tile<'_>) {
        let d = bf16::padded(self.packed.sizes.1);
        let pairs = bf16::pairs(weights.columns());
        let left = &mut self.weights.pairs()[..bf16::padded(weights.rows()) * pairs];
        bf16::rows(weights, left);
        Product {
            instructions: self.packed.instructions,
            pairs,
            left,
            right: &self.values[start / 2 * d..][..pairs * d],
            bias: None,
            add: start > 0,
            to,
        }
        .run();
    }
}
