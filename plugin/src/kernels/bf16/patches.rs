//! The patches of pictures under a convolution's kernel as panels, one pixel of the output a column.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::super::patches::{Geometry, Span};
use super::super::vector;
use super::SIDE;
use super::pack::round;

/// Pictures in bfloat16, with the zeros that a convolution adds around them.
#[derive(Debug)]
pub struct Patches<'a> {
    geometry: &'a Geometry,
    planes: &'a [u16],
    /// Where each value of a patch lies from the patch's corner, in a picture's planes.
    offsets: Vec<usize>,
}

impl<'a> Patches<'a> {
    /// Values that the pictures take up.
    pub fn room(geometry: &Geometry) -> usize {
        geometry.batch * geometry.channels * plane(geometry)
    }

    /// Rounds `x` into `planes`, which has [`room`](Self::room) for them, by all threads.
    pub fn new(geometry: &'a Geometry, x: &[f32], planes: &'a mut [u16]) -> Self {
        let [height, width] = geometry.input;
        let pictures = x.par_chunks_exact(height * width);
        let each = planes.par_chunks_exact_mut(plane(geometry));
        each.zip(pictures).for_each(|(to, from)| {
            let padding = geometry.padding;
            vector::run(Pad {
                from,
                to,
                width,
                padding,
            });
        });
        let [_, across] = padded(geometry);
        let [kh, kw] = geometry.size;
        let offsets = (0..geometry.depth()).map(|k| {
            let (channel, tap) = (k / (kh * kw), k % (kh * kw));
            channel * plane(geometry) + tap / kw * across + tap % kw
        });
        Self {
            geometry,
            planes,
            offsets: offsets.collect(),
        }
    }

    /// Lays the patches of at most [`SIDE`] pixels out as one panel, on this thread. The depth must be even.
    pub fn lay_out(&self, pixels: Span, panel: &mut [u32]) {
        vector::run(LayOut {
            patches: self,
            pixels,
            panel,
        });
    }

    /// Pixels of a row of the output that follow each other: where their first patch begins, and their columns.
    fn segments(&self, pixels: Span) -> impl Iterator<Item = (usize, usize, usize)> {
        let g = self.geometry;
        let [_, across] = padded(g);
        let picture = pixels.picture * g.channels * plane(g);
        let (first, end) = (pixels.pixel, pixels.pixel + pixels.count);
        let width = g.output[1];
        (first / width..end.div_ceil(width)).map(move |row| {
            let (from, to) = ((row * width).max(first), ((row + 1) * width).min(end));
            let corner = row * g.stride * across + (from - row * width) * g.stride;
            (picture + corner, from - first, to - first)
        })
    }
}

/// Height and width of a picture with its zeros.
fn padded(g: &Geometry) -> [usize; 2] {
    g.input.map(|length| length + 2 * g.padding)
}

fn plane(g: &Geometry) -> usize {
    let [height, width] = padded(g);
    height * width
}

struct Pad<'a, 'b> {
    from: &'a [f32],
    to: &'b mut [u16],
    width: usize,
    padding: usize,
}

impl WithSimd for Pad<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let across = self.width + 2 * self.padding;
        let (above, rest) = self.to.split_at_mut(self.padding * across);
        let (inside, below) = rest.split_at_mut(self.from.len() / self.width * across);
        above.fill(0);
        below.fill(0);
        let rows = self.from.chunks_exact(self.width);
        for (to, from) in inside.chunks_exact_mut(across).zip(rows) {
            to[..self.padding].fill(0);
            to[self.padding + self.width..].fill(0);
            for (to, from) in to[self.padding..].iter_mut().zip(from) {
                *to = round(*from);
            }
        }
    }
}

struct LayOut<'a, 'b> {
    patches: &'a Patches<'a>,
    pixels: Span,
    panel: &'b mut [u32],
}

impl WithSimd for LayOut<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Patches {
            geometry,
            planes,
            offsets,
        } = self.patches;
        let twos = offsets.as_chunks::<2>().0;
        let (own, rest) = self.panel.split_at_mut(twos.len() * SIDE);
        rest.fill(0);
        if self.pixels.count < SIDE {
            own.fill(0);
        }
        let reach = |pixels: usize| (pixels - 1) * geometry.stride + 1;
        for (corner, from, to) in self.patches.segments(self.pixels) {
            let length = reach(to - from);
            for (line, two) in own.chunks_exact_mut(SIDE).zip(twos) {
                let line = &mut line[from..to];
                let [first, second] = two.map(|offset| &planes[corner + offset..][..length]);
                if geometry.stride == 1 {
                    for ((to, a), b) in line.iter_mut().zip(first).zip(second) {
                        *to = u32::from(*a) | u32::from(*b) << 16;
                    }
                } else {
                    let twos = first.iter().zip(second).step_by(geometry.stride);
                    for (to, (a, b)) in line.iter_mut().zip(twos) {
                        *to = u32::from(*a) | u32::from(*b) << 16;
                    }
                }
            }
        }
    }
}
