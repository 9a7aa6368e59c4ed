//! Between a document's colours and the working space: sRGB-encoded RGB with no ends.
//!
//! Matrix and grey profiles go through their curves and one 3×3 matrix in double precision, so nothing is clipped on
//! the way in: a colour outside the sRGB gamut becomes a working value below 0 or above 1, and comes back. On the way
//! out integer documents clip to 0 to 1 of their own space; float documents keep what they get.
//!
//! Profiles made of tables alone (cameras, scanners, printers) go through their tables for the way to Lab, and these same
//! tables backwards on the way out: a profile's own tables for that way do not undo the first, so what is copied from
//! beside an edit would not match what is beside it. Tables end at 0 and 1, for float documents too. A profile with
//! primaries is used by its primaries even if it has tables as well.
//!
//! Media-relative colorimetry throughout; black point compensation and `cicp` tags are not used.

use std::sync::OnceLock;

use moxcms::{ColorProfile, DataColorSpace, ToneReprCurve};

use super::curve::{Curve, SRGB};
use super::invert::Starts;
use super::samples::finite;
use super::tables::{Tables, lab_to_xyz, xyz_to_lab};
use super::{Channels, Depth, Raster, Space};
use crate::{Error, Result};

type Matrix = [[f64; 3]; 3];

/// Rec. 709 luminance of linear light.
const LUMINANCE: [f64; 3] = [0.2126, 0.7152, 0.0722];

/// How one document's colours become working colours and come back.
#[derive(Clone)]
pub struct ColourTransform(Kind);

#[derive(Clone)]
enum Kind {
    /// The document is sRGB.
    Same,
    Rgb(Box<Shaper>),
    Grey(Grey),
    Tables(Box<Device>),
}

/// A device known by its tables alone.
#[derive(Clone)]
struct Device {
    tables: Tables,
    /// Made when the first colour goes back.
    starts: OnceLock<Starts>,
    /// sRGB's primaries, linear light to XYZ, and back.
    to_xyz: Matrix,
    from_xyz: Matrix,
}

#[derive(Clone)]
struct Shaper {
    curves: [Curve; 3],
    /// What the curves make of the 256 values of an 8-bit document: powers are most of the work.
    eight_bit: Option<Box<[[f64; 256]; 3]>>,
    to_srgb: Matrix,
    from_srgb: Matrix,
}

#[derive(Clone)]
struct Grey {
    curve: Curve,
    /// The curve gives CIE L*/100 (a grey profile with Lab as its connection space), not Y.
    lightness: bool,
}

impl ColourTransform {
    /// Reads what `raster` says about its colours. A caller error if its profile is damaged, does not fit the channels,
    /// or is of another kind than RGB or grey.
    pub fn new(raster: &Raster) -> Result<Self> {
        let grey = matches!(raster.channels, Channels::Grey | Channels::GreyAlpha);
        let kind = match (&raster.space, grey) {
            (Space::Srgb, false) => Kind::Same,
            (Space::Srgb, true) => Kind::Grey(Grey {
                curve: SRGB,
                lightness: false,
            }),
            (Space::LinearSrgb, false) => Kind::Rgb(Box::new(Shaper {
                curves: [Curve::Linear, Curve::Linear, Curve::Linear],
                eight_bit: None,
                to_srgb: IDENTITY,
                from_srgb: IDENTITY,
            })),
            (Space::LinearSrgb, true) => Kind::Grey(Grey {
                curve: Curve::Linear,
                lightness: false,
            }),
            (Space::Icc(bytes), grey) => match from_profile(bytes, grey)? {
                Kind::Rgb(mut shaper) if raster.depth == Depth::U8 => {
                    let value = |i: usize| f64::from(i as f32 / 255.0);
                    let table = [0, 1, 2]
                        .map(|c| std::array::from_fn(|i| shaper.curves[c].decode(value(i))));
                    shaper.eight_bit = Some(Box::new(table));
                    Kind::Rgb(shaper)
                }
                kind => kind,
            },
        };
        Ok(Self(kind))
    }

    /// A document colour (red, green, blue; grey three times) in the working space; always finite.
    pub fn to_working(&self, colour: [f32; 3]) -> [f32; 3] {
        match &self.0 {
            Kind::Same => colour,
            Kind::Rgb(shaper) => shaper.to_working(colour),
            Kind::Grey(grey) => [grey.to_working(colour[0]); 3],
            Kind::Tables(device) => device.to_working(colour),
        }
    }

    /// A working colour in the document's space, before rounding and clipping to its depth; grey three times.
    pub fn to_document(&self, colour: [f32; 3]) -> [f64; 3] {
        match &self.0 {
            Kind::Same => colour.map(f64::from),
            Kind::Rgb(shaper) => shaper.to_document(colour),
            Kind::Grey(grey) => [grey.to_document(colour); 3],
            Kind::Tables(device) => device.to_document(colour),
        }
    }
}

impl Shaper {
    /// A channel's value as linear light.
    fn decode(&self, channel: usize, value: f32) -> f64 {
        if let Some(table) = &self.eight_bit {
            let step = (value * 255.0).round() as u8;
            if f32::from(step) / 255.0 == value {
                return table[channel][usize::from(step)];
            }
        }
        self.curves[channel].decode(f64::from(value))
    }

    fn to_working(&self, colour: [f32; 3]) -> [f32; 3] {
        let linear = [0, 1, 2].map(|i| self.decode(i, colour[i]));
        linear_to_working(apply(&self.to_srgb, linear))
    }

    fn to_document(&self, colour: [f32; 3]) -> [f64; 3] {
        let linear = apply(&self.from_srgb, working_to_linear(colour));
        [0, 1, 2].map(|i| self.curves[i].encode(linear[i]))
    }
}

impl Device {
    fn new(tables: Tables) -> Result<Self> {
        let to_xyz = ColorProfile::new_srgb().colorant_matrix().v;
        let from_xyz = inverse(&to_xyz).ok_or_else(|| Error::bug("sRGB has no inverse"))?;
        Ok(Self {
            tables,
            starts: OnceLock::new(),
            to_xyz,
            from_xyz,
        })
    }

    fn to_working(&self, colour: [f32; 3]) -> [f32; 3] {
        let lab = self.tables.lab(colour.map(f64::from));
        linear_to_working(apply(&self.from_xyz, lab_to_xyz(lab)))
    }

    /// The Lab of a working colour.
    fn lab(&self, colour: [f32; 3]) -> [f64; 3] {
        xyz_to_lab(apply(&self.to_xyz, working_to_linear(colour)))
    }

    fn to_document(&self, colour: [f32; 3]) -> [f64; 3] {
        let starts = self
            .starts
            .get_or_init(|| Starts::new(&self.tables, |place| self.lab(place.map(|v| v as f32))));
        let place = colour.map(|v| f64::from(finite(v)));
        starts.invert(&self.tables, self.lab(colour), place)
    }
}

impl Grey {
    fn to_working(&self, value: f32) -> f32 {
        if self.is_srgb() {
            return value;
        }
        let mut y = self.curve.decode(f64::from(value));
        if self.lightness {
            y = lightness_to_luminance(y.abs()).copysign(y);
        }
        linear_to_working([y; 3])[0]
    }

    fn to_document(&self, colour: [f32; 3]) -> f64 {
        let even = colour[0] == colour[1] && colour[0] == colour[2];
        if even && self.is_srgb() {
            return f64::from(colour[0]);
        }
        let linear = working_to_linear(colour);
        let mut y = if even {
            linear[0]
        } else {
            (0..3).map(|i| LUMINANCE[i] * linear[i]).sum()
        };
        if self.lightness {
            y = luminance_to_lightness(y.abs()).copysign(y);
        }
        self.curve.encode(y)
    }

    fn is_srgb(&self) -> bool {
        !self.lightness && self.curve == SRGB
    }
}

/// Linear light with sRGB primaries to the working space.
fn linear_to_working(linear: [f64; 3]) -> [f32; 3] {
    linear.map(|v| finite(SRGB.encode(v) as f32))
}

/// The working space to linear light with sRGB primaries.
fn working_to_linear(colour: [f32; 3]) -> [f64; 3] {
    colour.map(|v| SRGB.decode(f64::from(finite(v))))
}

/// CIE L*/100 to Y.
fn lightness_to_luminance(l: f64) -> f64 {
    if l > 0.08 {
        ((l + 0.16) / 1.16).powi(3)
    } else {
        l * 100.0 * 27.0 / 24389.0
    }
}

/// CIE Y to L*/100.
fn luminance_to_lightness(y: f64) -> f64 {
    if y > 216.0 / 24389.0 {
        1.16 * y.cbrt() - 0.16
    } else {
        y * 24389.0 / 2700.0
    }
}

fn from_profile(bytes: &[u8], grey: bool) -> Result<Kind> {
    let expected = if grey {
        "a grey profile"
    } else {
        "an RGB profile"
    };
    let profile = ColorProfile::new_from_slice(bytes).map_err(|e| {
        Error::caller(format!(
            "expected an RGB or grey profile, {expected} here; the picture's {} bytes of ICC data are damaged or not \
             a profile ({e}); assign a profile to the picture again",
            bytes.len()
        ))
    })?;
    match (profile.color_space, grey) {
        (DataColorSpace::Gray, true) => grey_profile(&profile),
        (DataColorSpace::Rgb, false) => rgb_profile(&profile),
        (other, _) => Err(Error::caller(format!(
            "expected an RGB or grey profile that fits the channels, {expected} here; a profile for {} came; convert \
             the picture to RGB or grey",
            name(other)
        ))),
    }
}

/// The profile's colour space in a user's words.
fn name(space: DataColorSpace) -> String {
    match space {
        DataColorSpace::Rgb => "RGB".into(),
        DataColorSpace::Gray => "grey".into(),
        DataColorSpace::Cmyk => "CMYK".into(),
        DataColorSpace::Lab => "Lab".into(),
        other => format!("{other:?}"),
    }
}

pub(super) fn unusable(what: &str) -> Error {
    Error::caller(format!(
        "expected an RGB or grey profile with primaries and tone curves, or with tables; the picture's ICC profile {what}; \
         convert the picture to sRGB or another standard profile"
    ))
}

fn curve(trc: Option<&ToneReprCurve>) -> Result<Curve> {
    match trc {
        Some(ToneReprCurve::Lut(entries)) => Curve::table(entries),
        Some(ToneReprCurve::Parametric(p)) => {
            Curve::parametric(&p.iter().map(|&v| f64::from(v)).collect::<Vec<_>>())
        }
        None => Err(unusable("has no tone curve")),
    }
}

fn grey_profile(profile: &ColorProfile) -> Result<Kind> {
    let has_tables =
        profile.lut_a_to_b_colorimetric.is_some() || profile.lut_a_to_b_perceptual.is_some();
    if profile.gray_trc.is_none() && has_tables {
        let tables = Tables::of(profile, 1)?;
        // Every code of 8 bits is an entry, so that none is bent.
        let last = 255 * 16;
        let light = |i: usize| lab_to_xyz(tables.lab([i as f64 / last as f64, 0.0, 0.0]))[1];
        return Ok(Kind::Grey(Grey {
            curve: Curve::measured((0..=last).map(light))?,
            lightness: false,
        }));
    }
    Ok(Kind::Grey(Grey {
        curve: curve(profile.gray_trc.as_ref())?,
        lightness: profile.pcs == DataColorSpace::Lab,
    }))
}

fn rgb_profile(profile: &ColorProfile) -> Result<Kind> {
    // Where a profile has tables as well, its matrix is the exactly invertible description.
    if !profile.is_matrix_shaper() {
        return Ok(Kind::Tables(Box::new(Device::new(Tables::of(
            profile, 3,
        )?)?)));
    }
    let curves = [
        curve(profile.red_trc.as_ref())?,
        curve(profile.green_trc.as_ref())?,
        curve(profile.blue_trc.as_ref())?,
    ];
    let device = profile.colorant_matrix().v;
    let srgb = ColorProfile::new_srgb().colorant_matrix().v;
    let (Some(from_device), Some(from_xyz)) = (inverse(&device), inverse(&srgb)) else {
        return Err(unusable("has primaries that do not span colours"));
    };
    let shaper = Shaper {
        curves,
        eight_bit: None,
        to_srgb: product(&from_xyz, &device),
        from_srgb: product(&from_device, &srgb),
    };
    Ok(if shaper.is_srgb() {
        Kind::Same
    } else {
        Kind::Rgb(Box::new(shaper))
    })
}

impl Shaper {
    /// Whether this is sRGB but for the rounding of a profile's numbers. The usual embedded sRGB profiles are; taking
    /// them as sRGB makes their pixels come and go unchanged.
    fn is_srgb(&self) -> bool {
        let near = |a: f64, b: f64, most: f64| (a - b).abs() < most;
        let primaries =
            (0..3).all(|i| (0..3).all(|j| near(self.to_srgb[i][j], IDENTITY[i][j], 1e-3)));
        primaries
            && self.curves.iter().all(|c| {
                (0..=255).all(|i| {
                    let x = f64::from(i) / 255.0;
                    near(SRGB.encode(c.decode(x)), x, 1e-3)
                })
            })
    }
}

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

fn apply(m: &Matrix, v: [f64; 3]) -> [f64; 3] {
    m.map(|r| r[0] * v[0] + r[1] * v[1] + r[2] * v[2])
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    a.map(|r| [0, 1, 2].map(|j| r[0] * b[0][j] + r[1] * b[1][j] + r[2] * b[2][j]))
}

/// `None` if the matrix is singular, or so near it that colours would drown in rounding.
fn inverse(m: &Matrix) -> Option<Matrix> {
    let minor = |r: usize, c: usize| {
        let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let det: f64 = (0..3).map(|c| m[0][c] * minor(0, c)).sum();
    // sRGB's determinant is 0.2; colorants are at most 2 in a profile's number format.
    if !det.is_finite() || det.abs() < 1e-4 {
        return None;
    }
    Some([0, 1, 2].map(|r| [0, 1, 2].map(|c| minor(c, r) / det)))
}
