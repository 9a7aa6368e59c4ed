//! The solution of the system by conjugate gradients.

use rayon::prelude::*;

use super::{Rgb, System, add, minus};
use crate::engine::patch::field::NONE;

/// Most rounds of conjugate gradients.
const ROUNDS: usize = 400;
/// Cells one task works on.
const PIECE: usize = 4096;

impl System {
    /// `A·x` at cell `i`.
    fn apply(&self, x: &[Rgb], i: usize) -> Rgb {
        let mut sum = x[i].map(|v| v * self.diagonal[i]);
        let links = self.links[i].iter().zip(&self.weights[i]);
        for (&link, &weight) in links.filter(|(l, _)| **l != NONE) {
            let (n, weight) = (x[link as usize], f32::from(weight) / 255.0);
            for c in 0..3 {
                sum[c] -= weight * n[c];
            }
        }
        sum
    }

    /// Conjugate gradients, the diagonal as preconditioner, the three channels side by side, until the residual has fallen to
    /// the share `left`.
    pub(super) fn solve(&self, wanted: &[Rgb], start: &[Rgb], left: f64) -> Vec<Rgb> {
        let scaled = |r: &Rgb, i: usize| r.map(|v| v / self.diagonal[i]);
        // The solution so far, and what is left to explain.
        let mut state: Vec<[Rgb; 2]> = start.iter().map(|x| [*x, [0.0; 3]]).collect();
        let mut rz = change(&mut state, |i, [_, r]| {
            *r = minus(wanted[i], self.apply(start, i));
            products(r, &scaled(r, i))
        });
        let mut direction: Vec<Rgb> = state
            .par_iter()
            .enumerate()
            .map(|(i, [_, r])| scaled(r, i))
            .collect();
        let mut ad = direction.clone();
        let goal = rz.iter().sum::<f64>() * left * left + 1e-12;
        for _ in 0..ROUNDS {
            if rz.iter().sum::<f64>() < goal {
                break;
            }
            let curvature = change(&mut ad, |i, ad| {
                *ad = self.apply(&direction, i);
                products(ad, &direction[i])
            });
            let length = ratio(rz, curvature);
            let next = change(&mut state, |i, [x, r]| {
                add(x, length, direction[i]);
                add(r, length.map(|v| -v), ad[i]);
                products(r, &scaled(r, i))
            });
            let keep = ratio(next, rz);
            rz = next;
            direction
                .par_iter_mut()
                .zip(&state)
                .enumerate()
                .for_each(|(i, (d, [_, r]))| {
                    let z = scaled(r, i);
                    for c in 0..3 {
                        d[c] = z[c] + keep[c] * d[c];
                    }
                });
        }
        state.into_iter().map(|[x, _]| x).collect()
    }
}

fn ratio(a: [f64; 3], b: [f64; 3]) -> Rgb {
    std::array::from_fn(|c| {
        if b[c].abs() > 1e-20 {
            (a[c] / b[c]) as f32
        } else {
            0.0
        }
    })
}

fn products(a: &Rgb, b: &Rgb) -> [f64; 3] {
    std::array::from_fn(|c| f64::from(a[c]) * f64::from(b[c]))
}

/// Changes a list place by place and sums what `each` returns, per channel. Pieces of a fixed length are added in their
/// order, so that the result does not depend on the number of threads.
fn change<T: Send>(list: &mut [T], each: impl Fn(usize, &mut T) -> [f64; 3] + Sync) -> [f64; 3] {
    let sums: Vec<[f64; 3]> = list
        .par_chunks_mut(PIECE)
        .enumerate()
        .map(|(piece, part)| {
            let mut sum = [0.0f64; 3];
            for (k, value) in part.iter_mut().enumerate() {
                let told = each(piece * PIECE + k, value);
                for c in 0..3 {
                    sum[c] += told[c];
                }
            }
            sum
        })
        .collect();
    sums.iter().fold([0.0; 3], |total, sum| {
        std::array::from_fn(|c| total[c] + sum[c])
    })
}
