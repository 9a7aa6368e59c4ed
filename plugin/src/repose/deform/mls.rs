//! Moving least squares, rigid (Schaefer, McPhail, Warren: Image Deformation Using Moving Least Squares, 2006): where a
//! point goes if near handles matter more than far ones. Needs no mesh, so it also moves what no pin holds.

use super::plane::Point;

/// A point of the rest shape and where it goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Handle {
    /// At rest.
    pub from: Point,
    /// In the new pose.
    pub to: Point,
}

/// Where `v` goes; `turn` is the rotation if the handles give none (only one), `scale` that of the whole shape.
/// At least one handle.
pub fn rigid(v: Point, handles: &[Handle], turn: Point, scale: f64) -> Point {
    // A thousandth of a pixel: no division by zero, and a handle still takes its own point along.
    let weight = |h: &Handle| {
        let d = v - h.from;
        1.0 / (d.x * d.x + d.y * d.y + 1e-6)
    };
    let (mut from, mut to, mut total) = (Point::default(), Point::default(), 0.0);
    for h in handles {
        let w = weight(h);
        from += h.from * w;
        to += h.to * w;
        total += w;
    }
    let (from, to) = (from * (1.0 / total), to * (1.0 / total));
    let mut spin = Point::default();
    for h in handles {
        spin += (h.from - from).conj() * (h.to - to) * (weight(h) / total);
    }
    to + spin.unit(turn) * (v - from) * scale
}
