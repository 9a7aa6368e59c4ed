//! What the tests that go through the contract share.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::sync::OnceLock;

use repose_host::{
    Channels, Depth, Engine, EraseRequest, Job, Options, Picture, Plugin, ReposeRequest,
    SelectionRef, Space,
};
use repose_world as world;

/// The plugin that cargo has just built.
pub fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| Plugin::find(None).unwrap())
}

/// An engine with one thread and an empty library; keep the folder as long as the engine.
pub fn engine() -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        library: Some(folder.path().to_owned()),
        models: Some(folder.path().join("models")),
        threads: 1,
        ..Options::default()
    };
    (plugin().open(&options).unwrap(), folder)
}

/// Waits for a re-pose that must succeed.
pub fn done(engine: &Engine, request: &ReposeRequest<'_>) -> Job {
    let job = engine.repose(request).unwrap();
    job.wait(|_| ()).unwrap();
    job
}

/// Why a re-pose failed, when it was asked for or later.
pub fn failed(engine: &Engine, request: &ReposeRequest<'_>) -> repose_host::Error {
    match engine.repose(request) {
        Ok(job) => job.wait(|_| ()).unwrap_err(),
        Err(error) => error,
    }
}

/// A small 8-bit RGB picture: stripes, with a disc on them that is selected.
pub struct Scene {
    pub width: u32,
    pub height: u32,
    pub pixels: Vec<u8>,
    pub mask: Vec<u8>,
}

impl Scene {
    /// A picture of the built-in model's world, with its toy selected, and all that determines it.
    pub fn toy(number: u64) -> (Self, world::Shot) {
        let shot = world::Shot::any(number, world::Split::HeldOut);
        let toy = world::render(&shot, 128);
        let scene = Self {
            width: 128,
            height: 128,
            pixels: toy.rgb.into_flattened(),
            mask: toy.matte,
        };
        (scene, shot)
    }

    pub fn new(width: u32, height: u32) -> Self {
        let radius = f64::from(width.min(height)) / 5.0;
        let (cx, cy) = (f64::from(width) * 0.4, f64::from(height) * 0.5);
        let mut pixels = Vec::new();
        let mut mask = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let distance = (f64::from(x) + 0.5 - cx).hypot(f64::from(y) + 0.5 - cy);
                let inside = distance <= radius;
                let stripe = if (x / 3 + y / 5) % 2 == 0 { 60 } else { 110 };
                let grain = ((x * 7 + y * 13) % 17) as u8;
                pixels.extend_from_slice(&if inside {
                    [200 + grain, 120 + grain, 40 + grain]
                } else {
                    [stripe + grain, stripe + 20 + grain, stripe]
                });
                mask.push(if inside { 255 } else { 0 });
            }
        }
        Self {
            width,
            height,
            pixels,
            mask,
        }
    }

    pub fn picture(&self) -> Picture<'_> {
        Picture {
            width: self.width,
            height: self.height,
            depth: Depth::U8,
            channels: Channels::Rgb,
            space: Space::Srgb,
            pixels: &self.pixels,
            stride: self.width as usize * 3,
        }
    }

    pub fn selection(&self) -> SelectionRef<'_> {
        SelectionRef {
            depth: Depth::U8,
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
            samples: &self.mask,
            stride: self.width as usize,
        }
    }

    pub fn erase(&self) -> EraseRequest<'_> {
        EraseRequest::new(self.picture(), self.selection())
    }
}

/// Whether a program of the system can be run. A missing one is a reason to skip a test here, but not in CI.
pub fn has(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|o| o.status.success());
    if !there {
        let message = format!("{program} is not installed");
        assert!(
            std::env::var_os("CI").is_none_or(|v| v != "true"),
            "{message}"
        );
        skip(&message);
    }
    there
}

/// Says why a test did nothing.
#[allow(
    clippy::print_stderr,
    reason = "the only way a test can say that it was skipped"
)]
fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// The scene with a job's layer over it, where its mask is not 0.
pub fn flat(scene: &Scene, job: &Job) -> Vec<u8> {
    let mut flat = scene.pixels.clone();
    for layer in job.layers().unwrap() {
        for (i, mask) in layer.mask.iter().enumerate() {
            let (x, y) = (
                i as u32 % layer.picture.width,
                i as u32 / layer.picture.width,
            );
            let there = ((layer.y + y) * scene.width + layer.x + x) as usize * 3;
            if *mask > 0 {
                flat[there..there + 3].copy_from_slice(&layer.picture.pixels[i * 3..i * 3 + 3]);
            }
        }
    }
    flat
}

/// The mean difference of two pictures.
pub fn apart(one: &[u8], other: &[u8]) -> f64 {
    let differences = one
        .iter()
        .zip(other)
        .map(|(a, b)| f64::from(a.abs_diff(*b)));
    differences.sum::<f64>() / one.len() as f64
}
