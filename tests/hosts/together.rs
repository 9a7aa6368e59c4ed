//! Krita and GIMP at work on one subject library.

use std::fs;
use std::os::unix::fs::symlink;

use super::editor::Editor;
use super::gimp::desk::Desk;
use super::krita;

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
