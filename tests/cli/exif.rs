//! What a camera wrote about a photo travels with the result, but for what the edit makes untrue.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use image::{DynamicImage, ExtendedColorType, GenericImageView, ImageDecoder, ImageEncoder};

use super::tool::{Desk, SIZE, mask, photo8, unzip};

/// A thumbnail, or a maker's note, that would show what was removed.
const SECRET: &[u8] = b"the picture as it was";

/// A block in big-endian order, which most machines do not use themselves: one directory and those it points to.
#[derive(Default)]
struct Block(Vec<u8>);

impl Block {
    /// Adds a directory of (tag, type, count, data), says where it is.
    fn directory(&mut self, entries: &[(u16, u16, u32, &[u8])], next: u32) -> u32 {
        let mut table = (entries.len() as u16).to_be_bytes().to_vec();
        for (tag, kind, count, data) in entries {
            let mut value = data.to_vec();
            if data.len() > 4 {
                value = (self.0.len() as u32).to_be_bytes().to_vec();
                self.0.extend(*data);
                self.0.resize(self.0.len().next_multiple_of(2), 0);
            }
            value.resize(4, 0);
            table.extend(tag.to_be_bytes());
            table.extend(kind.to_be_bytes());
            table.extend(count.to_be_bytes());
            table.extend(value);
        }
        let at = self.0.len() as u32;
        self.0.extend(table);
        self.0.extend(next.to_be_bytes());
        at
    }
}

fn longs(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// A phone's EXIF: held on its side, a place on earth, a thumbnail, a maker's note.
fn phone() -> Vec<u8> {
    let mut block = Block(b"MM\0*\0\0\0\0".to_vec());
    let secret = block.0.len() as u32;
    block.0.extend(SECRET);
    block.0.push(0);
    let thumbnail = block.directory(
        &[
            (0x201, 4, 1, &longs(&[secret])),
            (0x202, 4, 1, &longs(&[SECRET.len() as u32])),
        ],
        0,
    );
    let other = block.directory(&[(1, 2, 4, b"R98\0")], 0);
    let camera = block.directory(
        &[
            (0x829A, 5, 1, &longs(&[1, 250])),
            (0x9003, 2, 20, b"2026:05:04 03:02:01\0"),
            (0x927C, 7, SECRET.len() as u32, SECRET),
            (0x9286, 7, 12, b"ASCII\0\0\0Yuki"),
            (0xA002, 3, 1, &[0, SIZE.0 as u8]),
            (0xA003, 3, 1, &[0, SIZE.1 as u8]),
            (0xA005, 4, 1, &longs(&[other])),
        ],
        0,
    );
    let place = block.directory(
        &[
            (1, 2, 2, b"N\0"),
            (2, 5, 3, &longs(&[35, 1, 41, 1, 2240, 100])),
        ],
        0,
    );
    let first = block.directory(
        &[
            (271, 2, 6, b"Hikari"),
            (274, 3, 1, &[0, 6]),
            (305, 2, 5, b"Old1\0"),
            (315, 2, 5, b"Yuki\0"),
            (0x8769, 4, 1, &longs(&[camera])),
            (0x8825, 4, 1, &longs(&[place])),
        ],
        thumbnail,
    );
    block.0[4..8].copy_from_slice(&first.to_be_bytes());
    block.0
}

/// The directory at `at`: type and data of each tag, numbers in big-endian order, and where the next one is.
fn read(bytes: &[u8], at: u32) -> (BTreeMap<u16, (u16, Vec<u8>)>, u32) {
    let little = bytes.starts_with(b"II");
    let number = |at: usize, size: usize| {
        let mut raw = bytes[at..at + size].to_vec();
        if little {
            raw.reverse();
        }
        raw.iter().fold(0u32, |n, b| n << 8 | u32::from(*b))
    };
    let (at, mut found) = (at as usize, BTreeMap::new());
    let count = number(at, 2) as usize;
    for i in 0..count {
        let entry = at + 2 + 12 * i;
        let kind = number(entry + 2, 2) as u16;
        let unit = match kind {
            3 => 2,
            4 | 5 | 9 | 10 => 4,
            _ => 1,
        };
        let units = number(entry + 4, 4) as usize * if matches!(kind, 5 | 10) { 2 } else { 1 };
        let start = if unit * units > 4 {
            number(entry + 8, 4) as usize
        } else {
            entry + 8
        };
        let mut data = bytes[start..start + unit * units].to_vec();
        if little {
            data.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        }
        found.insert(number(entry, 2) as u16, (kind, data));
    }
    (found, number(at + 2 + 12 * count, 4))
}

fn long(data: &[u8]) -> u32 {
    data.iter().fold(0, |n, b| n << 8 | u32::from(*b))
}

/// Looks at an EXIF block, or at a whole TIFF, of a result.
#[track_caller]
fn is_the_phones(bytes: &[u8], size: (u32, u32), what: &str) {
    let first = if bytes.starts_with(b"II") {
        bytes[4..8].iter().rev().copied().collect()
    } else {
        bytes[4..8].to_vec()
    };
    let (first, next) = read(bytes, long(&first));
    assert_eq!(next, 0, "{what}: a thumbnail follows");
    assert!(
        !bytes.windows(SECRET.len()).any(|w| w == SECRET),
        "{what} tells the secret"
    );
    assert_eq!(first[&271].1, b"Hikari", "{what}");
    assert_eq!(first[&315], (2, b"Yuki\0".to_vec()), "{what}");
    assert_eq!(first[&274], (3, vec![0, 1]), "{what} is upright");
    assert_ne!(
        first.get(&305).map(|v| &v.1[..]),
        Some(&b"Old1\0"[..]),
        "{what}"
    );
    let (camera, _) = read(bytes, long(&first[&0x8769].1));
    assert_eq!(camera[&0x829A], (5, longs(&[1, 250])), "{what}");
    assert_eq!(camera[&0x9003].1, b"2026:05:04 03:02:01\0", "{what}");
    assert_eq!(camera[&0x9286], (7, b"ASCII\0\0\0Yuki".to_vec()), "{what}");
    assert_eq!(
        (long(&camera[&0xA002].1), long(&camera[&0xA003].1)),
        size,
        "{what}"
    );
    assert!(
        !camera.contains_key(&0x927C) && !camera.contains_key(&0xA005),
        "{what}"
    );
    let (place, _) = read(bytes, long(&first[&0x8825].1));
    assert_eq!(place[&1].1, b"N\0", "{what}");
    assert_eq!(place[&2], (5, longs(&[35, 1, 41, 1, 2240, 100])), "{what}");
}

fn block_of(png: &Path) -> Vec<u8> {
    let file = std::io::BufReader::new(File::open(png).unwrap());
    let mut decoder = image::codecs::png::PngDecoder::new(file).unwrap();
    decoder.exif_metadata().unwrap().expect("an eXIf chunk")
}

#[test]
fn a_photos_exif_goes_along() {
    let desk = Desk::new();
    let photo = DynamicImage::from(photo8());
    let turned = image::imageops::rotate90(&mask());
    turned.save(desk.path("mask.png")).unwrap();
    let file = |name: &str| File::create(desk.path(name)).unwrap();
    let (w, h) = photo.dimensions();
    let mut jpeg = image::codecs::jpeg::JpegEncoder::new_with_quality(file("in.jpg"), 95);
    jpeg.set_exif_metadata(phone()).unwrap();
    jpeg.write_image(photo.as_bytes(), w, h, ExtendedColorType::Rgb8)
        .unwrap();
    let mut png = image::codecs::png::PngEncoder::new(file("in.png"));
    png.set_exif_metadata(phone()).unwrap();
    png.write_image(photo.as_bytes(), w, h, ExtendedColorType::Rgb8)
        .unwrap();
    let mut webp = image::codecs::webp::WebPEncoder::new_lossless(file("in.webp"));
    // Many programs leave the JPEG's introduction in front.
    webp.set_exif_metadata([b"Exif\0\0", &phone()[..]].concat())
        .unwrap();
    webp.write_image(photo.as_bytes(), w, h, ExtendedColorType::Rgb8)
        .unwrap();
    let size = (h, w);
    // The last one reads a TIFF that the program wrote.
    for input in ["in.jpg", "in.png", "in.webp", "in.png.tif"] {
        let [png, tif, ora] = ["png", "tif", "ora"].map(|ending| format!("{input}.{ending}"));
        for out in [&png, &tif, &ora] {
            desk.repose(&["erase", input, "-s", "mask.png", "-o", out])
                .expect(0);
        }
        is_the_phones(&block_of(&desk.path(&png)), size, &png);
        is_the_phones(&fs::read(desk.path(&tif)).unwrap(), size, &tif);
        let merged = desk.path("merged.png");
        fs::write(&merged, unzip(&desk.path(&ora), "mergedimage.png")).unwrap();
        is_the_phones(&block_of(&merged), size, &ora);
        // Upright pixels, upright tag: nobody turns it again.
        assert_eq!(image::open(desk.path(&png)).unwrap().dimensions(), size);
        let info = desk.repose(&["--json", "info", &png]).expect(0).json();
        assert_eq!(
            (&info["width"], &info["height"]),
            (&size.0.into(), &size.1.into())
        );
    }
}

#[test]
fn damaged_exif_is_left_out() {
    let desk = Desk::new();
    desk.photo();
    let photo = DynamicImage::from(photo8());
    let good = phone();
    let mut endless = good.clone();
    // Its first directory points to itself as its camera's.
    let first = long(&good[4..8]) as usize;
    let camera = first + 2 + 12 * 4 + 8;
    endless[camera..camera + 4].copy_from_slice(&good[4..8]);
    let mut far = good.clone();
    far[4..8].copy_from_slice(&[0xFF; 4]);
    let mut many = good.clone();
    many[first..first + 2].copy_from_slice(&[0xFF; 2]);
    let mut long_text = good.clone();
    long_text[first + 2 + 4..first + 2 + 8].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF]);
    let cases = [
        b"MM\0*".to_vec(),
        b"nonsense".to_vec(),
        endless,
        far,
        many,
        long_text,
        good[..60].to_vec(),
    ];
    for (i, block) in cases.into_iter().enumerate() {
        let file = File::create(desk.path("in.png")).unwrap();
        let mut png = image::codecs::png::PngEncoder::new(file);
        png.set_exif_metadata(block).unwrap();
        png.write_image(photo.as_bytes(), SIZE.0, SIZE.1, ExtendedColorType::Rgb8)
            .unwrap();
        for out in ["out.png", "out.tif"] {
            let ran = desk.repose(&["erase", "in.png", "-s", "rect:5,5,9,9", "-o", out]);
            assert_eq!(ran.code, 0, "case {i}: {}", ran.err);
        }
    }
}
