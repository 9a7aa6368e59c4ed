//! Pictures of shots.

use std::ops::Range;

use glam::Vec3;

use crate::body::Part;
use crate::shape::{Hit, Solid};
use crate::shot::{Shot, Staged, Style};
use crate::skeleton::JOINTS;

/// Places in a pixel, in both directions.
const FINE: usize = 2;
/// Light of the sky.
const AMBIENT: f32 = 0.42;

/// A picture and the truth about it.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Pixels of a side.
    pub side: usize,
    /// sRGB, rows from the top.
    pub rgb: Vec<[u8; 3]>,
    /// How much of each pixel the subject covers.
    pub matte: Vec<u8>,
    /// Joints in pixels from the top left, in the order of [`JOINTS`], and whether nothing lies before them.
    pub joints: [([f32; 2], bool); JOINTS.len()],
}

/// What a place of the picture shows of the subject.
#[derive(Debug, Clone, Copy)]
struct Seen {
    part: usize,
    hit: Hit,
}

/// Renders a shot; the same shot gives the same picture.
pub fn render(shot: &Shot, side: usize) -> Picture {
    drawn(shot, &shot.staged(), side)
}

/// The same place before the same camera, with nobody there.
pub fn render_empty(shot: &Shot, side: usize) -> Picture {
    let mut staged = shot.staged();
    staged.parts.clear();
    drawn(shot, &staged, side)
}

fn drawn(shot: &Shot, staged: &Staged, side: usize) -> Picture {
    let fine = side * FINE;
    let mut seen: Vec<Option<Seen>> = vec![None; fine * fine];
    for (index, part) in staged.parts.iter().enumerate() {
        cover(part, index, fine, &mut seen);
    }
    let shadow = shadow(staged, shot, fine);
    let mut rgb = Vec::with_capacity(side * side);
    let mut matte = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let (mut sum, mut covered) = (Vec3::ZERO, 0);
            for dy in 0..FINE {
                for dx in 0..FINE {
                    let (x, y) = (column * FINE + dx, row * FINE + dy);
                    let place = [x, y].map(|v| (v as f32 + 0.5) / fine as f32);
                    let own = seen[y * fine + x];
                    covered += usize::from(own.is_some());
                    sum += match own {
                        Some(own) => lit(shot, staged, own, edge(&seen, fine, x, y)),
                        None => {
                            let dark = shadow[y / FINE * side + x / FINE];
                            shot.scene.at(place[0], 1.0 - place[1]) * (1.0 - dark)
                        }
                    };
                }
            }
            let count = (FINE * FINE) as f32;
            rgb.push((sum / count).to_array().map(encode));
            matte.push((255 * covered / (FINE * FINE)) as u8);
        }
    }
    let joints = staged.joints.map(|joint| {
        let (x, y) = (joint.x * side as f32, (1.0 - joint.y) * side as f32);
        let at = |v: f32| ((v * FINE as f32) as usize).min(fine - 1);
        let nearest = seen[at(y.max(0.0)) * fine + at(x.max(0.0))];
        // A joint lies inside its limb: half a head's depth before it is still the limb itself.
        let free = nearest.is_none_or(|s| s.hit.z - joint.z < 0.13 * staged.scale);
        ([x, y], free)
    });
    Picture {
        side,
        rgb,
        matte,
        joints,
    }
}

/// The pixels between two places of the picture, of `side` from 0 to 1.
fn span(least: f32, most: f32, side: usize) -> Range<usize> {
    let first = (least * side as f32).floor().max(0.0) as usize;
    first..((most * side as f32).ceil().max(0.0) as usize).min(side)
}

/// Enters a part wherever it is nearer than what is there.
fn cover(part: &Part, index: usize, fine: usize, seen: &mut [Option<Seen>]) {
    let (low, high) = part.shape.bounds();
    for row in span(1.0 - high.y, 1.0 - low.y, fine) {
        let y = 1.0 - (row as f32 + 0.5) / fine as f32;
        for column in span(low.x, high.x, fine) {
            let x = (column as f32 + 0.5) / fine as f32;
            let Some(hit) = part.shape.at(x, y) else {
                continue;
            };
            let place = &mut seen[row * fine + column];
            if place.is_none_or(|before| before.hit.z < hit.z) {
                *place = Some(Seen { part: index, hit });
            }
        }
    }
}

/// Whether an outline goes through a place: another part beside it that is clearly farther, or none.
fn edge(seen: &[Option<Seen>], fine: usize, x: usize, y: usize) -> bool {
    let Some(own) = seen[y * fine + x] else {
        return false;
    };
    let step = fine / 128;
    let beside = [(step, 0), (0, step)].into_iter().flat_map(|(dx, dy)| {
        let after = (x + dx < fine && y + dy < fine).then(|| seen[(y + dy) * fine + x + dx]);
        let before = (x >= dx && y >= dy).then(|| seen[(y - dy) * fine + x - dx]);
        [after, before]
    });
    beside
        .flatten()
        .any(|other| other.is_none_or(|o| o.part != own.part && own.hit.z - o.hit.z > 0.012))
}

/// The light that comes from a place of the subject.
fn lit(shot: &Shot, staged: &Staged, seen: Seen, edge: bool) -> Vec3 {
    let paint = &staged.parts[seen.part].paint;
    let Hit { normal, local, .. } = seen.hit;
    let colour = paint.at(local / staged.scale);
    let light = shot.scene.light;
    let facing = normal.dot(light).max(0.0);
    if shot.style == Style::Drawing {
        let tone = match facing {
            f if f < 0.25 => 0.55,
            f if f < 0.7 => 0.85,
            _ => 1.15,
        };
        return if edge {
            Vec3::splat(0.01)
        } else {
            colour * tone
        };
    }
    // The sky is above, the ground gives some of its colour back.
    let ground = shot.scene.at(0.5, 0.1);
    let up = 0.5 + 0.5 * normal.y;
    let around = Vec3::splat(AMBIENT).lerp(ground * 0.35, 1.0 - up) + Vec3::splat(0.06);
    let middle = (light + Vec3::Z).normalize();
    let shine = normal.dot(middle).max(0.0).powf(28.0) * paint.gloss * 0.5;
    let rim = (1.0 - normal.z).max(0.0).powi(3) * 0.12;
    colour * (around + Vec3::splat(facing * shot.scene.sun * 0.85))
        + Vec3::splat((shine + rim) * shot.scene.sun)
}

/// How dark the ground is in each pixel: blobs under the parts, the softer the higher these are.
fn shadow(staged: &Staged, shot: &Shot, fine: usize) -> Vec<f32> {
    let side = fine / FINE;
    let mut dark = vec![0.0f32; side * side];
    let (ground, slope) = (staged.foot.y, staged.slope);
    let light = shot.scene.light;
    for part in &staged.parts {
        let (from, to, radius) = match part.shape.solid {
            Solid::Cone { from, to, radii } => (from, to, radii[0].max(radii[1])),
            Solid::Ball { middle, radii } => (
                middle,
                middle,
                radii.min_element().max(radii.max_element() * 0.6),
            ),
            Solid::Block { middle, half } => (middle, middle, half.element_sum() / 3.0),
        };
        // Where a place's shadow falls: along the light down to the ground, which lies `slope` lower for each step nearer.
        let fall = |at: Vec3| {
            let height = (at.y + at.z * slope - ground).max(0.0);
            let x = at.x - height * light.x / light.y;
            let z = at.z - height * light.z / light.y;
            (x, ground - z * slope, height)
        };
        let (a, b) = (fall(from), fall(to));
        let soft = 0.5 * radius + 0.35 * (a.2 + b.2) / 2.0;
        // A circle on the ground is flat in the picture.
        let flat = slope.max(0.12);
        let reach = radius + soft;
        let rows = [a.1.min(b.1) - reach * flat, a.1.max(b.1) + reach * flat];
        let columns = [a.0.min(b.0) - reach, a.0.max(b.0) + reach];
        for row in span(1.0 - rows[1], 1.0 - rows[0], side) {
            for column in span(columns[0], columns[1], side) {
                let x = (column as f32 + 0.5) / side as f32;
                let y = 1.0 - (row as f32 + 0.5) / side as f32;
                let (dx, dy) = (b.0 - a.0, (b.1 - a.1) / flat);
                let (px, py) = (x - a.0, (y - a.1) / flat);
                let t = (px * dx + py * dy) / (dx * dx + dy * dy).max(1e-9);
                let t = t.clamp(0.0, 1.0);
                let off = (px - t * dx).hypot(py - t * dy);
                let cover = ((radius + soft - off) / (2.0 * soft)).clamp(0.0, 1.0);
                let depth = 0.55 * radius / (radius + 0.5 * soft);
                let place = &mut dark[row * side + column];
                *place = place.max(cover * cover * (3.0 - 2.0 * cover) * depth);
            }
        }
    }
    dark
}

/// Linear light as an sRGB byte.
fn encode(linear: f32) -> u8 {
    let v = linear.clamp(0.0, 1.0);
    let curve = match v <= 0.003_130_8 {
        true => 12.92 * v,
        false => 1.055 * v.powf(1.0 / 2.4) - 0.055,
    };
    (curve * 255.0 + 0.5) as u8
}
