//! Results as pictures: a generated scene, erased and re-posed through the contract, compared with the pictures beside
//! this file (RMS tolerance 0.01 of the full range).
//!
//! A failure writes `expected | difference | actual` into `target/golden/`. After a change that is meant, look at that
//! picture, then renew with `REPOSE_RENEW_GOLDENS=1`; the run that renews still fails, so that it cannot hide in a script.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use repose_host::{
    Channels, Depth, Engine, EraseRequest, Job, LearnRequest, Options, Picture, Pin, Plugin,
    ReposeRequest, SelectionRef, Space,
};

const TOLERANCE: f64 = 0.01;
const SIZE: (u32, u32) = (160, 120);

/// A ball on a lawn with a path, all drawn by arithmetic on whole numbers.
fn scene() -> (RgbImage, Vec<u8>) {
    let mut mask = Vec::new();
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            mask.push(if in_ball(x, y) { 255 } else { 0 });
        }
    }
    let picture = RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let grain = ((x * 5 + y * 3) % 7 + (x * 2 + y * 11) % 13) as u8;
        if in_ball(x, y) {
            let shade = (y - 28) as u8;
            Rgb([230 - shade + grain, 120 + grain - shade / 2, 40 + grain])
        } else if (66..84).contains(&y) {
            Rgb([170 + grain, 150 + grain, 120 + grain])
        } else {
            Rgb([60 + grain, 110 + (y / 4) as u8 + 2 * grain, 50])
        }
    });
    (picture, mask)
}

fn in_ball(x: u32, y: u32) -> bool {
    x.abs_diff(70).pow(2) + y.abs_diff(56).pow(2) <= 27 * 27
}

fn open() -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        library: Some(folder.path().to_owned()),
        ..Options::default()
    };
    (Plugin::find(None).unwrap().open(&options).unwrap(), folder)
}

fn borrowed<'a>(picture: &'a RgbImage, mask: &'a [u8]) -> (Picture<'a>, SelectionRef<'a>) {
    (
        Picture {
            width: SIZE.0,
            height: SIZE.1,
            depth: Depth::U8,
            channels: Channels::Rgb,
            space: Space::Srgb,
            pixels: picture.as_raw(),
            stride: SIZE.0 as usize * 3,
        },
        SelectionRef {
            depth: Depth::U8,
            x: 0,
            y: 0,
            width: SIZE.0,
            height: SIZE.1,
            samples: mask,
            stride: SIZE.0 as usize,
        },
    )
}

/// What the user sees: the layers over the picture.
fn shown(picture: &RgbImage, job: &Job) -> RgbImage {
    job.wait(|_| ()).unwrap();
    let mut out = picture.clone();
    for layer in job.layers().unwrap() {
        for y in 0..layer.picture.height {
            for x in 0..layer.picture.width {
                let cover =
                    f32::from(layer.mask[y as usize * layer.mask_stride + x as usize]) / 255.0;
                let at = y as usize * layer.picture.stride + x as usize * 3;
                let below = out.get_pixel_mut(layer.x + x, layer.y + y);
                for c in 0..3 {
                    let (top, under) = (layer.picture.pixels[at + c], below[c]);
                    let mixed = cover * f32::from(top) + (1.0 - cover) * f32::from(under);
                    below[c] = mixed.round() as u8;
                }
            }
        }
    }
    out
}

fn check(name: &str, actual: &RgbImage) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/golden").join(name);
    if std::env::var_os("REPOSE_RENEW_GOLDENS").is_some_and(|v| v == "1") {
        actual.save(&file).unwrap();
        panic!(
            "{} was renewed: look at it, then run again without",
            file.display()
        );
    }
    let expected = image::open(&file).unwrap().to_rgb8();
    let error = rms(&expected, actual);
    if error > TOLERANCE {
        let shown = explain(root, name, &expected, actual);
        panic!(
            "{name} differs by {error:.4} (RMS, at most {TOLERANCE}): see {}",
            shown.display()
        );
    }
}

fn rms(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    let sum: f64 = pairs
        .map(|(a, b)| ((f64::from(*a) - f64::from(*b)) / 255.0).powi(2))
        .sum();
    (sum / a.as_raw().len() as f64).sqrt()
}

/// Writes `expected | difference | actual`, the difference about grey and four times as strong.
fn explain(root: &Path, name: &str, expected: &RgbImage, actual: &RgbImage) -> PathBuf {
    let folder = root.join("target/golden");
    std::fs::create_dir_all(&folder).unwrap();
    let (width, height) = SIZE;
    let sheet = RgbImage::from_fn(3 * width, height, |x, y| {
        let (e, a) = (
            expected.get_pixel(x % width, y),
            actual.get_pixel(x % width, y),
        );
        match x / width {
            0 => *e,
            1 => Rgb([0, 1, 2].map(|c| {
                let difference = (i32::from(a[c]) - i32::from(e[c])) * 4;
                (128 + difference).clamp(0, 255) as u8
            })),
            _ => *a,
        }
    });
    let file = folder.join(name);
    sheet.save(&file).unwrap();
    file
}

#[test]
fn erased() {
    let (engine, _folder) = open();
    let (picture, mask) = scene();
    let (p, s) = borrowed(&picture, &mask);
    let mut request = EraseRequest::new(p, s);
    request.grow = 2;
    let job = engine.erase(&request).unwrap();
    check("erased.png", &shown(&picture, &job));
}

#[test]
fn reposed() {
    let (engine, _folder) = open();
    let (picture, mask) = scene();
    let (p, s) = borrowed(&picture, &mask);
    let job = engine
        .learn(&LearnRequest::new(p, s, "ball", "my own"))
        .unwrap();
    job.wait(|_| ()).unwrap();
    let pin = |from: [f32; 2], to: [f32; 2]| Pin {
        from,
        to,
        angle: None,
        depth: 0.0,
    };
    let pins = [
        pin([56.0, 60.0], [56.0, 60.0]),
        pin([88.0, 50.0], [112.0, 40.0]),
    ];
    let mut request = ReposeRequest::new(p, Some(s), "ball");
    request.pins = &pins;
    let job = engine.repose(&request).unwrap();
    check("reposed.png", &shown(&picture, &job));
}

#[test]
fn a_difference_is_found_and_explained() {
    let (picture, _) = scene();
    let mut other = picture.clone();
    assert_eq!(rms(&picture, &other), 0.0);
    // A ghost of the ball, faint as a bad fill leaves it.
    for (x, y, p) in other.enumerate_pixels_mut() {
        if in_ball(x, y) {
            p[2] += 20;
        }
    }
    assert!(rms(&picture, &other) > TOLERANCE);
    let folder = tempfile::tempdir().unwrap();
    let sheet = image::open(explain(folder.path(), "ghost.png", &picture, &other)).unwrap();
    let sheet = sheet.to_rgb8();
    assert_eq!(sheet.get_pixel(70, 56), picture.get_pixel(70, 56));
    assert_eq!(sheet.get_pixel(160 + 70, 56), &Rgb([128, 128, 208]));
    assert_eq!(sheet.get_pixel(320 + 70, 56), other.get_pixel(70, 56));
}
