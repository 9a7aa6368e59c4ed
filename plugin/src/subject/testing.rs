//! Subjects for tests.
#![allow(clippy::unwrap_used)]

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Consent, Library, Mesh, Prior, Subject, SubjectWords};
use crate::canvas::{Channels, Depth, Grid, Raster, Rect, Space};

/// A subject of noise, so that no two bytes are alike by chance.
pub fn subject(name: &str, width: usize, height: usize, depth: Depth) -> Subject {
    let mut rng = Pcg64Mcg::seed_from_u64(width as u64 * 31 + height as u64);
    let channels = Channels::Rgba;
    let mut bytes = vec![0u8; width * height * depth.bytes() * channels.count()];
    rng.fill(&mut bytes[..]);
    Subject {
        name: name.to_owned(),
        rect: Rect {
            x: 3,
            y: 5,
            width,
            height,
        },
        source_size: [width as u32 + 10, height as u32 + 10],
        source_hash: "5".repeat(64),
        words: SubjectWords {
            caption: Some("a thing of noise".into()),
            word: Some("thing".into()),
        },
        raster: Raster {
            width: width as u32,
            height: height as u32,
            depth,
            channels,
            space: Space::Srgb,
            bytes,
        },
        matte: Grid::from_fn(width, height, |_, _| rng.random::<f32>()),
        colours: Grid::from_fn(width, height, |_, _| rng.random::<[f32; 3]>()),
        mesh: Mesh {
            vertices: vec![[0.0, 0.0], [width as f32, 0.5], [0.25, height as f32]],
            triangles: vec![[0, 1, 2]],
        },
        prior: Prior {
            patch: 7,
            centres: vec![[0, 0], [width as u32 - 1, height as u32 - 1]],
        },
        text: None,
    }
}

/// Consent for something that is nobody's likeness.
pub fn consent() -> Consent {
    Consent {
        statement: "our own teddy bear, for tests".into(),
        person: false,
        person_agrees: false,
        expires: None,
    }
}

/// A library in a temporary folder.
pub fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(Some(folder.path().join("data"))).unwrap();
    (folder, library)
}
