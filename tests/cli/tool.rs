//! A folder for one test, the program, and small pictures.

use std::fs::{self, File};
use std::io::{BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image::codecs::{png::PngDecoder, tiff::TiffDecoder};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageDecoder, ImageFormat, Luma, Rgb};
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Size of the test picture.
pub const SIZE: (u32, u32) = (96, 72);
/// Centre and radius of its subject, a disc.
pub const DISC: (f32, f32, f32) = (34.0, 36.0, 12.0);

/// A folder of its own with a subject library, gone when the test ends.
pub struct Desk {
    folder: tempfile::TempDir,
}

/// How a run of the program ended.
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// What it printed.
    pub out: String,
    /// What it said in passing.
    pub err: String,
}

impl Ran {
    /// The result of a run with `--json`.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("{e}: stdout {:?}, stderr {:?}", self.out, self.err))
    }

    /// Fails the test with what the program said, unless it ended with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "stdout {:?}, stderr {:?}",
            self.out, self.err
        );
        self
    }
}

impl Desk {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `repose` in the folder with a library of its own.
    pub fn repose(&self, arguments: &[&str]) -> Ran {
        self.with(&[], arguments)
    }

    /// The same with these variables set.
    pub fn with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = self
            .command()
            .envs(variables.iter().copied())
            .args(arguments)
            .output()
            .unwrap();
        Ran {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(self.folder.path())
            .env("REPOSE_DATA", self.path("library"))
            .env("HF_HOME", self.path("hf"))
            .env("NO_PROXY", "*")
            .env_remove("REPOSE_PLUGIN")
            .args(["--threads", "2"]);
        for variable in [
            "HF_HUB_CACHE",
            "HUGGINGFACE_HUB_CACHE",
            "HF_ENDPOINT",
            "HF_TOKEN",
            "HUGGING_FACE_HUB_TOKEN",
            "http_proxy",
            "https_proxy",
            "all_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
        ] {
            command.env_remove(variable);
        }
        command
    }

    /// Writes the picture and its mask in 8 bits: `photo.png`, `photo_mask.png`.
    pub fn photo(&self) -> &Self {
        photo8().save(self.path("photo.png")).unwrap();
        mask().save(self.path("photo_mask.png")).unwrap();
        self
    }

    /// Learns the disc of `photo.png` as `disc`.
    pub fn learned(&self) -> &Self {
        self.photo();
        self.repose(&[
            "learn",
            "photo.png",
            "-s",
            "photo_mask.png",
            "--name",
            "disc",
            "--consent",
            "a drawn disc",
        ])
        .expect(0);
        self
    }
}

/// The program that cargo built beside this test.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(format!("repose{}", std::env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not there: `cargo test` builds it, as does `cargo build --example repose` with the same profile",
        program.display()
    );
    program
}

/// How much of a pixel the disc covers.
pub fn cover(x: u32, y: u32) -> f32 {
    let (cx, cy, r) = DISC;
    let distance = (x as f32 + 0.5 - cx).hypot(y as f32 + 0.5 - cy);
    (r - distance + 0.5).clamp(0.0, 1.0)
}

/// A lively background with an orange disc, as values 0 to 1.
pub fn colour(x: u32, y: u32) -> [f32; 3] {
    let noise = ((x * 7919 + y * 104_729 + x * y * 31) % 97) as f32 / 970.0;
    let wave = 0.5 + 0.2 * (x as f32 * 0.3).sin() * (y as f32 * 0.2).cos();
    let back = [wave * 0.6 + noise, wave * 0.8 + noise, wave + noise * 0.5];
    let front = [0.9 - noise, 0.5 + noise, 0.1 + noise];
    let a = cover(x, y);
    [0, 1, 2].map(|c| front[c] * a + back[c] * (1.0 - a))
}

pub fn photo8() -> ImageBuffer<Rgb<u8>, Vec<u8>> {
    ImageBuffer::from_fn(SIZE.0, SIZE.1, |x, y| {
        Rgb(colour(x, y).map(|v| (v * 255.0).round() as u8))
    })
}

pub fn photo16() -> ImageBuffer<Rgb<u16>, Vec<u16>> {
    ImageBuffer::from_fn(SIZE.0, SIZE.1, |x, y| {
        Rgb(colour(x, y).map(|v| (v * 65535.0).round() as u16))
    })
}

pub fn mask() -> GrayImage {
    ImageBuffer::from_fn(SIZE.0, SIZE.1, |x, y| {
        Luma([(cover(x, y) * 255.0).round() as u8])
    })
}

/// A picture, its profile and its XMP packet.
pub fn decode(path: &Path) -> (DynamicImage, Option<Vec<u8>>, Option<String>) {
    let file = BufReader::new(File::open(path).unwrap());
    // Through the image crate's reader of any format a TIFF's tags may not be larger than its pixels, which are few.
    let mut decoder: Box<dyn ImageDecoder> = if path.extension().is_some_and(|e| e == "tif") {
        Box::new(TiffDecoder::new(file).unwrap())
    } else {
        Box::new(PngDecoder::new(file).unwrap())
    };
    let icc = decoder.icc_profile().unwrap();
    let xmp = decoder
        .xmp_metadata()
        .unwrap()
        .map(|x| String::from_utf8(x).unwrap());
    (DynamicImage::from_decoder(decoder).unwrap(), icc, xmp)
}

/// A picture as a file of this format.
pub fn encoded(picture: &ImageBuffer<Rgb<u8>, Vec<u8>>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

/// A zip archive of these files.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zip = ZipWriter::new(Cursor::new(&mut bytes));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    bytes
}

/// One file of a zip archive.
pub fn unzip(path: &Path, name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut bytes = Vec::new();
    archive
        .by_name(name)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

/// Names in the folder that are neither inputs nor results: nothing half-written may stay.
pub fn leftovers(desk: &Desk) -> Vec<String> {
    fs::read_dir(desk.path(""))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".part") || name.starts_with(".repose"))
        .collect()
}

/// A matrix profile for RGB with sRGB's primaries, as moxcms would write one, with `name` in it.
pub fn profile() -> Vec<u8> {
    // Header (128 bytes), then a table of tags. Made by hand, so that no other colour library has a say.
    let mut tags: Vec<([u8; 4], Vec<u8>)> = Vec::new();
    let text = |kind: &[u8; 4], body: &[u8]| {
        let mut data = kind.to_vec();
        data.extend([0; 4]);
        data.extend(body);
        data
    };
    let fixed = |v: f64| ((v * 65536.0).round() as i32).to_be_bytes();
    let xyz = |v: [f64; 3]| {
        let body: Vec<u8> = v.iter().flat_map(|v| fixed(*v)).collect();
        text(b"XYZ ", &body)
    };
    let localized = |s: &str| {
        let utf16: Vec<u8> = s.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut body = Vec::new();
        body.extend(1u32.to_be_bytes());
        body.extend(12u32.to_be_bytes());
        body.extend(b"enUS");
        body.extend((utf16.len() as u32).to_be_bytes());
        body.extend(28u32.to_be_bytes());
        body.extend(utf16);
        text(b"mluc", &body)
    };
    tags.push((*b"desc", localized("Repose test, gamma 1.8")));
    tags.push((*b"cprt", localized("CC0")));
    tags.push((*b"wtpt", xyz([0.9642, 1.0, 0.8249])));
    tags.push((*b"rXYZ", xyz([0.4361, 0.2225, 0.0139])));
    tags.push((*b"gXYZ", xyz([0.3851, 0.7169, 0.0971])));
    tags.push((*b"bXYZ", xyz([0.1431, 0.0606, 0.7141])));
    let mut curve = 1u32.to_be_bytes().to_vec();
    // One entry is a gamma in 8.8 fixed point: 1.8.
    curve.extend(461u16.to_be_bytes());
    for name in [b"rTRC", b"gTRC", b"bTRC"] {
        tags.push((*name, text(b"curv", &curve)));
    }
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data = Vec::new();
    let start = 128 + 4 + 12 * tags.len();
    for (name, body) in &tags {
        while !data.len().is_multiple_of(4) {
            data.push(0);
        }
        table.extend(name);
        table.extend(((start + data.len()) as u32).to_be_bytes());
        table.extend((body.len() as u32).to_be_bytes());
        data.extend(body);
    }
    let mut profile = vec![0; 128];
    profile[8..12].copy_from_slice(&[4, 0x30, 0, 0]);
    profile[12..16].copy_from_slice(b"mntr");
    profile[16..20].copy_from_slice(b"RGB ");
    profile[20..24].copy_from_slice(b"XYZ ");
    profile[24..36].copy_from_slice(&[7, 0xEA, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    profile[36..40].copy_from_slice(b"acsp");
    for (i, v) in [0.9642, 1.0, 0.8249].into_iter().enumerate() {
        profile[68 + 4 * i..72 + 4 * i].copy_from_slice(&fixed(v));
    }
    profile.extend(table);
    profile.extend(data);
    let size = profile.len() as u32;
    profile[0..4].copy_from_slice(&size.to_be_bytes());
    profile
}
