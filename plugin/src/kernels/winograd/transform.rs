//! The transforms of Winograd's filtering F(4×4, 3×3), for as many tiles or kernels at once as a vector holds.

use pulp::{Simd, WithSimd};

use super::super::matrix::Tile;
use super::super::vector;
use super::{GROUP, POINTS, SEEN, TAPS, TILE};

/// factor · x + y.
#[inline(always)]
fn by<S: Simd>(simd: S, factor: f32, x: S::f32s, y: S::f32s) -> S::f32s {
    simd.mul_add_f32s(simd.splat_f32s(factor), x, y)
}

/// factor · x.
#[inline(always)]
fn times<S: Simd>(simd: S, factor: f32, x: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.splat_f32s(factor), x)
}

/// Bᵀ d: the input's transform in one direction.
#[inline(always)]
fn see<S: Simd>(simd: S, d: [S::f32s; SEEN]) -> [S::f32s; SEEN] {
    let even = by(simd, -4.0, d[2], d[4]);
    let odd = by(simd, -4.0, d[1], d[3]);
    let near = simd.sub_f32s(d[4], d[2]);
    let far = simd.sub_f32s(d[3], d[1]);
    [
        by(simd, 4.0, d[0], by(simd, -5.0, d[2], d[4])),
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        by(simd, 2.0, far, near),
        by(simd, -2.0, far, near),
        by(simd, 4.0, d[1], by(simd, -5.0, d[3], d[5])),
    ]
}

/// G g: the weights' transform in one direction.
#[inline(always)]
fn weigh<S: Simd>(simd: S, g: [S::f32s; 3]) -> [S::f32s; SEEN] {
    let outer = times(simd, -1.0 / 6.0, simd.add_f32s(g[0], g[2]));
    let middle = times(simd, 1.0 / 6.0, g[1]);
    let wide = simd.add_f32s(times(simd, 1.0 / 24.0, g[0]), times(simd, 1.0 / 6.0, g[2]));
    let narrow = times(simd, 1.0 / 12.0, g[1]);
    [
        times(simd, 0.25, g[0]),
        simd.sub_f32s(outer, middle),
        simd.add_f32s(outer, middle),
        simd.add_f32s(wide, narrow),
        simd.sub_f32s(wide, narrow),
        g[2],
    ]
}

/// Aᵀ m: the products' transform in one direction.
#[inline(always)]
fn paint<S: Simd>(simd: S, m: [S::f32s; SEEN]) -> [S::f32s; TILE] {
    let (near, far) = (simd.add_f32s(m[1], m[2]), simd.add_f32s(m[3], m[4]));
    let (rise, climb) = (simd.sub_f32s(m[1], m[2]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(simd.add_f32s(m[0], near), far),
        by(simd, 2.0, climb, rise),
        by(simd, 4.0, far, near),
        simd.add_f32s(by(simd, 8.0, climb, rise), m[5]),
    ]
}

/// Transforms what tiles see: Bᵀ d B.
pub(super) struct See<'a, 'b> {
    /// [`SEEN`]² rows of [`GROUP`] tiles.
    pub(super) tiles: &'a [f32],
    /// How many of them, in whole vectors.
    pub(super) columns: usize,
    /// One row for each point.
    pub(super) to: [Tile<'b>; POINTS],
}

impl WithSimd for See<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for at in (0..self.columns).step_by(S::F32_LANES) {
            let mut half = [[simd.splat_f32s(0.0); SEEN]; SEEN];
            for j in 0..SEEN {
                half[j] = see(
                    simd,
                    std::array::from_fn(
                        #[inline(always)]
                        |i| {
                            vector::load(
                                simd,
                                &self.tiles[(i * SEEN + j) * GROUP + at..][..S::F32_LANES],
                            )
                        },
                    ),
                );
            }
            for i in 0..SEEN {
                let row = see(
                    simd,
                    std::array::from_fn(
                        #[inline(always)]
                        |j| half[j][i],
                    ),
                );
                for j in 0..SEEN {
                    let to = &mut self.to[i * SEEN + j].row(0)[at..][..S::F32_LANES];
                    vector::store(simd, to, row[j]);
                }
            }
        }
    }
}

/// Transforms kernels: G g Gᵀ.
pub(super) struct Weigh<'a, 'b> {
    /// Of one output, for each input.
    pub(super) kernels: &'a [f32],
    /// One row for each point.
    pub(super) to: [Tile<'b>; POINTS],
}

impl WithSimd for Weigh<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let mut taps = [[0.0; GROUP]; TAPS];
        let kernels = self.kernels.as_chunks::<TAPS>().0;
        for (n, kernels) in kernels.chunks(S::F32_LANES).enumerate() {
            for (c, kernel) in kernels.iter().enumerate() {
                for k in 0..TAPS {
                    taps[k][c] = kernel[k];
                }
            }
            let g: [S::f32s; TAPS] = std::array::from_fn(
                #[inline(always)]
                |k| vector::load(simd, &taps[k][..S::F32_LANES]),
            );
            let mut half = [[simd.splat_f32s(0.0); SEEN]; 3];
            for j in 0..3 {
                half[j] = weigh(simd, [g[j], g[3 + j], g[6 + j]]);
            }
            for i in 0..SEEN {
                let row = weigh(simd, [half[0][i], half[1][i], half[2][i]]);
                for j in 0..SEEN {
                    let to = &mut self.to[i * SEEN + j].row(0)[n * S::F32_LANES..];
                    let to = &mut to[..kernels.len()];
                    vector::store(simd, to, row[j]);
                }
            }
        }
    }
}

/// Transforms products to tiles: Aᵀ m A.
pub(super) struct Paint<'a> {
    /// One row of tiles for each point, in whole vectors.
    pub(super) from: [&'a [f32]; POINTS],
    /// Added to each pixel.
    pub(super) bias: f32,
    /// [`TILE`]² rows of [`GROUP`] tiles.
    pub(super) tiles: &'a mut [f32],
}

impl WithSimd for Paint<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let bias = simd.splat_f32s(self.bias);
        for at in (0..self.from[0].len()).step_by(S::F32_LANES) {
            let mut half = [[simd.splat_f32s(0.0); TILE]; SEEN];
            for j in 0..SEEN {
                half[j] = paint(
                    simd,
                    std::array::from_fn(
                        #[inline(always)]
                        |i| vector::load(simd, &self.from[i * SEEN + j][at..][..S::F32_LANES]),
                    ),
                );
            }
            for i in 0..TILE {
                let row = paint(
                    simd,
                    std::array::from_fn(
                        #[inline(always)]
                        |j| half[j][i],
                    ),
                );
                for j in 0..TILE {
                    let to = &mut self.tiles[(i * TILE + j) * GROUP + at..][..S::F32_LANES];
                    vector::store(simd, to, simd.add_f32s(row[j], bias));
                }
            }
        }
    }
}
