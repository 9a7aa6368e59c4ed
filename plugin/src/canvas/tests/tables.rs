//! Profiles made of tables: scanners, cameras, printers.

use half::f16;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::curve::SRGB;
use super::super::tables::Tables;
use super::colours::there_and_back;
use super::profiles::{KINDS, Kind, grey, printer, scanner};
use super::*;

fn space_of(bytes: Vec<u8>) -> Space {
    Space::Icc(Arc::from(bytes))
}

/// Largest difference of any sample.
fn codes(a: &[u8], b: &[u8]) -> u8 {
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

/// CIE 1976 difference.
fn difference(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn eight_bit_colours_come_back() {
    let levels: Vec<u8> = (0..=255)
        .step_by(15)
        .chain([1, 2, 3, 5, 250, 254])
        .collect();
    let mut bytes = Vec::new();
    for &r in &levels {
        for &g in &levels {
            bytes.extend(levels.iter().flat_map(|&b| [r, g, b]));
        }
    }
    for kind in KINDS {
        let space = space_of(scanner(kind));
        let raster = raster(1, Depth::U8, Channels::Rgb, space, bytes.clone());
        let back = there_and_back(&raster);
        let tables = ColorProfile::new_from_slice(&scanner(kind)).unwrap();
        let tables = Tables::of(&tables, 3).unwrap();
        let lab = |p: &[u8]| tables.lab([0, 1, 2].map(|c| f64::from(p[c]) / 255.0));
        for (a, b) in raster.bytes.chunks_exact(3).zip(back.chunks_exact(3)) {
            // Tables of few bits have one colour for several dark codes: it comes back as one of them.
            let (most, apart) = match kind {
                Kind::Words | Kind::Multi | Kind::Matrix => (0, 0.0),
                Kind::Xyz => (3, 0.1),
                Kind::Bytes if a.iter().all(|v| *v >= 60) => (2, 1.0),
                Kind::Bytes => (255, 2.5),
            };
            let far = difference(lab(a), lab(b));
            assert!(
                codes(a, b) <= most && far <= apart,
                "{kind:?}: {a:?} came back as {b:?}, {far} away"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn fine_colours_come_back(
        which in 1usize..5, colours in prop::collection::vec([0.02f32..=1.0, 0.02f32..=1.0, 0.02f32..=1.0], 60),
    ) {
        let space = space_of(scanner(KINDS[which]));
        let words = colours.iter().flatten().flat_map(|v| ((v * 65535.0) as u16).to_ne_bytes()).collect();
        let sixteen = raster(1, Depth::U16, Channels::Rgb, space.clone(), words);
        let back = there_and_back(&sixteen);
        for (a, b) in sixteen.bytes.chunks_exact(2).zip(back.chunks_exact(2)) {
            let (a, b) = (u16::from_ne_bytes([a[0], a[1]]), u16::from_ne_bytes([b[0], b[1]]));
            prop_assert!(a.abs_diff(b) <= 3, "{} came back as {}", a, b);
        }
        let floats = colours.iter().flatten().flat_map(|v| v.to_ne_bytes()).collect();
        let single = raster(1, Depth::F32, Channels::Rgb, space.clone(), floats);
        for (a, b) in single.bytes.chunks_exact(4).zip(there_and_back(&single).chunks_exact(4)) {
            let number = |s: &[u8]| f32::from_ne_bytes([s[0], s[1], s[2], s[3]]);
            prop_assert!((number(a) - number(b)).abs() < 3e-5, "{} came back as {}", number(a), number(b));
        }
        let halves = colours.iter().flatten().flat_map(|&v| f16::from_f32(v).to_ne_bytes()).collect();
        let half = raster(1, Depth::F16, Channels::Rgb, space, halves);
        let number = |s: &[u8]| f16::from_ne_bytes([s[0], s[1]]).to_f32();
        for (a, b) in half.bytes.chunks_exact(2).zip(there_and_back(&half).chunks_exact(2)) {
            prop_assert!((number(a) - number(b)).abs() < 6e-4, "{} came back as {}", number(a), number(b));
        }
    }

    /// A printer has one colour for many device values; the colour comes back, and no colour at all leads astray.
    #[test]
    fn what_a_printer_shows_comes_back(
        device in [0.0f64..=1.0, 0.0f64..=1.0, 0.0f64..=1.0], any in [-1.0f32..3.0, -1.0f32..3.0, -1.0f32..3.0],
    ) {
        let bytes = printer();
        let tables = Tables::of(&ColorProfile::new_from_slice(&bytes).unwrap(), 3).unwrap();
        let picture = raster(1, Depth::U8, Channels::Rgb, space_of(bytes), vec![0; 3]);
        let colour = ColourTransform::new(&picture).unwrap();
        let back = colour.to_document(colour.to_working(device.map(|v| v as f32)));
        let (wanted, got) = (tables.lab(device), tables.lab(back));
        prop_assert!(difference(wanted, got) < 0.05, "{:?} came back as {:?}", wanted, got);
        let forced = colour.to_document(any);
        prop_assert!(forced.iter().all(|v| (0.0..=1.0).contains(v)), "{:?}", forced);
    }
}

#[test]
fn colours_beyond_the_device_become_its_nearest() {
    let picture = raster(1, Depth::U8, Channels::Rgb, space_of(printer()), vec![0; 3]);
    let colour = ColourTransform::new(&picture).unwrap();
    let tables = Tables::of(&ColorProfile::new_from_slice(&printer()).unwrap(), 3).unwrap();
    let lab = |c: [f32; 3]| tables.lab(colour.to_document(c));
    // Darker than its ink and brighter than its paper.
    assert!((lab([0.0; 3])[0] - tables.lab([0.0; 3])[0]).abs() < 0.5);
    let white = lab([2.0; 3]);
    assert!(
        (white[0] - tables.lab([1.0; 3])[0]).abs() < 1.5,
        "{white:?}"
    );
    // A green that no ink has stays green, not some other saturated colour.
    let green = lab([0.0, 1.0, 0.0]);
    assert!(green[1] < -15.0 && green[2] > 10.0, "{green:?}");
}

#[test]
fn greys_from_tables_come_back() {
    let eight = raster(
        1,
        Depth::U8,
        Channels::Grey,
        space_of(grey(false)),
        (0..=255).collect(),
    );
    assert_eq!(there_and_back(&eight), eight.bytes);
    let colour = ColourTransform::new(&eight).unwrap();
    // L* 8 and 96, through sRGB's curve.
    for (sample, lightness) in [(0.0, 8.0f64), (1.0, 96.0)] {
        let y = if lightness > 8.0 {
            ((lightness + 16.0) / 116.0).powi(3)
        } else {
            lightness * 27.0 / 24389.0
        };
        let got = colour.to_working([sample; 3])[0];
        assert!((f64::from(got) - SRGB.encode(y)).abs() < 1e-3, "{got}");
    }
    let falling = raster(1, Depth::U8, Channels::Grey, space_of(grey(true)), vec![0]);
    let message = Canvas::new(&falling).err().unwrap().message;
    assert!(message.contains("rises"), "{message}");
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let good = scanner(Kind::Words);
    for (at, value) in [
        (144 + 8, 4),
        (144 + 9, 2),
        (144 + 10, 1),
        (144 + 10, 200),
        (20, b'R'),
    ] {
        let mut bad = good.clone();
        bad[at] = value;
        let picture = raster(1, Depth::U8, Channels::Rgb, space_of(bad), vec![0; 3]);
        let error = Canvas::new(&picture).err().unwrap();
        assert_eq!(error.kind, crate::ErrorKind::Caller);
        assert!(error.message.contains("profile"), "{}", error.message);
    }
    // Inks stay refused, tables or not.
    let mut inks = good;
    inks[16..20].copy_from_slice(b"CMYK");
    let picture = raster(1, Depth::U8, Channels::Rgb, space_of(inks), vec![0; 3]);
    let message = Canvas::new(&picture).err().unwrap().message;
    assert!(
        message.contains("a profile for CMYK came; convert the picture"),
        "{message}"
    );
}

/// Primaries with measured curves, as cameras and monitors have them.
#[test]
fn primaries_with_sampled_curves_come_back() {
    let mut profile = ColorProfile::new_adobe_rgb();
    let sampled = |g: f64, entries: usize| {
        let one = |i: usize| ((i as f64 / (entries - 1) as f64).powf(g) * 65535.0).round() as u16;
        Some(moxcms::ToneReprCurve::Lut((0..entries).map(one).collect()))
    };
    profile.red_trc = sampled(1.8, 1024);
    profile.green_trc = sampled(2.2, 4096);
    profile.blue_trc = sampled(2.4, 256);
    let levels: Vec<u8> = (20..=255).step_by(5).chain([254]).collect();
    let mut bytes = Vec::new();
    for &r in &levels {
        for &g in &levels {
            bytes.extend(levels.iter().flat_map(|&b| [r, g, b]));
        }
    }
    let raster = raster(1, Depth::U8, Channels::Rgb, icc(&profile), bytes);
    assert_eq!(codes(&raster.bytes, &there_and_back(&raster)), 0);
}

const LITTLE_CMS_SCANNER: [[u8; 3]; 6] = [
    [145, 99, 97],
    [47, 60, 85],
    [207, 178, 165],
    [100, 118, 67],
    [245, 241, 237],
    [29, 21, 29],
];

/// What Little CMS 2.19 makes of them with the same profiles: relative colorimetric, to its own sRGB, 8 bits.
#[test]
fn colours_agree_with_little_cms() {
    for kind in KINDS {
        let from = super::colours::LITTLE_CMS_FROM.concat();
        let picture = raster(1, Depth::U8, Channels::Rgb, space_of(scanner(kind)), from);
        let canvas = Canvas::new(&picture).unwrap();
        let image = canvas.image(canvas.bounds()).unwrap();
        // The kinds differ by how they round; Little CMS gives these numbers for `Words` and `Multi`.
        let most = if kind == Kind::Bytes { 1.6 } else { 1.05 };
        for (pixel, expected) in image.data().iter().zip(LITTLE_CMS_SCANNER) {
            for (v, e) in pixel.iter().zip(expected) {
                assert!(
                    (v * 255.0 - f32::from(e)).abs() < most,
                    "{kind:?}: {pixel:?} {expected:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The law of the canvas holds whatever the profile is.
    #[test]
    fn outside_the_mask_and_where_nothing_changed_the_bytes_stay(
        (which, depth, alpha) in (0usize..6, 0usize..4, any::<bool>()),
        seed in prop::collection::vec(any::<u8>(), 30 * 16),
        pixels in prop::collection::vec((prop::sample::select(vec![0.0f32, 0.0, 0.4, 1.0]), any::<bool>()), 30),
    ) {
        let channels = if alpha { Channels::Bgra } else { Channels::Rgb };
        let bytes = KINDS.get(which).map_or_else(printer, |kind| scanner(*kind));
        let size = 30 * DEPTHS[depth].bytes() * channels.count();
        let picture = raster(6, DEPTHS[depth], channels, space_of(bytes), seed[..size].to_vec());
        let canvas = Canvas::new(&picture).unwrap();
        let mut image = canvas.image(canvas.bounds()).unwrap();
        for (pixel, (_, changed)) in image.data_mut().iter_mut().zip(&pixels) {
            if *changed {
                *pixel = pixel.map(|v| v * 0.8 + 0.1);
            }
        }
        let mask = Mask::from_vec(6, 5, pixels.iter().map(|p| p.0).collect()).unwrap();
        let layer = canvas
            .layer("it", 0, Role::Background, canvas.bounds(), &image, &mask, SelectionDepth::U8)
            .unwrap();
        let shown = flatten(&picture, std::slice::from_ref(&layer)).unwrap();
        let pixel = picture.bytes_per_pixel();
        for (i, (m, changed)) in pixels.iter().enumerate() {
            let at = i * pixel..(i + 1) * pixel;
            if *m == 0.0 || !changed {
                prop_assert_eq!(&layer.raster.bytes[at.clone()], &picture.bytes[at.clone()]);
            }
            if *m == 0.0 {
                prop_assert_eq!(&shown.bytes[at.clone()], &picture.bytes[at]);
            }
        }
    }

    #[test]
    fn damaged_tables_never_panic(
        which in 0usize..6, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = KINDS.get(which).map_or_else(printer, |kind| scanner(*kind));
        let near = bytes.len().min(400);
        for (at, value) in damage {
            bytes[at.index(near)] = value;
        }
        super::hostile::try_both(&bytes);
    }
}

/// Where a printer's tables fold near black a walk back may be held up: seldom, and not far off.
#[test]
fn hardly_any_printed_colour_is_missed() {
    let bytes = printer();
    let tables = Tables::of(&ColorProfile::new_from_slice(&bytes).unwrap(), 3).unwrap();
    let picture = raster(1, Depth::U8, Channels::Rgb, space_of(bytes), vec![0; 3]);
    let colour = ColourTransform::new(&picture).unwrap();
    let mut runner = TestRunner::deterministic();
    let mut missed = 0;
    for _ in 0..50_000 {
        let device = [(); 3].map(|()| runner.rng().random::<f64>());
        let back = colour.to_document(colour.to_working(device.map(|v| v as f32)));
        missed += u32::from(difference(tables.lab(device), tables.lab(back)) >= 0.005);
    }
    assert!(missed <= 1, "{missed} of 50000");
}
