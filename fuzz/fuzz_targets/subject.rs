//! Any bytes as a subject file: an error, or a subject that obeys its own rules.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use repose::canvas::{Channels, Depth, Grid, Rect, Space};
use repose::subject::{Mesh, Prior, Subject, SubjectWords, TextFacts, TextPart, file};

mod seeds;

fn subject(depth: Depth, channels: Channels) -> Subject {
    let (w, h) = (7, 5);
    Subject {
        name: "bear".into(),
        rect: Rect {
            x: 2,
            y: 3,
            width: w,
            height: h,
        },
        source_size: [20, 30],
        source_hash: "5".repeat(64),
        words: SubjectWords {
            caption: Some("a bear".into()),
            word: None,
        },
        raster: seeds::raster(depth, channels, Space::Srgb),
        matte: Grid::from_fn(w, h, |x, y| (x + y) as f32 / 10.0),
        colours: Grid::from_fn(w, h, |x, y| [x as f32 / 6.0, y as f32 / 4.0, 0.5]),
        mesh: Mesh {
            vertices: vec![[0.0, 0.0], [7.0, 0.5], [0.25, 5.0]],
            triangles: vec![[0, 1, 2]],
        },
        prior: Prior {
            patch: 3,
            centres: vec![[1, 1], [5, 3]],
        },
        text: None,
    }
}

fn write_seeds() {
    let bytes = |subject: Subject| {
        // A subject file is written once and never over another.
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("subject.safetensors");
        file::write(&path, &subject).expect("a subject can be written");
        std::fs::read(&path).expect("what was written")
    };
    let profiled = Subject {
        raster: seeds::raster(Depth::U8, Channels::Rgb, Space::Icc(vec![1, 2, 3].into())),
        ..subject(Depth::U8, Channels::Rgb)
    };
    let taught = Subject {
        text: Some(TextPart {
            facts: TextFacts {
                recipe: "detex".into(),
                ..TextFacts::default()
            },
            lora: vec![1, 2, 3],
            word: vec![4],
            beside: vec![5, 6],
        }),
        ..subject(Depth::U8, Channels::Rgb)
    };
    seeds::write(&[
        ("taught", bytes(taught)),
        ("u8", bytes(subject(Depth::U8, Channels::Rgb))),
        ("f32", bytes(subject(Depth::F32, Channels::Bgra))),
        ("icc", bytes(profiled)),
    ]);
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    let parsed = file::parse(Path::new("fuzzed"), bytes, bytes.len() as u64);
    if let Ok((subject, written)) = parsed {
        file::check(&subject).expect("what is read obeys the rules");
        assert_eq!(written.bytes, bytes.len() as u64);
    }
});
