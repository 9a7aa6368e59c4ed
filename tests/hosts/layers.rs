//! The command line's OpenRaster files, opened in the editors they are made for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::editor::{Editor, Running, alone, repository};
use super::packages::example;

/// Makes `teddy.ora` and `teddy.png` in `folder` from the photo.
fn reposed(folder: &Path) -> (PathBuf, PathBuf) {
    let photos = repository().join("examples/photos");
    for result in ["teddy.ora", "teddy.png"] {
        let output = Command::new(example("repose"))
            .args(["--quiet", "--library"])
            .arg(folder.join("library"))
            .arg("pose")
            .arg(photos.join("teddy.jpg"))
            .arg("--selection")
            .arg(photos.join("teddy_mask.png"))
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

/// The names are right, bottom first, and the editor's own flattened picture is the command line's, to a rounding.
#[track_caller]
fn check(editor: Editor, names: &str, flattened: &Path, expected: &Path) {
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["teddy", "Background behind teddy", "teddy, re-posed"],
        "{editor:?}"
    );
    let shown = image::open(flattened).unwrap().to_rgb8();
    let written = image::open(expected).unwrap().to_rgb8();
    assert_eq!(shown.dimensions(), written.dimensions());
    let original = image::open(repository().join("examples/photos/teddy.jpg"))
        .unwrap()
        .to_rgb8();
    let (mut untouched, mut close, mut all) = (0, 0, 0);
    for ((a, b), o) in shown.pixels().zip(written.pixels()).zip(original.pixels()) {
        all += 1;
        if b == o {
            untouched += 1;
            assert_eq!(a, o, "{editor:?} changes a pixel that was left alone");
        }
        // Editors blend soft edges in spaces of their own (GIMP in linear light), so only most of them agree.
        close += usize::from((0..3).all(|c| a[c].abs_diff(b[c]) <= 2));
    }
    assert!(
        untouched > all / 2 && untouched < all,
        "{untouched} of {all}"
    );
    assert!(
        close * 100 > all * 97,
        "{editor:?}: {close} of {all} are alike"
    );
}

fn gimp(editor: Editor, script: &str, arguments: &[&str]) {
    let Some(editor) = editor.found() else { return };
    let desk = tempfile::tempdir().unwrap();
    let (ora, png) = reposed(desk.path());
    let _turn = alone();
    let script = script
        .replace("NAMES", desk.path().join("names").to_str().unwrap())
        .replace("ORA", ora.to_str().unwrap())
        .replace("PNG", desk.path().join("shown.png").to_str().unwrap());
    let mut command = editor.command(desk.path(), editor.console());
    command.args(["-n", "-i", "-d", "-f", "-c"]);
    command.args(arguments).args(["-b", &script]);
    if editor == Editor::Gimp210 {
        command.args(["-b", "(gimp-quit 0)"]);
    }
    let (_, said) = Running::start(command, desk.path().join("log")).end(60);
    let names =
        fs::read_to_string(desk.path().join("names")).unwrap_or_else(|e| panic!("{e}: {said}"));
    check(editor, &names, &desk.path().join("shown.png"), &png);
}

#[test]
fn gimp_2_10_opens_our_layers() {
    gimp(
        Editor::Gimp210,
        r#"(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "ORA" "x")))
                  (port (open-output-file "NAMES")))
             (for-each (lambda (layer) (display (car (gimp-item-get-name layer)) port) (newline port))
                       (reverse (vector->list (cadr (gimp-image-get-layers image)))))
             (close-output-port port)
             (gimp-file-save RUN-NONINTERACTIVE image (car (gimp-image-flatten image)) "PNG" "x"))"#,
        &[],
    );
}

#[test]
fn gimp_3_0_opens_our_layers() {
    gimp(
        Editor::Gimp30,
        r#"(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "ORA")))
                  (port (open-output-file "NAMES")))
             (for-each (lambda (layer) (display (car (gimp-item-get-name layer)) port) (newline port))
                       (reverse (vector->list (car (gimp-image-get-layers image)))))
             (close-output-port port)
             (gimp-image-flatten image)
             (gimp-file-save RUN-NONINTERACTIVE image "PNG"))"#,
        &["--batch-interpreter=plug-in-script-fu-eval", "--quit"],
    );
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
        document.exportImage({shown:?}, InfoObject())
        document.waitForDone()
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
    check(editor, &names, &desk.path().join("shown.png"), &png);
}

#[test]
fn krita_5_1_opens_our_layers() {
    krita(Editor::Krita51);
}

#[test]
fn krita_5_2_opens_our_layers() {
    krita(Editor::Krita52);
}
