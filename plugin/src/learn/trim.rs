//! A rough selection without its margin of background.
//!
//! A lasso leaves background between its outline and the subject, more than the refinement of the edge can undo. Here the
//! outer band of the selection is divided at a small scale ([`walk`]), and each stretch that comes out as background is
//! judged: it is a margin only if its inner edge is much stronger than the selection's outline there. An outline that
//! already lies on an edge is left as it is, whatever the colours say.

mod walk;

use rayon::prelude::*;

use crate::canvas::{Grid, Image, Mask, fit};
use walk::{Place, shares};

/// The longest side of the picture that is worked on.
const SIDE: usize = 400;
/// The deepest margin, as a share of the square root of the selection's area.
const DEEPEST: f32 = 0.09;
/// A band thinner than this many pixels holds nothing that the matte does not see by itself.
const THINNEST: f32 = 3.0;
/// Shares of the subject at which a margin may end.
const LEVELS: [f32; 5] = [0.1, 0.2, 0.3, 0.4, 0.5];
/// Of these, the outermost whose edge has this share of the strongest one's contrast: many subjects have a dark rim inside
/// their edge.
const STRONGEST: f32 = 0.93;
/// How many times stronger than the outline a margin's inner edge is. By measurement on 20 photos: outlines on the
/// subject's edge have 0 to 2.
const STRONGER: f32 = 2.5;
/// Mean logarithm of the odds for the background from which a stretch may be a margin.
const LIKELY: f32 = 0.5;
/// A margin runs along the outline: what reaches inwards from less outline than this share of its inner edge is a part of
/// the subject.
const ALONG: f32 = 0.6;
/// Half the window in which the colours on both sides of an edge are compared, in pixels.
const BESIDE: usize = 2;
/// Pixels at the small scale that are left beyond the margin's inner edge, for the matte to find the edge in.
const SLACK: f32 = 1.0;

/// `selection` (of `image`'s size) less the margin of background along its outline: never more than it was anywhere, and
/// less only within [`DEEPEST`] of the outline. `None` if it has no such margin, or no inside or outside to tell one by.
pub fn trim(image: &Image, selection: &Mask) -> Option<Mask> {
    let scene = Scene::new(image, selection)?;
    let share = shares(&scene.colours, &scene.places, scene.depth);
    let mut margin = Grid::new(share.width(), share.height(), false);
    for stretch in scene.stretches(&share) {
        if let Some(cells) = scene.margin_of(&stretch, &share) {
            for cell in cells {
                margin.data_mut()[cell] = true;
            }
        }
    }
    margin.data().contains(&true).then_some(())?;
    scene.without(&margin, selection)
}

/// The picture at the small scale.
struct Scene {
    colours: Image,
    places: Grid<Place>,
    /// Of the band, in pixels.
    depth: f32,
}

impl Scene {
    /// `None` where there is no inside, no outside, or no room for a band between them.
    fn new(image: &Image, selection: &Mask) -> Option<Self> {
        let colours = fit(image, SIDE);
        let (w, h) = (colours.width(), colours.height());
        let selected = fit(&selection.map(|&v| [v; 3]), SIDE).map(|v| v[0]);
        let area: f32 = selected.data().iter().sum();
        let depth = DEEPEST * area.sqrt();
        let outside = selected.map(|&v| v <= 0.5);
        let inwards = distance_to(&outside);
        let places = Grid::from_fn(w, h, |x, y| match inwards.at(x, y) {
            0.0 => Place::Outside,
            d if d <= depth => Place::Band,
            _ => Place::Core,
        });
        let all = places.data();
        let usable =
            depth >= THINNEST && all.contains(&Place::Core) && all.contains(&Place::Outside);
        usable.then_some(Self {
            colours,
            places,
            depth,
        })
    }

    /// Connected parts of the band that are rather background.
    fn stretches(&self, share: &Mask) -> Vec<Vec<usize>> {
        let limit = LEVELS[LEVELS.len() - 1];
        let mut rest: Vec<bool> = self
            .places
            .data()
            .iter()
            .zip(share.data())
            .map(|(place, &share)| *place == Place::Band && share < limit)
            .collect();
        let (mut found, mut next) = (Vec::new(), Vec::new());
        for start in 0..rest.len() {
            if !std::mem::take(&mut rest[start]) {
                continue;
            }
            next.push(start);
            let mut cells = Vec::new();
            while let Some(cell) = next.pop() {
                cells.push(cell);
                for n in self.neighbours(cell) {
                    if std::mem::take(&mut rest[n]) {
                        next.push(n);
                    }
                }
            }
            found.push(cells);
        }
        found
    }

    /// The part of `stretch` that is a margin, if any is.
    fn margin_of(&self, stretch: &[usize], share: &Mask) -> Option<Vec<usize>> {
        let odds: f32 = stretch.iter().map(|&c| self.odds(share.data()[c])).sum();
        let outside = |i: usize| self.places.data()[i] == Place::Outside;
        let (outline, length) = self.contrast(stretch, &|i| !outside(i), &outside);
        if length == 0 || odds < LIKELY * stretch.len() as f32 {
            return None;
        }
        let mut best = Vec::with_capacity(LEVELS.len());
        for level in LEVELS {
            let mut within = vec![false; share.data().len()];
            let cells: Vec<usize> = stretch
                .iter()
                .copied()
                .filter(|&c| share.data()[c] < level)
                .collect();
            for &cell in &cells {
                within[cell] = true;
            }
            let kept = |i: usize| !outside(i) && !within[i];
            let (edge, across) = self.contrast(&cells, &|i| within[i], &kept);
            best.push((edge, across, cells));
        }
        let strongest = best.iter().map(|b| b.0).fold(0.0, f32::max);
        let strong = |edge: f32| edge >= STRONGEST * strongest && edge > STRONGER * outline;
        let (_, across, cells) = best.into_iter().find(|(edge, ..)| strong(*edge))?;
        (length as f32 > ALONG * across as f32).then_some(cells)
    }

    /// Logarithm of the odds for the background.
    fn odds(&self, share: f32) -> f32 {
        let share = share.clamp(0.02, 0.98);
        ((1.0 - share) / share).ln()
    }

    /// Mean difference of colour from `here` to `there` along the cells that have a neighbour there, and their number.
    fn contrast(
        &self,
        cells: &[usize],
        here: &dyn Fn(usize) -> bool,
        there: &dyn Fn(usize) -> bool,
    ) -> (f32, usize) {
        let (mut sum, mut n) = (0.0f32, 0);
        for &cell in cells {
            if self.neighbours(cell).any(there) {
                sum += self.step(cell, here, there);
                n += 1;
            }
        }
        (sum / n.max(1) as f32, n)
    }

    /// Difference of the mean colours on both sides near one cell.
    fn step(
        &self,
        cell: usize,
        here: &dyn Fn(usize) -> bool,
        there: &dyn Fn(usize) -> bool,
    ) -> f32 {
        let (w, h) = (self.places.width(), self.places.height());
        let (x, y) = (cell % w, cell / w);
        let (mut sums, mut counts) = ([[0.0f32; 3]; 2], [0.0f32; 2]);
        for ny in y.saturating_sub(BESIDE)..(y + BESIDE + 1).min(h) {
            for nx in x.saturating_sub(BESIDE)..(x + BESIDE + 1).min(w) {
                let n = ny * w + nx;
                let side = match (here(n), there(n)) {
                    (true, _) => 0,
                    (_, true) => 1,
                    _ => continue,
                };
                counts[side] += 1.0;
                for c in 0..3 {
                    sums[side][c] += self.colours.data()[n][c];
                }
            }
        }
        let mean = |side: usize, c: usize| sums[side][c] / counts[side].max(1.0);
        (0..3)
            .map(|c| (mean(0, c) - mean(1, c)).powi(2))
            .sum::<f32>()
            .sqrt()
    }

    fn neighbours(&self, cell: usize) -> impl Iterator<Item = usize> + use<> {
        self.places.neighbours(cell).into_iter().flatten()
    }

    /// `selection` at its own scale without `margin`, with a soft new outline; `None` if nothing is left.
    fn without(&self, margin: &Grid<bool>, selection: &Mask) -> Option<Mask> {
        let (w, h) = (margin.width(), margin.height());
        let kept = Grid::from_fn(w, h, |x, y| {
            self.places.at(x, y) != Place::Outside && !margin.at(x, y)
        });
        kept.data().contains(&true).then_some(())?;
        let (away, within) = (distance_to(&kept), distance_to(&kept.map(|k| !k)));
        let beyond = Grid::from_fn(w, h, |x, y| away.at(x, y) - within.at(x, y));
        // Elsewhere the outline is the user's own, to the pixel.
        let near = distance_to(margin).map(|&d| d < SLACK + 1.5);
        let (width, height) = (selection.width(), selection.height());
        let scale = [w as f32 / width as f32, h as f32 / height as f32];
        let mut out = selection.clone();
        let rows = out.data_mut().par_chunks_mut(width).enumerate();
        rows.for_each(|(y, row)| {
            for (x, value) in row.iter_mut().enumerate().filter(|(_, v)| **v > 0.0) {
                let [fx, fy] = [(x, 0, w), (y, 1, h)].map(|(v, axis, size)| {
                    ((v as f32 + 0.5) * scale[axis] - 0.5).clamp(0.0, (size - 1) as f32)
                });
                let (left, top) = (fx as usize, fy as usize);
                if !near.at(left, top) {
                    continue;
                }
                let (right, below) = ((left + 1).min(w - 1), (top + 1).min(h - 1));
                let (ax, ay) = (fx - left as f32, fy - top as f32);
                let across = |y: usize| beyond.at(left, y) * (1.0 - ax) + beyond.at(right, y) * ax;
                let distance = across(top) * (1.0 - ay) + across(below) * ay;
                let limit = 0.5 + (SLACK - distance) / scale[0];
                *value = value.min(limit.clamp(0.0, 1.0));
            }
        });
        Some(out)
    }
}

/// Distance in pixels to the nearest place that is set, by two sweeps over chamfer weights 1 and √2 (8 % off at most); the
/// picture's own edge counts for nothing.
fn distance_to(set: &Grid<bool>) -> Mask {
    const FAR: f32 = 1e6;
    let (w, h) = (set.width(), set.height());
    let mut d = set.map(|&v| if v { 0.0 } else { FAR });
    let relax = |d: &mut Mask, x: usize, y: usize, from: [(isize, isize); 4]| {
        let mut nearest = d.at(x, y);
        for (dx, dy) in from {
            if let (Some(nx), Some(ny)) = (x.checked_add_signed(dx), y.checked_add_signed(dy))
                && nx < w
                && ny < h
            {
                let step = if dx == 0 || dy == 0 {
                    1.0
                } else {
                    std::f32::consts::SQRT_2
                };
                nearest = nearest.min(d.at(nx, ny) + step);
            }
        }
        d.set(x, y, nearest);
    };
    for y in 0..h {
        for x in 0..w {
            relax(&mut d, x, y, [(-1, 0), (0, -1), (-1, -1), (1, -1)]);
        }
    }
    for y in (0..h).rev() {
        for x in (0..w).rev() {
            relax(&mut d, x, y, [(1, 0), (0, 1), (-1, 1), (1, 1)]);
        }
    }
    d
}

#[cfg(test)]
#[path = "trim/tests.rs"]
mod tests;
