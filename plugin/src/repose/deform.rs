//! A new pose for a mesh: pins and placement to new positions of its corners.

mod arap;
mod cholesky;
mod locate;
mod mls;
mod plane;
#[cfg(test)]
mod tests;

use crate::canvas::Mask;
use crate::request::{FURTHEST, Pin, Placement};
use crate::subject::Mesh;
use crate::{Error, Result};
use arap::{Pinned, Sheet};
use locate::Finder;
use mls::Handle;
use plane::Point;

/// More pins than a hand sets; bounds the time of one pose.
const MOST_PINS: usize = 1000;
/// Firmness of the mesh where nothing of the subject is, relative to where all is.
const LOOSE: f64 = 0.01;
/// Displacements that differ less than this, in pixels, are the same.
const SAME: f32 = 1.0 / 1024.0;

/// A mesh in its new pose; all per corner of the mesh.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deformed {
    /// New positions, in pixels of the subject's crop (which they may leave).
    pub vertices: Vec<[f32; 2]>,
    /// Pin depths, spread along the subject; the larger is in front.
    pub depth: Vec<f32>,
    /// Largest stretch in any direction, relative to the placement's scale: 1 where only moved and turned.
    pub stretch: Vec<f32>,
    /// Distance in pixels from where the placement alone would have put it.
    pub moved: Vec<f32>,
}

/// Why a pose cannot be made. As an [`Error`] it speaks in crop coordinates; [`Unusable::error`] in the caller's own.
#[derive(Debug, Clone, PartialEq)]
pub enum Unusable {
    /// The pin with this index is not a number, or goes absurdly far.
    Pin(usize),
    /// The pin with this index is not on the subject, whose mesh has these bounds.
    Off(usize, [f32; 2], [f32; 2]),
    /// Two pins at one point of the subject want different things.
    Contradiction(usize, usize),
    /// Not about one pin.
    Other(Error),
}

impl Unusable {
    /// The message, with `origin` added to all positions: where the crop lies in the picture.
    pub fn error(&self, pins: &[Pin], origin: [f32; 2]) -> Error {
        let place = |p: [f32; 2]| format!("({:.1}, {:.1})", p[0] + origin[0], p[1] + origin[1]);
        let pin = |i: usize| {
            let p = pins.get(i).map_or([f32::NAN; 2], |p| p.from);
            format!("pin {} at {}", i + 1, place(p))
        };
        match self {
            Self::Pin(i) => {
                let to = pins.get(*i).map_or([f32::NAN; 2], |p| p.to);
                Error::caller(format!(
                    "{} cannot go to {}: positions, angle and depth must be numbers and the target not beyond {FURTHEST} pixels",
                    pin(*i),
                    place(to)
                ))
            }
            Self::Off(i, low, high) => Error::caller(format!(
                "{} is not on the subject, which reaches from {} to {}: put it on the selection",
                pin(*i),
                place(*low),
                place(*high)
            )),
            Self::Contradiction(a, b) => Error::caller(format!(
                "{} and pin {} hold the same point of the subject but want it in different places: remove one",
                pin(*a),
                b + 1
            )),
            Self::Other(error) => error.clone(),
        }
    }
}

impl From<Error> for Unusable {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Poses `mesh`. All positions are pixels of the subject's crop.
///
/// The placement scales and turns (clockwise on screen) about `centre`, then moves. Pins win over it: their targets are
/// where their points go, placement or not; their angles count from the source, too. Between pins the subject bends as
/// rigidly as it can; parts that no pin is connected to follow rigidly. Without pins the placement alone acts.
/// Where `matte` (the crop's) is 0, the mesh hardly holds together: an arm beside a body moves by itself.
pub fn deform(
    mesh: &Mesh,
    matte: &Mask,
    pins: &[Pin],
    placement: &Placement,
    centre: [f32; 2],
) -> std::result::Result<Deformed, Unusable> {
    check_mesh(mesh)?;
    check_placement(placement, centre)?;
    check_pins(pins)?;

    let rest: Vec<Point> = mesh.vertices.iter().map(|&v| v.into()).collect();
    let placed = place(mesh, &rest, placement, centre);
    let count = rest.len();
    let depth = pins.first().map_or(0.0, |p| p.depth);
    let even = pins.iter().all(|p| p.depth == depth);
    let shift = common_shift(pins, placement);

    let mut deformed = Deformed {
        depth: vec![depth; count],
        ..Deformed::default()
    };
    deformed.vertices = match shift {
        Some([x, y]) => mesh.vertices.iter().map(|v| [v[0] + x, v[1] + y]).collect(),
        None => placed.clone(),
    };
    if !pins.is_empty() && (shift.is_none() || !even) {
        let edges = edges(mesh);
        let scale = f64::from(placement.scale);
        let pinned = Finder::new(mesh, matte, &rest, &edges).pin(pins)?;
        let firm: Vec<f64> = edges.iter().map(|e| firmness(&rest, *e, matte)).collect();
        let sheet = Sheet::new(&rest, &edges, &firm, &pinned, scale)?;
        if shift.is_none() {
            let guess = guess(&rest, &pinned, placement);
            deformed.vertices = sheet.pose(&guess).into_iter().map(Into::into).collect();
        }
        if !even {
            let depths: Vec<f64> = pins.iter().map(|p| f64::from(p.depth)).collect();
            let near = nearest_values(&rest, &pinned, &depths);
            let least = depths.iter().copied().fold(f64::INFINITY, f64::min);
            let most = depths.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // A pin inside a triangle may lift one of its corners a little beyond.
            let spread = sheet.spread(&depths, &near).into_iter();
            deformed.depth = spread.map(|d| d.clamp(least, most) as f32).collect();
        }
    } else {
        // Pins off the subject are a mistake even where they would change nothing.
        Finder::new(mesh, matte, &rest, &edges(mesh)).pin(pins)?;
    }
    deformed.stretch = stretch(mesh, &rest, &deformed.vertices, placement.scale);
    deformed.moved = (deformed.vertices.iter().zip(&placed))
        .map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]))
        .collect();
    Ok(deformed)
}

/// The smallest box around the new positions: its least and its greatest corner. Of nothing, an empty box at (0, 0).
pub fn bounds(deformed: &Deformed) -> ([f32; 2], [f32; 2]) {
    span(&deformed.vertices)
}

fn span(points: &[[f32; 2]]) -> ([f32; 2], [f32; 2]) {
    let first = points.first().copied().unwrap_or_default();
    points.iter().fold((first, first), |(low, high), p| {
        (
            [low[0].min(p[0]), low[1].min(p[1])],
            [high[0].max(p[0]), high[1].max(p[1])],
        )
    })
}

fn check_mesh(mesh: &Mesh) -> Result<()> {
    if mesh.vertices.is_empty() || mesh.triangles.is_empty() {
        return Err(Error::caller(
            "the subject is empty: select something before re-posing",
        ));
    }
    let count = mesh.vertices.len();
    let whole = mesh
        .triangles
        .iter()
        .flatten()
        .all(|&i| (i as usize) < count)
        && mesh.vertices.iter().flatten().all(|v| v.abs() < FURTHEST);
    if whole {
        Ok(())
    } else {
        Err(Error::caller(
            "the subject's mesh is damaged: learn the subject again",
        ))
    }
}

fn check_placement(placement: &Placement, centre: [f32; 2]) -> Result<()> {
    let Placement {
        offset,
        scale,
        angle,
    } = placement;
    if !(0.05..=20.0).contains(scale) {
        return Err(Error::caller(format!("scale {scale} is not in 0.05 to 20")));
    }
    if !angle.is_finite() || !offset.iter().chain(&centre).all(|v| v.abs() < FURTHEST) {
        return Err(Error::caller(format!(
            "the placement's offset ({}, {}) and angle {angle} must be numbers, the offset below {FURTHEST} pixels",
            offset[0], offset[1]
        )));
    }
    Ok(())
}

fn check_pins(pins: &[Pin]) -> std::result::Result<(), Unusable> {
    if pins.len() > MOST_PINS {
        let message = format!("{} pins came, at most {MOST_PINS} are possible", pins.len());
        return Err(Error::caller(message).into());
    }
    for (i, pin) in pins.iter().enumerate() {
        let near = pin.from.iter().chain(&pin.to).all(|v| v.abs() < FURTHEST);
        if !near || !pin.depth.is_finite() || !pin.angle.is_none_or(f32::is_finite) {
            return Err(Unusable::Pin(i));
        }
        for (k, other) in pins[..i].iter().enumerate() {
            let angles = other.angle.zip(pin.angle).is_some_and(|(a, b)| a != b);
            if other.from == pin.from && (other.to != pin.to || angles) {
                return Err(Unusable::Contradiction(k, i));
            }
        }
    }
    Ok(())
}

/// The one displacement of everything, if there is one: such a pose keeps every pixel as it is.
fn common_shift(pins: &[Pin], placement: &Placement) -> Option<[f32; 2]> {
    if placement.scale != 1.0 || placement.angle % 360.0 != 0.0 {
        return None;
    }
    let Some(first) = pins.first() else {
        return Some(placement.offset);
    };
    // Moving the pins into the crop's coordinates may have cost the last bits of whole steps.
    let shift = [0, 1].map(|k| {
        let d = first.to[k] - first.from[k];
        if (d - d.round()).abs() < SAME {
            d.round()
        } else {
            d
        }
    });
    let all = pins.iter().all(|p| {
        let [x, y] = [0, 1].map(|k| (p.to[k] - p.from[k] - shift[k]).abs());
        x < SAME && y < SAME && p.angle.is_none_or(|a| a % 360.0 == 0.0)
    });
    all.then_some(shift)
}

/// Where the placement alone puts the corners.
fn place(mesh: &Mesh, rest: &[Point], placement: &Placement, centre: [f32; 2]) -> Vec<[f32; 2]> {
    if let Some([x, y]) = common_shift(&[], placement) {
        return mesh.vertices.iter().map(|v| [v[0] + x, v[1] + y]).collect();
    }
    let turn = Point::turn(f64::from(placement.angle)) * f64::from(placement.scale);
    let (centre, offset) = (Point::from(centre), Point::from(placement.offset));
    rest.iter()
        .map(|&v| (centre + offset + turn * (v - centre)).into())
        .collect()
}

/// Every pair of corners joined by a triangle's side, once, in a fixed order.
fn edges(mesh: &Mesh) -> Vec<(usize, usize)> {
    let mut edges: Vec<(usize, usize)> = mesh
        .triangles
        .iter()
        .flat_map(|t| {
            let [a, b, c] = t.map(|i| i as usize);
            [(a, b), (b, c), (c, a)]
        })
        .filter(|(a, b)| a != b)
        .map(|(a, b)| (a.min(b), a.max(b)))
        .collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// How well the subject holds an edge's ends together: its least coverage on the way, but never nothing.
fn firmness(rest: &[Point], (a, b): (usize, usize), matte: &Mask) -> f64 {
    let way = rest[b] - rest[a];
    let steps = way.length().ceil().clamp(1.0, 256.0);
    let mut least = 1.0f32;
    for step in 0..=steps as usize {
        let at = rest[a] + way * (step as f64 / steps);
        // An end may lie on the crop's own border, where the subject was cut off.
        let inside = |v: f64, end: usize| (v.max(0.0) as usize).min(end.saturating_sub(1));
        if matte.width() > 0 && matte.height() > 0 {
            least = least.min(matte.at(inside(at.x, matte.width()), inside(at.y, matte.height())));
        }
    }
    f64::from(least).max(LOOSE)
}

/// The first guess: moving least squares over the pins, each with turn as a small cross.
fn guess(rest: &[Point], pinned: &[Pinned], placement: &Placement) -> Vec<Point> {
    let scale = f64::from(placement.scale);
    let mut handles = Vec::with_capacity(pinned.len());
    for pin in pinned {
        handles.push(Handle {
            from: pin.from,
            to: pin.to,
        });
        let Some(turn) = pin.turn else { continue };
        let reach = pin
            .disc
            .iter()
            .map(|d| (rest[d.0] - pin.from).length())
            .fold(1.0, f64::max);
        for quarter in 0..4 {
            let arm = Point::turn(f64::from(quarter) * 90.0) * (reach * 0.5);
            handles.push(Handle {
                from: pin.from + arm,
                to: pin.to + turn * arm * scale,
            });
        }
    }
    let turn = Point::turn(f64::from(placement.angle));
    rest.iter()
        .map(|&v| mls::rigid(v, &handles, turn, scale))
        .collect()
}

/// Each corner's share of the pins' values by distance, for parts that no pin is connected to.
fn nearest_values(rest: &[Point], pinned: &[Pinned], values: &[f64]) -> Vec<f64> {
    rest.iter()
        .map(|&v| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (pin, value) in pinned.iter().zip(values) {
                let w = 1.0 / ((v - pin.from).length().powi(2) + 1e-6);
                sum += w * value;
                total += w;
            }
            sum / total
        })
        .collect()
}

/// Per corner the mean over its triangles, by their area, of the map's largest singular value.
fn stretch(mesh: &Mesh, rest: &[Point], now: &[[f32; 2]], scale: f32) -> Vec<f32> {
    let mut sums = vec![(0.0f64, 0.0f64); rest.len()];
    for triangle in &mesh.triangles {
        let [a, b, c] = triangle.map(|i| i as usize);
        let (e, f) = (rest[b] - rest[a], rest[c] - rest[a]);
        let origin = Point::from(now[a]);
        let (g, h) = (Point::from(now[b]) - origin, Point::from(now[c]) - origin);
        let twice = e.cross(f);
        if twice.abs() < 1e-9 {
            continue;
        }
        // The map as complex numbers, z → p z + q conj(z): its singular values are |p| ± |q|.
        let (i, area) = (
            Point {
                x: 0.0,
                y: 0.5 / twice,
            },
            twice.abs(),
        );
        let p = i * (g * f.conj() + (h * e.conj()) * -1.0);
        let q = i * (h * e + (g * f) * -1.0);
        let largest = p.length() + q.length();
        for v in [a, b, c] {
            sums[v].0 += area * largest;
            sums[v].1 += area;
        }
    }
    let scale = f64::from(scale);
    sums.iter()
        .map(|&(sum, area)| {
            if area > 0.0 {
                (sum / area / scale) as f32
            } else {
                1.0
            }
        })
        .collect()
}
