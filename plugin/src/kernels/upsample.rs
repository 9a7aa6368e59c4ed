//! Enlarging pictures.

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::op::{self, Kernel};
use super::path::choose;
use super::reference;

/// Each pixel of `x` `[batch, channels, height, width]` twice in both directions: `[.., 2 height, 2 width]`.
///
/// # Errors
/// If `x` is no batch of pictures, or the device has no room.
pub fn upsample_nearest_2x(x: &Tensor) -> Result<Tensor> {
    if x.rank() != 4 {
        bail!(
            "upsample: input of shape {:?}; expected [batch, channels, height, width]",
            x.dims()
        );
    }
    choose(x, |x| op::apply(Twice, x), reference::upsample_nearest_2x)
}

struct Twice;

impl Kernel for Twice {
    const NAME: &'static str = "upsample_nearest_2x";

    fn shape(&self, input: &[usize]) -> Vec<usize> {
        vec![input[0], input[1], 2 * input[2], 2 * input[3]]
    }

    fn forward(&self, dims: &[usize], x: &[f32], y: &mut [f32]) {
        let (plane, width) = (dims[2] * dims[3], dims[3]);
        if plane == 0 {
            return;
        }
        let planes = y.par_chunks_mut(4 * plane).zip(x.par_chunks(plane));
        planes.for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(4 * width).zip(x.chunks_exact(width)) {
                let (above, below) = y.split_at_mut(2 * width);
                for (pair, value) in above.chunks_exact_mut(2).zip(x) {
                    pair.fill(*value);
                }
                below.copy_from_slice(above);
            }
        });
    }

    fn backward(&self, dims: &[usize], _: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (plane, width) = (dims[2] * dims[3], dims[3]);
        if plane == 0 {
            return;
        }
        let planes = dx.par_chunks_mut(plane).zip(dy.par_chunks(4 * plane));
        planes.for_each(|(dx, dy)| {
            let rows = dx.chunks_exact_mut(width);
            for (dx, dy) in rows.zip(dy.chunks_exact(4 * width)) {
                let (above, below) = dy.split_at(2 * width);
                let pairs = above.chunks_exact(2).zip(below.chunks_exact(2));
                for (dx, (a, b)) in dx.iter_mut().zip(pairs) {
                    *dx = a[0] + a[1] + b[0] + b[1];
                }
            }
        });
    }
}
