//! Joining copied pieces without seams: the gradients of the copies, the values of the surroundings
//! (Pérez et al., "Poisson Image Editing", 2003).

mod grids;
mod solve;

use rayon::prelude::*;

use self::grids::{Grids, Links, Quad};
use super::field::NONE;
use super::level::{Part, Start, Texel};
use crate::Result;
use crate::canvas::{Grid, Image};

/// Difference of two pieces, root mean square over the channels, from which they are rather cut apart than led into each
/// other: what is an edge must not become haze. And how firmly they hold together at least, out of 255.
const EDGE: f32 = 0.2;
const LEAST: f32 = 2.0;
/// Share of the picture's longer side over which the pieces' own gradients are believed; over longer ways their errors add
/// up, and what the border says counts more. 0.05 brings 0.15 dB on 20 photos.
const BELIEVED: f32 = 0.05;
/// Difference from what the border says, root mean square over the channels, from which it is structure that the border
/// cannot know, and not an error: larger values lead colours across edges.
const STRUCTURE: f32 = 0.07;
/// Share of the first error to which the equations are solved: the result is then within a step of 8 bits.
const EXACT: f64 = 5e-4;

type Rgb = [f32; 3];

/// The picture with what is open in `parts` filled: inside, its gradients are those of the texels copied from the places
/// `from` (the mean of both copies where two pieces meet); at the border it meets the known picture, at a veil it ends
/// freely. Where `from` is [`NONE`], `mean` is shown. If the hole's `start` was unknown, it also keeps near the smoothest
/// surface over its border, on the large scale and where nothing tells of an edge. No colour leaves the range of the known
/// ones. `from` and `mean` have one value for each open pixel, row after row.
pub fn join(
    image: &Image,
    parts: &Grid<Part>,
    from: &[u32],
    mean: &[Texel],
    start: Start,
) -> Result<Image> {
    let mut system = System::new(image, parts, from, mean);
    if start == Start::Unknown {
        let reach = BELIEVED * image.width().max(image.height()) as f32;
        system.hold(from, mean, 1.0 / (reach * reach));
    }
    let System {
        cells,
        mut grids,
        wanted,
        start,
        ..
    } = system;
    let solved = grids.solve(&wanted, start, EXACT);
    // Far from any border the sum of many gradients may drift: it never leaves the range of the known colours.
    let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    let pixels = image.data().iter().zip(parts.data());
    for (pixel, _) in pixels.filter(|(_, part)| part.known()) {
        for c in 0..3 {
            (low[c], high[c]) = (low[c].min(pixel[c]), high[c].max(pixel[c]));
        }
    }
    let mut out = image.clone();
    for (&place, value) in cells.iter().zip(solved) {
        out.data_mut()[place as usize] = std::array::from_fn(|c| value[c].max(low[c]).min(high[c]));
    }
    Ok(out)
}

/// The linear system over the unknown pixels: `diagonal · x − Σ weight · x(neighbours) = wanted`. The fourth value of a quad
/// is 0.
struct System {
    cells: Vec<u32>,
    grids: Grids,
    wanted: Vec<Quad>,
    /// The part of `wanted` that is the known neighbours'.
    border: Vec<Quad>,
    start: Vec<Quad>,
}

fn minus(a: Rgb, b: Rgb) -> Rgb {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

impl System {
    fn new(image: &Image, parts: &Grid<Part>, from: &[u32], mean: &[Texel]) -> Self {
        let (w, h) = (image.width(), image.height());
        let (pixels, parts) = (image.data(), parts.data());
        let open = |p: usize| parts[p] == Part::Open;
        let cells: Vec<u32> = (0u32..).take(w * h).filter(|&p| open(p as usize)).collect();
        let mut slot = vec![NONE; w * h];
        for (i, &p) in cells.iter().enumerate() {
            slot[p as usize] = i as u32;
        }
        let step = |p: usize, side: usize| -> Option<usize> {
            let (x, y) = (p % w, p / w);
            let next = match side {
                0 => (x > 0).then(|| p - 1),
                1 => (x + 1 < w).then(|| p + 1),
                2 => (y > 0).then(|| p - w),
                _ => (y + 1 < h).then(|| p + w),
            };
            next.filter(|&n| parts[n] != Part::Veiled)
        };
        // The gradient at cell `i` towards `side` in the piece that was copied to it.
        let gradient = |i: u32, side: usize| -> Option<Rgb> {
            let here = from[i as usize];
            if here == NONE {
                return None;
            }
            let there = step(here as usize, side).filter(|&t| parts[t].known())?;
            Some(minus(pixels[here as usize], pixels[there]))
        };
        // What the piece that was copied to cell `i` has to say about its neighbour.
        let foretold = |i: u32, side: usize| -> Option<Rgb> {
            let here = from[i as usize];
            let there = step((here != NONE).then_some(here)? as usize, side);
            Some(pixels[there.filter(|&t| parts[t].known())?])
        };
        let guess = |i: u32| rgb(mean[i as usize]);
        let start: Vec<Quad> = (0u32..)
            .zip(from)
            .map(|(i, &from)| match from {
                NONE => quad(guess(i)),
                _ => quad(pixels[from as usize]),
            })
            .collect();
        // How far two neighbours' pieces disagree about both of them, squared.
        let apart = |i: u32, n: usize, side: usize| -> f32 {
            let square = |a: Rgb, b: Rgb| minus(a, b).map(|v| v * v).iter().sum::<f32>() / 3.0;
            let one = foretold(i, side).map(|told| match open(n) {
                true => square(told, rgb(start[slot[n] as usize])),
                false => square(told, pixels[n]),
            });
            let other = open(n).then(|| foretold(slot[n], side ^ 1)).flatten();
            let other = other.map(|told| square(told, rgb(start[i as usize])));
            match (one, other) {
                (Some(a), Some(b)) => (a + b) / 2.0,
                (Some(a), None) | (None, Some(a)) => a,
                (None, None) => 0.0,
            }
        };
        let count = cells.len();
        let mut links = Links::new(count);
        let mut wanted = vec![[0.0; 4]; count];
        let mut border = wanted.clone();
        (links.rows(), &mut wanted, &mut border, &cells)
            .into_par_iter()
            .enumerate()
            .for_each(|(i, ((link, firmness, anchor), wanted, border, &p))| {
                let i = i as u32;
                for side in 0..4 {
                    let Some(n) = step(p as usize, side) else {
                        continue;
                    };
                    let firm = 255.0 / (1.0 + apart(i, n, side) / (EDGE * EDGE));
                    let firm = firm.max(LEAST) as u8;
                    let weight = f32::from(firm) / 255.0;
                    if open(n) {
                        (link[side], firmness[side]) = (slot[n], u16::from(firm));
                    } else {
                        *anchor += weight;
                    }
                    let mine = gradient(i, side);
                    let theirs = if open(n) {
                        gradient(slot[n], side ^ 1).map(|g| g.map(|v| -v))
                    } else {
                        None
                    };
                    let smooth = || {
                        // Neither piece reaches across: the first guess keeps its own slope.
                        match (from[i as usize], open(n)) {
                            (NONE, true) => minus(guess(i), guess(slot[n])),
                            (NONE, false) => minus(guess(i), pixels[n]),
                            _ => [0.0; 3],
                        }
                    };
                    let g = match (mine, theirs) {
                        (Some(a), Some(b)) => std::array::from_fn(|c| (a[c] + b[c]) * 0.5),
                        (Some(a), None) | (None, Some(a)) => a,
                        (None, None) => smooth(),
                    };
                    for c in 0..3 {
                        let there = if open(n) { 0.0 } else { pixels[n][c] };
                        wanted[c] += weight * (g[c] + there);
                        border[c] += weight * there;
                    }
                }
                // Alone behind a veil, it keeps what it starts with.
                if *anchor == 0.0 && *firmness == [0; 4] {
                    *anchor = 1.0;
                    (*wanted, *border) = (start[i as usize], start[i as usize]);
                }
            });
        Self {
            grids: Grids::new(
                links,
                cells
                    .iter()
                    .map(|&p| [p % w as u32, p / w as u32])
                    .collect(),
            ),
            cells,
            wanted,
            border,
            start,
        }
    }

    /// Draws what is copied to the surface without gradients over the same border, cut where the pieces are, by `strength`
    /// relative to a whole link; less where `mean`, which has the structure right, is far from it.
    fn hold(&mut self, from: &[u32], mean: &[Texel], strength: f32) {
        let border = std::mem::take(&mut self.border);
        let first: Vec<Quad> = mean.iter().map(|t| quad(rgb(*t))).collect();
        let surface = self.grids.solve(&border, first, EXACT);
        let mut pulls = vec![0.0; surface.len()];
        for (i, (there, mean)) in surface.iter().zip(mean).enumerate() {
            if from[i] == NONE {
                continue;
            }
            let off = minus(rgb(*mean), rgb(*there))
                .map(|v| v * v)
                .iter()
                .sum::<f32>()
                / 3.0;
            pulls[i] = strength / (1.0 + off / (STRUCTURE * STRUCTURE));
            for c in 0..3 {
                self.wanted[i][c] += pulls[i] * there[c];
            }
        }
        self.grids.anchor(pulls);
    }
}

fn rgb([r, g, b, _]: Quad) -> Rgb {
    [r, g, b]
}

fn quad([r, g, b]: Rgb) -> Quad {
    [r, g, b, 0.0]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parts(hole: &Grid<bool>) -> Grid<Part> {
        hole.map(|&open| if open { Part::Open } else { Part::Source })
    }

    fn cells(hole: &Grid<bool>) -> impl Iterator<Item = u32> {
        let places = hole.data().iter().zip(0..);
        places.filter(|(open, _)| **open).map(|(_, p)| p)
    }

    fn texels(image: &Image, hole: &Grid<bool>) -> Vec<Texel> {
        let texel = |p: u32| {
            let [r, g, b] = image.data()[p as usize];
            [r, g, b, 0.0]
        };
        cells(hole).map(texel).collect()
    }

    fn largest_difference(a: &Image, b: &Image) -> f32 {
        let pairs = a.data().iter().flatten().zip(b.data().iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_ramp_is_continued_exactly_across_a_hole() {
        let ramp: Image = Grid::from_fn(70, 50, |x, y| {
            let (x, y) = (x as f32 / 70.0, y as f32 / 50.0);
            [x, y, 0.2 + 0.3 * x + 0.4 * y]
        });
        let hole = Grid::from_fn(70, 50, |x, y| {
            (25..45).contains(&x) && (15..35).contains(&y)
        });
        // Copied from elsewhere on the ramp, 22 pixels to the left: right slope, wrong value.
        let from: Vec<u32> = cells(&hole).map(|p| p - 22).collect();
        let mut hidden = ramp.clone();
        for (p, open) in hidden.data_mut().iter_mut().zip(hole.data()) {
            if *open {
                *p = [9.0; 3];
            }
        }
        let off = |start| {
            let mean = texels(&ramp, &hole);
            let joined = join(&hidden, &parts(&hole), &from, &mean, start).unwrap();
            largest_difference(&joined, &ramp)
        };
        let (believed, held) = (off(Start::Guess), off(Start::Unknown));
        assert!(believed < 2e-3, "{believed}");
        assert!(held < 1e-2, "{held}");
    }

    #[test]
    fn errors_of_the_copies_do_not_add_up() {
        // Grey with a hole. What is copied to its left half grows brighter to the right, to its right half darker again.
        let inside = |x: usize, y: usize| (100..200).contains(&x) && (100..260).contains(&y);
        let hole = Grid::from_fn(300, 300, inside);
        let picture: Image = Grid::from_fn(300, 300, |x, y| match y {
            0..20 => [0.3 + 0.002 * x as f32; 3],
            20..40 => [0.9 - 0.002 * x as f32; 3],
            _ => [0.5; 3],
        });
        let from: Vec<u32> = cells(&hole)
            .map(|p| {
                let (x, y) = (p % 300, p / 300);
                let top = if x < 150 { 5 } else { 25 };
                (top + y % 10) * 300 + x
            })
            .collect();
        let off = |start| {
            let grey = texels(&Grid::new(300, 300, [0.5; 3]), &hole);
            let joined = join(&picture, &parts(&hole), &from, &grey, start).unwrap();
            joined.at(150, 180)[0] - 0.5
        };
        let (believed, held) = (off(Start::Guess), off(Start::Unknown));
        assert!(believed > 0.08, "{believed}");
        assert!(held.abs() < 0.4 * believed, "{held}");
    }

    #[test]
    fn without_copies_the_first_guess_is_shown() {
        let wave: Image = Grid::from_fn(50, 40, |x, y| {
            let v = 0.5 + 0.2 * (x as f32 * 0.3).sin() * (y as f32 * 0.2).cos();
            [v, 1.0 - v, 0.5 * v]
        });
        let hole = Grid::from_fn(50, 40, |x, y| (10..44).contains(&x) && (8..40).contains(&y));
        let guess: Image =
            wave.map(|p| std::array::from_fn(|c| 0.5 * (p[c] + [0.5, 0.5, 0.25][c])));
        let expected = Grid::from_fn(50, 40, |x, y| match hole.at(x, y) {
            true => guess.at(x, y),
            false => wave.at(x, y),
        });
        let from = vec![NONE; cells(&hole).count()];
        let joined = join(
            &wave,
            &parts(&hole),
            &from,
            &texels(&guess, &hole),
            Start::Unknown,
        )
        .unwrap();
        let error = largest_difference(&joined, &expected);
        assert!(error < 2e-3, "{error}");
    }
}
