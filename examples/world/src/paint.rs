//! What a surface looks like.

use glam::Vec3;

use crate::random::lattice;
use crate::subject::Subject;
use crate::words::{Colour, Mark, Pattern};

/// A part's surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paint {
    /// Linear light.
    pub base: Vec3,
    /// The pattern's colour.
    pub second: Vec3,
    /// What is on it.
    pub pattern: Pattern,
    /// Distance of bands or spots.
    pub scale: f32,
    /// 0: like cloth, 1: like lacquer.
    pub gloss: f32,
    /// Where spots are.
    pub seed: u64,
    /// What is painted on its front, in which colour, and how large.
    pub mark: Option<(Mark, Vec3, f32)>,
}

impl Paint {
    /// One colour without gloss.
    pub fn plain(colour: Colour) -> Self {
        let base = Vec3::from(colour.linear());
        Self {
            base,
            second: base,
            pattern: Pattern::Plain,
            scale: 1.0,
            gloss: 0.2,
            seed: 0,
            mark: None,
        }
    }

    /// A subject's skin.
    pub fn skin(subject: &Subject) -> Self {
        let tone = Vec3::from(subject.build.tone);
        Self {
            base: Vec3::from(subject.colour.linear()) * tone,
            second: Vec3::from(subject.second.linear()),
            pattern: subject.pattern,
            scale: 0.085 * subject.build.scale,
            gloss: subject.build.gloss,
            seed: subject.seed,
            mark: None,
        }
    }

    /// The same without its pattern.
    pub fn bare(self) -> Self {
        Self {
            pattern: Pattern::Plain,
            ..self
        }
    }

    /// The colour at a place of the part's own frame.
    pub fn at(&self, local: Vec3) -> Vec3 {
        if let Some((mark, colour, size)) = self.mark
            && local.z > 0.0
            && inside(mark, local.x / size, local.y / size)
        {
            return colour;
        }
        let other = match self.pattern {
            Pattern::Plain => false,
            Pattern::Striped => (local.y / self.scale).rem_euclid(1.0) < 0.42,
            Pattern::Checked => {
                let cells = (local / self.scale * 1.3).floor();
                (cells.x + cells.y + cells.z).rem_euclid(2.0) < 1.0
            }
            Pattern::Spotted => self.spot(local / self.scale),
        };
        if other { self.second } else { self.base }
    }

    /// Whether a place lies in a ball around a point of its cell.
    fn spot(&self, at: Vec3) -> bool {
        let cell = at.floor();
        let numbers = [cell.x as i32, cell.y as i32, cell.z as i32];
        let shift = |n: u64| lattice(self.seed ^ n, numbers) - 0.5;
        let middle = cell + Vec3::splat(0.5) + 0.3 * Vec3::new(shift(1), shift(2), shift(3));
        (at - middle).length() < 0.36
    }
}

/// Whether a mark covers a place, −1 to 1 across and upward.
fn inside(mark: Mark, x: f32, y: f32) -> bool {
    if x.abs() > 1.0 || y.abs() > 1.0 {
        return false;
    }
    let bar = |from: [f32; 2], to: [f32; 2]| {
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        let t = ((x - from[0]) * dx + (y - from[1]) * dy) / (dx * dx + dy * dy);
        let t = t.clamp(0.0, 1.0);
        (x - from[0] - t * dx).hypot(y - from[1] - t * dy) < 0.21
    };
    match mark {
        Mark::Star => {
            let fifth = std::f32::consts::TAU / 5.0;
            let angle = (x.atan2(y) + fifth / 2.0).rem_euclid(fifth) - fifth / 2.0;
            let radius = x.hypot(y);
            // A line from a point to the dent beside it.
            let (tip, dent) = (1.0, 0.42);
            let (px, py) = (radius * angle.abs().cos(), radius * angle.abs().sin());
            let (dx, dy) = (dent * (fifth / 2.0).cos() - tip, dent * (fifth / 2.0).sin());
            dx * py - dy * (px - tip) > 0.0
        }
        Mark::Heart => {
            let (x, y) = (x.abs() * 1.1, y * 1.1 + 0.15);
            let top = (y - (x * (1.0 - x * 0.35)).sqrt() * 0.8).abs();
            top * top + x * x < 0.75
        }
        Mark::Ring => (0.5..0.95).contains(&x.hypot(y)),
        Mark::Cross => x.abs() < 0.28 || y.abs() < 0.28,
        Mark::A => {
            bar([-0.7, -0.8], [0.0, 0.8])
                || bar([0.7, -0.8], [0.0, 0.8])
                || bar([-0.4, -0.2], [0.4, -0.2])
        }
        Mark::H => {
            bar([-0.6, -0.8], [-0.6, 0.8])
                || bar([0.6, -0.8], [0.6, 0.8])
                || bar([-0.6, 0.0], [0.6, 0.0])
        }
        Mark::K => {
            bar([-0.5, -0.8], [-0.5, 0.8])
                || bar([-0.4, 0.0], [0.6, 0.8])
                || bar([-0.4, 0.0], [0.6, -0.8])
        }
        Mark::T => bar([-0.7, 0.75], [0.7, 0.75]) || bar([0.0, -0.8], [0.0, 0.75]),
    }
}
