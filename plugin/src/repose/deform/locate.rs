//! Finds the point of the mesh under a pin, and the corners around it.

use std::collections::VecDeque;

use super::arap::Pinned;
use super::plane::Point;
use super::{Unusable, span};
use crate::canvas::Mask;
use crate::request::Pin;
use crate::subject::Mesh;

/// A pin may lie this far beside the subject, in pixels: people click beside a thin part.
const BESIDE: f64 = 16.0;
/// Every pin takes what lies this many cells around it along as one rigid piece, so that it does not pull out a spike.
const DISC: f64 = 1.6;
/// A pin that turns takes more along: this part of the way to the nearest other pin.
const TURNED: f64 = 0.45;
/// How firmly, relative to one edge of the mesh: free pins and pins that turn.
const SOFT: f64 = 1.0;
const FIRM: f64 = 8.0;

/// Looks up points on one mesh.
pub struct Finder<'a> {
    mesh: &'a Mesh,
    matte: &'a Mask,
    rest: &'a [Point],
    cell: f64,
    neighbours: Vec<Vec<u32>>,
}

impl<'a> Finder<'a> {
    /// `edges` are all pairs of joined corners; `matte` is the crop's.
    pub fn new(
        mesh: &'a Mesh,
        matte: &'a Mask,
        rest: &'a [Point],
        edges: &[(usize, usize)],
    ) -> Self {
        let mut neighbours = vec![Vec::new(); rest.len()];
        let mut shortest = f64::INFINITY;
        for &(a, b) in edges {
            neighbours[a].push(b as u32);
            neighbours[b].push(a as u32);
            shortest = shortest.min((rest[a] - rest[b]).length());
        }
        Self {
            mesh,
            matte,
            rest,
            cell: shortest.clamp(1e-3, 1e3),
            neighbours,
        }
    }

    /// All pins on the mesh, or the first that is not on it.
    pub fn pin(&self, pins: &[Pin]) -> Result<Vec<Pinned>, Unusable> {
        let mut pinned = Vec::with_capacity(pins.len());
        for (index, pin) in pins.iter().enumerate() {
            let from = Point::from(pin.from);
            let (_, _, beside) = self.nearest(from);
            let reach = BESIDE.max(2.0 * self.cell);
            if (beside - from).length() > reach {
                let (low, high) = span(&self.mesh.vertices);
                return Err(Unusable::Off(index, low, high));
            }
            let (triangle, shares, on) = self.nearest(self.covered(beside, reach));
            let corners = [0, 1, 2].map(|k| (self.mesh.triangles[triangle][k] as usize, shares[k]));
            let turn = pin.angle.map(|a| Point::turn(f64::from(a)));
            let others = pins.iter().filter(|p| p.from != pin.from);
            let apart = others
                .map(|p| (Point::from(p.from) - from).length())
                .fold(f64::INFINITY, f64::min);
            let least = DISC * self.cell;
            let (radius, firm) = match turn {
                Some(_) if apart.is_finite() => ((apart * TURNED).max(least), FIRM),
                Some(_) => (6.0 * self.cell, FIRM),
                None => (least, SOFT),
            };
            pinned.push(Pinned {
                corners,
                from: on,
                // A pin beside the subject keeps its distance to it, so that one that stays leaves it where it is.
                to: Point::from(pin.to) + (on - from),
                turn,
                disc: self.disc(corners.map(|c| c.0), on, radius, firm),
            });
        }
        Ok(pinned)
    }

    /// The nearest place that the subject covers, for the mesh is loose beside it; `p` itself if none is within `reach`.
    fn covered(&self, p: Point, reach: f64) -> Point {
        let end = |at: f64, end: usize| (at.max(0.0) as usize).min(end);
        let (width, height) = (self.matte.width(), self.matte.height());
        let mut best = (p, reach * reach);
        for y in end(p.y - reach, height)..end(p.y + reach + 1.0, height) {
            for x in end(p.x - reach, width)..end(p.x + reach + 1.0, width) {
                let middle = Point {
                    x: x as f64 + 0.5,
                    y: y as f64 + 0.5,
                };
                // Within a pixel that is covered, the point itself.
                let inside = (middle.x - p.x).abs() <= 0.5 && (middle.y - p.y).abs() <= 0.5;
                let way = middle - p;
                let away = if inside {
                    0.0
                } else {
                    way.x * way.x + way.y * way.y
                };
                if self.matte.at(x, y) >= 0.5 && away < best.1 {
                    best = (if inside { p } else { middle }, away);
                }
            }
        }
        best.0
    }

    /// The mesh's nearest point: its triangle, the corners' shares, and the point.
    fn nearest(&self, p: Point) -> (usize, [f64; 3], Point) {
        let mut best = (0, [1.0, 0.0, 0.0], f64::INFINITY, p);
        for (index, triangle) in self.mesh.triangles.iter().enumerate() {
            let corners = triangle.map(|i| self.rest[i as usize]);
            let shares = closest(p, corners);
            let on = corners[0] * shares[0] + corners[1] * shares[1] + corners[2] * shares[2];
            let away = (on - p).length();
            if away < best.2 {
                best = (index, shares, away, on);
                if away < 1e-9 {
                    break;
                }
            }
        }
        (best.0, best.1, best.3)
    }

    /// The corners reached from `start` along edges that stay within `radius`; firm in the middle, soft at the rim.
    fn disc(&self, start: [usize; 3], centre: Point, radius: f64, firm: f64) -> Vec<(usize, f64)> {
        let mut seen = vec![false; self.rest.len()];
        let mut queue: VecDeque<usize> = start.into();
        let mut disc = Vec::new();
        while let Some(v) = queue.pop_front() {
            let away = (self.rest[v] - centre).length() / radius;
            if seen[v] || away >= 1.0 {
                continue;
            }
            seen[v] = true;
            disc.push((v, firm * (1.0 - away * away).powi(2)));
            queue.extend(self.neighbours[v].iter().map(|&n| n as usize));
        }
        disc
    }
}

/// The corners' shares in the triangle's point closest to `p`.
fn closest(p: Point, [a, b, c]: [Point; 3]) -> [f64; 3] {
    let twice = (b - a).cross(c - a);
    if twice.abs() > 1e-9 {
        let shares = [
            (b - p).cross(c - p) / twice,
            (c - p).cross(a - p) / twice,
            (a - p).cross(b - p) / twice,
        ];
        if shares.iter().all(|&s| s >= 0.0) {
            return shares;
        }
    }
    let mut best = ([1.0, 0.0, 0.0], f64::INFINITY);
    for (from, to, i, k) in [(a, b, 0, 1), (b, c, 1, 2), (c, a, 2, 0)] {
        let (side, way) = (to - from, p - from);
        let square = side.x * side.x + side.y * side.y;
        let t = if square > 0.0 {
            ((way.x * side.x + way.y * side.y) / square).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let away = (from + side * t - p).length();
        if away < best.1 {
            let mut shares = [0.0; 3];
            shares[i] = 1.0 - t;
            shares[k] = t;
            best = (shares, away);
        }
    }
    best.0
}
