//! The plug-in inside Krita 5.1 and 5.2: installed from its package by Krita's own importer, then driven with and without
//! windows by the scripts in `krita/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use image::DynamicImage;
use serde_json::Value;

use super::editor::{Display, Editor, Running, alone, repository};
use super::packages::packages;
use super::tiny;

/// A home folder with the plug-in, and `in`, `out` and `scripts` beside it. Krita's first start in a new home takes ten
/// seconds, so each version's is kept for all tests here; they take turns anyway.
struct Desk {
    editor: Editor,
    folder: tempfile::TempDir,
}

static DESKS: Mutex<Vec<Desk>> = Mutex::new(Vec::new());

/// Runs a test on that version's desk, or not at all where it is not installed.
fn on_desk(editor: Editor, test: impl FnOnce(&Desk)) {
    let Some(editor) = editor.found() else { return };
    packages();
    let _turn = alone();
    let desk = {
        let mut desks = DESKS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = desks.iter().position(|desk| desk.editor == editor);
        known.map_or_else(|| Desk::new(editor), |i| desks.swap_remove(i))
    };
    test(&desk);
    DESKS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(desk);
}

impl Desk {
    fn new(editor: Editor) -> Self {
        let desk = Self {
            editor,
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in ["in", "out", "scripts", "home/.config"] {
            fs::create_dir_all(desk.path(folder)).unwrap();
        }
        for photo in ["teddy.jpg", "teddy_mask.png"] {
            let source = repository().join("examples/photos").join(photo);
            fs::copy(source, desk.path("in").join(photo)).unwrap();
        }
        // A text model that the scripts put to where the plugin finds it.
        tiny::install(&desk.path("in"), "tiny", false);
        tiny::set_side(&desk.path("in"), "tiny", 128);
        let scripts = repository().join("tests/hosts/krita");
        for entry in fs::read_dir(&scripts).unwrap() {
            let entry = entry.unwrap();
            if entry.path().extension().is_some_and(|e| e == "py") {
                fs::copy(entry.path(), desk.path("scripts").join(entry.file_name())).unwrap();
            }
        }
        desk.install();
        let plugins = desk.path("home/.local/share/krita/pykrita");
        fs::create_dir_all(plugins.join("repose_driver")).unwrap();
        for file in ["repose_driver.desktop", "repose_driver/__init__.py"] {
            fs::copy(scripts.join(file), plugins.join(file)).unwrap();
        }
        fs::write(
            desk.path("home/.config/kritarc"),
            "[python]\nenable_repose=true\nenable_repose_driver=true\n",
        )
        .unwrap();
        desk
    }

    /// What Tools ▸ Scripts ▸ Import Python Plugin from File… does: the code behind it, run by itself.
    fn install(&self) {
        let resources = self.path("home/.local/share/krita");
        fs::create_dir_all(&resources).unwrap();
        let package = self.path("in/repose-krita.zip");
        fs::copy(packages().join("repose-krita.zip"), &package).unwrap();
        let mut command = self.editor.command(&self.path("home"), "/usr/bin/python3");
        command
            .arg("/usr/share/krita/pykrita/plugin_importer/plugin_importer.py")
            .args([&package, &resources]);
        let (status, said) = Running::start(command, self.path("install.log")).end(60);
        assert!(status.success() && said.contains("Repose"), "{said}");
        assert!(resources.join("actions/repose.action").exists(), "{said}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Krita, with or without windows.
    fn command(&self, program: &str) -> Command {
        let mut command = self.editor.command(&self.path("home"), program);
        command
            .env("REPOSE_DESK", self.folder.path())
            .env("REPOSE_SCRIPTS", self.path("scripts"))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// A script in kritarunner.
    fn runner(&self, script: &str) -> Running {
        let mut command = self.command(self.editor.console());
        let plugins = self.path("home/.local/share/krita/pykrita");
        let path = std::env::join_paths([self.path("scripts"), plugins]).unwrap();
        command
            .env("QT_QPA_PLATFORM", "offscreen")
            .env("PYTHONPATH", path)
            .args(["-s", script]);
        Running::start(command, self.path(&format!("{script}.log")))
    }

    /// The library that the plug-in has filled is whole, by the plugin's own check.
    fn library_is_whole(&self) {
        let options = repose_host::Options {
            library: Some(self.path("home/.local/share/repose")),
            ..Default::default()
        };
        let plugin = repose_host::Plugin::find(None).unwrap();
        let engine = plugin.open(&options).unwrap();
        let answer = engine.library(r#"{"command": "verify"}"#).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["verified"]["whole"], true, "{answer}");
        assert!(
            answer["verified"]["versions"].as_u64() > Some(0),
            "{answer}"
        );
    }

    fn open(&self, name: &str) -> DynamicImage {
        image::open(self.path("out").join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// Two saved pictures are the same where no mask is, read by a reader that is not Krita's.
    fn same_outside(&self, format: &str) {
        let touched = fs::read(self.path(&format!("out/{format}-touched.raw"))).unwrap();
        let before = self.open(&format!("{format}-before.png"));
        let after = self.open(&format!("{format}-after.png"));
        assert_eq!(before.color(), after.color(), "{format}");
        let size = usize::from(before.color().bytes_per_pixel());
        let (a, b) = (before.as_bytes(), after.as_bytes());
        assert_eq!((a.len(), b.len()), (size * touched.len(), a.len()));
        let (mut changed, mut outside) = (0, 0);
        for (i, mask) in touched.iter().enumerate() {
            if a[i * size..(i + 1) * size] != b[i * size..(i + 1) * size] {
                changed += 1;
                outside += usize::from(*mask == 0);
            }
        }
        assert_eq!(outside, 0, "{format}");
        assert!(changed > 20000, "{format}: {changed}");
    }
}

fn batch(editor: Editor) {
    on_desk(editor, |desk| {
        let (status, said) = desk.runner("batch").end(200);
        assert!(status.success(), "{said}");
        for (format, bits) in [("u8", 8), ("u16", 16), ("grey-u8", 8), ("wide-u16", 16)] {
            let color = desk.open(&format!("{format}-after.png")).color();
            let samples = u16::from(color.channel_count());
            assert_eq!(color.bits_per_pixel() / samples, bits, "{format}");
            desk.same_outside(format);
        }
        // TIFF holds the floats as they are.
        let float = desk.open("f32-after.tiff");
        assert!(
            matches!(
                float,
                DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)
            ),
            "{:?}",
            float.color()
        );
        desk.library_is_whole();
    });
}

/// Killed in the middle of learning and re-posing: nothing of the library is lost, and the next start goes on with it.
fn killed(editor: Editor) {
    on_desk(editor, |desk| {
        let mut running = desk.runner("killed");
        running.until(60, "a learned subject", || {
            let said = fs::read_to_string(desk.path("killed.log")).ok()?;
            said.contains("reposing").then_some(())
        });
        running.kill();
        desk.library_is_whole();
        // And the next start learns on.
        let mut running = desk.runner("killed");
        running.until(60, "a learned subject after the kill", || {
            let said = fs::read_to_string(desk.path("killed.log")).ok()?;
            said.contains("learned").then_some(())
        });
        running.kill();
        desk.library_is_whole();
    });
}

/// Lets `meanwhile` work on the library in which Krita learns and re-poses over and over; Krita must not notice.
pub fn at_work(editor: Editor, meanwhile: impl FnOnce(&Path)) {
    on_desk(editor, |desk| {
        let log = desk.path("killed.log");
        let learned = || {
            fs::read_to_string(&log)
                .unwrap_or_default()
                .matches("learned")
                .count()
        };
        let mut running = desk.runner("killed");
        running.until(60, "a learned subject", || (learned() > 0).then_some(()));
        meanwhile(&desk.path("home/.local/share/repose"));
        let before = learned();
        running.until(30, "one more", || (learned() > before).then_some(()));
        running.kill();
        desk.library_is_whole();
    });
}

fn gui(editor: Editor) {
    on_desk(editor, |desk| {
        let display = Display::start();
        let mut command = desk.command(editor.program());
        command
            .env("DISPLAY", display.name())
            .env("REPOSE_TEST", "gui")
            .arg("--nosplash");
        let log = desk.path("gui.log");
        let mut running = Running::start(command, log.clone());
        let mut done = 0;
        loop {
            let next = running.until(90, "the next step", || {
                let said = fs::read_to_string(&log).unwrap_or_default();
                let asked = said
                    .lines()
                    .find_map(|line| line.strip_prefix(&format!("HAND {} ", done + 1)));
                match asked {
                    Some(what) => Some(Some(serde_json::from_str::<Value>(what).ok()?)),
                    None => said.contains("\nCLOSING\n").then_some(None),
                }
            });
            let Some(what) = next else { break };
            done += 1;
            lend_a_hand(&display, &what, desk);
            fs::write(desk.path(&format!("out/hand-{done}")), "").unwrap();
        }
        // Closed with a job at work: it ends by itself, and soon.
        let (status, said) = running.end(20);
        assert!(status.success(), "{status}: {said}");
        assert!(!said.contains("Traceback"), "{said}");
        desk.library_is_whole();
    });
}

/// Does what the script asks for, as a person with a mouse would.
fn lend_a_hand(display: &Display, what: &Value, desk: &Desk) {
    let place = |key: &str| {
        let number = |i: usize| what[key][i].as_i64().unwrap().to_string();
        [number(0), number(1)]
    };
    let mouse = |arguments: &[&str]| {
        display
            .xdotool(arguments)
            .unwrap_or_else(|| panic!("xdotool {arguments:?}"));
        std::thread::sleep(Duration::from_millis(60));
    };
    let text = |key: &str| what[key].as_str().unwrap();
    let to = |key: &str| {
        let [x, y] = place(key);
        mouse(&["mousemove", &x, &y]);
    };
    match text("do") {
        "click" => {
            to("at");
            mouse(&["click", "1"]);
        }
        "right-click" => {
            to("at");
            mouse(&["click", "3"]);
        }
        "drag" => {
            to("at");
            mouse(&["mousedown", "1"]);
            mouse(&["mousemove_relative", "--", "-5", "2"]);
            to("to");
            mouse(&["mouseup", "1"]);
        }
        "type" => mouse(&["type", "--delay", "15", text("text")]),
        "shot" => {
            let name = format!("{:?}-{}.png", desk.editor, text("name"));
            display.screenshot(&shots().join(name));
        }
        other => panic!("{other}"),
    }
}

/// Where pictures of the screen are left, for people to look at.
fn shots() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn krita_5_1_without_windows() {
    batch(Editor::Krita51);
}

#[test]
fn krita_5_2_without_windows() {
    batch(Editor::Krita52);
}

#[test]
fn krita_5_1_killed() {
    killed(Editor::Krita51);
}

#[test]
fn krita_5_2_killed() {
    killed(Editor::Krita52);
}

#[test]
fn krita_5_1_with_windows() {
    gui(Editor::Krita51);
}

#[test]
fn krita_5_2_with_windows() {
    gui(Editor::Krita52);
}
