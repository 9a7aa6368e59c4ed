//! Any bytes as a saved request: an error, or a request that is written and read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use repose::canvas::{Channels, Depth, Raster, Selection, SelectionDepth, Space};
use repose::request::{Erase, Learn, Pin, Placement, Refine, Repose, Request, Training, Words};
use repose::subject::Consent;

mod seeds;

fn selection(depth: SelectionDepth) -> Selection {
    let (rect, mask) = seeds::mask();
    Selection { depth, rect, mask }
}

fn write_seeds() {
    let picture = |depth, channels| -> Raster { seeds::raster(depth, channels, Space::Srgb) };
    let learn = Request::Learn(Learn {
        picture: picture(Depth::U8, Channels::Rgb),
        selection: selection(SelectionDepth::U8),
        name: "bear".into(),
        consent: Consent {
            statement: "my own toy".into(),
            person: true,
            person_agrees: true,
            expires: Some("2030-01-31".into()),
        },
        refine: Refine::Auto,
        caption: Some("a bear on a rock".into()),
        word: Some("bear".into()),
        training: Some(Training {
            recipe: Some("single-insert".into()),
            rank: Some(8),
            ..Training::default()
        }),
    });
    let repose = Request::Repose(Repose {
        picture: picture(Depth::F32, Channels::Rgba),
        selection: Some(selection(SelectionDepth::F32)),
        subject: "bear".into(),
        version: Some(2),
        pins: vec![Pin {
            from: [1.0, 1.5],
            to: [3.0, 2.0],
            angle: Some(20.0),
            depth: 1.0,
        }],
        guide: Some(picture(Depth::U8, Channels::Rgba)),
        placement: Placement::default(),
        prompt: Some("sitting".into()),
        words: Some(Box::new(Words {
            model: Some("sd".into()),
            steps: Some(20),
            ..Words::default()
        })),
        candidates: 2,
        seed: 7,
        grow: 3,
        refine: Refine::Never,
    });
    let erase = Request::Erase(Erase {
        picture: picture(Depth::U16, Channels::GreyAlpha),
        selection: selection(SelectionDepth::U16),
        candidates: 1,
        seed: 0,
        grow: 0,
    });
    let bytes = |request: Request| request.to_bytes().expect("a request can be written");
    seeds::write(&[
        ("learn", bytes(learn)),
        ("repose", bytes(repose)),
        ("erase", bytes(erase)),
    ]);
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    if let Ok(request) = Request::from_bytes(bytes) {
        let again = request.to_bytes().expect("what was read can be written");
        let same = Request::from_bytes(&again).expect("what was written can be read");
        // Floats may hold NaN, which is not equal to itself: the bytes are compared.
        assert_eq!(same.to_bytes().expect("twice"), again);
    }
});
