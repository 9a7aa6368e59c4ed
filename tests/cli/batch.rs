//! Many pictures: a failing one stops nobody, and a second run does only what is missing or has changed.

use std::fs;

use serde_json::Value;

use super::tool::{Desk, mask, photo8};

/// A desk with a folder of three pictures, the second of which is damaged.
fn folder() -> Desk {
    let desk = Desk::new();
    desk.learned();
    fs::create_dir(desk.path("in")).unwrap();
    for name in ["a", "b", "c"] {
        photo8().save(desk.path(&format!("in/{name}.png"))).unwrap();
        mask()
            .save(desk.path(&format!("in/{name}_mask.png")))
            .unwrap();
    }
    fs::write(desk.path("in/b.png"), b"\x89PNG\r\n\x1a\nnot really").unwrap();
    desk
}

fn counts(summary: &Value) -> [u64; 3] {
    [
        summary["made"].as_u64().unwrap(),
        summary["skipped"].as_u64().unwrap(),
        summary["failed"].as_array().unwrap().len() as u64,
    ]
}

#[test]
fn a_folder_is_done_and_resumed() {
    let desk = folder();
    let run = || {
        desk.repose(&[
            "--json",
            "batch",
            "pose",
            "in",
            "--subject",
            "disc",
            "--move",
            "6,0",
            "--out",
            "results",
            "--format",
            "png",
        ])
    };
    let first = run().expect(3);
    assert_eq!(counts(&first.json()), [2, 0, 1]);
    assert!(
        first.json()["failed"][0]["message"]
            .as_str()
            .unwrap()
            .contains("b.png")
    );
    let made = fs::metadata(desk.path("results/a.png"))
        .unwrap()
        .modified()
        .unwrap();

    // The damaged one is mended, one result is gone, and one line of the journal was cut off.
    photo8().save(desk.path("in/b.png")).unwrap();
    fs::remove_file(desk.path("results/c.png")).unwrap();
    let journal = desk.path("results/batch-state.jsonl");
    let mut text = fs::read_to_string(&journal).unwrap();
    text.push_str("{\"key\": \"half a li");
    fs::write(&journal, text).unwrap();
    assert_eq!(counts(&run().expect(0).json()), [2, 1, 0]);
    assert_eq!(
        fs::metadata(desk.path("results/a.png"))
            .unwrap()
            .modified()
            .unwrap(),
        made,
        "a finished result was made again"
    );
    assert_eq!(counts(&run().expect(0).json()), [0, 3, 0]);

    // Other settings, other results.
    let other = desk
        .repose(&[
            "--json",
            "batch",
            "pose",
            "in",
            "--subject",
            "disc",
            "--move",
            "7,0",
            "--out",
            "results",
            "--format",
            "png",
        ])
        .expect(0);
    assert_eq!(counts(&other.json()), [3, 0, 0]);
    // They replaced the first ones, which are therefore made again.
    assert_eq!(counts(&run().expect(0).json()), [3, 0, 0]);
    // A changed mask is a changed input.
    image::imageops::flip_horizontal(&mask())
        .save(desk.path("in/a_mask.png"))
        .unwrap();
    assert_eq!(counts(&run().expect(0).json()), [1, 2, 0]);
}

#[test]
fn a_manifest_has_settings_for_each_picture() {
    let desk = folder();
    let manifest = r#"
        {"photo": "a.png", "selection": "a_mask.png", "pins": ["34,36:40,36"], "out": "one.ora"}
        {"photo": "a.png", "selection": "rect:20,20,30,30", "rotate": 5, "out": "two.png", "seed": 3}
        {"photo": "a.png", "selection": "a_mask.png", "out": "../escape.png"}
        {"photo": "a.png", "selection": "a_mask.png", "subject": "nobody", "out": "three.png"}
    "#;
    fs::write(desk.path("in/list.jsonl"), manifest).unwrap();
    let ran = desk.repose(&[
        "--json",
        "batch",
        "pose",
        "in/list.jsonl",
        "--subject",
        "disc",
        "-o",
        "results",
    ]);
    assert_ne!(ran.code, 0);
    assert_eq!(counts(&ran.json()), [2, 0, 2], "{}", ran.out);
    assert!(desk.path("results/one.ora").exists() && desk.path("results/two.png").exists());
    assert!(!desk.path("escape.png").exists());

    fs::write(
        desk.path("in/list.json"),
        r#"[{"photo": "c.png", "selection": "c_mask.png"}]"#,
    )
    .unwrap();
    desk.repose(&[
        "batch",
        "erase",
        "in/list.json",
        "-o",
        "erased",
        "--format",
        "tif",
    ])
    .expect(0);
    assert!(desk.path("erased/c.tif").exists());

    fs::write(desk.path("in/list.json"), r#"[{"foto": "c.png"}]"#).unwrap();
    let ran = desk
        .repose(&["batch", "erase", "in/list.json", "-o", "erased"])
        .expect(3);
    assert!(ran.err.contains("list.json"), "{}", ran.err);
}

#[test]
fn two_pictures_cannot_have_one_result() {
    let desk = folder();
    photo8().save(desk.path("in/a.tif")).unwrap();
    let ran = desk.repose(&["--json", "batch", "erase", "in", "-o", "results"]);
    assert_ne!(ran.code, 0);
    let failed = ran.json()["failed"].to_string();
    assert!(failed.contains("same name"), "{failed}");
}
