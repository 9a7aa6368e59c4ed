//! What the tables of an ICC profile (`A2B`, types `mft1`, `mft2` and `mAB`) say of a device colour.
//!
//! moxcms reads the tables; they are looked up here, in double precision. Its own transforms first resample a profile's
//! tables on a grid of 33 steps, which a scanner's curves do not survive: codes would come back several steps away.

use moxcms::{
    ColorProfile, DataColorSpace, LutDataType, LutMultidimensionalType, LutStore, LutWarehouse,
    ToneReprCurve,
};

use super::colour::unusable;
use super::curve::Curve;
use crate::{Error, Result};

/// More steps than any profile has: 65 are usual at most.
const MOST_STEPS: usize = 129;
/// 100 % and the largest number in the 16-bit Lab of `mft2` (ICC.1:2022, 10.10).
const LEGACY: f64 = 65535.0 / 65280.0;
/// The largest XYZ that 16 bits hold, in `u1Fixed15Number`.
const LARGEST_XYZ: f64 = 65535.0 / 32768.0;
/// The illuminant of the connection space, D50.
pub const D50: [f64; 3] = [0.9642, 1.0, 0.8249];

/// From a device colour to CIE Lab (D50, media-relative): curves, a grid, curves with a matrix between them, curves.
#[derive(Clone)]
pub struct Tables {
    inputs: Vec<Tone>,
    grid: Option<Grid>,
    middle: Option<Box<Middle>>,
    outputs: Vec<Tone>,
    connection: Connection,
}

/// Curves, then a matrix and what is added.
#[derive(Clone)]
struct Middle {
    tones: Vec<Tone>,
    matrix: [[f64; 3]; 3],
    bias: [f64; 3],
}

/// How the last numbers, 0 to 1, are meant.
#[derive(Clone, Copy)]
enum Connection {
    Lab,
    LegacyLab,
    Xyz,
}

/// One curve from 0 … 1 to 0 … 1.
#[derive(Clone)]
enum Tone {
    Straight,
    Table(Vec<f32>),
    Law(Curve),
}

/// Three numbers at every point of a grid over one or three channels, the last channel running fastest.
#[derive(Clone)]
struct Grid {
    steps: Vec<usize>,
    points: Vec<f32>,
}

impl Tables {
    /// The tables of `profile`, for `channels` (1 or 3) of device colour: the colorimetric ones if it has them.
    ///
    /// # Errors
    /// `Caller` if it has none, or they cannot be used.
    pub fn of(profile: &ColorProfile, channels: usize) -> Result<Self> {
        let found = profile.lut_a_to_b_colorimetric.as_ref();
        let found = found.or(profile.lut_a_to_b_perceptual.as_ref());
        let connection = match profile.pcs {
            DataColorSpace::Lab => Connection::Lab,
            DataColorSpace::Xyz => Connection::Xyz,
            _ => return Err(unusable("leads to no colours (it links two devices)")),
        };
        match found {
            None => Err(unusable(
                "has neither primaries with tone curves nor tables",
            )),
            Some(LutWarehouse::Lut(it)) => Self::plain(it, channels, connection),
            Some(LutWarehouse::Multidimensional(it)) => Self::multi(it, channels, connection),
        }
    }

    /// `mft1` and `mft2`. Their matrix is for XYZ as a device space only.
    fn plain(it: &LutDataType, channels: usize, connection: Connection) -> Result<Self> {
        check_channels(it.num_input_channels, it.num_output_channels, channels)?;
        let connection = match (connection, &it.clut_table) {
            (Connection::Lab, LutStore::Store16(_)) => Connection::LegacyLab,
            (other, _) => other,
        };
        let curves = |store: &LutStore, entries: u16, count: usize| {
            let (values, entries) = (numbers(store), usize::from(entries));
            if entries < 2 || values.len() != entries * count {
                return Err(damaged());
            }
            Ok(values
                .chunks(entries)
                .map(|c| Tone::Table(c.to_vec()))
                .collect::<Vec<_>>())
        };
        Ok(Self {
            inputs: curves(&it.input_table, it.num_input_table_entries, channels)?,
            grid: Some(Grid::new(
                vec![usize::from(it.num_clut_grid_points); channels],
                &it.clut_table,
            )?),
            middle: None,
            outputs: curves(&it.output_table, it.num_output_table_entries, 3)?,
            connection,
        })
    }

    /// `mAB`: only the last curves are always there.
    fn multi(
        it: &LutMultidimensionalType,
        channels: usize,
        connection: Connection,
    ) -> Result<Self> {
        check_channels(it.num_input_channels, it.num_output_channels, channels)?;
        let curves = |curves: &[ToneReprCurve], count: usize| match curves.len() {
            0 => Ok(vec![Tone::Straight; count]),
            n if n == count => curves.iter().map(Tone::of).collect(),
            _ => Err(damaged()),
        };
        let grid = match &it.clut {
            Some(points) => {
                let steps = it
                    .grid_points
                    .iter()
                    .take(channels)
                    .map(|&n| usize::from(n));
                Some(Grid::new(steps.collect(), points)?)
            }
            None if channels == 3 => None,
            None => return Err(damaged()),
        };
        let (matrix, bias) = (it.matrix.v, it.bias.v);
        let sane = matrix.iter().flatten().chain(&bias).all(|v| v.is_finite());
        if it.b_curves.is_empty() || !sane {
            return Err(damaged());
        }
        Ok(Self {
            // Without a grid there are no first curves either.
            inputs: curves(if grid.is_some() { &it.a_curves } else { &[] }, channels)?,
            grid,
            middle: match it.m_curves.is_empty() {
                true => None,
                false => Some(Box::new(Middle {
                    tones: curves(&it.m_curves, 3)?,
                    matrix,
                    bias,
                })),
            },
            outputs: curves(&it.b_curves, 3)?,
            connection,
        })
    }

    /// The Lab of a device colour (clipped to 0 to 1); of a grey device, the first number counts. Always finite.
    pub fn lab(&self, device: [f64; 3]) -> [f64; 3] {
        let mut at = [0.0; 3];
        for ((at, v), tone) in at.iter_mut().zip(device).zip(&self.inputs) {
            *at = tone.at(v);
        }
        if let Some(grid) = &self.grid {
            at = grid.at(at);
        }
        if let Some(it) = &self.middle {
            let v = [0, 1, 2].map(|i| it.tones[i].at(at[i]));
            at = [0, 1, 2].map(|i| {
                let m = it.matrix[i];
                m[0] * v[0] + m[1] * v[1] + m[2] * v[2] + it.bias[i]
            });
        }
        let v = [0, 1, 2].map(|i| self.outputs[i].at(at[i]));
        match self.connection {
            Connection::Lab => [v[0] * 100.0, v[1] * 255.0 - 128.0, v[2] * 255.0 - 128.0],
            Connection::LegacyLab => {
                let v = v.map(|v| v * LEGACY);
                [v[0] * 100.0, v[1] * 255.0 - 128.0, v[2] * 255.0 - 128.0]
            }
            Connection::Xyz => xyz_to_lab(v.map(|v| v * LARGEST_XYZ)),
        }
    }
}

impl Tone {
    fn of(curve: &ToneReprCurve) -> Result<Self> {
        Ok(match curve {
            ToneReprCurve::Lut(entries) if entries.is_empty() => Self::Straight,
            ToneReprCurve::Lut(entries) if entries.len() == 1 => Self::Law(Curve::table(entries)?),
            ToneReprCurve::Lut(entries) => {
                Self::Table(entries.iter().map(|&v| f32::from(v) / 65535.0).collect())
            }
            ToneReprCurve::Parametric(p) => Self::Law(Curve::parametric(
                &p.iter().map(|&v| f64::from(v)).collect::<Vec<_>>(),
            )?),
        })
    }

    fn at(&self, x: f64) -> f64 {
        // NaN as well becomes 0.
        let x = if x > 0.0 { x.min(1.0) } else { 0.0 };
        match self {
            Self::Straight => x,
            Self::Table(values) => {
                let place = x * (values.len() - 1) as f64;
                let i = (place as usize).min(values.len() - 2);
                let (a, b) = (f64::from(values[i]), f64::from(values[i + 1]));
                a + (b - a) * (place - i as f64)
            }
            Self::Law(curve) => curve.decode(x).clamp(0.0, 1.0),
        }
    }
}

impl Grid {
    fn new(steps: Vec<usize>, points: &LutStore) -> Result<Self> {
        let count = steps.iter().product::<usize>() * 3;
        let length = match points {
            LutStore::Store8(values) => values.len(),
            LutStore::Store16(values) => values.len(),
        };
        if !steps.iter().all(|n| (2..=MOST_STEPS).contains(n)) || length != count {
            return Err(damaged());
        }
        Ok(Self {
            steps,
            points: numbers(points),
        })
    }

    /// Straight lines between the points; over three channels inside the tetrahedron of four corners that keeps to the
    /// grey diagonal (as other colour engines do).
    fn at(&self, at: [f64; 3]) -> [f64; 3] {
        let (mut index, mut share, mut stride) = (0, [0.0; 3], [0; 3]);
        let mut step = 3;
        for c in (0..self.steps.len()).rev() {
            let place = at[c] * (self.steps[c] - 1) as f64;
            let i = (place as usize).min(self.steps[c] - 2);
            (share[c], stride[c]) = (place - i as f64, step);
            index += i * step;
            step *= self.steps[c];
        }
        let mut order = [0, 1, 2];
        order.sort_by(|a, b| share[*b].total_cmp(&share[*a]));
        let corner = |index: usize| [0, 1, 2].map(|k| f64::from(self.points[index + k]));
        let mut before = corner(index);
        let mut sum = before;
        // A channel that a grey device lacks has no share, and no stride to the next point.
        for c in order {
            index += stride[c];
            let next = corner(index);
            sum = [0, 1, 2].map(|k| sum[k] + share[c] * (next[k] - before[k]));
            before = next;
        }
        sum
    }
}

/// The stored integers as 0 to 1.
fn numbers(store: &LutStore) -> Vec<f32> {
    match store {
        LutStore::Store8(values) => values.iter().map(|&v| f32::from(v) / 255.0).collect(),
        LutStore::Store16(values) => values.iter().map(|&v| f32::from(v) / 65535.0).collect(),
    }
}

fn check_channels(inputs: u8, outputs: u8, channels: usize) -> Result<()> {
    if usize::from(inputs) == channels && outputs == 3 {
        Ok(())
    } else {
        Err(damaged())
    }
}

fn damaged() -> Error {
    unusable("has tables of sizes that do not fit together")
}

/// The cube root of CIE Lab, with its straight part near black going on below it.
fn root(t: f64) -> f64 {
    if t > 216.0 / 24389.0 {
        t.cbrt()
    } else {
        (24389.0 / 27.0 * t + 16.0) / 116.0
    }
}

fn cube(t: f64) -> f64 {
    if t > 6.0 / 29.0 {
        t * t * t
    } else {
        (116.0 * t - 16.0) * 27.0 / 24389.0
    }
}

/// XYZ (D50, media-relative) to Lab.
pub fn xyz_to_lab(xyz: [f64; 3]) -> [f64; 3] {
    let [x, y, z] = [0, 1, 2].map(|i| root(xyz[i] / D50[i]));
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

/// Lab to XYZ (D50, media-relative).
pub fn lab_to_xyz(lab: [f64; 3]) -> [f64; 3] {
    let y = (lab[0] + 16.0) / 116.0;
    let roots = [y + lab[1] / 500.0, y, y - lab[2] / 200.0];
    [0, 1, 2].map(|i| cube(roots[i]) * D50[i])
}
