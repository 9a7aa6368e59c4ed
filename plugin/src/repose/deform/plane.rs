//! Points of the plane as complex numbers: turning and scaling is a product.

use std::ops::{Add, AddAssign, Mul, Sub};

/// A point or a vector; `x` to the right, `y` down, so that a positive angle turns clockwise on screen.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl Point {
    /// A turn by nothing.
    pub const ONE: Self = Self { x: 1.0, y: 0.0 };

    /// A turn by so many degrees, clockwise on screen; exact for whole quarters.
    pub fn turn(degrees: f64) -> Self {
        let quarters = degrees / 90.0;
        if quarters == quarters.round() {
            let [x, y] = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
                [quarters.rem_euclid(4.0) as usize % 4];
            return Self { x, y };
        }
        let (y, x) = degrees.to_radians().sin_cos();
        Self { x, y }
    }

    /// Mirrored at the x axis; of a turn, the way back.
    pub fn conj(self) -> Self {
        Self {
            x: self.x,
            y: -self.y,
        }
    }

    /// Length.
    pub fn length(self) -> f64 {
        self.x.hypot(self.y)
    }

    /// Same direction, length 1; `or` if there is no direction.
    pub fn unit(self, or: Self) -> Self {
        let length = self.length();
        if length > 1e-12 {
            self * (1.0 / length)
        } else {
            or
        }
    }

    /// The product that says how far `other` lies to the left or right of this, twice the triangle's area.
    pub fn cross(self, other: Self) -> f64 {
        self.x * other.y - self.y * other.x
    }
}

impl From<[f32; 2]> for Point {
    fn from(p: [f32; 2]) -> Self {
        Self {
            x: f64::from(p[0]),
            y: f64::from(p[1]),
        }
    }
}

impl From<Point> for [f32; 2] {
    fn from(p: Point) -> Self {
        [p.x as f32, p.y as f32]
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            x: self.x + o.x,
            y: self.y + o.y,
        }
    }
}

impl AddAssign for Point {
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self {
            x: self.x - o.x,
            y: self.y - o.y,
        }
    }
}

impl Mul<f64> for Point {
    type Output = Self;
    fn mul(self, s: f64) -> Self {
        Self {
            x: self.x * s,
            y: self.y * s,
        }
    }
}

impl Mul for Point {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self {
            x: self.x * o.x - self.y * o.y,
            y: self.x * o.y + self.y * o.x,
        }
    }
}
