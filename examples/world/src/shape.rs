//! Solids, and where a straight view along −z meets them.

use glam::{Mat3, Vec3};

/// A solid.
#[derive(Debug, Clone, Copy)]
pub enum Solid {
    /// Balls from one place to another, their radii changing evenly.
    Cone {
        /// First middle.
        from: Vec3,
        /// Last middle.
        to: Vec3,
        /// First and last radius.
        radii: [f32; 2],
    },
    /// An ellipsoid.
    Ball {
        /// Its middle.
        middle: Vec3,
        /// Half its sizes along the frame.
        radii: Vec3,
    },
    /// A box.
    Block {
        /// Its middle.
        middle: Vec3,
        /// Half its sizes along the frame.
        half: Vec3,
    },
}

/// A solid with a frame of its own, whose columns are perpendicular and of length 1.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What and where.
    pub solid: Solid,
    /// Its axes.
    pub frame: Mat3,
}

/// Where a view meets a solid.
#[derive(Debug, Clone, Copy)]
pub struct Hit {
    /// How near: the larger, the nearer.
    pub z: f32,
    /// Outward, of length 1.
    pub normal: Vec3,
    /// The place in the solid's frame, from its (first) middle.
    pub local: Vec3,
}

impl Shape {
    /// The same, turned about the origin, then moved.
    pub fn moved(self, turn: Mat3, by: Vec3) -> Self {
        let place = |at: Vec3| turn * at + by;
        let solid = match self.solid {
            Solid::Cone { from, to, radii } => Solid::Cone {
                from: place(from),
                to: place(to),
                radii,
            },
            Solid::Ball { middle, radii } => Solid::Ball {
                middle: place(middle),
                radii,
            },
            Solid::Block { middle, half } => Solid::Block {
                middle: place(middle),
                half,
            },
        };
        Self {
            solid,
            frame: turn * self.frame,
        }
    }

    /// The same, larger by a factor about the origin.
    pub fn scaled(self, by: f32) -> Self {
        let solid = match self.solid {
            Solid::Cone { from, to, radii } => Solid::Cone {
                from: from * by,
                to: to * by,
                radii: radii.map(|r| r * by),
            },
            Solid::Ball { middle, radii } => Solid::Ball {
                middle: middle * by,
                radii: radii * by,
            },
            Solid::Block { middle, half } => Solid::Block {
                middle: middle * by,
                half: half * by,
            },
        };
        Self { solid, ..self }
    }

    /// The corners of a box along x, y and z around it.
    pub fn bounds(&self) -> (Vec3, Vec3) {
        match self.solid {
            Solid::Cone { from, to, radii } => {
                let (a, b) = (Vec3::splat(radii[0]), Vec3::splat(radii[1]));
                ((from - a).min(to - b), (from + a).max(to + b))
            }
            Solid::Ball { middle, radii } => {
                let m = self.frame * Mat3::from_diagonal(radii);
                // The reach of an ellipsoid along an axis is the length of that row of its matrix.
                let reach = Vec3::new(m.row(0).length(), m.row(1).length(), m.row(2).length());
                (middle - reach, middle + reach)
            }
            Solid::Block { middle, half } => {
                let m = self.frame * Mat3::from_diagonal(half);
                let reach = m.x_axis.abs() + m.y_axis.abs() + m.z_axis.abs();
                (middle - reach, middle + reach)
            }
        }
    }

    /// The nearest place of the solid at these coordinates.
    pub fn at(&self, x: f32, y: f32) -> Option<Hit> {
        let inside = self.frame.transpose();
        match self.solid {
            Solid::Ball { middle, radii } => {
                let start = inside * Vec3::new(x - middle.x, y - middle.y, 0.0) / radii;
                let along = inside * Vec3::Z / radii;
                let z = root(
                    along.length_squared(),
                    start.dot(along),
                    start.length_squared() - 1.0,
                )?;
                let unit = start + along * z;
                Some(Hit {
                    z: z + middle.z,
                    normal: (self.frame * (unit / radii)).normalize(),
                    local: unit * radii,
                })
            }
            Solid::Block { middle, half } => {
                let start = inside * Vec3::new(x - middle.x, y - middle.y, 0.0);
                let along = inside * Vec3::Z;
                let (mut least, mut most, mut side) = (f32::MIN, f32::MAX, 0);
                for i in 0..3 {
                    if along[i].abs() < 1e-6 {
                        if start[i].abs() > half[i] {
                            return None;
                        }
                        continue;
                    }
                    let ends = [-1.0, 1.0].map(|s| (s * half[i] - start[i]) / along[i]);
                    least = least.max(ends[0].min(ends[1]));
                    if ends[0].max(ends[1]) < most {
                        most = ends[0].max(ends[1]);
                        side = i;
                    }
                }
                let local = start + along * most;
                (least <= most).then(|| Hit {
                    z: most + middle.z,
                    normal: self.frame.col(side) * along[side].signum(),
                    local,
                })
            }
            Solid::Cone { from, to, radii } => cone(x, y, from, to, radii).map(|(z, normal)| Hit {
                z,
                normal,
                local: inside * (Vec3::new(x, y, z) - from),
            }),
        }
    }
}

/// The root of a t² + 2 b t + c at which this grows; with the signs of all changed, the other one.
fn root(a: f32, b: f32, c: f32) -> Option<f32> {
    let inside = b * b - a * c;
    (inside >= 0.0 && a.abs() > 1e-12).then(|| (inside.sqrt() - b) / a)
}

/// Where a view meets balls along a line: on the first or last of them, or on the cone that touches both.
fn cone(x: f32, y: f32, from: Vec3, to: Vec3, [first, last]: [f32; 2]) -> Option<(f32, Vec3)> {
    let ball = |middle: Vec3, radius: f32| {
        let (dx, dy) = (x - middle.x, y - middle.y);
        let rest = radius * radius - dx * dx - dy * dy;
        (rest >= 0.0).then(|| {
            let up = rest.sqrt();
            (middle.z + up, Vec3::new(dx, dy, up) / radius)
        })
    };
    let axis = to - from;
    let length = axis.length();
    let ends = [ball(from, first), ball(to, last)];
    let nearest = |all: &[Option<(f32, Vec3)>]| {
        let all = all.iter().copied().flatten();
        all.max_by(|a, b| a.0.total_cmp(&b.0))
    };
    if length <= (first - last).abs() + 1e-6 {
        return nearest(&ends);
    }
    let axis = axis / length;
    // A place on the cone's surface is s along the axis and first − slope · s from it, measured at right angles to the
    // surface: with the radius of the ball that touches there.
    let slope = (first - last) / length;
    let widen = 1.0 / (1.0 - slope * slope).sqrt();
    let start = Vec3::new(x - from.x, y - from.y, 0.0);
    // |p|² − (p·a)² = (r − k (p·a))², of the cone in which both balls lie.
    let (p, d) = (start.dot(axis), axis.z);
    let (radius, k) = (first * widen, slope * widen);
    let a = 1.0 - d * d - k * k * d * d;
    let b = start.z - p * d + k * d * (radius - k * p);
    let c = start.length_squared() - p * p - (radius - k * p).powi(2);
    // Seen steeply, the nearer root may lie on the cone's other half, beyond its tip.
    let side = [root(a, b, c), root(-a, -b, -c)].map(|z| {
        let z = z?;
        let along = p + d * z;
        let wide = radius - k * along;
        let out = (start + Vec3::Z * z - axis * along) / wide;
        let normal = (out + axis * k).normalize();
        // Between the circles where the cone touches the balls.
        let touches = slope * first..=length + slope * last;
        let met = wide > 0.0 && touches.contains(&along) && normal.z >= 0.0;
        met.then_some((z + from.z, normal))
    });
    nearest(&[ends[0], ends[1], side[0], side[1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Distance from a solid's surface: negative inside.
    fn distance(solid: Solid, frame: Mat3, at: Vec3) -> f32 {
        let inside = frame.transpose();
        match solid {
            // The nearest of many balls.
            Solid::Cone { from, to, radii } => (0..=2000)
                .map(|i| {
                    let t = i as f32 / 2000.0;
                    (at - from.lerp(to, t)).length() - (radii[0] + (radii[1] - radii[0]) * t)
                })
                .fold(f32::MAX, f32::min),
            Solid::Ball { middle, radii } => {
                ((inside * (at - middle) / radii).length() - 1.0) * radii.min_element()
            }
            Solid::Block { middle, half } => {
                let off = (inside * (at - middle)).abs() - half;
                off.max(Vec3::ZERO).length() + off.max_element().min(0.0)
            }
        }
    }

    fn place(range: f32) -> impl Strategy<Value = Vec3> {
        prop::array::uniform3(-range..range).prop_map(Vec3::from)
    }

    fn sizes() -> impl Strategy<Value = Vec3> {
        prop::array::uniform3(0.1f32..0.6).prop_map(Vec3::from)
    }

    proptest! {
        #[test]
        fn views_meet_surfaces_from_outside(
            a in place(0.5),
            b in place(0.5),
            size in sizes(),
            turn in place(3.0),
            x in -1.0f32..1.0,
            y in -1.0f32..1.0,
        ) {
            let frame = Mat3::from_euler(glam::EulerRot::XYZ, turn.x, turn.y, turn.z);
            let solids = [
                Solid::Cone { from: a, to: b, radii: [size.x, size.y] },
                Solid::Ball { middle: a, radii: size },
                Solid::Block { middle: a, half: size },
            ];
            for solid in solids {
                let shape = Shape { solid, frame };
                match shape.at(x, y) {
                    Some(hit) => {
                        let at = Vec3::new(x, y, hit.z);
                        prop_assert!(distance(solid, frame, at).abs() < 3e-3, "{solid:?} at {at}");
                        prop_assert!((hit.normal.length() - 1.0).abs() < 1e-3);
                        prop_assert!(hit.normal.z > -1e-3);
                        prop_assert!(distance(solid, frame, at + hit.normal * 0.02) > 5e-3);
                        let (low, high) = shape.bounds();
                        prop_assert!((low - 1e-3).cmple(at).all() && (high + 1e-3).cmpge(at).all());
                    }
                    // Nothing is missed that is clearly there.
                    None => for z in -20..20 {
                        let at = Vec3::new(x, y, z as f32 * 0.05);
                        prop_assert!(distance(solid, frame, at) > -5e-3, "{solid:?} missed at {at}");
                    },
                }
            }
        }
    }
}
