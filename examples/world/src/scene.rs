//! Where a subject is: a backdrop and a ground, painted from noise.

use glam::Vec3;

use crate::random::{Random, clouds, lattice, noise};
use crate::words::Place;

/// A place, with its own weather.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scene {
    /// Which.
    pub place: Place,
    /// Height of the horizon, from the bottom.
    pub horizon: f32,
    /// Determines all details.
    pub seed: u64,
    /// Factors of all colours.
    tint: Vec3,
    /// Where the light comes from, of length 1.
    pub light: Vec3,
    /// How strong it is, against that of the sky.
    pub sun: f32,
}

impl Scene {
    /// One that shows this place.
    pub fn new(place: Place, random: &mut Random) -> Self {
        let tint = |random: &mut Random| 1.0 + random.about(0.12);
        Self {
            place,
            horizon: random.between(0.32, 0.52),
            seed: random.number(),
            tint: Vec3::new(tint(random), tint(random), tint(random)),
            light: Vec3::new(
                random.about(0.7),
                random.between(0.7, 1.0),
                random.between(0.4, 0.9),
            )
            .normalize(),
            sun: match place {
                Place::Water | Place::Forest | Place::Room => random.between(0.5, 0.8),
                Place::Moon | Place::Desert => random.between(1.0, 1.3),
                _ => random.between(0.7, 1.1),
            },
        }
    }

    /// The colour at a place of the picture in linear light, 0 to 1 across and from the bottom.
    pub fn at(&self, x: f32, y: f32) -> Vec3 {
        let colour = match y < self.horizon {
            true => self.ground(x, y / self.horizon),
            false => self.backdrop(x, (y - self.horizon) / (1.0 - self.horizon)),
        };
        colour * self.tint
    }

    /// What is behind, from the horizon (0) to the top (1).
    fn backdrop(&self, x: f32, y: f32) -> Vec3 {
        let seed = self.seed;
        let sky = |low: [f32; 3], high: [f32; 3]| Vec3::from(low).lerp(Vec3::from(high), y);
        let cloudy = |sky: Vec3| {
            let c = (clouds(seed, x * 3.0, y * 5.0) - 0.5).max(0.0) * 2.2 * y;
            sky.lerp(Vec3::splat(0.85), c.min(1.0))
        };
        match self.place {
            Place::Beach => {
                let sea = 0.16 + 0.03 * noise(seed, 0.5, 0.5);
                if y < sea {
                    let wave = noise(seed ^ 5, x * 6.0, y * 140.0);
                    return Vec3::new(0.03, 0.20, 0.30).lerp(Vec3::new(0.12, 0.38, 0.45), wave);
                }
                cloudy(sky([0.55, 0.75, 0.88], [0.15, 0.40, 0.80]))
            }
            Place::Forest => {
                let deep = sky([0.10, 0.20, 0.06], [0.03, 0.09, 0.03]);
                let leaves = deep * (0.5 + clouds(seed, x * 7.0, y * 7.0));
                let column = (x * 7.0).floor();
                let at = (column + 0.25 + 0.5 * lattice(seed, [column as i32, 1, 0])) / 7.0;
                let wide = 0.018 + 0.02 * lattice(seed, [column as i32, 2, 0]);
                match ((x - at) / wide).abs() {
                    d if d < 1.0 => Vec3::new(0.13, 0.08, 0.05) * (1.1 - 0.7 * d),
                    _ => leaves,
                }
            }
            Place::Meadow => {
                let hill = 0.18 + 0.16 * noise(seed ^ 3, x * 2.2, 0.0);
                if y < hill {
                    return Vec3::new(0.10, 0.30, 0.07) * (0.7 + y);
                }
                cloudy(sky([0.60, 0.78, 0.90], [0.18, 0.42, 0.82]))
            }
            Place::Desert => {
                let dune = 0.14 + 0.2 * noise(seed ^ 3, x * 1.8, 0.0);
                if y < dune {
                    let lit = noise(seed ^ 3, x * 1.8 + 0.05, 0.0) * 4.0
                        - noise(seed ^ 3, x * 1.8, 0.0) * 4.0;
                    return Vec3::new(0.68, 0.36, 0.13) * (0.9 + lit).clamp(0.5, 1.2);
                }
                let sun = [
                    lattice(seed, [1, 1, 1]),
                    0.55 + 0.3 * lattice(seed, [2, 1, 1]),
                ];
                match (x - sun[0]).hypot((y - sun[1]) * 0.6) < 0.07 {
                    true => Vec3::new(1.0, 0.93, 0.6),
                    false => sky([0.95, 0.66, 0.38], [0.42, 0.55, 0.78]),
                }
            }
            Place::Snow => {
                let column = (x * 6.0).floor();
                let tall = 0.25 + 0.4 * lattice(seed, [column as i32, 3, 0]);
                let off = ((x * 6.0).fract() - 0.5).abs();
                match y < tall && off < 0.46 * (1.0 - y / tall) {
                    true => {
                        Vec3::new(0.05, 0.14, 0.11)
                            + Vec3::splat(0.25 * noise(seed, x * 30.0, y * 20.0))
                    }
                    false => sky([0.78, 0.83, 0.88], [0.52, 0.62, 0.75]),
                }
            }
            Place::City => {
                let column = (x * 5.0).floor();
                let tall = 0.35 + 0.6 * lattice(seed, [column as i32, 4, 0]);
                if y > tall {
                    return sky([0.62, 0.70, 0.78], [0.38, 0.52, 0.72]);
                }
                let shade = 0.10 + 0.25 * lattice(seed, [column as i32, 5, 0]);
                let window = [(x * 25.0).fract(), (y * 14.0).fract()];
                let cell = [(x * 25.0) as i32, (y * 14.0) as i32, 7];
                match window.iter().all(|w| (0.25..0.8).contains(w)) {
                    true if lattice(seed, cell) < 0.4 => Vec3::new(0.85, 0.70, 0.35),
                    true => Vec3::new(0.08, 0.12, 0.18),
                    false => Vec3::new(shade, shade * 0.9, shade * 0.85),
                }
            }
            Place::Room => {
                let wall = 0.35 + 0.3 * lattice(seed, [6, 0, 0]);
                let wall = Vec3::new(
                    wall,
                    wall * 0.93,
                    wall * (0.7 + 0.3 * lattice(seed, [7, 0, 0])),
                );
                let left = 0.08 + 0.6 * lattice(seed, [8, 0, 0]);
                let (u, v) = ((x - left) / 0.26, (y - 0.3) / 0.48);
                let within = |m: f32| (m..1.0 - m).contains(&u) && (m..1.0 - m).contains(&v);
                if within(0.1) {
                    return Vec3::new(0.2, 0.35, 0.5) * (0.5 + clouds(seed ^ 9, u * 3.0, v * 3.0));
                }
                match (within(0.0), y < 0.05) {
                    (true, _) => Vec3::new(0.25, 0.13, 0.05),
                    (_, true) => Vec3::splat(0.75),
                    _ => wall * (0.85 + 0.15 * y),
                }
            }
            Place::Studio => self.studio(0.45 + 0.35 * y),
            Place::Water => {
                let ray = noise(seed, x * 5.0 + y * 1.2, 0.0).powi(2) * y;
                let water = sky([0.02, 0.16, 0.24], [0.08, 0.45, 0.55]) * (0.8 + 0.6 * ray);
                match self.bubble(x, y) {
                    true => water.lerp(Vec3::splat(0.9), 0.6),
                    false => water,
                }
            }
            Place::Moon => {
                let cell = [(x * 40.0) as i32, (y * 40.0) as i32, 1];
                let star = lattice(seed, cell) > 0.965;
                let earth = (x - lattice(seed, [9, 0, 0])).hypot((y - 0.7) * 0.6) < 0.08;
                match (earth, star) {
                    (true, _) => {
                        Vec3::new(0.10, 0.28, 0.55) * (0.6 + clouds(seed, x * 14.0, y * 9.0))
                    }
                    (_, true) => Vec3::splat(0.8),
                    _ => Vec3::new(0.006, 0.006, 0.014),
                }
            }
        }
    }

    /// What is below, from the bottom (0) to the horizon (1).
    fn ground(&self, x: f32, y: f32) -> Vec3 {
        let seed = self.seed ^ 77;
        // Farther away everything is smaller.
        let near = 1.0 / (1.25 - y);
        let grain = |scale: f32| clouds(seed, (x - 0.5) * near * scale, near * scale * 1.5);
        match self.place {
            Place::Beach => Vec3::new(0.70, 0.55, 0.34) * (0.82 + 0.3 * grain(5.0)),
            Place::Forest => {
                Vec3::new(0.16, 0.12, 0.05).lerp(Vec3::new(0.10, 0.18, 0.04), grain(3.0))
            }
            Place::Meadow => {
                let flower =
                    lattice(seed, [(x * near * 30.0) as i32, (near * 30.0) as i32, 3]) > 0.97;
                match flower {
                    true => Vec3::new(0.8, 0.7, 0.2),
                    false => Vec3::new(0.14, 0.36, 0.06) * (0.65 + 0.6 * grain(6.0)),
                }
            }
            Place::Desert => {
                Vec3::new(0.72, 0.42, 0.17) * (0.85 + 0.25 * noise(seed, x * 3.0, near * 14.0))
            }
            Place::Snow => Vec3::new(0.80, 0.84, 0.88) * (0.9 + 0.12 * grain(2.0)),
            Place::City => {
                let line = (0.46..0.54).contains(&y) && (x * 6.0).fract() < 0.6;
                match line {
                    true => Vec3::splat(0.7),
                    false => Vec3::splat(0.13) * (0.85 + 0.3 * grain(6.0)),
                }
            }
            Place::Room => {
                let board = ((x - 0.5) * near * 7.0).floor();
                let shade = 0.8 + 0.35 * lattice(seed, [board as i32, 0, 0]);
                Vec3::new(0.36, 0.20, 0.09)
                    * shade
                    * (0.9 + 0.2 * noise(seed, x * 40.0, near * 3.0))
            }
            Place::Studio => self.studio(0.55 - 0.1 * y),
            Place::Water => Vec3::new(0.20, 0.30, 0.26) * (0.6 + 0.6 * grain(4.0)),
            Place::Moon => {
                let crater = noise(seed, x * near * 4.0, near * 6.0);
                let rim = if (0.68..0.75).contains(&crater) {
                    1.25
                } else {
                    1.0
                };
                Vec3::splat(0.28) * (0.8 + 0.3 * grain(4.0)) * rim
            }
        }
    }

    fn studio(&self, light: f32) -> Vec3 {
        let part = |n: i32| 0.35 + 0.6 * lattice(self.seed, [n, 20, 0]);
        Vec3::new(part(0), part(1), part(2)) * light
    }

    fn bubble(&self, x: f32, y: f32) -> bool {
        let cell = [(x * 9.0) as i32, (y * 6.0) as i32, 4];
        let (u, v) = ((x * 9.0).fract() - 0.5, (y * 6.0).fract() - 0.5);
        let size = 0.3 * lattice(self.seed, cell);
        lattice(self.seed ^ 2, cell) > 0.6 && (0.7 * size..size).contains(&u.hypot(v))
    }
}
