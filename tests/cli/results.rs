//! What comes out: the right files, the right pixels, the profile and the history.

use std::fs::{self, File};

use image::{DynamicImage, GenericImageView};

use super::tool::{Desk, SIZE, cover, decode, leftovers, photo8, unzip};

/// Where an erase or a re-pose of the disc by a few pixels to the right may act, with room for the matte.
fn may_change(x: u32, y: u32) -> bool {
    (10..66).contains(&x) && (14..58).contains(&y)
}

/// Every pixel outside is the same, bit for bit, in the same format.
#[track_caller]
pub fn same_outside(
    before: &DynamicImage,
    after: &DynamicImage,
    inside: impl Fn(u32, u32) -> bool,
) {
    assert_eq!(before.color(), after.color());
    assert_eq!(before.dimensions(), after.dimensions());
    let size = usize::from(before.color().bytes_per_pixel());
    let width = before.width();
    for (i, (a, b)) in before
        .as_bytes()
        .chunks_exact(size)
        .zip(after.as_bytes().chunks_exact(size))
        .enumerate()
    {
        let (x, y) = (i as u32 % width, i as u32 / width);
        assert!(a == b || inside(x, y), "pixel {x}, {y}: {a:?} became {b:?}");
    }
}

pub fn has_history(xmp: Option<&str>, action: &str) {
    let xmp = xmp.expect("an XMP packet");
    assert!(
        xmp.contains("cv.iptc.org/newscodes/digitalsourcetype/"),
        "{xmp}"
    );
    assert!(xmp.contains(action), "{xmp}");
}

#[test]
fn learn_then_pose_as_layers() {
    let desk = Desk::new();
    desk.learned();
    let ran = desk
        .repose(&[
            "--json",
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "-s",
            "photo_mask.png",
            "--pin",
            "34,36:46,36",
            "--out",
            "out.ora",
            "--before-after",
            "both.png",
        ])
        .expect(0);
    assert_eq!(ran.json()["ok"], true);
    assert_eq!(ran.json()["history"]["action"], "repose");
    // Progress is JSON too, one object a line.
    for line in ran.err.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    }

    let out = desk.path("out.ora");
    let bytes = fs::read(&out).unwrap();
    // The first entry is `mimetype`, stored: its text stands at a fixed place in the file.
    assert_eq!(&bytes[30..38], b"mimetype");
    assert_eq!(&bytes[38..54], b"image/openraster");
    let mut archive = zip::ZipArchive::new(File::open(&out).unwrap()).unwrap();
    assert_eq!(
        archive.by_index(0).unwrap().compression(),
        zip::CompressionMethod::Stored
    );

    let layers = layers_of(&String::from_utf8(unzip(&out, "stack.xml")).unwrap());
    let bottom = layers.last().expect("at least the original");
    assert_eq!(
        (bottom.name.as_str(), bottom.x, bottom.y),
        ("photo.png", 0, 0)
    );
    let original = image::load_from_memory(&unzip(&out, &bottom.source)).unwrap();
    assert!(
        original == DynamicImage::from(photo8()),
        "the original changed"
    );
    assert!(layers.len() >= 2, "a pose makes layers: {layers:?}");
    for layer in &layers {
        let picture = image::load_from_memory(&unzip(&out, &layer.source)).unwrap();
        assert!(
            layer.x + picture.width() <= SIZE.0 && layer.y + picture.height() <= SIZE.1,
            "{layer:?}"
        );
    }
    let merged = image::load_from_memory(&unzip(&out, "mergedimage.png")).unwrap();
    same_outside(&original, &merged, may_change);
    assert!(original != merged, "the pose changed nothing");
    // The merged picture is what the layers show when they are put over each other.
    let mut shown = original.to_rgba8();
    for layer in layers.iter().rev().skip(1) {
        let picture = image::load_from_memory(&unzip(&out, &layer.source)).unwrap();
        image::imageops::overlay(
            &mut shown,
            &picture.to_rgba8(),
            layer.x.into(),
            layer.y.into(),
        );
    }
    for (a, b) in shown.pixels().zip(merged.to_rgba8().pixels()) {
        for c in 0..3 {
            assert!(a[c].abs_diff(b[c]) <= 2, "{a:?} against {b:?}");
        }
    }
    let thumbnail = image::load_from_memory(&unzip(&out, "Thumbnails/thumbnail.png")).unwrap();
    assert!(thumbnail.width().max(thumbnail.height()) <= 256);
    let history: serde_json::Value =
        serde_json::from_slice(&unzip(&out, "repose-history.json")).unwrap();
    assert_eq!(history["subject"]["name"], "disc");

    let both = image::open(desk.path("both.png")).unwrap();
    assert!(both.width() > 2 * SIZE.0 && both.height() == SIZE.1);
    has_history(decode(&desk.path("both.png")).2.as_deref(), "repose");
    assert_eq!(leftovers(&desk), [""; 0]);
}

#[derive(Debug)]
struct LayerEntry {
    name: String,
    source: String,
    x: u32,
    y: u32,
}

/// The layers of a stack.xml, top first.
fn layers_of(xml: &str) -> Vec<LayerEntry> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut layers = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return layers,
            Event::Start(tag) | Event::Empty(tag) => {
                let get = |name: &str| {
                    let value = tag.try_get_attribute(name).unwrap().unwrap();
                    value
                        .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                        .unwrap()
                        .into_owned()
                };
                if tag.name().as_ref() == "image" {
                    assert_eq!(get("version"), "0.0.5");
                    assert_eq!(
                        (get("w"), get("h")),
                        (SIZE.0.to_string(), SIZE.1.to_string())
                    );
                } else if tag.name().as_ref() == "layer" {
                    layers.push(LayerEntry {
                        name: get("name"),
                        source: get("src"),
                        x: get("x").parse().unwrap(),
                        y: get("y").parse().unwrap(),
                    });
                }
            }
            _ => {}
        }
    }
}

#[test]
fn candidates_are_groups_or_numbered_files() {
    let desk = Desk::new();
    desk.learned();
    let pose = |out: &str| {
        desk.repose(&[
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "-s",
            "photo_mask.png",
            "--move",
            "8,0",
            "--candidates",
            "2",
            "-o",
            out,
        ])
        .expect(0);
    };
    pose("out.ora");
    let stack = String::from_utf8(unzip(&desk.path("out.ora"), "stack.xml")).unwrap();
    assert_eq!(stack.matches("visibility=\"hidden\"").count(), 1, "{stack}");
    assert!(
        stack.contains("Candidate 1") && stack.contains("Candidate 2"),
        "{stack}"
    );
    pose("out.png");
    assert!(!desk.path("out.png").exists());
    for name in ["out-1.png", "out-2.png"] {
        same_outside(
            &photo8().into(),
            &image::open(desk.path(name)).unwrap(),
            may_change,
        );
    }
}

#[test]
fn one_call_learns_and_poses() {
    let desk = Desk::new();
    desk.photo();
    desk.repose(&[
        "pose",
        "photo.png",
        "-s",
        "photo_mask.png",
        "--learn",
        "disc",
        "--consent",
        "a drawn disc",
        "--pin",
        "34,36@20",
        "--out",
        "new/folder/out.png",
        "--quiet",
    ])
    .expect(0);
    let (after, _, xmp) = decode(&desk.path("new/folder/out.png"));
    same_outside(&photo8().into(), &after, may_change);
    has_history(xmp.as_deref(), "repose");
    let list = desk
        .repose(&["--json", "subjects", "list"])
        .expect(0)
        .json();
    assert_eq!(list["subjects"][0]["name"], "disc");
}

#[test]
fn selections_of_every_kind() {
    let desk = Desk::new();
    desk.photo();
    let mut cut = DynamicImage::from(photo8()).to_rgba8();
    for (x, y, pixel) in cut.enumerate_pixels_mut() {
        pixel[3] = (cover(x, y) * 255.0) as u8;
    }
    cut.save(desk.path("cut.png")).unwrap();
    let erase = |selection: &[&str]| {
        let mut arguments = vec!["erase", "photo.png", "-o", "out.png"];
        arguments.extend(selection);
        desk.repose(&arguments).expect(0);
        image::open(desk.path("out.png")).unwrap()
    };
    let before = photo8().into();
    same_outside(&before, &erase(&["-s", "rect:20,22,30,28"]), |x, y| {
        (20..50).contains(&x) && (22..50).contains(&y)
    });
    same_outside(
        &before,
        &erase(&["-s", "polygon:20,20;50,20;35,50"]),
        |x, y| (20..50).contains(&x) && (20..50).contains(&y),
    );
    same_outside(
        &before,
        &erase(&["-s", "cut.png", "--selection-alpha"]),
        |x, y| cover(x, y) > 0.0,
    );
    // The picture's own alpha.
    desk.repose(&[
        "learn",
        "cut.png",
        "-s",
        "alpha",
        "--name",
        "cut",
        "--consent",
        "a drawn disc",
    ])
    .expect(0);
}

#[test]
fn a_request_is_saved_and_done_again() {
    let desk = Desk::new();
    desk.learned();
    desk.repose(&[
        "pose",
        "photo.png",
        "--subject",
        "disc",
        "-s",
        "photo_mask.png",
        "--rotate",
        "-10",
        "--scale",
        "1.1",
        "--seed",
        "5",
        "-o",
        "one.png",
        "--save-request",
        "one.request",
    ])
    .expect(0);
    desk.repose(&["replay", "one.request", "-o", "two.png"])
        .expect(0);
    let [one, two] = ["one.png", "two.png"].map(|name| image::open(desk.path(name)).unwrap());
    assert!(one == two, "the same request made other pixels");
    let ran = desk.repose(&["replay", "photo.png", "-o", "three.png"]);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("photo.png"), "{}", ran.err);
}

#[test]
fn the_history_can_be_read_back() {
    let desk = Desk::new();
    desk.photo();
    desk.repose(&[
        "erase",
        "photo.png",
        "-s",
        "photo_mask.png",
        "--seed",
        "9",
        "-o",
        "out.tif",
    ])
    .expect(0);
    let info = desk.repose(&["--json", "info", "out.tif"]).expect(0).json();
    assert_eq!(info["history"]["action"], "erase");
    assert_eq!(info["history"]["seed"], 9);
    assert!(
        info["digital_source_type"]
            .as_str()
            .is_some_and(|t| !t.is_empty())
    );
}

#[test]
fn completions_and_help_are_there() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = desk.repose(&["completions", shell]).expect(0);
        assert!(ran.out.contains("before-after"), "{shell}: {}", ran.out);
    }
    let help = desk.repose(&["--help"]).expect(0).out;
    assert!(help.contains("Exit codes"), "{help}");
    assert!(
        desk.repose(&["models", "list"])
            .expect(0)
            .out
            .contains("patch")
    );
    let info = desk.repose(&["--json", "info"]).expect(0).json();
    assert!(
        info["plugin"]["path"]
            .as_str()
            .is_some_and(|p| p.contains("repose"))
    );
}
