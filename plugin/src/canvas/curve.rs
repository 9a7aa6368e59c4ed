//! Transfer curves between a document's encoded samples and linear light.
//!
//! All curves are odd functions: below 0 they mirror what they do above it, and above 1 they go on, so that float
//! documents keep values outside 0 to 1. A curve that cannot be inverted is refused when it is made.

use crate::{Error, Result};

/// The sRGB curve (IEC 61966-2-1).
pub const SRGB: Curve = Curve::Parametric(Parametric {
    g: 2.4,
    a: 1.0 / 1.055,
    b: 0.055 / 1.055,
    c: 1.0 / 12.92,
    d: 0.04045,
    e: 0.0,
    f: 0.0,
});

/// An invertible, rising curve.
#[derive(Debug, Clone, PartialEq)]
pub enum Curve {
    /// Encoded values are linear light.
    Linear,
    /// A power law with an optional straight toe.
    Parametric(Parametric),
    /// Equally spaced values over 0 to 1, never falling; straight between them and beyond the ends.
    Table(Vec<f64>),
}

/// `(a·x + b)^g + e` from `d` on, `c·x + f` below: function type 4 of ICC.1:2022, 10.18, which holds the other four.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parametric {
    g: f64,
    a: f64,
    b: f64,
    c: f64,
    d: f64,
    e: f64,
    f: f64,
}

impl Parametric {
    fn eval(&self, x: f64) -> f64 {
        if x < self.d {
            self.c * x + self.f
        } else {
            (self.a * x + self.b).max(0.0).powf(self.g) + self.e
        }
    }

    fn invert(&self, y: f64) -> f64 {
        if self.d > 0.0 {
            let toe = self.c * self.d + self.f;
            if y <= toe {
                // A flat toe has no inverse; black is the value that matters there.
                return if self.c > 0.0 {
                    ((y - self.f) / self.c).max(0.0)
                } else {
                    0.0
                };
            }
            if y < self.eval(self.d) {
                return self.d;
            }
        }
        (((y - self.e).max(0.0).powf(1.0 / self.g) - self.b) / self.a).max(0.0)
    }
}

impl Curve {
    /// A pure power law.
    pub fn gamma(g: f64) -> Result<Self> {
        Self::parametric(&[g])
    }

    /// The parameters of an ICC `para` tag, in its order; their number tells the function type.
    pub fn parametric(p: &[f64]) -> Result<Self> {
        let toe_at = |a: f64, b: f64| if a == 0.0 { f64::NAN } else { -b / a };
        let [g, a, b, c, d, e, f] = match *p {
            [g] => [g, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [g, a, b] => [g, a, b, 0.0, toe_at(a, b), 0.0, 0.0],
            [g, a, b, c] => [g, a, b, 0.0, toe_at(a, b), c, c],
            [g, a, b, c, d] => [g, a, b, c, d, 0.0, 0.0],
            [g, a, b, c, d, e, f] => [g, a, b, c, d, e, f],
            _ => return Err(bad("a parametric curve of 1, 3, 4, 5 or 7 numbers")),
        };
        let sane = [g, a, b, c, d, e, f].iter().all(|v| v.abs() <= 1e3);
        if !sane || !(0.05..=20.0).contains(&g) || a <= 1e-6 || c < 0.0 || d >= 1.0 {
            return Err(bad(
                "a rising parametric curve with an exponent of 0.05 to 20",
            ));
        }
        if g == 1.0 && a == 1.0 && b == 0.0 && e == 0.0 && d <= 0.0 {
            return Ok(Self::Linear);
        }
        let curve = Parametric {
            g,
            a,
            b,
            c,
            d,
            e,
            f,
        };
        if curve.d > 0.0 && curve.c * curve.d + curve.f > curve.eval(curve.d) + 1e-3 {
            return Err(bad("a parametric curve that does not fall at its joint"));
        }
        Ok(Self::Parametric(curve))
    }

    /// The entries of an ICC `curv` tag: none is linear, one is a power law in 8.8 fixed point, more are a table.
    pub fn table(entries: &[u16]) -> Result<Self> {
        match *entries {
            [] => Ok(Self::Linear),
            [gamma] => Self::gamma(f64::from(gamma) / 256.0),
            [0, u16::MAX] => Ok(Self::Linear),
            _ => Self::measured(entries.iter().map(|&v| f64::from(v) / 65535.0)),
        }
    }

    /// Equally spaced values over 0 to 1, at least two. Measured curves may dip by noise; the running maximum is the
    /// nearest curve with an inverse.
    pub fn measured(values: impl Iterator<Item = f64>) -> Result<Self> {
        let (mut top, mut last) = (0.0f64, 0.0);
        let rising: Vec<f64> = values
            .map(|v| {
                last = v;
                top = top.max(v);
                top
            })
            .collect();
        match rising.first() {
            Some(first) if rising.len() > 1 && *first < last => Ok(Self::Table(rising)),
            _ => Err(bad("a tone curve that rises")),
        }
    }

    /// Encoded value to linear light.
    pub fn decode(&self, x: f64) -> f64 {
        let y = match self {
            Self::Linear => return x,
            Self::Parametric(p) => p.eval(x.abs()),
            Self::Table(t) => table_at(t, x.abs()),
        };
        y.copysign(x)
    }

    /// Linear light to encoded value.
    pub fn encode(&self, y: f64) -> f64 {
        let x = match self {
            Self::Linear => return y,
            Self::Parametric(p) => p.invert(y.abs()),
            Self::Table(t) => table_find(t, y.abs()),
        };
        x.copysign(y)
    }
}

fn bad(expected: &str) -> Error {
    Error::caller(format!(
        "the picture's ICC profile has a curve that cannot be used: {expected} was expected; \
         convert the picture to sRGB or another standard profile"
    ))
}

/// Slope beyond the last entry; 0 where the table ends flat.
fn end_slope(t: &[f64]) -> f64 {
    let n = t.len() - 1;
    (t[n] - t[n - 1]) * n as f64
}

fn table_at(t: &[f64], x: f64) -> f64 {
    let n = t.len() - 1;
    if x >= 1.0 {
        return t[n] + (x - 1.0) * end_slope(t);
    }
    let at = x * n as f64;
    let i = (at as usize).min(n - 1);
    t[i] + (t[i + 1] - t[i]) * (at - i as f64)
}

fn table_find(t: &[f64], y: f64) -> f64 {
    let n = t.len() - 1;
    if y >= t[n] {
        let slope = end_slope(t);
        return if slope > 0.0 {
            1.0 + (y - t[n]) / slope
        } else {
            // A flat end: the first entry that reaches it.
            t.partition_point(|&v| v < t[n]) as f64 / n as f64
        };
    }
    // The last entry that is not above y, so the segment that starts there rises through y.
    let i = t.partition_point(|&v| v <= y);
    if i == 0 {
        return 0.0;
    }
    let (low, high) = (t[i - 1], t[i]);
    (i as f64 - 1.0 + (y - low) / (high - low)) / n as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn there_and_back(curve: &Curve, from: f64) {
        for i in 0..=2000 {
            let x = from + (2.0 - from) * f64::from(i) / 2000.0;
            for x in [x, -x] {
                let back = curve.encode(curve.decode(x));
                assert!((back - x).abs() < 1e-9, "{x} came back as {back}");
            }
        }
    }

    #[test]
    fn curves_are_undone() {
        there_and_back(&Curve::Linear, 0.0);
        there_and_back(&SRGB, 0.0);
        there_and_back(&Curve::gamma(2.2).unwrap(), 0.0);
        there_and_back(
            &Curve::parametric(&[3.0, 0.9, 0.1, 0.2, 0.3, 0.01, 0.0]).unwrap(),
            0.31,
        );
        let square: Vec<u16> = (0..1024u64)
            .map(|i| (i * i * 65535 / (1023 * 1023)) as u16)
            .collect();
        there_and_back(&Curve::table(&square).unwrap(), 0.01);
    }

    #[test]
    fn srgb_is_the_standard_one() {
        assert!((SRGB.decode(0.5) - 0.214_041_14).abs() < 1e-8);
        assert!((SRGB.decode(0.02) - 0.02 / 12.92).abs() < 1e-12);
        assert!((SRGB.decode(1.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn curves_without_inverse_are_refused() {
        for p in [
            &[0.0][..],
            &[f64::NAN],
            &[2.2, 0.0, 0.1],
            &[2.2, -1.0, 0.1],
            &[2.2, 1.0, 0.0, 30.0, 0.5],
            &[1.0, 2.0],
            &[],
        ] {
            assert!(Curve::parametric(p).is_err(), "{p:?}");
        }
        assert!(Curve::table(&[7, 7, 7]).is_err());
        assert!(Curve::table(&[9, 0]).is_err());
    }

    #[test]
    fn flat_and_falling_stretches_of_a_table_stay_finite() {
        let curve = Curve::table(&[0, 0, 500, 400, 400, 65535, 65535]).unwrap();
        for i in 0..=1000 {
            let y = f64::from(i) / 500.0;
            let x = curve.encode(y);
            assert!(x.is_finite() && x >= 0.0, "{y} became {x}");
        }
    }
}
