//! Any bytes as an OpenRaster file, and as what is inside one: an error, or a picture that is whole.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "the readers come with the writers"
)]

use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

// The command line is a program: its reader is taken by path. A panic is a finding here even where it is caught there.
#[path = "../../examples/repose/failure.rs"]
mod failure;
#[path = "../../examples/repose/io/mod.rs"]
mod io;
#[path = "../../examples/repose/picture.rs"]
mod picture;
mod seeds;
#[path = "../../examples/repose/shrink.rs"]
mod shrink;

use picture::{Channels, Depth, Picture};

/// Tells bytes for the inside of an archive (stack.xml, a zero, a PNG) from bytes of a whole archive.
const INSIDE: &[u8] = b"<image";

fn small(width: u32, height: u32, depth: Depth, channels: Channels) -> Picture {
    let length = width as usize * height as usize * depth.bytes() * channels.count();
    Picture {
        width,
        height,
        depth,
        channels,
        icc: None,
        bytes: (0..length).map(|i| (i * 37 % 251) as u8).collect(),
    }
}

fn write_seeds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let written = |depth, png: bool| {
        let original = small(9, 7, depth, Channels::Rgb);
        let layer = small(4, 3, depth, Channels::Rgba);
        let path = folder.path().join("seed");
        if png {
            io::write_flat(&path, io::Format::Png, &layer, io::About::default()).expect("a PNG");
        } else {
            let sheet = io::Sheet {
                name: "L".into(),
                x: 2,
                y: 1,
                picture: layer,
            };
            let document = io::Document {
                original: &original,
                original_name: "photo.jpg",
                groups: vec![io::Group {
                    name: "Candidate 1".into(),
                    sheets: vec![sheet],
                }],
                merged: &original,
                about: io::About::default(),
                history: None,
            };
            io::write_layers(&path, &document).expect("an OpenRaster file");
        }
        std::fs::read(&path).expect("what was written")
    };
    let stack = b"<image w='9' h='7'><stack x='1'><layer name='L' src='l.png' x='3' y='-2'/></stack></image>\0";
    seeds::write(&[
        ("8.ora", written(Depth::U8, false)),
        ("16.ora", written(Depth::U16, false)),
        (
            "8.inside",
            [stack.as_slice(), &written(Depth::U8, true)].concat(),
        ),
        (
            "16.inside",
            [stack.as_slice(), &written(Depth::U16, true)].concat(),
        ),
    ]);
}

/// An archive that is whole around a stack.xml and a PNG that may not be: checksums keep a fuzzer out of a real one.
fn archive(stack: &[u8], png: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [
        ("mimetype", b"image/openraster".as_slice()),
        ("stack.xml", stack),
        ("l.png", png),
        ("mergedimage.png", png),
    ] {
        zip.start_file(name, stored).expect("a new entry");
        zip.write_all(bytes).expect("into memory");
    }
    zip.finish().expect("into memory").into_inner()
}

/// Reads the archive as the command line does, from a file.
fn read(bytes: &[u8]) {
    static FILE: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            memory.into()
        } else {
            std::env::temp_dir()
        };
        tempfile::NamedTempFile::new_in(folder).expect("a temporary file")
    });
    // Other formats have readers of their own; this target is for archives.
    if !bytes.starts_with(b"PK") {
        return;
    }
    let path = FILE.path().display();
    std::fs::write(FILE.path(), bytes).expect("a temporary file");
    for name in [path.to_string(), format!("{path}#L")] {
        match io::read(Path::new(&name)) {
            Ok(opened) => {
                let picture = opened.picture;
                assert_eq!(
                    picture.bytes.len(),
                    picture.pixels() * picture.bytes_per_pixel()
                );
            }
            Err(failure) => assert_eq!(failure.kind, failure::Kind::Files, "{failure}"),
        }
    }
}

fuzz_target!(init: write_seeds(), |bytes: &[u8]| {
    if bytes.starts_with(INSIDE) {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        let png = bytes.get(end + 1..).unwrap_or_default();
        read(&archive(&bytes[..end], png));
    } else {
        read(bytes);
    }
});
