//! The solution of the system by conjugate gradients, prepared on coarser and coarser self.

use rayon::prelude::*;

use super::grids::{Grids, PIECE, Quad};

/// Most rounds of conjugate gradients; it takes about ten.
const ROUNDS: usize = 100;

impl Grids {
    /// Conjugate gradients with a multigrid cycle as preconditioner, the three channels side by side, from `x`, until the error (in the
    /// energy norm, as the preconditioner sees it) has fallen to the share `left`.
    pub(super) fn solve(&mut self, wanted: &[Quad], mut x: Vec<Quad>, left: f64) -> Vec<Quad> {
        let mut residual = vec![[0.0; 4]; x.len()];
        self.finest().each(&x, &mut residual, |i, r, ax| {
            *r = std::array::from_fn(|c| wanted[i][c] - ax[c]);
        });
        let mut better = vec![[0.0; 4]; x.len()];
        self.precondition(&residual, &mut better);
        let mut rz = products(&residual, &better);
        let mut direction = better.clone();
        let goal = rz.iter().sum::<f64>() * left * left + 1e-12;
        for _ in 0..ROUNDS {
            if rz.iter().sum::<f64>() < goal {
                break;
            }
            // Until the residual is prepared again, there is room for the direction's image.
            let image = &mut better;
            self.finest()
                .each(&direction, image, |_, out, ad| *out = ad);
            let length = ratio(rz, products(&direction, image));
            let (image, direction_now) = (&*image, &direction);
            (&mut x, &mut residual)
                .into_par_iter()
                .with_min_len(PIECE)
                .enumerate()
                .for_each(|(i, (x, r))| {
                    for c in 0..4 {
                        x[c] += length[c] * direction_now[i][c];
                        r[c] -= length[c] * image[i][c];
                    }
                });
            self.precondition(&residual, &mut better);
            let next = products(&residual, &better);
            let keep = ratio(next, rz);
            rz = next;
            (&mut direction, &better)
                .into_par_iter()
                .with_min_len(PIECE)
                .for_each(|(d, z)| {
                    for c in 0..4 {
                        d[c] = z[c] + keep[c] * d[c];
                    }
                });
        }
        x
    }
}

fn ratio(a: [f64; 4], b: [f64; 4]) -> Quad {
    std::array::from_fn(|c| {
        if b[c].abs() > 1e-20 {
            (a[c] / b[c]) as f32
        } else {
            0.0
        }
    })
}

/// The scalar product of each channel. Pieces of a fixed length are added in their order, so that the result does not depend
/// on the number of threads.
fn products(a: &[Quad], b: &[Quad]) -> [f64; 4] {
    let pieces = a.par_chunks(PIECE).zip(b.par_chunks(PIECE));
    let sums: Vec<[f64; 4]> = pieces
        .map(|(a, b)| {
            let mut sum = [0.0f64; 4];
            for (a, b) in a.iter().zip(b) {
                for c in 0..4 {
                    sum[c] += f64::from(a[c]) * f64::from(b[c]);
                }
            }
            sum
        })
        .collect();
    sums.iter().fold([0.0; 4], |total, sum| {
        std::array::from_fn(|c| total[c] + sum[c])
    })
}
