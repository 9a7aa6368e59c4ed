//! Convolution of pictures with a frozen weight: by Winograd's filtering where that pays, else products of the weight with
//! patches (im2col), a bounded number of rows of the output at a time.
#![allow(unsafe_code, reason = "threads fill their own tiles of one output")]

mod half;

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::bf16::{self, Instructions};
use super::linear::{check_bias, parameters};
use super::matrix::{Matrix, Shared};
use super::op::{self, Kernel};
use super::patches::{Geometry, Span};
use super::path::choose;
use super::scratch::Scratch;
use super::weight::Weight;
use super::winograd::Winograd;
use super::{Frozen, Precision, reference};

/// Values of patches that are laid out at once: 32 MiB.
const PATCHES: usize = 1 << 23;
/// Pixels of a tile.
const PIXELS: usize = 1024;

/// Cross-correlation of `x` `[batch, ci, height, width]` with `w` `[co, ci, kh, kw]` plus `bias` `[co]`, with `padding` rows
/// and columns of zeros on each side, kept at every `stride`-th place:
/// `[batch, co, (height + 2 padding − kh) / stride + 1, …]`. The gradient goes to `x` alone.
///
/// # Errors
/// If the shapes do not fit, the kernel is larger than the padded picture, the stride is 0, or the device has no room.
pub fn conv2d(
    x: &Tensor,
    w: &Frozen,
    bias: Option<&Tensor>,
    stride: usize,
    padding: usize,
) -> Result<Tensor> {
    let &[co, ci, kh, kw] = w.shape() else {
        bail!(
            "conv2d: a weight of shape {:?}; expected [outputs, inputs, height, width]",
            w.shape()
        );
    };
    let &[_, channels, height, width] = x.dims() else {
        bail!(
            "conv2d: input of shape {:?}; expected [batch, {ci}, height, width]",
            x.dims()
        );
    };
    if channels != ci {
        bail!("conv2d: input of {channels} channels; the weight expects {ci}");
    }
    if stride == 0 || kh == 0 || kw == 0 {
        bail!("conv2d: a kernel of {kh}×{kw} with stride {stride}; expected at least 1");
    }
    // A padding as wide as the kernel would only add constants; the bound keeps sizes from overflowing.
    if padding >= kh.max(kw) || height + 2 * padding < kh || width + 2 * padding < kw {
        bail!("conv2d: a kernel of {kh}×{kw} on {height}×{width} with padding {padding}");
    }
    check_bias("conv2d", bias, co)?;
    choose(
        x,
        |x| {
            let kernel = Conv2d {
                w: w.clone(),
                bias: bias.map(parameters).transpose()?,
                size: [kh, kw],
                stride,
                padding,
            };
            op::apply(kernel, x)
        },
        |x| reference::conv2d(x, w, bias, stride, padding),
    )
}

struct Conv2d {
    w: Frozen,
    bias: Option<Vec<f32>>,
    size: [usize; 2],
    stride: usize,
    padding: usize,
}

impl Conv2d {
    fn geometry(&self, dims: &[usize]) -> Geometry {
        let out = |i: usize| (dims[2 + i] + 2 * self.padding - self.size[i]) / self.stride + 1;
        Geometry {
            batch: dims[0],
            channels: dims[1],
            input: [dims[2], dims[3]],
            output: [out(0), out(1)],
            size: self.size,
            stride: self.stride,
            padding: self.padding,
        }
    }

    /// The same by Winograd's filtering, where that pays; its gradient, if `turned`.
    fn winograd(&self, dims: &[usize], turned: bool) -> Option<Winograd<'_>> {
        let (co, ci) = (self.w.shape()[0], dims[1]);
        let (inputs, outputs) = if turned { (co, ci) } else { (ci, co) };
        let found = Winograd {
            batch: dims[0],
            inputs,
            outputs,
            height: dims[2],
            width: dims[3],
            weights: self.w.values(),
            turned,
        };
        let fits = (self.size, self.stride, self.padding) == ([3, 3], 1, 1);
        (fits && found.pays()).then_some(found)
    }

    /// What multiplies bfloat16, where that is asked for and pays. Winograd's quarter of the multiplications in `f32` is
    /// more than what vectors gain, and less than what matrix units do.
    fn halves(&self, g: &Geometry, winograd: bool) -> Option<Instructions> {
        let Precision::Bf16(instructions) = self.w.precision() else {
            return None;
        };
        let wide = g.depth().is_multiple_of(2) && self.w.shape()[0] >= bf16::SIDE;
        (wide && !(winograd && instructions == Instructions::Avx512)).then_some(instructions)
    }

    /// Calls `run` with rows of the output, a part of one picture each, that are worked on together: so many that their
    /// patches stay within bounds.
    fn blocks(g: &Geometry, mut run: impl FnMut(usize, usize)) {
        let depth = g.depth() * g.output[1];
        let step = (PATCHES / depth.max(1)).max(1);
        let rows = g.batch * g.output[0];
        for from in (0..rows).step_by(step) {
            run(from, step.min(rows - from));
        }
    }
}

impl Kernel for Conv2d {
    const NAME: &'static str = "conv2d";

    fn shape(&self, input: &[usize]) -> Vec<usize> {
        let g = self.geometry(input);
        vec![g.batch, self.w.shape()[0], g.output[0], g.output[1]]
    }

    fn forward(&self, dims: &[usize], x: &[f32], y: &mut [f32]) {
        let g = self.geometry(dims);
        let (co, depth, plane) = (self.w.shape()[0], g.depth(), g.plane());
        if y.is_empty() {
            return;
        }
        let winograd = self.winograd(dims, false);
        if let Some(instructions) = self.halves(&g, winograd.is_some()) {
            return half::run(instructions, &self.w, self.bias.as_deref(), &g, (x, y));
        }
        if let Some(winograd) = winograd {
            return winograd.run(x, self.bias.as_deref(), y);
        }
        let w = Weight::new(self.w.values(), depth);
        let step = w.step(co);
        let mut widened = Scratch::of(w.scratch(step * depth));
        let y = Shared::new(y);
        Self::blocks(&g, |from, rows| {
            let pixels = rows * g.output[1];
            let mut laid = Scratch::of(if g.is_plain() { 0 } else { depth * pixels });
            if !g.is_plain() {
                g.lay_out(x, from, rows, &mut laid);
            }
            let spans = g.spans(
                from,
                rows,
                PIXELS.min(pixels.div_ceil(rayon::current_num_threads())),
            );
            for first in (0..co).step_by(step) {
                let count = step.min(co - first);
                let w = w.rows(first, count, &mut widened);
                tasks(&spans, count)
                    .into_par_iter()
                    .for_each(|(span, start, count)| {
                        let offset = (span.picture * co + first + start) * plane + span.pixel;
                        // SAFETY: tasks have spans of pixels or ranges of channels to themselves.
                        let mut tile = unsafe { y.tile(offset, count, span.count, plane) };
                        if let Some(bias) = &self.bias {
                            for c in 0..count {
                                tile.row(c).fill(bias[first + start + c]);
                            }
                        }
                        let patches = if g.is_plain() {
                            let picture = &x[span.picture * depth * plane + span.pixel..];
                            Matrix::new(picture, depth, span.count, plane)
                        } else {
                            Matrix::new(&laid[span.laid..], depth, span.count, pixels)
                        };
                        tile.multiply(w.part(start, count), patches, self.bias.is_some());
                    });
            }
        });
    }

    fn backward(&self, dims: &[usize], _: &[f32], dy: &[f32], dx: &mut [f32]) {
        let g = self.geometry(dims);
        let (co, depth, plane) = (self.w.shape()[0], g.depth(), g.plane());
        if dy.is_empty() || dx.is_empty() {
            return;
        }
        if let Some(winograd) = self.winograd(dims, true) {
            return winograd.run(dy, None, dx);
        }
        let w = Weight::new(self.w.values(), depth);
        let step = w.step(co);
        let mut widened = Scratch::of(w.scratch(step * depth));
        Self::blocks(&g, |from, rows| {
            let pixels = rows * g.output[1];
            let mut laid = Scratch::of(if g.is_plain() { 0 } else { depth * pixels });
            let spans = g.spans(
                from,
                rows,
                PIXELS.min(pixels.div_ceil(rayon::current_num_threads())),
            );
            let (target, stride) = if g.is_plain() {
                (Shared::new(dx), plane)
            } else {
                (Shared::new(&mut laid), pixels)
            };
            for first in (0..co).step_by(step) {
                let count = step.min(co - first);
                let w = w.rows(first, count, &mut widened).transposed();
                tasks(&spans, depth)
                    .into_par_iter()
                    .for_each(|(span, start, rows)| {
                        let offset = if g.is_plain() {
                            (span.picture * depth + start) * plane + span.pixel
                        } else {
                            start * pixels + span.laid
                        };
                        // SAFETY: tasks have spans of pixels or ranges of patch values to themselves.
                        let mut tile = unsafe { target.tile(offset, rows, span.count, stride) };
                        let dy = &dy[(span.picture * co + first) * plane + span.pixel..];
                        let dy = Matrix::new(dy, count, span.count, plane);
                        tile.multiply(w.part(start, rows), dy, first > 0);
                    });
            }
            if !g.is_plain() {
                g.gather(&laid, from, rows, dx);
            }
        });
    }
}

/// Spans, each with a range (start, count) of `all` rows: with few spans, the rows are divided so that no thread idles.
fn tasks(spans: &[Span], all: usize) -> Vec<(Span, usize, usize)> {
    let parts = rayon::current_num_threads().div_ceil(spans.len().max(1));
    let step = all.div_ceil(parts).max(1);
    let of = |span: Span| {
        (0..all)
            .step_by(step)
            .map(move |start| (span, start, step.min(all - start)))
    };
    spans.iter().copied().flat_map(of).collect()
}
