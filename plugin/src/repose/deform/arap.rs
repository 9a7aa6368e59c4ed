//! As rigid as possible (Sorkine, Alexa: As-Rigid-As-Possible Surface Modeling, 2007): every corner of the mesh has its
//! own turn, and edges want to keep their turned rest shape. Turns also want to agree with their neighbours' (Levi,
//! Gotsman: Smooth Rotation Enhanced As-Rigid-As-Possible Mesh Animation, 2015), without which a single point pulls
//! out a spike instead of bending a limb.

use super::cholesky::Envelope;
use super::plane::Point;
use crate::Result;

/// How strongly a pin holds its point, relative to one edge of the mesh: off by far less than a pixel.
const HOLD: f64 = 1e5;
/// How strongly everything is drawn to the first guess: decides only what no pin decides.
const PULL: f64 = 1e-4;
/// How strongly neighbouring turns agree, relative to the stretch of an edge.
const BEND: f64 = 4.0;
/// Alternations of turns and positions at most, and the movement in pixels below which they end.
const ROUNDS: usize = 80;
const STILL: f64 = 0.02;

/// A pin on the mesh.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The triangle's corners and their shares in the point.
    pub corners: [(usize, f64); 3],
    /// The point at rest.
    pub from: Point,
    /// Where it goes.
    pub to: Point,
    /// The turn at this point; `None` is free.
    pub turn: Option<Point>,
    /// Corners around the point that move with it, and how firmly.
    pub disc: Vec<(usize, f64)>,
}

/// The mesh as springs, ready to be posed again and again.
pub struct Sheet<'a> {
    rest: &'a [Point],
    scale: f64,
    edges: &'a [(usize, usize)],
    /// How firm each edge is: 1 is all of it.
    firm: &'a [f64],
    /// Its firmness by the inverse square of its rest length.
    weights: Vec<f64>,
    pins: &'a [Pinned],
    factor: Envelope,
}

impl<'a> Sheet<'a> {
    /// `firm` has a value in 0 to 1 for each edge; `scale` is the new size of the whole shape.
    pub fn new(
        rest: &'a [Point],
        edges: &'a [(usize, usize)],
        firm: &'a [f64],
        pins: &'a [Pinned],
        scale: f64,
    ) -> Result<Self> {
        // Weights around 1, whatever the mesh's cells measure, give the constants above one meaning.
        let square = |&(a, b): &(usize, usize)| (rest[a] - rest[b]).length().powi(2).max(1e-6);
        let cell = edges.iter().map(square).fold(f64::INFINITY, f64::min);
        let weights: Vec<f64> = (edges.iter().zip(firm))
            .map(|(e, firm)| firm * cell / square(e))
            .collect();
        let corners = pins.iter().flat_map(|p| {
            let [(a, _), (b, _), (c, _)] = p.corners;
            [(a, b), (b, c), (c, a)]
        });
        let mut matrix = Envelope::new(rest.len(), edges.iter().copied().chain(corners))?;
        (0..rest.len()).for_each(|v| matrix.add(v, v, PULL));
        for (&(a, b), &w) in edges.iter().zip(&weights) {
            matrix.add(a, a, w);
            matrix.add(b, b, w);
            matrix.add(a, b, -w);
        }
        for pin in pins {
            for (i, &(a, wa)) in pin.corners.iter().enumerate() {
                for &(b, wb) in &pin.corners[i..] {
                    matrix.add(a, b, HOLD * wa * wb);
                }
            }
            for &(v, w) in &pin.disc {
                matrix.add(v, v, w);
            }
        }
        Ok(Self {
            rest,
            scale,
            edges,
            firm,
            weights,
            pins,
            factor: matrix.factor(),
        })
    }

    /// The new positions, from a first guess.
    pub fn pose(&self, guess: &[Point]) -> Vec<Point> {
        let mut now = guess.to_vec();
        let mut turns = vec![Point::default(); now.len()];
        let (mut x, mut y) = (vec![0.0; now.len()], vec![0.0; now.len()]);
        for round in 0..ROUNDS {
            turns = self.turns(&now, &turns, round > 0);
            let sides = self.wishes(&now, &turns, guess);
            for (i, side) in sides.into_iter().enumerate() {
                (x[i], y[i]) = (side.x, side.y);
            }
            rayon::join(|| self.factor.solve(&mut x), || self.factor.solve(&mut y));
            let mut moved = 0.0f64;
            for (i, now) in now.iter_mut().enumerate() {
                let next = Point { x: x[i], y: y[i] };
                moved = moved.max((next - *now).length());
                *now = next;
            }
            if moved < STILL {
                break;
            }
        }
        now
    }

    /// Values at the pins, spread over the sheet along its own ways: an arm takes its pin's value, not that of the
    /// pin on the body beside it. `guess` is for what no pin reaches.
    pub fn spread(&self, values: &[f64], guess: &[f64]) -> Vec<f64> {
        let mut side: Vec<f64> = guess.iter().map(|g| g * PULL).collect();
        for (pin, value) in self.pins.iter().zip(values) {
            for (v, share) in pin.corners {
                side[v] += HOLD * share * value;
            }
            for &(v, w) in &pin.disc {
                side[v] += w * value;
            }
        }
        self.factor.solve(&mut side);
        side
    }

    /// The turn that fits each corner's edges and its neighbours' turns best.
    fn turns(&self, now: &[Point], old: &[Point], agree: bool) -> Vec<Point> {
        let bend = if agree { BEND } else { 0.0 };
        let mut spin = vec![Point::default(); now.len()];
        for (&(a, b), &firm) in self.edges.iter().zip(self.firm) {
            let (e, f) = (self.rest[b] - self.rest[a], now[b] - now[a]);
            // Divided by the edge's own length, so that a spring counts as much as an agreement.
            let fit = e.conj() * f * (firm / (self.scale * (e.x * e.x + e.y * e.y).max(1e-6)));
            spin[a] += fit + old[b] * (bend * firm);
            spin[b] += fit + old[a] * (bend * firm);
        }
        for pin in self.pins {
            let turn = self.turn_at(pin, now);
            for &(v, w) in &pin.disc {
                spin[v] += turn * w;
            }
        }
        spin.into_iter().map(|s| s.unit(Point::ONE)).collect()
    }

    /// The turn asked for at a pin, or the one its surroundings took.
    fn turn_at(&self, pin: &Pinned, now: &[Point]) -> Point {
        pin.turn.unwrap_or_else(|| {
            let mut spin = Point::default();
            for &(v, w) in &pin.disc {
                spin += (self.rest[v] - pin.from).conj() * (now[v] - pin.to) * w;
            }
            spin.unit(Point::ONE)
        })
    }

    /// The right side of the system: where springs, pins and the first guess want each corner.
    fn wishes(&self, now: &[Point], turns: &[Point], guess: &[Point]) -> Vec<Point> {
        let mut side: Vec<Point> = guess.iter().map(|&g| g * PULL).collect();
        for (&(a, b), &w) in self.edges.iter().zip(&self.weights) {
            let e = self.rest[b] - self.rest[a];
            let wish = (turns[a] + turns[b]) * e * (0.5 * w * self.scale);
            side[a] += wish * -1.0;
            side[b] += wish;
        }
        for pin in self.pins {
            for (v, share) in pin.corners {
                side[v] += pin.to * (HOLD * share);
            }
            let turn = self.turn_at(pin, now);
            for &(v, w) in &pin.disc {
                side[v] += (pin.to + turn * (self.rest[v] - pin.from) * self.scale) * w;
            }
        }
        side
    }
}
