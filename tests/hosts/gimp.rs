//! The plug-in inside the real GIMP 2.10 and 3.0: by scripts without a window here, by mouse and keys in [`window`].

pub mod desk;
mod window;
mod words;
mod xcf;

use std::fs;
use std::process::Command;

use super::editor::{Editor, Running, alone};
use desk::{Desk, GIMPS, copy, plug_in, profile};
use xcf::Xcf;

/// The layer at the bottom is what it was; above it lie background and subject with masks, inside it, and where both masks
/// are 0 the flattened picture that GIMP wrote is the one before, to the last bit.
#[track_caller]
fn check(desk: &Desk, name: &str, kind: &str, bytes: usize) {
    let path = |suffix: &str| desk.path().join(format!("{name}{suffix}"));
    let (before, after) = (Xcf::read(&path("-before.xcf")), Xcf::read(&path(".xcf")));
    let base = &before.layers[0];
    assert_eq!(
        after.names(),
        ["teddy, re-posed", "Background behind teddy", &base.name]
    );
    assert_eq!(after.layers[2].pixels, base.pixels, "the original layer");
    assert_eq!((after.layers[2].x, after.layers[2].y), (base.x, base.y));
    let history: serde_json::Value = serde_json::from_str(after.history.as_ref().unwrap()).unwrap();
    assert_eq!(history[0]["action"], "repose", "{history}");
    for layer in &after.layers[..2] {
        let mask = layer.mask.as_ref().unwrap();
        assert_eq!(
            mask.size, bytes,
            "{}: the selection's precision",
            layer.name
        );
        assert_eq!(layer.pixels.size, base.pixels.size, "{}", layer.name);
        assert!(layer.visible);
        assert!(layer.x >= base.x && layer.y >= base.y, "{}", layer.name);
        assert!(layer.x as usize + mask.width <= base.x as usize + base.pixels.width);
        assert!(layer.y as usize + mask.height <= base.y as usize + base.pixels.height);
        let none = mask
            .bytes
            .chunks(bytes)
            .filter(|s| s.iter().all(|b| *b == 0))
            .count();
        assert!(
            none > 100 && none < mask.width * mask.height * 9 / 10,
            "{}",
            layer.name
        );
    }
    let [shown, original] = ["", "-before"].map(|s| {
        let file = path(&format!("{s}-seen.{kind}"));
        image::open(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
    });
    let (mut outside, mut changed) = (0, 0);
    let pixel = shown.as_bytes().len() / (shown.width() * shown.height()) as usize;
    assert_eq!(pixel, 3 * bytes, "{name}: the file's precision");
    assert_eq!(
        (shown.width() as usize, shown.height() as usize),
        (after.width, after.height)
    );
    for (i, (now, then)) in shown
        .as_bytes()
        .chunks(pixel)
        .zip(original.as_bytes().chunks(pixel))
        .enumerate()
    {
        let (x, y) = (i % after.width, i / after.width);
        let masks = after.layers[..2].iter().filter_map(|l| l.mask_at(x, y));
        if masks.flatten().all(|b| *b == 0) {
            outside += 1;
            assert_eq!(now, then, "{name}: {x}, {y}");
        } else {
            changed += usize::from(now != then);
        }
    }
    let all = after.width * after.height;
    assert!(
        outside > all / 2 && changed > all / 50,
        "{outside} outside, {changed} changed of {all}"
    );
}

#[test]
fn whole_job_at_8_16_and_32_bits() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let desk = Desk::new(editor);
        desk.put_profile();
        let _turn = alone();
        let said = desk.run(
            r#"
            (whole-job (photo) "u8" "png" PHOTO-PINS)
            (let ((image (small 250))) (crop-layer image 20 15 300 310) (whole-job image "u16" "tif" SMALL-PINS))
            (whole-job (small 600) "float" "tif" SMALL-PINS)
            (let ((image (small 0))) (use-profile image "wide.icc") (whole-job image "wide" "png" SMALL-PINS))"#,
        );
        assert_eq!(
            said,
            ["u8: 2", "u16: 2", "float: 2", "wide: 2"],
            "{editor:?}"
        );
        check(&desk, "u8", "png", 1);
        check(&desk, "u16", "tif", 2);
        check(&desk, "float", "tif", 4);
        check(&desk, "wide", "png", 1);
        assert_eq!(desk.versions(), 4, "each learn made a version");
    }
}

#[test]
fn candidates_erasing_grey_guide_and_the_library() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let desk = Desk::new(editor);
        let _turn = alone();
        let said = desk.run(
            r#"
            (let* ((image (small 0)) (layer (base image)))
              (learn-from image layer "teddy" "my own toy" 0 0 "2999-12-31")
              (attempt "candidates" (lambda () (pose-with image layer "teddy" "215,155 205,107:180,114" 2 "")))
              (save image "candidates.xcf")
              (attempt "erase" (lambda () (erase-from image layer 1)))
              (attempt "twice" (lambda () (layer-count image)))
              (save image "twice.xcf")
              (close image))
            (let* ((image (small 0)) (layer (base image)))
              (attempt "guide" (lambda () (pose-by-guide image layer "teddy" (duplicate-base image))))
              (close image))
            (let* ((image (small 0)) (layer (base image)))
              (select-none image)
              (attempt "at home" (lambda () (move-by image layer "teddy" 40 -10)))
              (close image))
            (let* ((image (small 0)) (layer (base image)))
              (make-grey image)
              (learn-from image layer "grey teddy" "my own toy" 0 0 "")
              (attempt "grey" (lambda () (move-by image layer "grey teddy" 40 -10)))
              (save image "grey.xcf")
              (close image))"#,
        );
        assert_eq!(
            said,
            [
                "candidates: 4",
                "erase: 1",
                "twice: 6",
                "guide: 2",
                "at home: 2",
                "grey: 2"
            ],
            "{editor:?}"
        );
        let file = Xcf::read(&desk.path().join("candidates.xcf"));
        assert_eq!(
            file.layers
                .iter()
                .rev()
                .skip(1)
                .map(|l| (l.name.as_str(), l.visible))
                .collect::<Vec<_>>(),
            [
                ("Background behind teddy 1", true),
                ("teddy, re-posed 1", true),
                ("Background behind teddy 2", false),
                ("teddy, re-posed 2", false)
            ]
        );
        let file = Xcf::read(&desk.path().join("twice.xcf"));
        let history: serde_json::Value =
            serde_json::from_str(file.history.as_ref().unwrap()).unwrap();
        let actions: Vec<_> = history
            .as_array()
            .unwrap()
            .iter()
            .map(|h| &h["action"])
            .collect();
        assert_eq!(actions, ["repose", "erase"]);
        let file = Xcf::read(&desk.path().join("grey.xcf"));
        assert_eq!(file.layers[0].pixels.size, 1);
        assert!(file.layers[0].mask.is_some());
    }
}

#[test]
fn mistakes_get_a_sentence_and_change_nothing() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let desk = Desk::new(editor);
        let _turn = alone();
        let said = desk.run(
            r#"
            (let* ((image (small 0)) (layer (base image)) (pose (lambda (pins) (pose-with image layer "teddy" pins 1 ""))))
              (attempt "no consent" (lambda () (learn-from image layer "teddy" " " 0 0 "")))
              (attempt "person" (lambda () (learn-from image layer "someone" "their agency" 1 0 "")))
              (attempt "past" (lambda () (learn-from image layer "old" "my own toy" 0 0 "2001-01-01")))
              (attempt "nobody" (lambda () (pose "1,2:3,4")))
              (learn-from image layer "teddy" "my own toy" 0 0 "")
              (attempt "pin" (lambda () (pose "1,2:3,4 5;6")))
              (attempt "comma" (lambda () (pose "1,2 3,5:1e99,4")))
              (attempt "no pose" (lambda () (pose "")))
              (attempt "words" (lambda () (pose-with image layer "teddy" "1,2:3,4" 1 "a jumping bear")))
              (attempt "channel" (lambda () (erase-from image (new-channel image) 1)))
              (attempt "group" (lambda () (erase-from image (new-group image) 1)))
              (select-none image)
              (attempt "nothing" (lambda () (erase-from image layer 1)))
              (attempt "learn nothing" (lambda () (learn-from image layer "air" "mine" 0 0 "")))
              (crop-layer image 150 50 150 150)
              (select-ellipse image 10 10 50 50)
              (attempt "beside" (lambda () (erase-from image layer 1)))
              (attempt "layers" (lambda () (layer-count image)))
              (close image))
            (let ((image (load-image "small.png")))
              (make-indexed image)
              (select-ellipse image 150 50 100 100)
              (attempt "indexed" (lambda () (erase-from image (base image) 1))))"#,
        );
        let expected = [
            ("no consent", "consent"),
            ("person", "likeness"),
            ("past", "2001-01-01"),
            ("nobody", "teddy"),
            (
                "pin",
                "\"5\", cannot be read: a pin is FROM_X,FROM_Y[:TO_X,TO_Y][@ANGLE][^DEPTH]",
            ),
            ("comma", "Pin 2, \"3,5:1e99,4\""),
            ("no pose", "no new pose was asked for"),
            ("words", "a pose in words needs a text model"),
            ("channel", "No layer is active"),
            ("group", "A layer group is active"),
            ("nothing", "Nothing is selected"),
            ("learn nothing", "Nothing is selected"),
            ("beside", "outside the active layer"),
            ("layers", "2"),
            ("indexed", "Image ▸ Mode ▸ RGB"),
        ];
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        for (line, (name, part)) in said.iter().zip(expected) {
            assert!(
                line.starts_with(&format!("{name}: ")) && line.contains(part),
                "{editor:?}: {part:?} was expected in {line:?}"
            );
        }
        assert_eq!(desk.versions(), 1);
        let library = desk
            .home()
            .join(profile(editor))
            .join("plug-ins/repose/librepose.so");
        fs::remove_file(library).unwrap();
        let said = desk.run(r#"(attempt "half" (lambda () (let ((image (small 0))) (erase-from image (base image) 1))))"#);
        assert!(said[0].contains("Install the plug-in again"), "{said:?}");
    }
}

/// What the contract has no format for goes through float, and GIMP blends some formats in floats of its own: there what
/// is seen may differ by a rounding. The layer below stays as it is in all of them, and masks begin at exactly 0.
#[test]
fn other_precisions() {
    // GIMP's number for it, bytes of a sample, whether what is seen outside is exact.
    const FORMATS: [(u32, usize, bool); 4] = [
        (300, 4, false),
        (500, 2, true),
        (650, 4, false),
        (750, 8, false),
    ];
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let desk = Desk::new(editor);
        let _turn = alone();
        let jobs = FORMATS.map(|(number, ..)| {
            format!("(whole-job (small {number}) \"p{number}\" \"xcf\" SMALL-PINS)")
        });
        let said = desk.run(&jobs.concat());
        assert_eq!(
            said,
            FORMATS.map(|(number, ..)| format!("p{number}: 2")),
            "{editor:?}"
        );
        for (number, bytes, exact) in FORMATS {
            let [before, after, then, now] = ["-before", "", "-before-seen", "-seen"]
                .map(|suffix| Xcf::read(&desk.path().join(format!("p{number}{suffix}.xcf"))));
            assert_eq!(after.layers.len(), 3);
            assert_eq!(
                after.layers[2].pixels, before.layers[0].pixels,
                "{editor:?} {number}"
            );
            let mask = after.layers[0].mask.as_ref().unwrap();
            assert_eq!(
                (mask.size, after.layers[0].pixels.size),
                (bytes, 3 * bytes),
                "{number}"
            );
            let mut outside = 0;
            for (x, y) in (0..now.width).flat_map(|x| (0..now.height).map(move |y| (x, y))) {
                let masks = after.layers[..2].iter().filter_map(|l| l.mask_at(x, y));
                if masks.flatten().all(|b| *b == 0) {
                    outside += 1;
                    let [then, now] = [&then, &now].map(|file| file.layers[0].pixels.at(x, y));
                    assert!(!exact || then == now, "{editor:?} {number}: {x}, {y}");
                }
            }
            assert!(outside > now.width * now.height / 2, "{number}: {outside}");
        }
    }
}

/// A job that takes long enough to be interrupted; there is a file `learned` when it begins.
const LONG: &str = r#"
    (let* ((image (photo)) (layer (base image)))
      (learn-from image layer "teddy" "my own toy" 0 0 "")
      (close-output-port (open-output-file (path "learned")))
      (attempt "erase" (lambda () (erase-from image layer 16)))
      (attempt "layers" (lambda () (layer-count image)))
      (save image "after.xcf"))"#;

/// Waits until a long job of this desk is at work, and gives its process.
#[track_caller]
fn at_work(desk: &Desk, gimp: &mut Running) -> u32 {
    gimp.until(60, "the learned subject", || {
        desk.path().join("learned").exists().then_some(())
    });
    let pid = gimp.until(30, "the plug-in", || plug_in(&desk.home()));
    std::thread::sleep(std::time::Duration::from_millis(600));
    pid
}

/// What GIMP's own Cancel does to a plug-in.
#[test]
fn killed_plug_in_leaves_image_and_library_whole() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let desk = Desk::new(editor);
        let _turn = alone();
        let mut gimp = desk.start(LONG);
        let pid = at_work(&desk, &mut gimp);
        let killed = Command::new("/bin/kill")
            .args(["-9", &pid.to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        let (_, log) = gimp.end(60);
        let said = fs::read_to_string(desk.path().join("said")).unwrap();
        let lines: Vec<_> = said.lines().collect();
        assert!(
            lines[0].starts_with("erase: ") && lines[0] != "erase: 16",
            "{said}\n{log}"
        );
        assert_eq!(lines[1], "layers: 1", "{said}");
        let file = Xcf::read(&desk.path().join("after.xcf"));
        assert_eq!(file.layers.len(), 1);
        assert_eq!(desk.versions(), 1);
        // And the next job finds nothing in its way.
        let said = desk.run(r#"(let ((image (small 0))) (attempt "again" (lambda () (erase-from image (base image) 1))))"#);
        assert_eq!(said, ["again: 1"]);
    }
}

#[test]
fn killed_gimp_takes_the_plug_in_with_it() {
    for editor in GIMPS {
        let Some(editor) = editor.found() else {
            continue;
        };
        let desk = Desk::new(editor);
        let _turn = alone();
        let mut gimp = desk.start(LONG);
        at_work(&desk, &mut gimp);
        gimp.kill();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while plug_in(&desk.home()).is_some() {
            assert!(
                std::time::Instant::now() < until,
                "the plug-in goes on without GIMP"
            );
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert_eq!(desk.versions(), 1);
    }
}

#[test]
fn both_gimps_learn_into_one_library_at_once() {
    let [Some(old), Some(new)] = GIMPS.map(Editor::found) else {
        return;
    };
    let desk = Desk::new(old);
    // The other one's profile lies beside the first one's in the same home.
    let other = Desk::new(new);
    copy(
        &other.home().join(profile(new)),
        &desk.home().join(profile(new)),
    );
    let _turn = alone();
    let script = r#"
        (let* ((image (small 0)) (layer (base image)))
          (learn-from image layer "teddy" "my own toy" 0 0 "")
          (learn-from image layer "teddy" "my own toy" 0 0 "")
          (attempt "pose" (lambda () (move-by image layer "teddy" 30 0)))
          (learn-from image layer "teddy" "my own toy" 0 0 ""))"#;
    let mut first = desk.start(script);
    // Both scripts have one desk: wait until the first one's was read.
    first.until(60, "the first script", || {
        desk.path().join("said").exists().then_some(())
    });
    let second = Desk {
        editor: new,
        folder: tempfile::tempdir().unwrap(),
    };
    second.put_photos();
    std::os::unix::fs::symlink(desk.home(), second.home()).unwrap();
    let said = second.run(script);
    let (_, log) = first.end(90);
    assert_eq!(said, ["pose: 2"]);
    let said = fs::read_to_string(desk.path().join("said")).unwrap();
    assert_eq!(said, "pose: 2\nend\n", "{log}");
    assert_eq!(desk.versions(), 6);
}
