//! The readers of picture files against files that nobody would write: never a panic, whatever comes.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test cli hostile` looks for longer.

use std::fs;
use std::path::Path;

use image::ImageFormat;
use proptest::prelude::*;

use super::tool::{archive, encoded, photo8};
use crate::failure::Kind;
use crate::io;

/// What a change does to a file.
#[derive(Debug, Clone)]
enum Change {
    Set(usize, u8),
    Cut(usize),
    Insert(usize, Vec<u8>),
    Number(usize, u32),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = prop_oneof![
        4 => (any::<usize>(), any::<u8>()).prop_map(|(at, v)| Change::Set(at, v)),
        1 => any::<usize>().prop_map(Change::Cut),
        1 => (any::<usize>(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        // Sizes and offsets are where readers go wrong.
        2 => (any::<usize>(), prop_oneof![Just(0), Just(1), Just(0x7FFF_FFFF), Just(u32::MAX), any::<u32>()])
            .prop_map(|(at, v)| Change::Number(at, v)),
    ];
    prop::collection::vec(one, 1..6)
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = bytes.len().max(1);
        match change {
            Change::Set(at, value) => {
                if let Some(byte) = bytes.get_mut(at % length) {
                    *byte = *value;
                }
            }
            Change::Cut(at) => bytes.truncate(at % length),
            Change::Insert(at, new) => {
                let at = (at % length).min(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Number(at, value) => {
                let at = at % length;
                for (byte, new) in bytes.iter_mut().skip(at).zip(value.to_le_bytes()) {
                    *byte = new;
                }
            }
        }
    }
    bytes
}

fn small(format: ImageFormat) -> Vec<u8> {
    encoded(
        &image::imageops::crop_imm(&photo8(), 20, 20, 24, 18).to_image(),
        format,
    )
}

/// Reads a file with these bytes: a picture, or a failure that names the file and is the file's, not the reader's.
fn read(bytes: &[u8], layer: Option<&str>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile");
    fs::write(&path, bytes).unwrap();
    let asked = match layer {
        Some(layer) => format!("{}#{layer}", path.display()),
        None => path.display().to_string(),
    };
    match io::read(Path::new(&asked)) {
        Ok(opened) => {
            let picture = opened.picture;
            prop_assert_eq!(
                picture.bytes.len(),
                picture.pixels() * picture.bytes_per_pixel()
            );
        }
        Err(failure) => {
            prop_assert_eq!(failure.kind, Kind::Files);
            prop_assert!(failure.message.contains("hostile"), "{}", failure);
            prop_assert!(
                !failure
                    .message
                    .contains("the decoder of this format failed"),
                "a panic"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_pictures(
        format in prop::sample::select(vec![ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Tiff, ImageFormat::WebP]),
        changes in changes(),
    ) {
        read(&changed(small(format), &changes), None)?;
    }

    #[test]
    fn damaged_archives(changes in changes(), layer in any::<bool>()) {
        let png = small(ImageFormat::Png);
        let stack = b"<image w='96' h='72'><stack><layer name='L' src='l.png' x='3' y='-2'/></stack></image>";
        let bytes = archive(&[
            ("mimetype", b"image/openraster"), ("stack.xml", stack), ("l.png", &png), ("mergedimage.png", &png),
        ]);
        read(&changed(bytes, &changes), layer.then_some("L"))?;
    }

    /// The archive is whole, what is in it is not.
    #[test]
    fn strange_layers(
        width in any::<u32>(), height in any::<u32>(), x in any::<i64>(), y in -30i64..30,
        stack in changes(), png in changes(), spoil in any::<[bool; 2]>(),
    ) {
        let [spoil_stack, spoil_png] = spoil;
        let mut xml = format!(
            "<image w='{}' h='{}'><stack x='{x}' y='{y}'><layer name='L' src='l.png' x='{x}' y='1'/></stack></image>",
            width % 300, height % 300,
        ).into_bytes();
        let mut picture = small(ImageFormat::Png);
        if spoil_stack { xml = changed(xml, &stack); }
        if spoil_png { picture = changed(picture, &png); }
        let bytes = archive(&[
            ("mimetype", b"image/openraster"), ("stack.xml", &xml), ("l.png", &picture), ("mergedimage.png", &picture),
        ]);
        read(&bytes, Some("L"))?;
    }
}
