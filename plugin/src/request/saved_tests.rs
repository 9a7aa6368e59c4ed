//! Round trips, and bytes that are not requests.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::ErrorKind;
use proptest::prelude::*;

fn raster(alpha: bool, width: u32, height: u32) -> impl Strategy<Value = Raster> {
    let depths = vec![Depth::U8, Depth::U16, Depth::F16, Depth::F32];
    let channels = if alpha {
        vec![Channels::GreyAlpha, Channels::Rgba, Channels::Bgra]
    } else {
        vec![Channels::Grey, Channels::Rgb, Channels::Rgba]
    };
    let space = prop_oneof![
        Just(Space::Srgb),
        Just(Space::LinearSrgb),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|v| Space::Icc(v.into())),
    ];
    (
        prop::sample::select(depths),
        prop::sample::select(channels),
        space,
    )
        .prop_flat_map(move |(depth, channels, space)| {
            let size = (width * height) as usize * depth.bytes() * channels.count();
            prop::collection::vec(any::<u8>(), size).prop_map(move |bytes| Raster {
                width,
                height,
                depth,
                channels,
                space: space.clone(),
                bytes,
            })
        })
}

fn selection(width: u32, height: u32) -> impl Strategy<Value = Selection> {
    let depths = vec![SelectionDepth::U8, SelectionDepth::U16, SelectionDepth::F32];
    let (w, h) = (width as usize, height as usize);
    (prop::sample::select(depths), 0..w, 0..h)
        .prop_flat_map(move |(depth, x, y)| (Just(depth), Just((x, y)), 1..=w - x, 1..=h - y))
        .prop_flat_map(|(depth, (x, y), width, height)| {
            prop::collection::vec(0.01f32..=1.0, width * height).prop_map(move |values| Selection {
                depth,
                rect: Rect {
                    x,
                    y,
                    width,
                    height,
                },
                mask: Grid::from_vec(width, height, values).unwrap(),
            })
        })
}

fn pin() -> impl Strategy<Value = Pin> {
    let near = || -1000.0f32..1000.0;
    (
        [near(), near()],
        [near(), near()],
        prop::option::of(-360.0f32..360.0),
        -10.0f32..10.0,
    )
        .prop_map(|(from, to, angle, depth)| Pin {
            from,
            to,
            angle,
            depth,
        })
}

fn request() -> impl Strategy<Value = Request> {
    let refine = prop::sample::select(&[Refine::Auto, Refine::Always, Refine::Never][..]);
    let name = "[a-z ]{0,20}[a-zé]";
    let learn = move |w, h| {
        (
            raster(false, w, h),
            selection(w, h),
            name,
            ".*[a-z]",
            any::<bool>(),
        )
            .prop_map(|(picture, selection, name, statement, person)| {
                Request::Learn(Learn {
                    picture,
                    selection,
                    name,
                    consent: Consent {
                        statement,
                        person,
                        person_agrees: true,
                        expires: person.then(|| "2031-12-31".to_owned()),
                    },
                    refine: Refine::Auto,
                    caption: person.then(|| "a person on a chair".to_owned()),
                    word: None,
                    training: person.then(|| Training {
                        recipe: Some("textual-inversion".to_owned()),
                        steps: Some(300),
                        earlier: 2,
                        ..Training::default()
                    }),
                })
            })
    };
    let repose = move |w, h| {
        (
            raster(false, w, h),
            prop::option::of(selection(w, h)),
            prop::option::of(raster(true, w, h)),
            prop::collection::vec(pin(), 0..5),
            prop::option::of(".*"),
            (name, any::<u64>(), 1u32..=16, 0u32..=256, refine.clone()),
            (
                [-9.0f32..9.0, -9.0f32..9.0],
                0.05f32..20.0,
                -360.0f32..360.0,
            ),
        )
            .prop_map(|(picture, selection, guide, pins, prompt, rest, place)| {
                Request::Repose(Repose {
                    picture,
                    selection,
                    guide,
                    pins,
                    words: prompt.is_some().then(|| {
                        Box::new(Words {
                            source: prompt.clone(),
                            guidance: Some(rest.3 as f32 / 10.0 + 1.0),
                            guided: Some(rest.3 as f32 / 256.0),
                            reuse: Some(rest.3 % 10 + 1),
                            ..Words::default()
                        })
                    }),
                    prompt,
                    subject: rest.0,
                    version: Some(3),
                    seed: rest.1,
                    candidates: rest.2,
                    grow: rest.3,
                    refine: rest.4,
                    placement: Placement {
                        offset: place.0,
                        scale: place.1,
                        angle: place.2,
                    },
                })
            })
    };
    let erase = |w, h| {
        (raster(false, w, h), selection(w, h), any::<u64>()).prop_map(
            |(picture, selection, seed)| {
                Request::Erase(Erase {
                    picture,
                    selection,
                    candidates: 2,
                    seed,
                    grow: 7,
                })
            },
        )
    };
    (1u32..9, 1u32..9)
        .prop_flat_map(move |(w, h)| prop_oneof![learn(w, h), repose(w, h), erase(w, h)])
}

fn small() -> Vec<u8> {
    let raster = Raster {
        width: 2,
        height: 2,
        depth: Depth::U8,
        channels: Channels::Grey,
        space: Space::Icc(Arc::from(&b"profile"[..])),
        bytes: vec![1, 2, 3, 4],
    };
    let selection = Selection {
        depth: SelectionDepth::U8,
        rect: Rect {
            x: 1,
            y: 0,
            width: 1,
            height: 2,
        },
        mask: Grid::new(1, 2, 1.0),
    };
    let request = Request::Erase(Erase {
        picture: raster,
        selection,
        candidates: 1,
        seed: 5,
        grow: 0,
    });
    request.to_bytes().unwrap()
}

proptest! {
    #[test]
    fn comes_back_as_it_was(request in request()) {
        let bytes = request.to_bytes().unwrap();
        let back = Request::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&back, &request);
        prop_assert_eq!(back.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn any_bytes_are_no_reason_to_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Request::from_bytes(&bytes).is_err());
    }

    #[test]
    fn one_wrong_bit_is_no_reason_to_panic(place in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = small();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        // A pixel may well be another one; whatever comes back must be a good request.
        if let Ok(request) = Request::from_bytes(&bytes) {
            prop_assert!(request.check().is_ok());
        }
    }

    #[test]
    fn half_a_file_is_refused(cut in any::<prop::sample::Index>()) {
        let bytes = small();
        let error = Request::from_bytes(&bytes[..cut.index(bytes.len())]).unwrap_err();
        prop_assert_eq!(error.kind, ErrorKind::Caller);
    }
}

/// The same file with another header.
fn with_header(change: impl Fn(&str) -> String) -> Vec<u8> {
    let bytes = small();
    let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = change(std::str::from_utf8(&bytes[8..8 + size]).unwrap());
    let mut changed = (header.len() as u64).to_le_bytes().to_vec();
    changed.extend_from_slice(header.as_bytes());
    changed.extend_from_slice(&bytes[8 + size..]);
    changed
}

#[test]
fn selections_of_impossible_values_are_refused() {
    // Safetensors puts the widest type first: the selection.
    let good = small();
    let start = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    for values in [[f32::NAN, 1.0], [-0.5, 1.0], [1.0, 1.5], [0.0, 0.0]] {
        let mut bytes = good.clone();
        for (i, v) in values.iter().enumerate() {
            bytes[start + 4 * i..][..4].copy_from_slice(&v.to_le_bytes());
        }
        let error = Request::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Caller, "{values:?}");
        assert!(error.message.contains("select"), "{error}");
    }
}

/// A pin that a hand drags may leave the picture; one that a mistake sends away may not.
#[test]
fn pins_stay_near_the_picture() {
    let good = Repose {
        picture: Raster {
            width: 600,
            height: 2,
            depth: Depth::U8,
            channels: Channels::Grey,
            space: Space::Srgb,
            bytes: vec![0; 1200],
        },
        selection: None,
        subject: "it".into(),
        version: None,
        pins: Vec::new(),
        guide: None,
        placement: Placement::default(),
        prompt: None,
        words: None,
        candidates: 1,
        seed: 0,
        grow: 0,
        refine: Refine::Auto,
    };
    let with = |from: [f32; 2], to: [f32; 2], offset: f32| {
        let mut it = good.clone();
        it.pins.push(Pin {
            from,
            to,
            angle: None,
            depth: 0.0,
        });
        it.placement.offset = [0.0, offset];
        Request::Repose(it).check()
    };
    for to in [[3000.0, 2402.0], [-2400.0, -2400.0], [5.0, 1.0]] {
        assert!(with([5.0, 1.0], to, -4000.0).is_ok(), "{to:?}");
    }
    for (from, to, offset, word) in [
        ([5.0, 1.0], [3001.0, 0.0], 0.0, "pin 1 goes to (3001, 0)"),
        ([5.0, 1.0], [0.0, -2401.0], 0.0, "600×2"),
        ([1e9, 1.0], [0.0, 0.0], 0.0, "pin 1 is at"),
        ([5.0, f32::NAN], [0.0, 0.0], 0.0, "numbers"),
        ([5.0, 1.0], [0.0, f32::INFINITY], 0.0, "numbers"),
        ([5.0, 1.0], [5.0, 1.0], 4e5, "400000 pixels"),
        ([5.0, 1.0], [5.0, 1.0], f32::NAN, "the move"),
    ] {
        let error = with(from, to, offset).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Caller);
        assert!(error.message.contains(word), "{word}: {error}");
    }
}

#[test]
fn a_lying_header_is_refused_before_memory_is_taken() {
    let huge = u64::MAX.to_string();
    let lies: [(&str, &str); 7] = [
        ("\"shape\":[2,2,1]", "\"shape\":[2,2,1000000000000]"),
        (r#"\"width\":2"#, r#"\"width\":4000000000"#),
        (r#"\"width\":1"#, r#"\"width\":18446744073709551615"#),
        (r#"\"x\":1"#, r#"\"x\":18446744073709551615"#),
        (r#"\"candidates\":1"#, r#"\"candidates\":100"#),
        (r#"\"format\":2"#, r#"\"format\":3"#),
        (
            "\"data_offsets\":[0,8]",
            &format!("\"data_offsets\":[0,{huge}]"),
        ),
    ];
    for (old, new) in lies {
        let bytes = with_header(|header| {
            assert!(header.contains(old), "{old} in {header}");
            header.replace(old, new)
        });
        let error = Request::from_bytes(&bytes).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Caller, "{new}: {error}");
    }
    // The size of the header itself.
    let mut bytes = small();
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(Request::from_bytes(&bytes).is_err());
    assert!(Request::from_bytes(&with_header(str::to_owned)).is_ok());
}
