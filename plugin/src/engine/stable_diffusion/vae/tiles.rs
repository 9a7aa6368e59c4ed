//! Pictures too large for one pass, tile by tile.
//!
//! What differs from a single pass: group norms and the attention see a tile instead of the picture, so colours and
//! contrast of a tile can shift a little. Tiles overlap and are blended with weights that fall to nothing at their edges,
//! which turns such a shift into a slope; where only one tile lies, its own values stand. A picture no larger than a tile
//! is computed in a single pass, exactly.

use candle_core::Tensor;

use super::{Latents, Vae};
use crate::{Error, Result};

/// How pictures are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Side of a tile, in latents; the networks were trained at 64 (SDXL 128).
    pub side: usize,
    /// By how many latents neighbours overlap at least; less than `side`.
    pub overlap: usize,
}

impl Default for Tiling {
    fn default() -> Self {
        Self {
            side: 64,
            overlap: 16,
        }
    }
}

/// A tile along one axis: where it begins, and the weight of each of its places.
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) weights: Vec<f32>,
}

impl Tiling {
    fn check(&self) -> Result<()> {
        if self.side == 0 || self.overlap >= self.side {
            return Err(Error::caller(format!(
                "tiles of {} latents that overlap by {}; the overlap must be smaller",
                self.side, self.overlap
            )));
        }
        Ok(())
    }

    /// Tiles of one size, evenly over `length`. Weights are for `scale` places a latent, and sum to 1 at each place.
    pub(super) fn spans(&self, length: usize, scale: usize) -> Vec<Span> {
        let side = self.side.min(length);
        let count =
            (length - self.overlap.min(side - 1)).div_ceil(side - self.overlap.min(side - 1));
        let starts: Vec<usize> = match count {
            0 | 1 => vec![0],
            _ => (0..count)
                .map(|i| (i * (length - side) + (count - 1) / 2) / (count - 1))
                .collect(),
        };
        let size = side * scale;
        let mut total = vec![0.0; length * scale];
        let mut spans = Vec::new();
        for (i, start) in starts.iter().enumerate() {
            // A slope over what is shared with the neighbour, on that side.
            let before = i.checked_sub(1).map_or(0, |j| starts[j] + side - start) * scale;
            let after = starts.get(i + 1).map_or(0, |next| start + side - next) * scale;
            let slope = |distance: usize, shared: usize| match shared {
                0 => 1.0,
                _ => ((distance as f32 + 0.5) / shared as f32).min(1.0),
            };
            let weights: Vec<f32> = (0..size)
                .map(|at| slope(at, before) * slope(size - 1 - at, after))
                .collect();
            for (at, weight) in weights.iter().enumerate() {
                total[start * scale + at] += weight;
            }
            spans.push(Span {
                start: *start,
                weights,
            });
        }
        for span in &mut spans {
            for (at, weight) in span.weights.iter_mut().enumerate() {
                *weight /= total[span.start * scale + at];
            }
        }
        spans
    }

    /// Applies `network` tile by tile to `x`, whose places are `into` to a latent, and blends results with `from` places
    /// to a latent.
    pub(super) fn run(
        &self,
        x: &Tensor,
        (into, from): (usize, usize),
        step: &mut dyn FnMut() -> Result<()>,
        network: impl Fn(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let (rows, columns) = (height / into, width / into);
        let (down, across) = (self.spans(rows, from), self.spans(columns, from));
        let (tall, wide) = (self.side.min(rows), self.side.min(columns));
        let mut all: Option<Tensor> = None;
        for row in &down {
            for column in &across {
                step()?;
                let tile = x.narrow(2, row.start * into, tall * into)?.narrow(
                    3,
                    column.start * into,
                    wide * into,
                )?;
                let y = network(&tile.contiguous()?)?;
                let weigh = |span: &Span, shape: (usize, usize, usize, usize)| {
                    let weights = Tensor::from_slice(&span.weights, shape, y.device())?;
                    weights.to_dtype(y.dtype())
                };
                let y = y
                    .broadcast_mul(&weigh(row, (1, 1, tall * from, 1))?)?
                    .broadcast_mul(&weigh(column, (1, 1, 1, wide * from))?)?;
                let y = y
                    .pad_with_zeros(2, row.start * from, (rows - row.start - tall) * from)?
                    .pad_with_zeros(
                        3,
                        column.start * from,
                        (columns - column.start - wide) * from,
                    )?;
                all = Some(match all {
                    Some(sum) => (sum + y)?,
                    None => y,
                });
            }
        }
        all.ok_or_else(|| Error::bug("no tile in a picture"))
    }
}

impl Vae {
    /// [`encode`](Self::encode) in tiles. `step` is called before each: an error from it, as when a job is cancelled, ends
    /// the work.
    ///
    /// # Errors
    /// `Caller` if the shape or the tiling does not fit; what `step` gives.
    pub fn encode_tiled(
        &self,
        pictures: &Tensor,
        tiling: Tiling,
        step: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Latents> {
        tiling.check()?;
        self.check_pictures(pictures)?;
        let factor = self.config.factor();
        let moments = tiling.run(pictures, (factor, 1), step, |tile| {
            let found = self.encode(tile)?;
            Ok(Tensor::cat(&[found.mean, found.logvar], 1)?)
        })?;
        let channels = self.config.latent_channels;
        Ok(Latents {
            mean: moments.narrow(1, 0, channels)?.contiguous()?,
            logvar: moments.narrow(1, channels, channels)?.contiguous()?,
        })
    }

    /// [`decode`](Self::decode) in tiles, as [`encode_tiled`](Self::encode_tiled).
    ///
    /// # Errors
    /// `Caller` if the shape or the tiling does not fit; what `step` gives.
    pub fn decode_tiled(
        &self,
        latents: &Tensor,
        tiling: Tiling,
        step: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Tensor> {
        tiling.check()?;
        super::check_latents(latents, self.config.latent_channels)?;
        let factor = self.config.factor();
        tiling.run(latents, (1, factor), step, |tile| self.decode(tile))
    }
}
