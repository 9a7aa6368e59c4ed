//! The same in bfloat16: products of the weight with the patches of some pixels at a time, both rounded once.

use rayon::prelude::*;

use super::super::Frozen;
use super::super::bf16::{self, Instructions, Patches, Product, SIDE};
use super::super::matrix::Shared;
use super::super::patches::{Geometry, Span};
use super::super::scratch::Scratch;
use super::super::weight::{PART, Weight};
use super::{Conv2d, tasks};

/// Pixels of a task.
const PIXELS: usize = 512;

/// Writes the convolution of `x` to `y`. The depth must be even.
pub fn run(
    instructions: Instructions,
    weight: &Frozen,
    bias: Option<&[f32]>,
    g: &Geometry,
    (x, y): (&[f32], &mut [f32]),
) {
    let (co, depth, plane) = (weight.shape()[0], g.depth(), g.plane());
    let weight = Weight::new(weight.values(), depth);
    let pairs = bf16::pairs(depth);
    let size = pairs * SIDE;
    let room = Patches::room(g);
    let mut planes = Scratch::of(room.div_ceil(2));
    let patches = Patches::new(g, x, &mut planes.halves()[..room]);
    let step = (PART / depth).clamp(1, co);
    let mut weights = Scratch::of(bf16::padded(step) * pairs);
    let y = Shared::new(y);
    Conv2d::blocks(g, |from, rows| {
        let spans = g.spans(from, rows, PIXELS);
        let panels: Vec<Span> = spans.iter().flat_map(|span| span.parts(SIDE)).collect();
        let mut laid = Scratch::of(panels.len() * size);
        let each = laid.pairs().par_chunks_exact_mut(size).zip(&panels);
        each.for_each(|(panel, pixels)| patches.lay_out(*pixels, panel));
        let laid = &*laid.pairs();
        for first in (0..co).step_by(step) {
            let count = step.min(co - first);
            let weights = &mut weights.pairs()[..bf16::padded(count) * pairs];
            weight.half_rows(first, count, weights);
            let weights = &*weights;
            let tasks = tasks(&spans, count.div_ceil(SIDE)).into_par_iter();
            tasks.for_each(|(span, start, blocks)| {
                let panel = panels.partition_point(|p| p.laid < span.laid);
                let channels = (count - start * SIDE).min(blocks * SIDE);
                let output = first + start * SIDE;
                let offset = (span.picture * co + output) * plane + span.pixel;
                // SAFETY: tasks have spans of pixels or ranges of channels to themselves.
                let mut to = unsafe { y.tile(offset, channels, span.count, plane) };
                if let Some(bias) = bias {
                    for c in 0..channels {
                        to.row(c).fill(bias[output + c]);
                    }
                }
                Product {
                    instructions,
                    pairs,
                    left: &weights[start * size..][..channels.div_ceil(SIDE) * size],
                    right: &laid[panel * size..][..span.count.div_ceil(SIDE) * size],
                    bias: None,
                    add: bias.is_some(),
                    to,
                }
                .run();
            });
        }
    });
}
