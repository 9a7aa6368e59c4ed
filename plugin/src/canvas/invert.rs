//! The device colour that shows a wanted Lab: a profile's tables backwards.
//!
//! A profile's own tables for this way (`B2A`) are coarse, bend colours to their liking and may be missing; what comes
//! from beside an edit would not match what is beside it. So the forward tables are inverted, by damped least squares
//! (Marquardt 1963) inside the device's cube: exact where a device colour shows the wanted Lab, the nearest one that
//! the walk finds where none does.

use super::tables::Tables;

/// Steps of the grid of device colours tried at first, and of that of wanted colours they are kept for.
const TRIED: usize = 9;
const KEPT: usize = 17;
/// Near enough, as a CIE 1976 difference: a step of 16 bits is larger, and working colours are no finer.
const NEAR: f64 = 2e-5;
/// A walk that ends farther off was most likely for a colour that the device does not have.
const HELD_UP: f64 = 5.0;
/// One that ends nearer than this was hardly for such a colour: it is worth to look on all around.
const NEARLY: f64 = 0.25;
/// How far around, in each device channel.
const AROUND: f64 = 1.0 / 8.0;
/// Most steps of one walk. In gamut three are usual.
const STEPS: usize = 64;
/// A walk stands still below this: a quarter of a step of 16 bits.
const STILL: f64 = 0.25 / 65535.0;
/// Over which the slopes of the tables are taken at first, and, one after the other, where a walk stands still.
const NARROW: f64 = 1.0 / 4096.0;
const REACHES: [f64; 4] = [1.0 / 512.0, 1.0 / 32.0, 1.0 / 256.0, NARROW];
/// Of the first step, as a share of the slopes' size.
const DAMPING: f64 = 1e-6;

/// Where walks begin: the device colours for a grid of wanted ones.
#[derive(Clone)]
pub struct Starts(Vec<[f64; 3]>);

impl Starts {
    /// `wanted` gives the Lab at a place of the grid, all of whose coordinates go from 0 to 1.
    pub fn new(tables: &Tables, wanted: impl Fn([f64; 3]) -> [f64; 3]) -> Self {
        let tried: Vec<_> = lattice(TRIED)
            .map(|device| (device, tables.lab(device)))
            .collect();
        let mut starts = Vec::with_capacity(KEPT.pow(3));
        for place in lattice(KEPT) {
            let lab = wanted(place);
            let nearest = tried
                .iter()
                .min_by(|a, b| far(a.1, lab).total_cmp(&far(b.1, lab)));
            let start = nearest.map_or([0.5; 3], |it| it.0);
            starts.push(walk(tables, lab, start).0);
        }
        Self(starts)
    }

    /// The start for a wanted colour at this place of the grid, from the eight around it.
    fn near(&self, place: [f64; 3]) -> [f64; 3] {
        let mut sum = [0.0; 3];
        for (index, weight) in around(place) {
            sum = [0, 1, 2].map(|c| sum[c] + weight * self.0[index][c]);
        }
        sum
    }

    /// The device colour for `lab`, which lies at `place` of the grid; 0 to 1.
    pub fn invert(&self, tables: &Tables, lab: [f64; 3], place: [f64; 3]) -> [f64; 3] {
        let mut best = walk(tables, lab, self.near(place));
        // What folds near black may hold one walk up, but hardly those from every side …
        for (corner, _) in around(place) {
            if best.1 < NEAR * NEAR || best.1 > HELD_UP * HELD_UP {
                return best.0;
            }
            best = nearer(best, walk(tables, lab, self.0[corner]));
        }
        // … or what is level there: cells of one and the same lightness.
        let stuck = best.0;
        for way in lattice(3) {
            if best.1 < NEAR * NEAR || best.1 > NEARLY * NEARLY {
                break;
            }
            let start =
                [0, 1, 2].map(|c| (stuck[c] + AROUND * (2.0 * way[c] - 1.0)).clamp(0.0, 1.0));
            best = nearer(best, walk(tables, lab, start));
        }
        best.0
    }
}

/// Of two ends of walks, with their squared differences, the one that is less off.
fn nearer(a: ([f64; 3], f64), b: ([f64; 3], f64)) -> ([f64; 3], f64) {
    if b.1 < a.1 { b } else { a }
}

/// The eight starts around a place of their grid, and what each counts there.
fn around(place: [f64; 3]) -> [(usize, f64); 8] {
    let scaled = place.map(|v| v.clamp(0.0, 1.0) * (KEPT - 1) as f64);
    let low = scaled.map(|v| (v as usize).min(KEPT - 2));
    let share = [0, 1, 2].map(|c| scaled[c] - low[c] as f64);
    std::array::from_fn(|corner| {
        let (mut weight, mut index) = (1.0, 0);
        for c in 0..3 {
            let up = corner >> c & 1;
            weight *= if up == 1 { share[c] } else { 1.0 - share[c] };
            index = index * KEPT + low[c] + up;
        }
        (index, weight)
    })
}

/// All places of a grid over the unit cube, the last coordinate running fastest.
fn lattice(steps: usize) -> impl Iterator<Item = [f64; 3]> {
    let at = move |i: usize| i as f64 / (steps - 1) as f64;
    (0..steps.pow(3)).map(move |i| [i / steps / steps, i / steps % steps, i % steps].map(at))
}

/// Squared CIE 1976 difference.
fn far(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum()
}

/// From `start` to the nearest device colour for `lab` that going downhill finds, and its squared difference.
fn walk(tables: &Tables, lab: [f64; 3], start: [f64; 3]) -> ([f64; 3], f64) {
    let mut at = start;
    let mut seen = tables.lab(at);
    let mut error = far(seen, lab);
    let (mut damping, mut reaches) = (DAMPING, REACHES.iter());
    let (mut reach, mut slopes) = (NARROW, None);
    for _ in 0..STEPS {
        if error < NEAR * NEAR {
            break;
        }
        let slopes_here = *slopes.get_or_insert_with(|| slopes_at(tables, at, seen, reach));
        let to = step(slopes_here, at, lab, seen, damping);
        let (there, moved) = (tables.lab(to), far(to, at));
        let left = far(there, lab);
        if left < error {
            (at, seen, error, slopes) = (to, there, left, None);
            damping = (damping / 16.0).max(1e-9);
        } else {
            damping *= 16.0;
        }
        if moved < STILL * STILL {
            // Held at an edge between two cells, perhaps: slopes over a longer way see past it.
            let Some(next) = reaches.next() else { break };
            (damping, reach, slopes) = (DAMPING, *next, None);
        }
    }
    (at, error)
}

/// How Lab changes along each device channel, as rows for the channels.
fn slopes_at(tables: &Tables, at: [f64; 3], seen: [f64; 3], reach: f64) -> [[f64; 3]; 3] {
    [0, 1, 2].map(|c| {
        // Towards the middle, so as to stay inside.
        let reach = if at[c] > 0.5 { -reach } else { reach };
        let mut beside = at;
        beside[c] += reach;
        let lab = tables.lab(beside);
        [0, 1, 2].map(|k| (lab[k] - seen[k]) / reach)
    })
}

/// One damped step. Channels at their end that would leave the cube stay.
fn step(
    slopes: [[f64; 3]; 3],
    at: [f64; 3],
    lab: [f64; 3],
    seen: [f64; 3],
    damping: f64,
) -> [f64; 3] {
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let wanted = [0, 1, 2].map(|k| lab[k] - seen[k]);
    let pull = slopes.map(|row| dot(row, wanted));
    let held =
        [0, 1, 2].map(|c| (at[c] <= 0.0 && pull[c] <= 0.0) || (at[c] >= 1.0 && pull[c] >= 0.0));
    let size: f64 = slopes.iter().map(|row| dot(*row, *row)).sum();
    let normal = [0, 1, 2].map(|i| {
        [0, 1, 2].map(|j| match (i == j, held[i] || held[j]) {
            (true, true) => 1.0,
            (false, true) => 0.0,
            (true, false) => dot(slopes[i], slopes[j]) + damping * size,
            (false, false) => dot(slopes[i], slopes[j]),
        })
    });
    let pull = [0, 1, 2].map(|c| if held[c] { 0.0 } else { pull[c] });
    let moved = solve(normal, pull).unwrap_or_default();
    [0, 1, 2].map(|c| (at[c] + moved[c]).clamp(0.0, 1.0))
}

/// `m x = v` by Cramer's rule; `None` if `m` is as good as singular.
fn solve(m: [[f64; 3]; 3], v: [f64; 3]) -> Option<[f64; 3]> {
    let det = |m: [[f64; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = det(m);
    let x = [0, 1, 2].map(|c| {
        let mut with = m;
        for row in 0..3 {
            with[row][c] = v[row];
        }
        det(with) / whole
    });
    x.iter().all(|v| v.is_finite()).then_some(x)
}
