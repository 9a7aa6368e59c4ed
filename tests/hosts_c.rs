//! `examples/host.c` and `examples/host.py` do the whole job, as child processes.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::Scene;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with a picture, its mask, and room for a library.
struct Desk {
    folder: tempfile::TempDir,
    scene: Scene,
}

impl Desk {
    fn new(width: u32, height: u32) -> Self {
        let (folder, scene) = (tempfile::tempdir().unwrap(), Scene::new(width, height));
        let size = format!("{width} {height}\n255\n").into_bytes();
        let file = |name: &str, magic: &[u8], data: &[u8]| {
            let whole = [magic, b"\n# made by a test\n", &size, data].concat();
            std::fs::write(folder.path().join(name), whole).unwrap();
        };
        file("photo.ppm", b"P6", &scene.pixels);
        file("mask.pgm", b"P5", &scene.mask);
        let save = |name: &str, data: &[u8], colour: image::ExtendedColorType| {
            image::save_buffer(folder.path().join(name), data, width, height, colour).unwrap();
        };
        save("photo.png", &scene.pixels, image::ExtendedColorType::Rgb8);
        save("mask.png", &scene.mask, image::ExtendedColorType::L8);
        Self { folder, scene }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The paths every host takes.
    fn paths(&self, kind: &str) -> Vec<PathBuf> {
        let mask = if kind == "ppm" {
            "mask.pgm"
        } else {
            "mask.png"
        };
        vec![
            support::plugin().path().to_owned(),
            self.at("library"),
            self.at(&format!("photo.{kind}")),
            self.at(mask),
            self.at(&format!("result.{kind}")),
        ]
    }

    /// Two pins: the top of the disc moves right, its bottom stays.
    fn pins(&self) -> [String; 2] {
        let (w, h) = (f64::from(self.scene.width), f64::from(self.scene.height));
        let (x, radius) = (w * 0.4, w.min(h) / 5.0);
        let (top, bottom) = (h * 0.5 - radius * 0.7, h * 0.5 + radius * 0.7);
        [
            format!("{x},{top}:{},{top}", x + w / 12.0),
            format!("{x},{bottom}"),
        ]
    }

    /// Picture pixels that differ in the result: some, but none far away from the disc.
    fn check(&self, result: &[u8]) {
        assert_eq!(result.len(), self.scene.pixels.len());
        let width = self.scene.width as usize;
        let (same, other): (Vec<usize>, Vec<usize>) = (0..self.scene.mask.len())
            .partition(|i| result[i * 3..][..3] == self.scene.pixels[i * 3..][..3]);
        assert!(!other.is_empty(), "nothing has changed");
        assert!(same.len() > other.len(), "most of the picture has changed");
        assert!(
            other.iter().all(|i| i % width < width * 4 / 5),
            "a far pixel has changed"
        );
    }
}

fn succeeded(output: &Output) {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
    assert!(out.contains("request_sha256"), "no history: {out}");
    assert!(err.contains("none of them outside the masks"), "{err}");
}

fn compiled(desk: &Desk, compiler: &str, flags: &[&str]) -> PathBuf {
    let program = desk.at("host");
    let output = Command::new(compiler)
        .args(flags)
        .args([
            "-g",
            "-O1",
            "-Wall",
            "-Wextra",
            "-pedantic",
            "-Werror",
            "-I",
        ])
        .arg(root().join("host-sdk/include"))
        .arg(root().join("examples/host.c"))
        .arg("-o")
        .arg(&program)
        .args(["-ldl", "-lm"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    program
}

fn ppm(path: &Path, size: usize) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    bytes[bytes.len() - size..].to_vec()
}

fn whole_job_in_c(compiler: &str, flags: &[&str]) {
    if !support::has(compiler) {
        return;
    }
    let desk = Desk::new(96, 72);
    let program = compiled(&desk, compiler, flags);
    let size = desk.scene.pixels.len();
    let run = |pins: &[String]| {
        let mut command = Command::new(&program);
        command.arg("--again").args(desk.paths("ppm")).args(pins);
        succeeded(&command.output().unwrap());
        desk.check(&ppm(&desk.at("result.ppm"), size));
    };
    run(&desk.pins());
    run(&[]);
}

#[test]
fn host_c_as_c11() {
    whole_job_in_c("cc", &["-std=c11"]);
}

#[test]
fn host_c_as_cpp17() {
    whole_job_in_c("c++", &["-std=c++17", "-x", "c++"]);
}

#[test]
fn host_c_under_valgrind() {
    if !support::has("cc") || !support::has("valgrind") {
        return;
    }
    let desk = Desk::new(40, 30);
    let program = compiled(&desk, "cc", &["-std=c11"]);
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
        .args([
            "--errors-for-leak-kinds=definite",
            "--show-leak-kinds=definite",
        ])
        .arg(&program)
        .args(desk.paths("ppm"))
        .args(desk.pins());
    succeeded(&command.output().unwrap());
}

#[test]
fn host_c_says_who_can_act() {
    if !support::has("cc") {
        return;
    }
    let desk = Desk::new(40, 30);
    let program = compiled(&desk, "cc", &["-std=c11"]);
    let empty = vec![0; desk.scene.mask.len()];
    let whole = [&b"P5\n40 30\n255\n"[..], &empty].concat();
    std::fs::write(desk.at("mask.pgm"), whole).unwrap();
    let output = Command::new(&program)
        .args(desk.paths("ppm"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(repose_host::abi::CALLER));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("select something first"), "{text}");
    assert!(!desk.at("result.ppm").exists());
}

#[test]
fn host_py() {
    if !support::has("python3") {
        return;
    }
    let desk = Desk::new(96, 72);
    let run = |pins: &[String]| {
        let mut command = Command::new("python3");
        command.arg(root().join("examples/host.py")).arg("--again");
        command.args(desk.paths("png")).args(pins);
        succeeded(&command.output().unwrap());
        let result = image::open(desk.at("result.png")).unwrap();
        desk.check(result.into_rgb8().as_raw());
    };
    run(&desk.pins());
    run(&[]);
}

#[test]
fn host_py_in_16_bits() {
    if !support::has("python3") {
        return;
    }
    let desk = Desk::new(64, 48);
    let wide: Vec<u16> = desk
        .scene
        .pixels
        .iter()
        .map(|v| u16::from(*v) * 257 + 3)
        .collect();
    let photo = image::ImageBuffer::<image::Rgb<u16>, _>::from_vec(64, 48, wide.clone()).unwrap();
    photo.save(desk.at("photo.png")).unwrap();
    let mut command = Command::new("python3");
    command
        .arg(root().join("examples/host.py"))
        .args(desk.paths("png"));
    succeeded(&command.output().unwrap());
    let result = image::open(desk.at("result.png")).unwrap().into_rgb16();
    let same = (0..desk.scene.mask.len())
        .filter(|i| result.as_raw()[i * 3..][..3] == wide[i * 3..][..3])
        .count();
    let selected = desk.scene.mask.iter().filter(|v| **v > 0).count();
    assert!(
        same >= desk.scene.mask.len() - selected,
        "pixels outside the selection have changed"
    );
    assert!(same < desk.scene.mask.len(), "nothing has changed");
}
