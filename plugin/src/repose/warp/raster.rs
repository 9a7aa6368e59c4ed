//! Which triangles cover which pixels: exact in whole numbers, so that no pixel on a shared side is missed or hit twice.

use super::Frame;
use crate::repose::deform::Deformed;
use crate::subject::Mesh;

/// Layers kept per pixel; of more, the first in the mesh's order stay.
pub const MOST: usize = 4;
/// Positions are rounded to this part of a pixel.
const FINE: i64 = 1024;
/// A triangle whose corners all moved by the same whole step, within this, in pixels, keeps its pixels as they are.
const WHOLE: f32 = 1.0 / 256.0;
/// Positions beyond this, in pixels, would overflow; no picture is that large.
const FURTHEST: f32 = 1e6;
/// Samples along one side of a pixel at most: the smallest placement shrinks to a twentieth.
const MOST_SAMPLES: f32 = 24.0;
/// Source pixels per output pixel above which one sample is too few.
const SHRINKS: f32 = 1.0 / 0.75;

/// A triangle to draw.
pub struct Face {
    /// Its corners in the mesh.
    pub corners: [u32; 3],
    /// Where its corners come from, in crop pixels.
    pub rest: [[f32; 2]; 3],
    /// Output minus crop position, if all of it moves by one whole step.
    pub shift: Option<[i64; 2]>,
    /// Crop pixels per output pixel: along x, along y.
    pub step: [[f32; 2]; 2],
    /// Samples along each side of an output pixel.
    pub samples: usize,
    at: [[i64; 2]; 3],
    twice: i64,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
}

/// A triangle at a pixel.
#[derive(Clone, Copy, Default)]
pub struct Hit {
    /// Index of the face.
    pub face: u32,
    /// Shares of its second and third corner.
    pub shares: [f32; 2],
}

/// The triangles that show their front and touch the frame.
pub fn faces(mesh: &Mesh, deformed: &Deformed, frame: Frame) -> Vec<Face> {
    let face = |t: &[u32; 3]| face(*t, mesh, deformed, frame);
    mesh.triangles.iter().filter_map(face).collect()
}

fn face(mut corners: [u32; 3], mesh: &Mesh, deformed: &Deformed, frame: Frame) -> Option<Face> {
    let rest_of = |c: [u32; 3]| c.map(|i| mesh.vertices[i as usize]);
    if twice(rest_of(corners).map(|p| p.map(f64::from))) < 0.0 {
        corners.swap(1, 2);
    }
    let rest = rest_of(corners);
    let now = corners.map(|i| deformed.vertices[i as usize]);
    if !now.iter().flatten().all(|v| v.abs() < FURTHEST) {
        return None;
    }
    let at = now.map(|p| {
        [0, 1].map(|k| {
            (f64::from(p[k]) * FINE as f64).round() as i64 + i64::from(frame.origin[k]) * FINE
        })
    });
    let area = (at[1][0] - at[0][0]) * (at[2][1] - at[0][1])
        - (at[1][1] - at[0][1]) * (at[2][0] - at[0][0]);
    // Seen from behind, it lies in a fold whose front and back cover it.
    if area <= 0 {
        return None;
    }
    let [columns, rows] = [(0, frame.width), (1, frame.height)].map(|(k, end)| {
        let least = at.iter().map(|p| p[k]).min().unwrap_or(0);
        let most = at.iter().map(|p| p[k]).max().unwrap_or(0);
        let clip = |v: i64| v.clamp(0, end as i64) as usize;
        clip((least - FINE / 2).div_euclid(FINE))..clip((most - FINE / 2).div_euclid(FINE) + 1)
    });
    if rows.is_empty() || columns.is_empty() {
        return None;
    }
    let step = steps(rest, now);
    let reach = step.iter().flatten().map(|s| s * s).sum::<f32>();
    let det = step[0][0] * step[1][1] - step[0][1] * step[1][0];
    // Largest singular value of a 2×2 matrix.
    let most = ((reach + 2.0 * det).max(0.0).sqrt() + (reach - 2.0 * det).max(0.0).sqrt()) / 2.0;
    let samples = if most > SHRINKS {
        most.ceil().min(MOST_SAMPLES) as usize
    } else {
        1
    };
    Some(Face {
        corners,
        rest,
        shift: whole_shift(rest, now, frame),
        step,
        samples,
        at,
        twice: area,
        rows,
        columns,
    })
}

fn twice([a, b, c]: [[f64; 2]; 3]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

fn whole_shift(rest: [[f32; 2]; 3], now: [[f32; 2]; 3], frame: Frame) -> Option<[i64; 2]> {
    let shift = [0, 1].map(|k| (now[0][k] - rest[0][k]).round());
    let same = |i: usize| (0..2).all(|k| (now[i][k] - rest[i][k] - shift[k]).abs() < WHOLE);
    (same(0) && same(1) && same(2))
        .then(|| [0, 1].map(|k| shift[k] as i64 + i64::from(frame.origin[k])))
}

/// How far the source moves for one output pixel to the right, and one down.
fn steps(rest: [[f32; 2]; 3], now: [[f32; 2]; 3]) -> [[f32; 2]; 2] {
    let side = |p: [[f32; 2]; 3], i: usize, k: usize| f64::from(p[i][k]) - f64::from(p[0][k]);
    let det = twice(now.map(|p| p.map(f64::from)));
    let det = if det.abs() < 1e-9 { 1e-9 } else { det };
    let along = |dx: f64, dy: f64| {
        // Shares of the second and third corner that make the step, then the same shares of the source's sides.
        let b = (dx * side(now, 2, 1) - dy * side(now, 2, 0)) / det;
        let c = (dy * side(now, 1, 0) - dx * side(now, 1, 1)) / det;
        [0, 1].map(|k| (b * side(rest, 1, k) + c * side(rest, 2, k)) as f32)
    };
    [along(1.0, 0.0), along(0.0, 1.0)]
}

/// The hits of one band of rows.
pub struct Hits {
    width: usize,
    counts: Vec<u8>,
    hits: Vec<[Hit; MOST]>,
}

impl Hits {
    /// Room for `rows` rows.
    pub fn new(width: usize, rows: usize) -> Self {
        Self {
            width,
            counts: vec![0; width * rows],
            hits: vec![[Hit::default(); MOST]; width * rows],
        }
    }

    /// What covers the pixel with this index in the band.
    pub fn at(&self, pixel: usize) -> &[Hit] {
        &self.hits[pixel][..usize::from(self.counts[pixel])]
    }

    /// Finds what covers the rows from `top` to before `bottom`.
    pub fn collect(&mut self, faces: &[Face], top: usize, bottom: usize) {
        self.counts.fill(0);
        for (index, face) in faces.iter().enumerate() {
            for y in face.rows.start.max(top)..face.rows.end.min(bottom) {
                self.row(index as u32, face, y, (y - top) * self.width);
            }
        }
    }

    fn row(&mut self, index: u32, face: &Face, y: usize, start: usize) {
        let [a, b, c] = face.at;
        let sides = [Side::new(b, c), Side::new(c, a), Side::new(a, b)];
        let first = face.columns.start;
        let mut values = sides.each_ref().map(|s| s.at(first, y));
        let whole = 1.0 / face.twice as f64;
        for x in face.columns.clone() {
            if (0..3).all(|k| values[k] >= sides[k].least) {
                let pixel = start + x;
                let count = usize::from(self.counts[pixel]);
                if count < MOST {
                    self.hits[pixel][count] = Hit {
                        face: index,
                        shares: [1, 2].map(|k| (values[k] as f64 * whole) as f32),
                    };
                    self.counts[pixel] += 1;
                }
            }
            (0..3).for_each(|k| values[k] += sides[k].right);
        }
    }
}

/// A side as a function that is 0 on it and positive inside.
struct Side {
    from: [i64; 2],
    way: [i64; 2],
    right: i64,
    least: i64,
}

impl Side {
    fn new(from: [i64; 2], to: [i64; 2]) -> Self {
        let way = [to[0] - from[0], to[1] - from[1]];
        // Of the two triangles at a side exactly one owns the pixel centres on it: top and left sides do.
        let owns = way[1] < 0 || (way[1] == 0 && way[0] > 0);
        Self {
            from,
            way,
            right: -way[1] * FINE,
            least: i64::from(!owns),
        }
    }

    fn at(&self, x: usize, y: usize) -> i64 {
        let px = x as i64 * FINE + FINE / 2;
        let py = y as i64 * FINE + FINE / 2;
        self.way[0] * (py - self.from[1]) - self.way[1] * (px - self.from[0])
    }
}
