//! Colours come back as they went, and are those of a reference.

use half::f16;
use proptest::prelude::*;

use super::*;

/// To the working space and back, with every pixel forced through the conversion.
pub(super) fn there_and_back(raster: &Raster) -> Vec<u8> {
    let colour = ColourTransform::new(raster).unwrap();
    let format = super::super::samples::Format::of(raster);
    let mut bytes = raster.bytes.clone();
    for pixel in bytes.chunks_exact_mut(format.bytes()) {
        let working = colour.to_working(format.colour(pixel));
        format.set_colour(pixel, colour.to_document(working));
    }
    bytes
}

fn wide() -> [ColorProfile; 4] {
    [
        ColorProfile::new_display_p3(),
        ColorProfile::new_adobe_rgb(),
        ColorProfile::new_bt2020(),
        ColorProfile::new_pro_photo_rgb(),
    ]
}

/// Colours on a lattice that holds the corners, the near-blacks and the near-whites.
fn lattice(levels: &[u16]) -> Vec<u16> {
    let mut out = Vec::new();
    for &r in levels {
        for &g in levels {
            out.extend(levels.iter().flat_map(|&b| [r, g, b]));
        }
    }
    out
}

#[test]
fn eight_bit_colours_come_back_exactly() {
    let levels: Vec<u16> = (0..=255).step_by(5).chain([1, 2, 3, 128, 254]).collect();
    let bytes: Vec<u8> = lattice(&levels).iter().map(|&v| v as u8).collect();
    let spaces = [Space::Srgb, Space::LinearSrgb];
    for space in spaces.into_iter().chain(wide().iter().map(icc)) {
        let raster = raster(1, Depth::U8, Channels::Rgb, space, bytes.clone());
        assert!(
            there_and_back(&raster) == raster.bytes,
            "{:?}",
            raster.space
        );
    }
}

#[test]
fn eight_bit_greys_come_back_exactly() {
    for which in 0..3 {
        let space = space(Channels::Grey, which);
        let raster = raster(1, Depth::U8, Channels::Grey, space, (0..=255).collect());
        assert_eq!(there_and_back(&raster), raster.bytes);
    }
}

#[test]
fn every_sixteen_bit_grey_comes_back_exactly() {
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
    for which in 0..3 {
        let space = space(Channels::Grey, which);
        let raster = raster(1, Depth::U16, Channels::Grey, space, all.clone());
        assert!(there_and_back(&raster) == raster.bytes, "{which}");
    }
}

/// Curves with a straight toe (Display P3, linear) bring every 16-bit colour back. A pure power law is infinitely steep
/// at black: beside a bright channel its darkest codes drown in the working space's 24 bits.
#[test]
fn sixteen_bit_colours_come_back_exactly() {
    let levels: Vec<u16> = (0..24)
        .map(|i| (i * 65535 / 23) as u16)
        .chain([1, 2, 100, 1000, 2650, 2651, 2652, 30001, 65534])
        .collect();
    let cases = [
        (Space::LinearSrgb, 0),
        (icc(&ColorProfile::new_display_p3()), 0),
        (icc(&ColorProfile::new_adobe_rgb()), 1400),
    ];
    for (space, darkest) in cases {
        let kept: Vec<u16> = levels.iter().copied().filter(|&v| v >= darkest).collect();
        let bytes: Vec<u8> = lattice(&kept)
            .iter()
            .flat_map(|v| v.to_ne_bytes())
            .collect();
        let raster = raster(1, Depth::U16, Channels::Rgb, space, bytes);
        let back = there_and_back(&raster);
        for (a, b) in raster.bytes.chunks_exact(6).zip(back.chunks_exact(6)) {
            assert_eq!(a, b, "from {darkest} on");
        }
    }
}

proptest! {
    #[test]
    fn float_colours_come_back_far_beyond_the_gamut(
        colour in [-1.0f32..4.0, -1.0f32..4.0, -1.0f32..4.0], which in 0usize..3,
    ) {
        let space = space(Channels::Rgb, which);
        let bytes: Vec<u8> = colour.iter().flat_map(|v| v.to_ne_bytes()).collect();
        let single = raster(1, Depth::F32, Channels::Rgb, space.clone(), bytes);
        let back: Vec<f32> = there_and_back(&single)
            .chunks_exact(4)
            .map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        for (a, b) in colour.iter().zip(&back) {
            prop_assert!((a - b).abs() < 1e-5, "{:?} came back as {:?}", colour, back);
        }
        let bytes: Vec<u8> = colour.iter().flat_map(|&v| f16::from_f32(v).to_ne_bytes()).collect();
        let half = raster(1, Depth::F16, Channels::Rgb, space, bytes);
        for (a, b) in half.bytes.chunks_exact(2).zip(there_and_back(&half).chunks_exact(2)) {
            let (a, b) = (f16::from_ne_bytes([a[0], a[1]]), f16::from_ne_bytes([b[0], b[1]]));
            prop_assert!((a.to_f32() - b.to_f32()).abs() < 1e-4, "{} came back as {}", a, b);
        }
    }

    #[test]
    fn even_colours_are_written_as_their_grey(v in 0.0f32..1.0) {
        let grey = raster(1, Depth::F32, Channels::Grey, Space::Srgb, vec![0; 4]);
        let colour = ColourTransform::new(&grey).unwrap();
        prop_assert_eq!(colour.to_document([v; 3]), [f64::from(v); 3]);
        prop_assert_eq!(colour.to_working([v; 3]), [v; 3]);
    }
}

#[test]
fn grey_is_the_luminance_of_light() {
    let grey = raster(1, Depth::F32, Channels::Grey, Space::LinearSrgb, vec![0; 4]);
    let colour = ColourTransform::new(&grey).unwrap();
    assert!((colour.to_document([0.0, 1.0, 0.0])[0] - 0.7152).abs() < 1e-6);
    assert!((colour.to_document([1.0, 0.0, 1.0])[0] - 0.2848).abs() < 1e-6);
}

pub(super) const LITTLE_CMS_FROM: [[u8; 3]; 6] = [
    [128, 100, 90],
    [40, 60, 80],
    [200, 180, 160],
    [90, 120, 60],
    [250, 245, 240],
    [20, 18, 25],
];
const LITTLE_CMS_P3: [[u8; 3]; 6] = [
    [133, 99, 88],
    [34, 61, 82],
    [204, 179, 157],
    [81, 121, 51],
    [251, 245, 239],
    [21, 18, 26],
];
const LITTLE_CMS_ADOBE: [[u8; 3]; 6] = [
    [139, 100, 89],
    [21, 57, 80],
    [209, 181, 161],
    [72, 121, 53],
    [252, 245, 240],
    [13, 10, 18],
];

/// What Little CMS 2.19 makes of these colours: relative colorimetric, to its own sRGB, unoptimised, 8 bits.
#[test]
fn colours_agree_with_little_cms() {
    let p3 = ColorProfile::new_display_p3();
    let adobe = ColorProfile::new_adobe_rgb();
    let from = LITTLE_CMS_FROM;
    for (profile, expected) in [(p3, LITTLE_CMS_P3), (adobe, LITTLE_CMS_ADOBE)] {
        let picture = raster(1, Depth::U8, Channels::Rgb, icc(&profile), from.concat());
        let canvas = Canvas::new(&picture).unwrap();
        let image = canvas.image(canvas.bounds()).unwrap();
        for (pixel, expected) in image.data().iter().zip(expected) {
            for (v, e) in pixel.iter().zip(expected) {
                assert!(
                    (v * 255.0 - f32::from(e)).abs() < 0.75,
                    "{pixel:?} {expected:?}"
                );
            }
        }
    }
}

#[test]
fn a_named_srgb_and_its_profile_are_the_same() {
    let bytes: Vec<u8> = (0..=255).flat_map(|v| [v, 255 - v, 77]).collect();
    let named = raster(1, Depth::U8, Channels::Rgb, Space::Srgb, bytes.clone());
    let profile = icc(&ColorProfile::new_srgb());
    let profiled = raster(1, Depth::U8, Channels::Rgb, profile, bytes);
    let image = |r: &Raster| {
        let canvas = Canvas::new(r).unwrap();
        canvas.image(canvas.bounds()).unwrap()
    };
    assert_eq!(image(&named), image(&profiled));
}
