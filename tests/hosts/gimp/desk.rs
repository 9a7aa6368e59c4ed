//! A folder in which one of the two GIMPs works: with a home of its own, the plug-in as its user installs it, and photos.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::editor::{Editor, Running, repository};
use crate::packages::{example, packages};

/// Both versions.
pub const GIMPS: [Editor; 2] = [Editor::Gimp210, Editor::Gimp30];

/// Where GIMP keeps its files below the home folder.
pub fn profile(editor: Editor) -> &'static str {
    match editor {
        Editor::Gimp210 => ".config/GIMP/2.10",
        _ => ".config/GIMP/3.0",
    }
}

/// Installs the plug-in as its user does: the package's folder goes into the folder of plug-ins.
fn install(editor: Editor, home: &Path) {
    let package = packages().join(match editor {
        Editor::Gimp210 => "gimp-2.10",
        _ => "gimp-3.0",
    });
    let plug_ins = home.join(profile(editor)).join("plug-ins");
    fs::create_dir_all(&plug_ins).unwrap();
    copy(&package.join("repose"), &plug_ins);
}

pub fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A folder with the photo and a home in which GIMP has been before, with the plug-in installed.
pub struct Desk {
    pub editor: Editor,
    pub folder: tempfile::TempDir,
}

impl Desk {
    pub fn new(editor: Editor) -> Self {
        static WARM: Mutex<Option<HashMap<Editor, tempfile::TempDir>>> = Mutex::new(None);
        let mut warm = WARM.lock().unwrap_or_else(PoisonError::into_inner);
        let warm = warm
            .get_or_insert_default()
            .entry(editor)
            .or_insert_with(|| {
                let folder = tempfile::tempdir().unwrap();
                let home = folder.path().join("home");
                fs::create_dir(&home).unwrap();
                // GIMP makes its profile only where there is none, so the plug-in comes after it.
                let (_, said) =
                    Running::start(console(editor, &home, "0"), folder.path().join("log")).end(120);
                assert!(home.join(profile(editor)).exists(), "{said}");
                install(editor, &home);
                folder
            });
        let desk = Self {
            editor,
            folder: tempfile::tempdir().unwrap(),
        };
        copy(&warm.path().join("home"), desk.path());
        desk.put_photos();
        desk
    }

    /// The photo and its mask, as they are and at half their size.
    pub fn put_photos(&self) {
        for (name, small) in [
            ("teddy.jpg", "small.png"),
            ("teddy_mask.png", "small_mask.png"),
        ] {
            let photo = repository().join("examples/photos").join(name);
            fs::copy(&photo, self.path().join(name)).unwrap();
            let photo = image::open(&photo).unwrap();
            photo
                .thumbnail(photo.width() / 2, photo.height() / 2)
                .save(self.path().join(small))
                .unwrap();
        }
    }

    /// A profile with larger colours than sRGB's.
    pub fn put_profile(&self) {
        let profile = moxcms::ColorProfile::new_adobe_rgb().encode().unwrap();
        fs::write(self.path().join("wide.icc"), profile).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    /// GIMP without a window, at work on a script that may use what `gimp/*.scm` define.
    pub fn start(&self, script: &str) -> Running {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/gimp");
        let own = match self.editor {
            Editor::Gimp210 => "2.10.scm",
            _ => "3.0.scm",
        };
        let whole = [
            format!("(define desk {:?})", self.path()),
            fs::read_to_string(scripts.join(own)).unwrap(),
            fs::read_to_string(scripts.join("all.scm")).unwrap(),
            script.to_owned(),
            "(say \"end\")\n(close-output-port said)".to_owned(),
        ];
        let file = self.path().join("script.scm");
        fs::write(&file, whole.join("\n")).unwrap();
        let command = console(self.editor, &self.home(), &format!("(load {file:?})"));
        Running::start(command, self.path().join("log"))
    }

    /// Runs a script to its end, and gives what it said.
    #[track_caller]
    pub fn run(&self, script: &str) -> Vec<String> {
        let (_, log) = self.start(script).end(90);
        let said = fs::read_to_string(self.path().join("said")).unwrap_or_default();
        let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some("end"), "{said}\n{log}");
        lines
    }

    /// Whether the library of subjects is whole, by the command line, and how many versions it has.
    #[track_caller]
    pub fn versions(&self) -> u64 {
        let answer = self.subjects("verify");
        assert_eq!(answer["verified"]["whole"], true, "{answer}");
        answer["verified"]["versions"].as_u64().unwrap()
    }

    /// What the command line answers about the library of subjects.
    #[track_caller]
    pub fn subjects(&self, command: &str) -> serde_json::Value {
        self.ask(&[command])
    }

    /// All that is known of a subject's versions.
    pub fn versions_of(&self, name: &str) -> Vec<serde_json::Value> {
        let shown = self.ask(&["show", name]);
        shown["subject"]["versions"].as_array().unwrap().clone()
    }

    fn ask(&self, words: &[&str]) -> serde_json::Value {
        let output = Command::new(example("repose"))
            .args(["--json", "--library"])
            .arg(self.home().join(".local/share/repose"))
            .arg("subjects")
            .args(words)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// A command that has GIMP evaluate an expression and end.
fn console(editor: Editor, home: &Path, expression: &str) -> Command {
    let mut command = editor.command(home, editor.console());
    command.args(["-n", "-i", "-d", "-f", "-c"]);
    match editor {
        Editor::Gimp210 => command.args(["-b", expression, "-b", "(gimp-quit 0)"]),
        _ => command.args([
            "--batch-interpreter=plug-in-script-fu-eval",
            "-b",
            expression,
            "--quit",
        ]),
    };
    command
}

/// The process of the plug-in that GIMP of this home has started, if it is at work.
pub fn plug_in(home: &Path) -> Option<u32> {
    let program = home.join(".config/GIMP");
    fs::read_dir("/proc").unwrap().find_map(|entry| {
        let entry = entry.ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let first = line.split(|b| *b == 0).next()?;
        let ours = first.starts_with(program.as_os_str().as_encoded_bytes())
            && first.ends_with(b"/repose/repose");
        // Not while GIMP only asks it for its procedures.
        let asked = line
            .split(|b| *b == 0)
            .any(|word| word == b"-query" || word == b"-init");
        let state = fs::read_to_string(entry.path().join("stat")).ok()?;
        let dead = state.rsplit(')').next()?.trim_start().starts_with('Z');
        (ours && !asked && !dead).then(|| entry.file_name().to_str()?.parse().ok())?
    })
}
