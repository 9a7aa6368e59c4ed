//! How much of each place in a selection's band is subject: colours near it inside and outside, then a random walk.
//!
//! A walker starts at each place, steps more readily between like colours, and may end in the subject or the background by
//! the place's own colour; what counts is the chance that it ends in the subject (Grady, "Multilabel Random Walker Image
//! Segmentation Using Prior Models", CVPR 2005).

use rayon::prelude::*;

use crate::canvas::{Grid, Image, Mask};

/// Places around each one whose colours are looked at.
const SAMPLES: usize = 96;
/// How far they lie, in depths of the band, and the width of their weight as a share of that.
const REACH: f32 = 2.5;
const NEAR: f32 = 0.6;
/// Colours from all over the core, which count as much as this weight of near ones: thin parts have no core near them.
const OVERALL: usize = 64;
const OVERALL_WEIGHT: f32 = 5.0;
/// Distance of colours that are still alike, and the likeness of any two colours.
const ALIKE: f32 = 0.05;
const FLOOR: f32 = 0.01;
/// Weight of a place's own colour against one neighbour of the same colour, and the least weight of a neighbour.
const OWN: f32 = 0.1;
const LEAST: f32 = 0.01;
/// Successive over-relaxation of the walk's equations.
const ROUNDS: usize = 50;
const OVER: f32 = 1.7;

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Not selected.
    Outside,
    /// Selected, near the outline: subject or margin.
    Band,
    /// Selected, far from the outline: subject.
    Core,
}

/// A way to a neighbour.
struct Link {
    /// How readily it is taken.
    weight: f32,
    /// The neighbour's index in the band, if it lies there.
    slot: Option<usize>,
    /// Its share otherwise.
    fixed: f32,
}

/// The share of the subject at every place, 0 outside and 1 in the core; `depth` is the band's, in pixels.
pub fn shares(colours: &Image, places: &Grid<Place>, depth: f32) -> Mask {
    let (w, h) = (places.width(), places.height());
    let cells: Vec<usize> = (0..w * h)
        .filter(|&i| places.data()[i] == Place::Band)
        .collect();
    let own = by_colour(colours, places, &cells, REACH * depth);
    let mut slot = vec![None; w * h];
    for (k, &cell) in cells.iter().enumerate() {
        slot[cell] = Some(k);
    }
    let squared = |a: usize, b: usize| square(colours.data()[a], colours.data()[b]);
    let pairs = cells.iter().filter(|&&cell| cell % w + 1 < w);
    let mean = pairs
        .clone()
        .map(|&cell| squared(cell, cell + 1))
        .sum::<f32>()
        / pairs.count().max(1) as f32;
    let sharpness = 1.0 / (2.0 * mean + 1e-5);
    let links: Vec<[Option<Link>; 4]> = cells
        .iter()
        .map(|&cell| {
            places.neighbours(cell).map(|n| {
                let n = n?;
                Some(Link {
                    weight: (-sharpness * squared(cell, n)).exp() + LEAST,
                    slot: slot[n],
                    fixed: f32::from(u8::from(places.data()[n] == Place::Core)),
                })
            })
        })
        .collect();
    let mut share = own.clone();
    for _ in 0..ROUNDS {
        for k in 0..share.len() {
            let (mut sum, mut total) = (OWN * own[k], OWN);
            for link in links[k].iter().flatten() {
                sum += link.weight * link.slot.map_or(link.fixed, |n| share[n]);
                total += link.weight;
            }
            share[k] += OVER * (sum / total - share[k]);
        }
    }
    let mut all = places.map(|&p| f32::from(u8::from(p == Place::Core)));
    for (&cell, share) in cells.iter().zip(share) {
        all.data_mut()[cell] = share;
    }
    all
}

/// The share of the subject at each of `cells` by its colour alone, from the colours up to `reach` pixels around it.
fn by_colour(colours: &Image, places: &Grid<Place>, cells: &[usize], reach: f32) -> Vec<f32> {
    let (w, h) = (places.width(), places.height());
    // A sunflower's seeds: even over the disc, and repeatable.
    let around: Vec<(isize, isize, f32)> = (0..SAMPLES)
        .map(|k| {
            let part = ((k as f32 + 0.5) / SAMPLES as f32).sqrt();
            let angle = k as f32 * 2.399_963;
            let [dx, dy] = [angle.cos(), angle.sin()].map(|v| (reach * part * v).round() as isize);
            (dx, dy, (-0.5 * (part / NEAR).powi(2)).exp())
        })
        .collect();
    let known = places.data().iter().zip(colours.data());
    let core = known.filter(|(p, _)| **p == Place::Core).map(|(_, c)| *c);
    let every = (core.clone().count() / OVERALL).max(1);
    let overall: Vec<[f32; 3]> = core.step_by(every).take(OVERALL).collect();
    let alike = |a: [f32; 3], b: [f32; 3]| (-0.5 * square(a, b) / (ALIKE * ALIKE)).exp();
    let share = |&cell: &usize| {
        let colour = colours.data()[cell];
        let (mut like, mut weights) = ([0.0f32; 2], [0.0f32; 2]);
        for &(dx, dy, weight) in &around {
            let (x, y) = ((cell % w) as isize + dx, (cell / w) as isize + dy);
            if x < 0 || y < 0 || x >= w as isize || y >= h as isize {
                continue;
            }
            let at = y as usize * w + x as usize;
            let side = match places.data()[at] {
                Place::Band => continue,
                Place::Core => 0,
                Place::Outside => 1,
            };
            like[side] += weight * alike(colour, colours.data()[at]);
            weights[side] += weight;
        }
        let all = overall.iter().map(|&c| alike(colour, c)).sum::<f32>() / overall.len() as f32;
        let subject = (like[0] + OVERALL_WEIGHT * all) / (weights[0] + OVERALL_WEIGHT) + FLOOR;
        let background = like[1] / weights[1].max(1e-3) + FLOOR;
        (subject / (subject + background)).clamp(0.02, 0.98)
    };
    cells.par_iter().map(share).collect()
}

fn square(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|c| (a[c] - b[c]).powi(2)).sum()
}
