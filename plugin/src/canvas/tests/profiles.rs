//! Profiles made of tables, written byte by byte after ICC.1:2022.

use super::super::tables::{D50, xyz_to_lab};

/// How a profile stores its tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// `mft1` to Lab.
    Bytes,
    /// `mft2` to Lab.
    Words,
    /// `mft2` to XYZ.
    Xyz,
    /// `mAB` to Lab.
    Multi,
    /// `mAB` to XYZ, with a matrix and no grid.
    Matrix,
}

pub(super) const KINDS: [Kind; 5] = [
    Kind::Bytes,
    Kind::Words,
    Kind::Xyz,
    Kind::Multi,
    Kind::Matrix,
];

/// What a scanner's three sensors make of light, with some crosstalk and flare.
const SCANNER: [[f64; 3]; 3] = [[0.50, 0.30, 0.14], [0.25, 0.65, 0.08], [0.03, 0.10, 0.68]];
const GAMMA: [f64; 3] = [1.9, 2.2, 2.05];

/// The axis of the grid: light to a third power is about as even as lightness is.
fn light(p: f64) -> f64 {
    p.powi(3)
}

fn scanned(linear: [f64; 3]) -> [f64; 3] {
    let xyz = SCANNER.map(|row| (0..3).map(|c| row[c] * linear[c]).sum::<f64>());
    // The densest film is not black, and dense colours are a little less bright than their parts.
    let dense = 1.0 - 0.06 * (linear[0] - linear[1]).powi(2);
    [0, 1, 2].map(|i| 0.004 * D50[i] + 0.97 * dense * xyz[i])
}

fn word(v: f64) -> [u8; 2] {
    ((v.clamp(0.0, 1.0) * 65535.0).round() as u16).to_be_bytes()
}

fn fixed(v: f64) -> [u8; 4] {
    ((v * 65536.0).round() as i32).to_be_bytes()
}

/// A profile of one tag.
fn profile(space: &[u8; 4], pcs: &[u8; 4], version: u8, tag: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 128];
    out[8] = version;
    out[12..16].copy_from_slice(b"scnr");
    out[16..20].copy_from_slice(space);
    out[20..24].copy_from_slice(pcs);
    out[36..40].copy_from_slice(b"acsp");
    for i in 0..3 {
        out[68 + 4 * i..72 + 4 * i].copy_from_slice(&fixed(D50[i]));
    }
    out.extend(1u32.to_be_bytes());
    out.extend(tag);
    out.extend(144u32.to_be_bytes());
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(data);
    let size = (out.len() as u32).to_be_bytes();
    out[..4].copy_from_slice(&size);
    out
}

/// The points of a grid over `channels`, as connection colours.
fn grid(steps: usize, channels: usize, colour: impl Fn([f64; 3]) -> [f64; 3]) -> Vec<[f64; 3]> {
    let at = |i: usize| i as f64 / (steps - 1) as f64;
    (0..steps.pow(channels as u32))
        .map(|i| match channels {
            1 => colour([at(i); 3]),
            _ => colour([i / steps / steps, i / steps % steps, i % steps].map(at)),
        })
        .collect()
}

/// `mft1` or `mft2`: curves of `input` for each channel, a grid, no curves behind it.
fn mft(wide: bool, curves: &[&dyn Fn(f64) -> f64], steps: usize, points: &[[f64; 3]]) -> Vec<u8> {
    let mut out = if wide {
        b"mft2".to_vec()
    } else {
        b"mft1".to_vec()
    };
    out.extend([0, 0, 0, 0, curves.len() as u8, 3, steps as u8, 0]);
    for i in 0..9 {
        out.extend(fixed(f64::from(u8::from(i % 4 == 0))));
    }
    let entries = if wide { 1024 } else { 256 };
    if wide {
        out.extend((entries as u16).to_be_bytes());
        out.extend(2u16.to_be_bytes());
    }
    let mut put = |v: f64| match wide {
        true => out.extend(word(v)),
        false => out.push((v.clamp(0.0, 1.0) * 255.0).round() as u8),
    };
    for curve in curves {
        (0..entries).for_each(|i| put(curve(i as f64 / (entries - 1) as f64)));
    }
    points.iter().flatten().for_each(|v| put(*v));
    let ends = if wide { 2 } else { 256 };
    for _ in 0..3 {
        (0..ends).for_each(|i| put(i as f64 / (ends - 1) as f64));
    }
    out
}

/// Three `para` curves of one exponent each.
fn powers(exponents: [f64; 3]) -> Vec<u8> {
    let one = |g: f64| [b"para".as_slice(), &[0; 8], &fixed(g)].concat();
    exponents.into_iter().flat_map(one).collect()
}

/// `mAB`: first curves and a grid, or curves and a matrix; then straight curves.
fn mab(first: [f64; 3], points: Option<(usize, &[[f64; 3]])>) -> Vec<u8> {
    let straight = powers([1.0; 3]);
    let mut data = straight.clone();
    let (mut offsets, start) = ([0u32; 5], 32);
    offsets[0] = start;
    let here = |data: &[u8]| start + data.len() as u32;
    match points {
        Some((steps, points)) => {
            offsets[3] = here(&data);
            data.extend([steps as u8; 3]);
            data.extend([0; 13]);
            data.extend([2, 0, 0, 0]);
            points.iter().flatten().for_each(|v| data.extend(word(*v)));
            data.resize(data.len().next_multiple_of(4), 0);
            offsets[4] = here(&data);
            data.extend(powers(first));
        }
        None => {
            offsets[1] = here(&data);
            let scale = 32768.0 / 65535.0;
            SCANNER
                .iter()
                .flatten()
                .for_each(|v| data.extend(fixed(v * 0.97 * scale)));
            D50.iter()
                .for_each(|v| data.extend(fixed(v * 0.004 * scale)));
            offsets[2] = here(&data);
            data.extend(powers(first));
        }
    }
    let mut out = b"mAB \0\0\0\0\x03\x03\0\0".to_vec();
    offsets.iter().for_each(|o| out.extend(o.to_be_bytes()));
    out.extend(data);
    out
}

/// A scanner's profile.
pub(super) fn scanner(kind: Kind) -> Vec<u8> {
    let curves = GAMMA.map(|g| move |v: f64| v.powf(g / 3.0));
    let curves: Vec<&dyn Fn(f64) -> f64> =
        curves.iter().map(|c| c as &dyn Fn(f64) -> f64).collect();
    let colour = |p: [f64; 3]| scanned(p.map(light));
    let lab = |p: [f64; 3]| {
        let [l, a, b] = xyz_to_lab(colour(p));
        [l / 100.0, (a + 128.0) / 255.0, (b + 128.0) / 255.0]
    };
    let legacy = |p: [f64; 3]| lab(p).map(|v| v * 65280.0 / 65535.0);
    let xyz = |p: [f64; 3]| colour(p).map(|v| v * 32768.0 / 65535.0);
    let (pcs, version, data) = match kind {
        Kind::Bytes => (b"Lab ", 2, mft(false, &curves, 17, &grid(17, 3, lab))),
        Kind::Words => (b"Lab ", 2, mft(true, &curves, 17, &grid(17, 3, legacy))),
        Kind::Xyz => (b"XYZ ", 2, mft(true, &curves, 33, &grid(33, 3, xyz))),
        Kind::Multi => {
            let points = grid(17, 3, lab);
            (b"Lab ", 4, mab(GAMMA.map(|g| g / 3.0), Some((17, &points))))
        }
        Kind::Matrix => (b"XYZ ", 4, mab(GAMMA, None)),
    };
    profile(b"RGB ", pcs, version, b"A2B0", &data)
}

/// A printer on rough paper: its ink ends at L* 18, and much of the device's cube looks alike there.
pub(super) fn printer() -> Vec<u8> {
    let ink = |p: [f64; 3]| {
        let [l, a, b] = xyz_to_lab(scanned(p.map(light)));
        let (l, dull) = (18.0 + 0.78 * l.max(12.0), 0.6 * (l / 100.0).min(1.0));
        [
            l / 100.0,
            (a * dull + 128.0) / 255.0,
            (b * dull + 128.0) / 255.0,
        ]
        .map(|v| v * 65280.0 / 65535.0)
    };
    let straight = |v: f64| v;
    let curves: [&dyn Fn(f64) -> f64; 3] = [&straight; 3];
    let data = mft(true, &curves, 17, &grid(17, 3, ink));
    profile(b"RGB ", b"Lab ", 2, b"A2B1", &data)
}

/// A grey printer's profile; `falls` for one whose larger numbers are darker.
pub(super) fn grey(falls: bool) -> Vec<u8> {
    let tone = |p: [f64; 3]| {
        let v = if falls { 1.0 - p[0] } else { p[0] };
        [(8.0 + 88.0 * v) / 100.0, 0.5, 0.5].map(|v| v * 65280.0 / 65535.0)
    };
    let curve = |v: f64| v.powf(0.8);
    let data = mft(true, &[&curve], 33, &grid(33, 1, tone));
    profile(b"GRAY", b"Lab ", 2, b"A2B0", &data)
}
