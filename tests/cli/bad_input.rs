//! Wrong calls: a message that says what was expected, the right exit code, and nothing lost.

use std::fs;

use super::tool::{Desk, leftovers, mask, photo8};

#[test]
fn exit_codes_say_who_can_act() {
    let desk = Desk::new();
    desk.learned();
    let code = |arguments: &[&str]| {
        let ran = desk.repose(arguments);
        assert!(!ran.err.is_empty(), "{arguments:?} says nothing");
        ran.code
    };
    // The caller.
    assert_eq!(code(&["erase"]), 2);
    assert_eq!(code(&["erase", "photo.png", "-o", "out.png"]), 2);
    assert_eq!(
        code(&[
            "erase",
            "photo.png",
            "-s",
            "rect:500,500,9,9",
            "-o",
            "out.png"
        ]),
        2
    );
    assert_eq!(
        code(&["erase", "photo.png", "-s", "alpha", "-o", "out.png"]),
        2
    );
    assert_eq!(
        code(&[
            "erase",
            "photo.png",
            "-s",
            "photo_mask.png",
            "-o",
            "out.jpg"
        ]),
        2
    );
    assert_eq!(
        code(&[
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "--pin",
            "1,2,3",
            "-o",
            "out.png"
        ]),
        2
    );
    assert_eq!(code(&["subjects", "delete", "disc"]), 2);
    // Files.
    assert_eq!(
        code(&[
            "erase",
            "missing.png",
            "-s",
            "rect:1,1,9,9",
            "-o",
            "out.png"
        ]),
        3
    );
    assert_eq!(
        code(&["erase", "photo.png", "-s", "missing.png", "-o", "out.png"]),
        3
    );
    assert_eq!(
        code(&[
            "erase",
            "photo.png",
            "-s",
            "photo_mask.png",
            "-o",
            "photo.png/out.png"
        ]),
        3
    );
    assert_eq!(code(&["--plugin", "photo.png", "info"]), 3);
    // Refused.
    assert_eq!(
        code(&[
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "-s",
            "photo_mask.png",
            "--prompt",
            "waving",
            "-o",
            "out.png",
        ]),
        4
    );
    assert!(!desk.path("out.png").exists());
    assert_eq!(leftovers(&desk), [""; 0]);
}

#[test]
fn consent_is_kept() {
    let desk = Desk::new();
    desk.photo();
    let learn = |more: &[&str]| {
        let mut arguments = vec![
            "learn",
            "photo.png",
            "-s",
            "photo_mask.png",
            "--name",
            "disc",
        ];
        arguments.extend(more);
        desk.repose(&arguments)
    };
    assert!(learn(&[]).expect(2).err.contains("--consent"));
    assert_ne!(learn(&["--consent", "a friend", "--person"]).code, 0);
    learn(&[
        "--consent",
        "a friend, for this test",
        "--person",
        "--person-agrees",
    ])
    .expect(0);
    desk.repose(&[
        "subjects",
        "revoke",
        "disc",
        "--reason",
        "changed their mind",
    ])
    .expect(0);
    let pose = [
        "pose",
        "photo.png",
        "--subject",
        "disc",
        "-s",
        "photo_mask.png",
        "--move",
        "5,0",
        "-o",
        "out.png",
    ];
    let ran = desk.repose(&pose).expect(4);
    assert!(ran.err.contains("revoked"), "{}", ran.err);
    desk.repose(&[
        "subjects",
        "renew",
        "disc",
        "--consent",
        "yes after all",
        "--person",
        "--person-agrees",
    ])
    .expect(0);
    desk.repose(&pose).expect(0);
    desk.repose(&["subjects", "verify"]).expect(0);
    let log = desk.repose(&["subjects", "log"]).expect(0).out;
    for word in ["learn", "revoke", "renew"] {
        assert!(log.contains(word), "{log}");
    }
}

#[test]
fn a_subject_travels_in_a_file() {
    let desk = Desk::new();
    desk.learned();
    desk.repose(&["subjects", "rename", "disc", "ball"])
        .expect(0);
    desk.repose(&["subjects", "export", "ball", "-o", "ball.repose"])
        .expect(0);
    desk.repose(&["subjects", "delete", "ball", "--yes"])
        .expect(0);
    desk.repose(&["subjects", "import", "ball.repose", "--name", "moon"])
        .expect(0);
    desk.repose(&["subjects", "rebuild-index"]).expect(0);
    assert!(
        desk.repose(&["subjects", "show", "moon"])
            .expect(0)
            .out
            .contains("a drawn disc")
    );
    assert_eq!(desk.repose(&["subjects", "import", "photo.png"]).code, 3);
}

#[test]
fn an_input_is_never_overwritten() {
    let desk = Desk::new();
    desk.photo();
    fs::create_dir(desk.path("sub")).unwrap();
    let before = fs::read(desk.path("photo.png")).unwrap();
    for out in [
        "photo.png",
        "./photo.png",
        "sub/../photo.png",
        "photo_mask.png",
    ] {
        let ran = desk
            .repose(&["erase", "photo.png", "-s", "photo_mask.png", "-o", out])
            .expect(2);
        assert!(ran.err.contains("input"), "{}", ran.err);
    }
    desk.repose(&[
        "erase",
        "photo.png",
        "-s",
        "photo_mask.png",
        "-o",
        "out.png",
        "--before-after",
        "./out.png",
    ])
    .expect(2);
    assert_eq!(fs::read(desk.path("photo.png")).unwrap(), before);
}

#[test]
fn a_mask_of_another_size_is_explained() {
    let desk = Desk::new();
    desk.photo();
    image::imageops::crop_imm(&mask(), 0, 0, 50, 40)
        .to_image()
        .save(desk.path("small.png"))
        .unwrap();
    let ran = desk
        .repose(&["erase", "photo.png", "-s", "small.png", "-o", "out.png"])
        .expect(2);
    assert!(
        ran.err.contains("50×40") && ran.err.contains("96×72"),
        "{}",
        ran.err
    );
}

#[test]
fn pins_in_a_file_may_be_wrong_too() {
    let desk = Desk::new();
    desk.learned();
    for (text, code) in [
        (r#"[{"from": [34, 36], "to": [40, 36]}, "30,40"]"#, 0),
        (r#"[{"form": [1, 2]}]"#, 3),
        ("[", 3),
        ("[\"1,2:x\"]", 3),
    ] {
        fs::write(desk.path("pins.json"), text).unwrap();
        let ran = desk.repose(&[
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "-s",
            "photo_mask.png",
            "--pins",
            "pins.json",
            "-o",
            "out.png",
        ]);
        assert_eq!(ran.code, code, "{text}: {}", ran.err);
    }
}

/// Ctrl-C stops the job, writes nothing and says so.
#[cfg(unix)]
#[test]
fn ctrl_c_cancels() {
    let desk = Desk::new();
    let big = image::imageops::resize(&photo8(), 1600, 1200, image::imageops::FilterType::Triangle);
    big.save(desk.path("big.png")).unwrap();
    let mut child = desk
        .command()
        .args([
            "--json",
            "erase",
            "big.png",
            "-s",
            "rect:200,200,900,700",
            "-o",
            "out.png",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Progress means that the job is at work.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    lines.next().unwrap().unwrap();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    // The pipe is read to its end, so that the program does not wait for room in it.
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"cancelled\""));
    assert!(!desk.path("out.png").exists());
    assert_eq!(leftovers(&desk), [""; 0]);
}
