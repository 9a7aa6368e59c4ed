//! The real dialogs, by mouse and keys on an X server without a screen.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::desk::{Desk, GIMPS, plug_in, profile};
use super::xcf::Xcf;
use crate::editor::{Display, Editor, Running, alone, repository};

/// Keys for the three procedures, in the way each GIMP is told.
const KEYS: [(&str, &str); 3] = [("learn", "j"), ("pose", "k"), ("erase", "x")];

/// GIMP with windows.
struct Session {
    desk: Desk,
    display: Display,
    gimp: Running,
}

/// Where a window is on the screen; its border is outside.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: i32,
    y: i32,
    width: i32,
    height: i32,
}

impl Session {
    /// Opens photos with a selection, each named `NAME.xcf`, and waits until the last one is there.
    fn open(editor: Editor, names: &[&str]) -> Self {
        let desk = Desk::new(editor);
        let saves: String = names
            .iter()
            .map(|n| format!("(save image \"{n}.xcf\")"))
            .collect();
        desk.run(&format!("(let ((image (photo))) {saves} (close image))"));
        let profile = desk.home().join(profile(editor));
        let lines = |line: &dyn Fn(&str, &str) -> String| -> String {
            KEYS.iter().map(|(name, key)| line(name, key)).collect()
        };
        match editor {
            Editor::Gimp210 => {
                let keys = lines(&|name, key| {
                    format!(
                        "(gtk_accel_path \"<Actions>/plug-in/plug-in-repose-{name}\" \"<Primary><Shift>{key}\")\n"
                    )
                });
                fs::write(profile.join("menurc"), keys).unwrap();
            }
            _ => {
                let keys = lines(&|name, key| {
                    format!("(action \"plug-in-repose-{name}\" \"<Primary><Shift>{key}\")\n")
                });
                fs::write(
                    profile.join("shortcutsrc"),
                    format!("(file-version 1)\n{keys}"),
                )
                .unwrap();
                // Another version than the one that ran last is greeted by a window over the image.
                let quiet =
                    "(config-version \"3.0.4\")\n(show-welcome-dialog no)\n(check-updates no)\n";
                fs::write(profile.join("gimprc"), quiet).unwrap();
            }
        }
        let display = Display::start();
        let mut command = editor.command(&desk.home(), editor.program());
        command.env("DISPLAY", display.name()).args(["-n", "-s"]);
        command.args(names.iter().map(|n| desk.path().join(format!("{n}.xcf"))));
        let gimp = Running::start(command, desk.path().join("window-log"));
        let mut session = Self {
            desk,
            display,
            gimp,
        };
        // All are in one window, under the name of the last.
        session.window(&format!("{}.*GIMP", names.last().unwrap()), 60);
        sleep(Duration::from_millis(1500)); // its menus are made after its window is there
        session
    }

    fn find(&self, title: &str) -> Option<String> {
        let found = self
            .display
            .xdotool(&["search", "--onlyvisible", "--name", title])?;
        found.lines().next().map(str::to_owned)
    }

    /// Waits for a window with a title that matches.
    #[track_caller]
    fn window(&mut self, title: &str, seconds: u64) -> String {
        let display = &self.display;
        self.gimp.until(seconds, title, || {
            let found = display.xdotool(&["search", "--onlyvisible", "--name", title])?;
            found.lines().next().map(str::to_owned)
        })
    }

    #[track_caller]
    fn gone(&mut self, title: &str, seconds: u64) {
        let display = &self.display;
        self.gimp.until(seconds, &format!("no {title}"), || {
            display
                .xdotool(&["search", "--onlyvisible", "--name", title])
                .is_none()
                .then_some(())
        });
    }

    fn do_(&self, arguments: &[&str]) {
        self.display.xdotool(arguments);
        sleep(Duration::from_millis(120));
    }

    /// Gives keys to a window that matches.
    #[track_caller]
    fn keys(&mut self, title: &str, keys: &[&str]) {
        let window = self.window(title, 20);
        self.do_(&["windowactivate", "--sync", &window]);
        for key in keys {
            self.do_(&["key", "--clearmodifiers", key]);
        }
    }

    fn type_(&self, text: &str) {
        self.do_(&["type", "--delay", "20", text]);
    }

    /// Opens one of our dialogs from the image's window.
    #[track_caller]
    fn dialog(&mut self, image: &str, key: &str, title: &str) -> Place {
        self.keys(&format!("{image}.*GIMP"), &[&format!("ctrl+shift+{key}")]);
        let window = self.window(&format!("^{title}$"), 20);
        sleep(Duration::from_millis(700)); // placed and drawn
        self.do_(&["windowactivate", "--sync", &window]);
        self.place(&window)
    }

    /// xdotool's own answer counts the border twice, so the mouse is asked instead.
    fn place(&self, window: &str) -> Place {
        let number = |text: &str, key: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(key)).unwrap();
            line.parse::<i32>().unwrap()
        };
        let size = self
            .display
            .xdotool(&["getwindowgeometry", "--shell", window])
            .unwrap();
        self.do_(&["mousemove", "--window", window, "0", "0"]);
        let corner = self
            .display
            .xdotool(&["getmouselocation", "--shell"])
            .unwrap();
        Place {
            x: number(&corner, "X="),
            y: number(&corner, "Y="),
            width: number(&size, "WIDTH="),
            height: number(&size, "HEIGHT="),
        }
    }

    fn mouse(&self, x: i32, y: i32) {
        self.do_(&["mousemove", "--sync", &x.to_string(), &y.to_string()]);
    }

    fn click(&self, x: i32, y: i32) {
        self.mouse(x, y);
        self.do_(&["click", "1"]);
    }

    /// Takes a picture of the screen, to be looked at after the tests.
    fn picture(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{:?}-{name}.png", self.desk.editor).to_lowercase());
        self.display.screenshot(&file);
        file
    }

    /// The percentages that the dialog's title has shown until it showed none any more, or was gone.
    #[track_caller]
    fn progress(&mut self, title: &str) -> BTreeSet<u32> {
        let mut seen = BTreeSet::new();
        self.window(&format!("% — {title}$"), 20);
        while let Some(window) = self.find(&format!("% — {title}$")) {
            let shown = self
                .display
                .xdotool(&["getwindowname", &window])
                .unwrap_or_default();
            seen.extend(shown.split(' ').next().and_then(|n| n.parse::<u32>().ok()));
            sleep(Duration::from_millis(30));
        }
        seen
    }

    /// Saves the image to its file and reads that.
    #[track_caller]
    fn saved(&mut self, name: &str) -> Xcf {
        let file = self.desk.path().join(format!("{name}.xcf"));
        let _ = fs::remove_file(&file);
        self.keys(&format!("{name}.*GIMP"), &["ctrl+s"]);
        let mut size = 0;
        // Whole when it no longer grows.
        self.gimp.until(30, "the saved image", || {
            let now = fs::metadata(&file).ok()?.len();
            sleep(Duration::from_millis(200));
            let whole = now > 0 && now == size;
            size = now;
            whole.then_some(())
        });
        Xcf::read(&file)
    }

    /// The button Stop is at the right end of the row above the buttons.
    fn stop(&self, dialog: Place) {
        let (right, bottom) = match self.desk.editor {
            Editor::Gimp210 => (33, 81),
            _ => (40, 84),
        };
        self.click(
            dialog.x + dialog.width - right,
            dialog.y + dialog.height - bottom,
        );
    }
}

/// The bear's cap: nothing else in photo and dialogs has its blue. Gives its middle and how many pixels it has.
fn cap(pixels: impl Iterator<Item = (u32, u32, [u8; 3])>) -> (f64, f64, f64) {
    let (mut x, mut y, mut count) = (0.0, 0.0, 0.0);
    for (at_x, at_y, [red, green, blue]) in pixels {
        if blue > 150 && green > 120 && i32::from(blue) - i32::from(red) > 60 {
            x += f64::from(at_x);
            y += f64::from(at_y);
            count += 1.0;
        }
    }
    assert!(count > 200.0, "the photo is not to be seen");
    (x / count, y / count, count)
}

/// Where a point of the photo is on the screen, found by comparing the cap in both.
fn finder(screen: &Path, dialog: Place) -> impl Fn(f64, f64) -> (i32, i32) + use<> {
    let photo = image::open(repository().join("examples/photos/teddy.jpg"))
        .unwrap()
        .to_rgb8();
    let screen = image::open(screen).unwrap().to_rgb8();
    let here = cap(photo.enumerate_pixels().map(|(x, y, p)| (x, y, p.0)));
    let inside = |x: u32, y: u32| {
        let (x, y) = (x as i32 - dialog.x, y as i32 - dialog.y);
        (0..dialog.width / 2).contains(&x) && (0..dialog.height).contains(&y)
    };
    let there = cap(screen
        .enumerate_pixels()
        .filter(|(x, y, _)| inside(*x, *y))
        .map(|(x, y, p)| (x, y, p.0)));
    let scale = (there.2 / here.2).sqrt();
    move |x, y| {
        let (x, y) = (
            there.0 + (x - here.0) * scale,
            there.1 + (y - here.1) * scale,
        );
        (x.round() as i32, y.round() as i32)
    }
}

#[test]
fn dialogs_teach_and_pose_with_the_mouse_and_undo_in_one_step() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let _turn = alone();
        let mut session = Session::open(editor, &["photo"]);
        let before = Xcf::read(&session.desk.path().join("photo.xcf"));

        session.dialog("photo", "j", "Learn Subject from Selection");
        session.type_("teddy");
        session.do_(&["key", "Tab", "Tab", "Tab"]);
        session.type_("my own toy");
        session.picture("learn");
        session.do_(&["key", "Return"]);
        let list = session.desk.home().join(".local/share/repose/subjects");
        session.gimp.until(20, "the subject", || {
            fs::read_dir(&list).ok()?.flatten().next().map(|_| ())
        });
        sleep(Duration::from_millis(1000));
        session.picture("learned");
        session.keys("^Learn Subject from Selection$", &["Escape"]);
        session.gone("Learn Subject", 10);
        assert_eq!(session.desk.versions(), 1);

        let dialog = session.dialog("photo", "k", "Re-pose Subject");
        let at = finder(&session.picture("pose"), dialog);
        for (x, y) in [(330.0, 390.0), (520.0, 400.0), (440.0, 380.0)] {
            let (x, y) = at(x, y);
            session.click(x, y);
        }
        let ((from_x, from_y), (to_x, to_y)) = (at(410.0, 215.0), at(345.0, 235.0));
        session.mouse(from_x, from_y);
        session.do_(&["mousedown", "1"]);
        session.mouse((from_x + to_x) / 2, (from_y + to_y) / 2);
        session.mouse(to_x, to_y);
        session.do_(&["mouseup", "1"]);
        session.picture("pins");
        session.do_(&["key", "Return"]);
        let seen = session.progress("Re-pose Subject");
        assert!(seen.len() > 2, "{editor:?}: progress {seen:?}");
        session.gone("^Re-pose Subject", 20);
        session.window("photo.*3 layers.*GIMP", 20);
        session.picture("posed");

        let after = session.saved("photo");
        assert_eq!(
            after.names(),
            [
                "teddy, re-posed",
                "Background behind teddy",
                &before.layers[0].name
            ]
        );
        assert_eq!(after.layers[2].pixels, before.layers[0].pixels);
        let covers = |x, y| after.layers[0].mask_at(x, y).is_some_and(|m| m[0] > 200);
        assert!(
            covers(330, 390) && covers(440, 380),
            "the feet and the belly were held"
        );
        assert!(!covers(485, 200), "the nose has moved away from here");

        session.keys("photo.*GIMP", &["ctrl+z"]);
        session.window("photo.*1 layer\\).*GIMP", 20);
        let undone = session.saved("photo");
        assert_eq!(undone.layers.len(), 1);
        assert_eq!(undone.layers[0].pixels, before.layers[0].pixels);
        assert_eq!(undone.history, None, "the note is undone with the layers");

        // The same again without a dialog, by the last values.
        session.keys("photo.*GIMP", &["ctrl+f"]);
        session.window("photo.*3 layers.*GIMP", 30);
        let again = session.saved("photo");
        assert_eq!(
            again.layers[0].pixels, after.layers[0].pixels,
            "{editor:?}: the last values"
        );
        session.keys("photo.*GIMP", &["ctrl+z"]);
        session.window("photo.*1 layer\\).*GIMP", 20);

        // Two results to choose from; the first one is shown, and used by pressing Return.
        session.dialog("photo", "x", "Erase Subject");
        session.do_(&["key", "Tab", "Tab"]);
        session.type_("2");
        session.do_(&["key", "Return"]);
        session.progress("Erase Subject");
        session.window("^Erase Subject$", 10);
        sleep(Duration::from_millis(700));
        session.picture("candidates");
        session.do_(&["key", "Return"]);
        session.window("photo.*2 layers.*GIMP", 20);
        session.gone("^Erase Subject", 10);
        session.keys("photo.*GIMP", &["ctrl+z"]);
        session.window("photo.*1 layer\\).*GIMP", 20);

        in_words(&mut session, &before);
    }
}

/// Without a text model the dialog says so; with one, a prompt is drawn, and undone in one step. The pins of the pose before
/// are there again, and say where.
#[track_caller]
fn in_words(session: &mut Session, before: &Xcf) {
    const TO_PROMPT: [&str; 4] = ["Tab"; 4];
    session.dialog("photo", "k", "Re-pose Subject");
    session.do_(&[&["key"], &TO_PROMPT[..], &["Tab", "space"]].concat());
    sleep(Duration::from_millis(700));
    session.picture("no-model");
    session.keys("^Re-pose Subject$", &["Escape"]);
    session.gone("Re-pose Subject", 10);

    super::words::with_model(&session.desk);
    session.dialog("photo", "k", "Re-pose Subject");
    session.do_(&[&["key"], &TO_PROMPT[..]].concat());
    session.type_("a teddy waving");
    // The part is open as it was left: model, folder, picture, without, strength, guidance, steps.
    session.do_(&[&["key"], &["Tab"; 8][..]].concat());
    session.type_("2");
    session.picture("words");
    session.do_(&["key", "Return"]);
    session.progress("Re-pose Subject");
    session.gone("^Re-pose Subject", 20);
    session.window("photo.*2 layers.*GIMP", 20);
    session.picture("words-posed");
    super::words::check(before, &session.saved("photo"), "teddy");
    session.keys("photo.*GIMP", &["ctrl+z"]);
    session.window("photo.*1 layer\\).*GIMP", 20);
}

/// Begins an erase that takes long, and gives its dialog's place.
#[track_caller]
fn long_erase(session: &mut Session, image: &str) -> Place {
    let dialog = session.dialog(image, "x", "Erase Subject");
    session.do_(&["key", "Tab", "Tab"]);
    session.type_("16");
    session.do_(&["key", "Return"]);
    session.window("% — Erase Subject$", 20);
    sleep(Duration::from_millis(500));
    dialog
}

#[test]
fn stop_and_closing_image_or_gimp_in_the_middle_change_nothing() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let _turn = alone();
        let mut session = Session::open(editor, &["one", "two"]);
        let home = session.desk.home();

        let dialog = long_erase(&mut session, "two");
        session.picture("working");
        session.stop(dialog);
        session.window("^Erase Subject$", 20);
        session.gone("% — Erase Subject", 10);
        session.picture("stopped");
        session.keys("^Erase Subject$", &["Escape"]);
        session.gone("Erase Subject", 10);
        session.window("two.*1 layer\\).*GIMP", 10);

        long_erase(&mut session, "two");
        session.keys("two.*GIMP", &["ctrl+w"]);
        session.gone("Erase Subject", 20);
        session.window("one.*1 layer\\).*GIMP", 10);
        session.picture("closed");
        session.gimp.until(10, "the plug-in's end", || {
            plug_in(&home).is_none().then_some(())
        });

        session.keys("GIMP Message", &["Escape"]);
        long_erase(&mut session, "one");
        session.keys("one.*GIMP", &["ctrl+q"]);
        let Session {
            desk,
            gimp,
            display,
        } = session;
        gimp.end(20);
        drop(display);
        assert_eq!(plug_in(&home), None);
        let now = Xcf::read(&desk.path().join("one.xcf"));
        assert_eq!(now.layers.len(), 1);
        desk.versions();
    }
}
