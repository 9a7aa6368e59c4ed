//! Profiles that are damaged, of the wrong kind, or made to break readers.

use moxcms::{DataColorSpace, Xyzd};
use proptest::prelude::*;

use super::*;

/// Tries a profile on RGB and grey; whatever is accepted must give finite colours both ways.
pub(super) fn try_both(bytes: &[u8]) -> usize {
    let mut accepted = 0;
    for channels in [Channels::Rgb, Channels::Grey] {
        let space = Space::Icc(Arc::from(bytes));
        let picture = raster(
            1,
            Depth::F32,
            channels,
            space,
            vec![0; 4 * channels.count()],
        );
        match ColourTransform::new(&picture) {
            Ok(colour) => {
                accepted += 1;
                for v in [0.0, 0.3, 1.0, -2.0, 65504.0] {
                    let working = colour.to_working([v, 0.5, 1.0 - v]);
                    assert!(working.iter().all(|v| v.is_finite()));
                    let mut sample = [0; 12];
                    let format = super::super::samples::Format::of(&picture);
                    format.set_colour(&mut sample, colour.to_document(working));
                    assert!(format.colour(&sample).iter().all(|v| v.is_finite()));
                }
            }
            Err(e) => {
                assert_eq!(e.kind, crate::ErrorKind::Caller);
                assert!(e.message.contains("profile"), "{}", e.message);
            }
        }
    }
    accepted
}

fn real() -> [Vec<u8>; 3] {
    [
        ColorProfile::new_display_p3().encode().unwrap(),
        ColorProfile::new_bt2020_pq().encode().unwrap(),
        ColorProfile::new_gray_with_gamma(2.2).encode().unwrap(),
    ]
}

#[test]
fn profiles_cut_short_are_refused() {
    for whole in real() {
        assert_eq!(try_both(&whole), 1);
        for length in 0..whole.len().min(400) {
            assert_eq!(try_both(&whole[..length]), 0, "{length} of {}", whole.len());
        }
    }
}

#[test]
fn other_kinds_of_profile_are_named_in_the_error() {
    let lab = icc(&ColorProfile::new_lab());
    let mut cmyk = ColorProfile::new_srgb();
    cmyk.color_space = DataColorSpace::Cmyk;
    let grey = icc(&ColorProfile::new_gray_with_gamma(2.2));
    for (space, word) in [(lab, "Lab"), (icc(&cmyk), "CMYK"), (grey, "grey")] {
        let picture = raster(1, Depth::U8, Channels::Rgb, space, vec![0; 3]);
        let message = Canvas::new(&picture).err().unwrap().message;
        assert!(
            message.starts_with("expected an RGB or grey profile"),
            "{message}"
        );
        assert!(
            message.contains(&format!("a profile for {word} came")),
            "{message}"
        );
    }
}

#[test]
fn profiles_without_colours_are_refused() {
    let mut flat = ColorProfile::new_srgb();
    flat.green_colorant = flat.red_colorant;
    assert_eq!(try_both(&flat.encode().unwrap()), 0);
    let mut empty = ColorProfile::new_srgb();
    empty.red_colorant = Xyzd::default();
    assert_eq!(try_both(&empty.encode().unwrap()), 0);
    let canvas = raster(1, Depth::U8, Channels::Rgb, icc(&empty), vec![0; 3]);
    let message = Canvas::new(&canvas).err().unwrap().message;
    assert!(message.contains("neither primaries"), "{message}");
    let mut dark = ColorProfile::new_gray_with_gamma(2.2);
    dark.gray_trc = None;
    assert_eq!(try_both(&dark.encode().unwrap()), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(try_both(&bytes), 0);
    }

    #[test]
    fn damaged_profiles_never_panic(
        which in 0usize..3, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = real()[which].clone();
        let near = bytes.len().min(700);
        for (at, value) in damage {
            bytes[at.index(near)] = value;
        }
        try_both(&bytes);
    }
}
