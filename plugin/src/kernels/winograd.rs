//! 3×3 convolutions by Winograd's minimal filtering F(4×4, 3×3) (Lavin and Gray, arXiv 1509.09308, §4.3): pictures and
//! weights are transformed so that the convolution becomes 36 products of matrices, with a quarter of the multiplications.
#![allow(unsafe_code, reason = "threads fill their own rows of shared buffers")]

mod transform;

use rayon::prelude::*;

use super::Values;
use super::matrix::{Matrix, Shared};
use super::product::{self, Product};
use super::scratch::Scratch;
use super::vector;
use transform::{Paint, See, Weigh};

/// Side of a tile of the output.
const TILE: usize = 4;
/// Side of what a tile sees.
const SEEN: usize = 6;
/// Products, one for each place of what a tile sees.
const POINTS: usize = SEEN * SEEN;
/// Values of a kernel.
const TAPS: usize = 9;
/// Values of transformed pictures that are kept at once, and as many of transformed weights with their products: 16 MiB each.
const ROOM: usize = 1 << 22;
/// Tiles from which on transforming the weights pays.
const FEW: usize = 24;
/// Channels from which on transforming the picture pays.
const NARROW: usize = 32;
/// Outputs whose weights one task transforms.
const OUTPUTS: usize = 8;
/// The most tiles that are transformed together: the columns of the widest panel.
const GROUP: usize = 64;

/// A convolution with 3×3 kernels, stride 1 and one zero around the picture.
#[derive(Debug, Clone, Copy)]
pub struct Winograd<'a> {
    /// Pictures.
    pub batch: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Pixels of a column.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// `[outputs, inputs, 3, 3]`, or, where they are turned, `[inputs, outputs, 3, 3]`.
    pub weights: Values<'a>,
    /// Whether kernels are rotated by half a turn, and inputs and outputs swapped: the gradient of the input, from that of the
    /// output.
    pub turned: bool,
}

/// Rows of tiles that are worked on together.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The first, of all pictures' rows of tiles.
    first: usize,
    /// Tiles of a row.
    across: usize,
    /// All tiles.
    tiles: usize,
    /// The same, in whole vectors.
    padded: usize,
}

impl Winograd<'_> {
    /// Whether this is faster than products with patches.
    pub fn pays(&self) -> bool {
        let tiles = self.batch * self.height.div_ceil(TILE) * self.width.div_ceil(TILE);
        tiles >= FEW && self.inputs >= NARROW && self.outputs >= NARROW
    }

    /// Writes the convolution of `x` `[batch, inputs, height, width]`, plus a bias for each output channel, to `y`
    /// `[batch, outputs, height, width]`.
    pub fn run(&self, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let (down, across) = (self.height.div_ceil(TILE), self.width.div_ceil(TILE));
        let rows = self.batch * down;
        let step = (ROOM / (POINTS * self.inputs * across)).clamp(1, rows);
        // Blocks of equal size.
        let step = rows.div_ceil(rows.div_ceil(step));
        let y = Shared::new(y);
        for first in (0..rows).step_by(step) {
            let tiles = step.min(rows - first) * across;
            let block = Block {
                first,
                across,
                tiles,
                padded: product::padded(tiles),
            };
            let mut seen = Scratch::of(POINTS * self.inputs * block.padded);
            self.see(x, &block, &mut seen);
            let most = ROOM / (POINTS * (self.inputs + block.padded));
            let parts = self.outputs.div_ceil(most.clamp(1, self.outputs));
            let part = self.outputs.div_ceil(parts);
            for output in (0..self.outputs).step_by(part) {
                let range = (output, part.min(self.outputs - output));
                self.filter(&block, &seen, range, bias, &y);
            }
        }
    }

    /// Transforms the input of a block: for each point panels of tiles, channel by channel.
    fn see(&self, x: &[f32], block: &Block, seen: &mut [f32]) {
        let plane = self.height * self.width;
        let wide = product::width();
        let seen = Shared::new(seen);
        (0..self.inputs).into_par_iter().for_each(|channel| {
            let mut line = Scratch::of(TILE * (block.across + 1));
            let mut tiles = Scratch::of(POINTS * GROUP);
            for start in (0..block.tiles).step_by(wide) {
                let count = wide.min(block.tiles - start);
                let columns = wide.min(block.padded - start);
                for (row, tile, at, length) in block.segments(start, count) {
                    let (picture, row) = (row / self.down(), row % self.down());
                    let x = &x[(picture * self.inputs + channel) * plane..][..plane];
                    let place = (tile, at, length);
                    self.gather(x, row, place, &mut line, &mut tiles);
                }
                let to = std::array::from_fn(|point| {
                    let panel = point * self.inputs * block.padded + start * self.inputs;
                    // SAFETY: channels have rows of their own.
                    unsafe { seen.tile(panel + channel * columns, 1, columns, columns) }
                });
                vector::run(See {
                    tiles: &tiles,
                    columns,
                    to,
                });
            }
        });
    }

    /// Rows of tiles of a picture.
    fn down(&self) -> usize {
        self.height.div_ceil(TILE)
    }

    /// Copies what `length` tiles see, from tile `tile` of row `row` on, to the columns from `at` on.
    fn gather(
        &self,
        x: &[f32],
        row: usize,
        (tile, at, length): (usize, usize, usize),
        line: &mut [f32],
        tiles: &mut [f32],
    ) {
        for (i, tiles) in tiles.chunks_exact_mut(SEEN * GROUP).enumerate() {
            let source = (row * TILE + i).checked_sub(1).filter(|y| *y < self.height);
            let Some(y) = source else {
                for column in tiles.chunks_exact_mut(GROUP) {
                    column[at..at + length].fill(0.0);
                }
                continue;
            };
            line[0] = 0.0;
            line[1..=self.width].copy_from_slice(&x[y * self.width..][..self.width]);
            line[self.width + 1..].fill(0.0);
            let quads = &line.as_chunks::<TILE>().0[tile..tile + length + 1];
            for (j, column) in tiles.chunks_exact_mut(GROUP).enumerate() {
                let quads = &quads[j / TILE..][..length];
                let j = j % TILE;
                for (to, quad) in column[at..at + length].iter_mut().zip(quads) {
                    *to = quad[j];
                }
            }
        }
    }

    /// Computes some of the outputs of a block: `range` is the first and how many.
    fn filter(
        &self,
        block: &Block,
        seen: &[f32],
        (first, count): (usize, usize),
        bias: Option<&[f32]>,
        y: &Shared<'_>,
    ) {
        let mut weights = Scratch::of(POINTS * count * self.inputs);
        self.weigh(first, count, &mut weights);
        let mut made = Scratch::of(POINTS * count * block.padded);
        let products = Shared::new(&mut made);
        (0..POINTS).into_par_iter().for_each(|point| {
            let weights = &weights[point * count * self.inputs..];
            let all = self.inputs * block.padded;
            let offset = point * count * block.padded;
            // SAFETY: points have matrices of their own.
            let to = unsafe { products.tile(offset, count, block.padded, block.padded) };
            Product {
                left: Matrix::new(weights, count, self.inputs, self.inputs),
                right: &seen[point * all..][..all],
                bias: None,
                add: false,
                to,
            }
            .run();
        });
        let made = &made[..];
        (0..count).into_par_iter().for_each(|output| {
            let bias = bias.map_or(0.0, |bias| bias[first + output]);
            let mut tiles = Scratch::of(TILE * TILE * GROUP);
            for start in (0..block.tiles).step_by(GROUP) {
                let columns = GROUP.min(block.padded - start);
                let from = std::array::from_fn(|point| {
                    &made[(point * count + output) * block.padded + start..][..columns]
                });
                vector::run(Paint {
                    from,
                    bias,
                    tiles: &mut tiles,
                });
                let length = GROUP.min(block.tiles - start);
                for segment in block.segments(start, length) {
                    self.scatter(&tiles, first + output, segment, y);
                }
            }
        });
    }

    /// Copies tiles of an output channel to their places.
    fn scatter(
        &self,
        tiles: &[f32],
        output: usize,
        (row, tile, at, length): (usize, usize, usize, usize),
        y: &Shared<'_>,
    ) {
        let (picture, row) = (row / self.down(), row % self.down());
        let plane = (picture * self.outputs + output) * self.height * self.width;
        let left = tile * TILE;
        let count = (length * TILE).min(self.width - left);
        for i in 0..TILE.min(self.height - row * TILE) {
            let offset = plane + (row * TILE + i) * self.width + left;
            // SAFETY: tasks have channels of their own.
            let mut line = unsafe { y.tile(offset, 1, count, count) };
            let line = line.row(0);
            let columns: [&[f32]; TILE] =
                std::array::from_fn(|j| &tiles[(i * TILE + j) * GROUP + at..][..length]);
            let (quads, rest) = line.as_chunks_mut::<TILE>();
            for (t, quad) in quads.iter_mut().enumerate() {
                *quad = columns.map(|column| column[t]);
            }
            for (j, to) in rest.iter_mut().enumerate() {
                *to = columns[j][length - 1];
            }
        }
    }

    /// Transforms the weights of `count` outputs from `first` on: for each point a row of inputs for each output.
    fn weigh(&self, first: usize, count: usize, weights: &mut [f32]) {
        let shared = Shared::new(weights);
        let tasks = count.div_ceil(OUTPUTS);
        (0..tasks).into_par_iter().for_each(|task| {
            let start = task * OUTPUTS;
            let outputs = OUTPUTS.min(count - start);
            let mut kernels = Scratch::of(outputs * self.inputs * TAPS);
            self.kernels(first + start, outputs, &mut kernels);
            for (o, kernels) in kernels.chunks_exact(self.inputs * TAPS).enumerate() {
                let to = std::array::from_fn(|point| {
                    let offset = (point * count + start + o) * self.inputs;
                    // SAFETY: outputs have rows of their own.
                    unsafe { shared.tile(offset, 1, self.inputs, self.inputs) }
                });
                vector::run(Weigh { kernels, to });
            }
        });
    }

    /// The kernels of `count` outputs from `first` on, widened: `[count, inputs, 9]`.
    fn kernels(&self, first: usize, count: usize, kernels: &mut [f32]) {
        if !self.turned {
            return self.weights.widen(first * self.inputs * TAPS, kernels);
        }
        let mut turned = [0.0; OUTPUTS * TAPS];
        let turned = &mut turned[..count * TAPS];
        for input in 0..self.inputs {
            let start = (input * self.outputs + first) * TAPS;
            self.weights.widen(start, turned);
            for (o, kernel) in turned.chunks_exact(TAPS).enumerate() {
                let to = &mut kernels[(o * self.inputs + input) * TAPS..][..TAPS];
                to.iter_mut()
                    .zip(kernel.iter().rev())
                    .for_each(|(to, from)| *to = *from);
            }
        }
    }
}

impl Block {
    /// The tiles `start..start + count` of this block by rows: the row among all pictures' rows, its first tile, the place of
    /// that tile from `start` on, and how many.
    fn segments(
        self,
        start: usize,
        count: usize,
    ) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let rows = start / self.across..(start + count).div_ceil(self.across);
        rows.map(move |row| {
            let begin = (row * self.across).max(start);
            let end = ((row + 1) * self.across).min(start + count);
            (
                self.first + row,
                begin - row * self.across,
                begin - start,
                end - begin,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    /// One value of the convolution, in `f64`.
    fn value(it: &Winograd<'_>, weights: &[f32], x: &[f32], at: [usize; 4]) -> f64 {
        let [picture, output, row, column] = at;
        let mut sum = 0.0;
        for input in 0..it.inputs {
            for tap in 0..TAPS {
                let (y, x_) = (row + tap / 3, column + tap % 3);
                if !(1..=it.height).contains(&y) || !(1..=it.width).contains(&x_) {
                    continue;
                }
                let weight = match it.turned {
                    true => weights[(input * it.outputs + output) * TAPS + 8 - tap],
                    false => weights[(output * it.inputs + input) * TAPS + tap],
                };
                let plane = (picture * it.inputs + input) * it.height;
                let pixel = x[(plane + y - 1) * it.width + x_ - 1];
                sum += f64::from(weight) * f64::from(pixel);
            }
        }
        sum
    }

    #[test]
    fn large_pictures_are_worked_on_in_parts() {
        let mut random = Pcg64::seed_from_u64(1);
        let (inputs, outputs, height, width) = (33, 70, 261, 250);
        let mut some =
            |n: usize| -> Vec<f32> { (0..n).map(|_| random.random_range(-1.0f32..1.0)).collect() };
        let (weights, x) = (
            some(inputs * outputs * TAPS),
            some(2 * inputs * height * width),
        );
        let bias = some(outputs);
        for turned in [false, true] {
            let it = Winograd {
                batch: 2,
                inputs,
                outputs,
                height,
                width,
                weights: Values::F32(&weights),
                turned,
            };
            assert!(it.pays());
            // More than one block, and more than one part of the outputs.
            let tiles = 2 * height.div_ceil(TILE) * width.div_ceil(TILE);
            assert!(POINTS * inputs * tiles > ROOM);
            let mut y = vec![f32::NAN; 2 * outputs * height * width];
            it.run(&x, Some(&bias), &mut y);
            assert!(y.iter().all(|v| v.is_finite()));
            let corners = [0, 1, 3, 4, 128, height - 2, height - 1];
            for (n, (row, column)) in corners
                .iter()
                .flat_map(|r| [0, 1, 2, 5, 127, width - 2, width - 1].map(|c| (*r, c)))
                .enumerate()
            {
                let (picture, output) = (n % 2, n * 11 % outputs);
                let expected = value(&it, &weights, &x, [picture, output, row, column])
                    + f64::from(bias[output]);
                let at = ((picture * outputs + output) * height + row) * width + column;
                assert!(
                    (f64::from(y[at]) - expected).abs() < 1e-4,
                    "{} at {row}, {column}; expected {expected}",
                    y[at]
                );
            }
        }
    }
}
