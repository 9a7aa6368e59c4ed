//! Damaged and hostile files: a message that names the file and the reason, in bounded time, and nothing lost.

use std::fs;
use std::time::{Duration, Instant};

use image::ImageFormat;

use super::tool::{Desk, archive, encoded, photo8};

#[test]
fn truncated_files_of_every_kind() {
    let desk = Desk::new();
    desk.photo();
    for name in ["a.png", "a.jpg", "a.tif", "a.webp"] {
        photo8().save(desk.path(name)).unwrap();
    }
    desk.repose(&["erase", "photo.png", "-s", "photo_mask.png", "-o", "a.ora"])
        .expect(0);
    for name in ["a.png", "a.jpg", "a.tif", "a.webp", "a.ora"] {
        let whole = fs::read(desk.path(name)).unwrap();
        desk.repose(&["info", name]).expect(0);
        let cut = format!("cut-{name}");
        for part in [
            1,
            4,
            40,
            whole.len() / 3,
            whole.len() * 2 / 3,
            whole.len() - 40,
        ] {
            fs::write(desk.path(&cut), &whole[..part]).unwrap();
            let ran = desk.repose(&["info", &cut]).expect(3);
            assert!(ran.err.contains(&cut), "{}", ran.err);
        }
        // One byte wrong, anywhere: an error or a picture, but never the end of the program.
        for i in 0..12 {
            let mut bytes = whole.clone();
            let at = (i * 7919 + 13) % bytes.len();
            bytes[at] ^= 0xA5;
            fs::write(desk.path(&cut), bytes).unwrap();
            let code = desk.repose(&["info", &cut]).code;
            assert!(code == 0 || code == 3, "{name}, byte {at}: {code}");
        }
    }
    fs::write(desk.path("empty.png"), b"").unwrap();
    desk.repose(&["info", "empty.png"]).expect(3);
    desk.repose(&["info", "."]).expect(3);
}

/// A PNG's chunk with its checksum.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = !0u32;
    for byte in kind.iter().chain(data) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut out = (data.len() as u32).to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(data);
    out.extend((!crc).to_be_bytes());
    out
}

fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([16, 6, 0, 0, 0]);
    png.extend(chunk(b"IHDR", &header));
    png.extend(chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0]));
    png.extend(chunk(b"IEND", &[]));
    png
}

/// A little-endian TIFF of one uncompressed strip that does not hold what its tags say.
fn tiff_of(width: u32, height: u32) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let tags: [(u16, u16, u32); 9] = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, u32::MAX),
    ];
    tiff.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, value) in tags {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(1u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    tiff
}

#[test]
fn files_that_claim_too_much() {
    let desk = Desk::new();
    desk.photo();
    // A mimetype that unpacks to much more than it should.
    let bomb = archive(&[("mimetype", &vec![0; 64 << 20])]);
    let stack = b"<image w='4000000000' h='4000000000'><stack x='9223372036854775807'><layer name='L' src='l.png' x='1'/></stack></image>";
    let stack = archive(&[
        ("mimetype", b"image/openraster"),
        ("stack.xml", stack),
        ("l.png", &encoded(&photo8(), ImageFormat::Png)),
    ]);
    for (name, bytes) in [
        ("huge.png", png_of(100_000, 100_000)),
        ("large.png", png_of(20_000, 20_000)),
        ("none.png", png_of(0, 0)),
        ("huge.tif", tiff_of(100_000, 100_000)),
        ("large.tif", tiff_of(23_000, 23_000)),
        ("none.tif", tiff_of(0, 7)),
        ("bomb.ora", bomb),
        ("stack.ora", stack),
    ] {
        fs::write(desk.path(name), bytes).unwrap();
    }
    for name in [
        "huge.png",
        "large.png",
        "none.png",
        "huge.tif",
        "large.tif",
        "none.tif",
        "bomb.ora",
        "stack.ora#L",
        "stack.ora#M",
        "stack.ora",
    ] {
        let start = Instant::now();
        let ran = desk.repose(&["info", name]).expect(3);
        assert!(
            ran.err.contains(name.split('#').next().unwrap()),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("mistake in Repose"), "{}", ran.err);
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{name} took too long"
        );
    }
}
