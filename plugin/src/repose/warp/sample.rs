//! Looking up the subject between its pixels.

use crate::canvas::{Image, Mask};

/// The subject's own pixels.
pub struct Source<'a> {
    colours: &'a Image,
    matte: &'a Mask,
}

impl<'a> Source<'a> {
    /// Both of one size.
    pub fn new(colours: &'a Image, matte: &'a Mask) -> Self {
        Self { colours, matte }
    }

    /// A pixel's own values; nothing outside the crop.
    pub fn exact(&self, x: i64, y: i64) -> ([f32; 3], f32) {
        let (w, h) = (self.matte.width() as i64, self.matte.height() as i64);
        if !(0..w).contains(&x) || !(0..h).contains(&y) {
            return ([0.0; 3], 0.0);
        }
        let (x, y) = (x as usize, y as usize);
        (self.colours.at(x, y), self.matte.at(x, y))
    }

    /// Catmull-Rom at a position; a pixel's centre lies at + 0.5.
    pub fn smooth(&self, at: [f32; 2]) -> ([f32; 3], f32) {
        let [left, top] = at.map(|v| (v - 0.5).floor());
        let (wx, wy) = (weights(at[0] - 0.5 - left), weights(at[1] - 0.5 - top));
        let (left, top) = (left as i64 - 1, top as i64 - 1);
        let (w, h) = (self.matte.width() as i64, self.matte.height() as i64);
        if left < 0 || top < 0 || left + 4 > w || top + 4 > h {
            return self.edge(left, top, wx, wy);
        }
        let (x, y) = (left as usize, top as usize);
        let (mut colour, mut alpha) = ([0.0f32; 3], 0.0);
        let mut least = f32::INFINITY;
        for (j, wy) in wy.iter().enumerate() {
            let mattes = &self.matte.row(y + j)[x..x + 4];
            let colours = &self.colours.row(y + j)[x..x + 4];
            for i in 0..4 {
                let w = wx[i] * wy;
                least = least.min(mattes[i]);
                alpha += w * mattes[i];
                (0..3).for_each(|c| colour[c] += w * colours[i][c]);
            }
        }
        if least <= 0.0 {
            return self.edge(left, top, wx, wy);
        }
        (colour, alpha.clamp(0.0, 1.0))
    }

    /// The mean over an output pixel of `samples` × `samples` positions around `at`; `step` is how far the source moves
    /// for one output pixel to the right, and one down.
    pub fn area(&self, at: [f32; 2], step: [[f32; 2]; 2], samples: usize) -> ([f32; 3], f32) {
        let (mut light, mut plain, mut seen) = ([0.0; 3], [0.0; 3], 0.0);
        let offset = |i: usize| (i as f32 + 0.5) / samples as f32 - 0.5;
        for j in 0..samples {
            for i in 0..samples {
                let (u, v) = (offset(i), offset(j));
                let (colour, alpha) =
                    self.smooth([0, 1].map(|k| at[k] + u * step[0][k] + v * step[1][k]));
                for c in 0..3 {
                    light[c] += alpha * colour[c];
                    plain[c] += colour[c];
                }
                seen += alpha;
            }
        }
        let count = (samples * samples) as f32;
        if seen > 0.0 {
            (light.map(|l| l / seen), (seen / count).min(1.0))
        } else {
            (plain.map(|p| p / count), 0.0)
        }
    }

    /// As `smooth`, where the crop or the subject ends: the colours of what is not the subject are left out, its
    /// coverage counts as 0.
    fn edge(&self, left: i64, top: i64, wx: [f32; 4], wy: [f32; 4]) -> ([f32; 3], f32) {
        let (mut own, mut own_weight) = ([0.0; 3], 0.0);
        let (mut mean, mut mean_weight) = ([0.0; 3], 0.0);
        let mut alpha = 0.0;
        for (j, wy) in wy.iter().enumerate() {
            for (i, wx) in wx.iter().enumerate() {
                let (colour, a) = self.exact(left + i as i64, top + j as i64);
                if a <= 0.0 {
                    continue;
                }
                let w = wx * wy;
                alpha += w * a;
                own_weight += w;
                // A little of every tap keeps the mean defined where the only taps weigh nothing.
                let share = (w.abs() + 1e-6) * a;
                mean_weight += share;
                for c in 0..3 {
                    own[c] += w * colour[c];
                    mean[c] += share * colour[c];
                }
            }
        }
        if mean_weight <= 0.0 {
            return ([0.0; 3], 0.0);
        }
        // The taps left out take the mean of the others.
        let rest = (1.0 - own_weight) / mean_weight;
        let colour = [0, 1, 2].map(|c| own[c] + rest * mean[c]);
        (colour, alpha.clamp(0.0, 1.0))
    }
}

/// The Catmull-Rom weights of the four pixels around a position, `t` after the second.
fn weights(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [
        0.5 * (-t3 + 2.0 * t2 - t),
        0.5 * (3.0 * t3 - 5.0 * t2 + 2.0),
        0.5 * (-3.0 * t3 + 4.0 * t2 + t),
        0.5 * (t3 - t2),
    ]
}
