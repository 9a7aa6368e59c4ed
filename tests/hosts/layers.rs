//! The command line's OpenRaster files, opened in the editors they are made for.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{GrayImage, Luma};
use zip::ZipArchive;

use super::editor::{Editor, Running, alone, repository};
use super::packages::example;

fn photo() -> PathBuf {
    repository().join("examples/photos/teddy.jpg")
}

/// Makes `teddy.ora` and `teddy.png` in `folder` from the photo.
fn reposed(folder: &Path) -> (PathBuf, PathBuf) {
    for result in ["teddy.ora", "teddy.png"] {
        let output = Command::new(example("repose"))
            .args(["--quiet", "--library"])
            .arg(folder.join("library"))
            .arg("pose")
            .arg(photo())
            .arg("--selection")
            .arg(repository().join("examples/photos/teddy_mask.png"))
            .args(["--learn", "teddy", "--consent", "my own toy"])
            .args(["--pin", "430,310", "--pin", "410,215:360,228@-28", "--out"])
            .arg(folder.join(result))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    (folder.join("teddy.ora"), folder.join("teddy.png"))
}

/// Where a layer above the photo shows something: read from the file itself.
fn touched(ora: &Path) -> GrayImage {
    let mut zip = ZipArchive::new(File::open(ora).unwrap()).unwrap();
    let stack = std::io::read_to_string(zip.by_name("stack.xml").unwrap()).unwrap();
    let mut touched: Option<GrayImage> = None;
    // Top first: the last one is the photo, which covers all.
    for line in stack.split('<').filter(|tag| tag.starts_with("layer ")) {
        let value = |key: &str| {
            line.split(&format!(" {key}=\""))
                .nth(1)
                .unwrap()
                .split('"')
                .next()
        };
        let number = |key: &str| value(key).unwrap().parse::<u32>().unwrap();
        if value("name") == Some("teddy.jpg") {
            continue;
        }
        let mut png = Vec::new();
        let mut entry = zip.by_name(value("src").unwrap()).unwrap();
        entry.read_to_end(&mut png).unwrap();
        let layer = image::load_from_memory(&png).unwrap().to_rgba16();
        let photo = image::image_dimensions(photo()).unwrap();
        let all = touched.get_or_insert_with(|| GrayImage::new(photo.0, photo.1));
        for (x, y, _) in layer.enumerate_pixels().filter(|(_, _, p)| p[3] > 0) {
            all.put_pixel(x + number("x"), y + number("y"), Luma([255]));
        }
    }
    touched.unwrap()
}

/// The names are right, bottom first; the editor's own flattened picture is the photo where our layers show nothing, and
/// elsewhere the command line's, to a rounding.
#[track_caller]
fn check(editor: Editor, names: &str, flattened: &Path, [ora, png]: [&Path; 2]) {
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["teddy.jpg", "Background behind teddy", "teddy, re-posed"],
        "{editor:?}"
    );
    let [shown, written, original] =
        [flattened, png, &photo()].map(|path| image::open(path).unwrap().to_rgb8());
    let touched = touched(ora);
    let (mut outside, mut close) = (0, 0);
    for (x, y, pixel) in shown.enumerate_pixels() {
        if touched.get_pixel(x, y)[0] == 0 {
            outside += 1;
            assert_eq!(pixel, original.get_pixel(x, y), "{editor:?}: {x}, {y}");
        }
        // Editors blend soft edges in spaces of their own (GIMP in linear light), so only most of them agree.
        let expected = written.get_pixel(x, y);
        close += usize::from((0..3).all(|c| pixel[c].abs_diff(expected[c]) <= 2));
    }
    let all = shown.pixels().len();
    assert!(outside > all / 3 && outside < all, "{outside} of {all}");
    assert!(
        close * 100 > all * 97,
        "{editor:?}: {close} of {all} are alike"
    );
}

// Debian's GIMP 2.10 has no reader for OpenRaster: that one is written in Python 2.
#[test]
fn gimp_3_0_opens_our_layers() {
    let Some(editor) = Editor::Gimp30.found() else {
        return;
    };
    let desk = tempfile::tempdir().unwrap();
    let (ora, png) = reposed(desk.path());
    let _turn = alone();
    let (names, shown) = (desk.path().join("names"), desk.path().join("shown.png"));
    let script = format!(
        r#"(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE {ora:?})))
                  (port (open-output-file {names:?})))
             (for-each (lambda (layer) (display (car (gimp-item-get-name layer)) port) (newline port))
                       (reverse (vector->list (car (gimp-image-get-layers image)))))
             (close-output-port port)
             (gimp-image-flatten image)
             (gimp-file-save RUN-NONINTERACTIVE image {shown:?}))"#
    );
    let mut command = editor.command(desk.path(), editor.console());
    command.args(["-n", "-i", "-d", "-f", "-c", "--quit"]);
    command.args(["--batch-interpreter=plug-in-script-fu-eval", "-b", &script]);
    let (_, said) = Running::start(command, desk.path().join("log")).end(60);
    let names = fs::read_to_string(&names).unwrap_or_else(|e| panic!("{e}: {said}"));
    check(editor, &names, &shown, [&ora, &png]);
}

fn krita(editor: Editor) {
    let Some(editor) = editor.found() else { return };
    let desk = tempfile::tempdir().unwrap();
    let (ora, png) = reposed(desk.path());
    let _turn = alone();
    let script = format!(
        r#"
import os, sys, traceback
from krita import InfoObject, Krita

def __main__(args):
    try:
        krita = Krita.instance()
        krita.setBatchmode(True)
        document = krita.openDocument({ora:?})
        with open({names:?}, "w") as file:
            file.write("".join(node.name() + "\n" for node in document.topLevelNodes()))
        document.setBatchmode(True)
        document.waitForDone()
        assert document.exportImage({shown:?}, InfoObject()), "the picture was not written"
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
"#,
        names = desk.path().join("names"),
        shown = desk.path().join("shown.png"),
    );
    fs::write(desk.path().join("opens.py"), script).unwrap();
    let mut command = editor.command(desk.path(), editor.console());
    command
        .env("QT_QPA_PLATFORM", "offscreen")
        .env("PYTHONPATH", desk.path())
        .args(["-s", "opens"]);
    let (status, said) = Running::start(command, desk.path().join("log")).end(90);
    assert!(status.success(), "{said}");
    let names =
        fs::read_to_string(desk.path().join("names")).unwrap_or_else(|e| panic!("{e}: {said}"));
    check(editor, &names, &desk.path().join("shown.png"), [&ora, &png]);
}

#[test]
fn krita_5_1_opens_our_layers() {
    krita(Editor::Krita51);
}

#[test]
fn krita_5_2_opens_our_layers() {
    krita(Editor::Krita52);
}
