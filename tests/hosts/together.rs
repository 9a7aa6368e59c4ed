//! Krita and GIMP in one home: one subject library, and `repose doctor` on both plug-ins.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::editor::Editor;
use super::gimp::desk::Desk;
use super::krita;
use super::packages::example;

#[test]
fn krita_and_gimp_use_one_library_at_once() {
    let (Some(gimp), Some(_)) = (Editor::Gimp210.found(), Editor::Krita51.found()) else {
        return;
    };
    let desk = Desk::new(gimp);
    krita::at_work(Editor::Krita51, |library| {
        let data = desk.home().join(".local/share");
        fs::create_dir_all(&data).unwrap();
        symlink(library, data.join("repose")).unwrap();
        // The subject that Krita learns again and again is posed here; another one is learned beside it.
        let said = desk.run(
            r#"(let* ((image (small 0)) (layer (base image)))
                 (learn-from image layer "from GIMP" "my own toy" 0 0 "")
                 (attempt "pose" (lambda () (move-by image layer "bear" 30 0)))
                 (learn-from image layer "from GIMP" "my own toy" 0 0 ""))"#,
        );
        assert_eq!(said, ["pose: 2"]);
        assert!(desk.versions() >= 3);
    });
}

#[test]
fn the_doctor_finds_an_installed_package_good() {
    let Some(gimp) = Editor::Gimp210.found() else {
        return;
    };
    let desk = Desk::new(gimp);
    let doctor = || {
        let output = Command::new(example("repose"))
            .args(["doctor", "gimp"])
            .env("HOME", desk.home())
            .env_remove("XDG_CONFIG_HOME")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, said) = doctor();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("GIMP 2.10  good"), "{said}");
    let folder = desk.home().join(".config/GIMP/2.10/plug-ins/repose");
    fs::rename(folder.join("repose"), folder.join("repose-gimp")).unwrap();
    let (code, said) = doctor();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("repose is missing"), "{said}");
}
