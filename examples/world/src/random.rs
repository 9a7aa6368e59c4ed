//! Numbers that a seed determines, the same on every machine.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Random(Pcg64);

impl Random {
    /// The stream of a seed and of what it is for.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(Pcg64::seed_from_u64(mix(seed ^ mix(purpose))))
    }

    /// Evenly between two numbers.
    pub fn between(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.0.random::<f32>()
    }

    /// Up to `by` in both directions.
    pub fn about(&mut self, by: f32) -> f32 {
        self.between(-by, by)
    }

    /// With this probability.
    pub fn chance(&mut self, share: f32) -> bool {
        self.0.random::<f32>() < share
    }

    /// One of them.
    ///
    /// # Panics
    /// If there are none.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.random_range(0..all.len())]
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.random()
    }
}

/// Another number for each number, without visible order (SplitMix64's finaliser).
pub fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 0 to 1 for a place of a lattice.
pub fn lattice(seed: u64, place: [i32; 3]) -> f32 {
    let [x, y, z] = place.map(|v| u64::from(v.cast_unsigned()));
    let hash = mix(seed ^ mix(x ^ mix(y ^ mix(z))));
    (hash >> 40) as f32 / (1 << 24) as f32
}

/// Smooth noise in the plane, 0 to 1, one bump for each unit.
pub fn noise(seed: u64, x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (ease(x - left), ease(y - top));
    let at = |dx: i32, dy: i32| lattice(seed, [left as i32 + dx, top as i32 + dy, 0]);
    let upper = at(0, 0) + (at(1, 0) - at(0, 0)) * u;
    let lower = at(0, 1) + (at(1, 1) - at(0, 1)) * u;
    upper + (lower - upper) * v
}

/// Noise on several scales, 0 to 1.
pub fn clouds(seed: u64, x: f32, y: f32) -> f32 {
    let octave = |n: u32| {
        let scale = f32::from(1u16 << n);
        noise(seed ^ u64::from(n), x * scale, y * scale) / scale
    };
    (octave(0) + octave(1) + octave(2) + octave(3)) / 1.875
}
