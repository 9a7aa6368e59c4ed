//! Joining copied pieces without seams: the gradients of the copies, the values of the surroundings
//! (Pérez et al., "Poisson Image Editing", 2003).

use rayon::prelude::*;

use super::field::NONE;
use super::level::Texel;
use crate::Result;
use crate::canvas::{Grid, Image};

/// Most rounds of conjugate gradients; it ends when the residual has fallen by 10⁻⁴.
const ROUNDS: usize = 400;

type Rgb = [f32; 3];

/// The picture with its hole filled: inside, its gradients are those of the texels copied from the places `from` (the mean
/// of both copies where two pieces meet); at the border it meets the known picture. Where `from` is [`NONE`], `mean` is
/// shown.
pub fn join(image: &Image, hole: &Grid<bool>, from: &[u32], mean: &[Texel]) -> Result<Image> {
    let system = System::new(image, hole, from, mean);
    let solved = system.solve();
    let mut out = image.clone();
    for (&place, value) in system.cells.iter().zip(solved) {
        out.data_mut()[place] = value;
    }
    Ok(out)
}

/// The linear system over the unknown pixels: `diagonal · x − Σ x(neighbours) = wanted`.
struct System {
    cells: Vec<usize>,
    links: Vec<[u32; 4]>,
    diagonal: Vec<f32>,
    wanted: Vec<Rgb>,
    start: Vec<Rgb>,
}

fn minus(a: Rgb, b: Rgb) -> Rgb {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

impl System {
    fn new(image: &Image, hole: &Grid<bool>, from: &[u32], mean: &[Texel]) -> Self {
        let (w, h) = (image.width(), image.height());
        let (pixels, open) = (image.data(), hole.data());
        let cells: Vec<usize> = (0..w * h).filter(|&p| open[p]).collect();
        let mut slot = vec![NONE; w * h];
        for (i, &p) in cells.iter().enumerate() {
            slot[p] = i as u32;
        }
        let step = |p: usize, side: usize| -> Option<usize> {
            let (x, y) = (p % w, p / w);
            match side {
                0 => (x > 0).then(|| p - 1),
                1 => (x + 1 < w).then(|| p + 1),
                2 => (y > 0).then(|| p - w),
                _ => (y + 1 < h).then(|| p + w),
            }
        };
        // The gradient at `p` towards `side` in the piece that was copied to `p`.
        let gradient = |p: usize, side: usize| -> Option<Rgb> {
            let here = from[p];
            if here == NONE {
                return None;
            }
            let there = step(here as usize, side).filter(|&t| !open[t])?;
            Some(minus(pixels[here as usize], pixels[there]))
        };
        let start: Vec<Rgb> = cells
            .iter()
            .map(|&p| match from[p] {
                NONE => [mean[p][0], mean[p][1], mean[p][2]],
                f => pixels[f as usize],
            })
            .collect();
        let rows: Vec<([u32; 4], f32, Rgb)> = cells
            .par_iter()
            .map(|&p| {
                let (mut links, mut diagonal, mut wanted) = ([NONE; 4], 0.0f32, [0.0f32; 3]);
                for side in 0..4 {
                    let Some(n) = step(p, side) else { continue };
                    diagonal += 1.0;
                    links[side] = slot[n];
                    let mine = gradient(p, side);
                    let theirs = if open[n] {
                        gradient(n, side ^ 1).map(|g| g.map(|v| -v))
                    } else {
                        None
                    };
                    let smooth = || {
                        // Neither piece reaches across: the first guess keeps its own slope.
                        let value = |q: usize| [mean[q][0], mean[q][1], mean[q][2]];
                        if from[p] == NONE {
                            minus(value(p), value(n))
                        } else {
                            [0.0; 3]
                        }
                    };
                    let g = match (mine, theirs) {
                        (Some(a), Some(b)) => std::array::from_fn(|c| (a[c] + b[c]) * 0.5),
                        (Some(a), None) | (None, Some(a)) => a,
                        (None, None) => smooth(),
                    };
                    for c in 0..3 {
                        wanted[c] += g[c] + if open[n] { 0.0 } else { pixels[n][c] };
                    }
                }
                (links, diagonal.max(1.0), wanted)
            })
            .collect();
        let mut system = Self {
            cells,
            links: Vec::new(),
            diagonal: Vec::new(),
            wanted: Vec::new(),
            start,
        };
        for (links, diagonal, wanted) in rows {
            system.links.push(links);
            system.diagonal.push(diagonal);
            system.wanted.push(wanted);
        }
        system
    }

    fn apply(&self, x: &[Rgb]) -> Vec<Rgb> {
        (0..x.len())
            .into_par_iter()
            .map(|i| {
                let mut sum = x[i].map(|v| v * self.diagonal[i]);
                for &link in self.links[i].iter().filter(|&&l| l != NONE) {
                    let n = x[link as usize];
                    for c in 0..3 {
                        sum[c] -= n[c];
                    }
                }
                sum
            })
            .collect()
    }

    /// Conjugate gradients, the diagonal as preconditioner, the three channels side by side.
    fn solve(&self) -> Vec<Rgb> {
        let mut x = self.start.clone();
        let ax = self.apply(&x);
        let mut r: Vec<Rgb> = self
            .wanted
            .iter()
            .zip(&ax)
            .map(|(b, a)| minus(*b, *a))
            .collect();
        let scaled = |r: &[Rgb]| -> Vec<Rgb> {
            r.iter()
                .zip(&self.diagonal)
                .map(|(v, d)| v.map(|v| v / d))
                .collect()
        };
        let mut z = scaled(&r);
        let mut direction = z.clone();
        let mut rz = dot(&r, &z);
        let goal = rz.iter().sum::<f64>() * 1e-8 + 1e-12;
        for _ in 0..ROUNDS {
            if rz.iter().sum::<f64>() < goal {
                break;
            }
            let ad = self.apply(&direction);
            let curvature = dot(&direction, &ad);
            let length = ratio(rz, curvature);
            x.par_iter_mut()
                .zip(&direction)
                .for_each(|(x, d)| add(x, length, *d));
            r.par_iter_mut()
                .zip(&ad)
                .for_each(|(r, a)| add(r, length.map(|v| -v), *a));
            z = scaled(&r);
            let next = dot(&r, &z);
            let keep = ratio(next, rz);
            rz = next;
            direction.par_iter_mut().zip(&z).for_each(|(d, z)| {
                for c in 0..3 {
                    d[c] = z[c] + keep[c] * d[c];
                }
            });
        }
        x
    }
}

fn add(to: &mut Rgb, factor: Rgb, what: Rgb) {
    for c in 0..3 {
        to[c] += factor[c] * what[c];
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

/// Per channel, in a fixed order, so that the result does not depend on the number of threads.
fn dot(a: &[Rgb], b: &[Rgb]) -> [f64; 3] {
    let mut sum = [0.0f64; 3];
    for (p, q) in a.iter().zip(b) {
        for c in 0..3 {
            sum[c] += f64::from(p[c]) * f64::from(q[c]);
        }
    }
    sum
}
