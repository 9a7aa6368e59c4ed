//! The subject library as hosts see it: learned, used, listed, renamed, exported, imported, revoked and deleted through the
//! contract, by several programs at once, and by programs that are killed.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use repose_host::{Engine, Error, ErrorKind, LearnRequest, Options, ReposeRequest};
use serde_json::{Value, json};
use support::{Scene, engine, plugin};

const CONSENT: &str = "a drawing of our own";

fn learn(engine: &Engine, name: &str) -> Result<Value, Error> {
    let scene = Scene::new(48, 40);
    let request = LearnRequest::new(scene.picture(), scene.selection(), name, CONSENT);
    let job = engine.learn(&request)?;
    job.wait(|_| ())?;
    Ok(serde_json::from_str(&job.history()?).unwrap())
}

/// Moves the subject a little; returns history and XMP packet.
fn repose(engine: &Engine, name: &str) -> Result<(Value, String), Error> {
    let scene = Scene::new(48, 40);
    let mut request = ReposeRequest::new(scene.picture(), Some(scene.selection()), name);
    request.offset = [4.0, 2.0];
    request.seed = 7;
    let job = engine.repose(&request)?;
    job.wait(|_| ())?;
    let history = serde_json::from_str(&job.history()?).unwrap();
    Ok((history, job.xmp()?))
}

fn ask(engine: &Engine, command: Value) -> Result<Value, Error> {
    let answer = engine.library(&command.to_string())?;
    Ok(serde_json::from_str(&answer).unwrap())
}

fn open(folder: &Path) -> Engine {
    let options = Options {
        library: Some(folder.to_owned()),
        threads: 1,
        ..Options::default()
    };
    plugin().open(&options).unwrap()
}

fn actions(engine: &Engine) -> Vec<String> {
    let log = ask(engine, json!({"command": "log", "limit": 1000})).unwrap();
    let rows = log["log"].as_array().unwrap();
    let action = |row: &Value| row["action"].as_str().unwrap().to_owned();
    rows.iter().map(action).collect()
}

/// The number of the newest row of the usage log.
fn newest(engine: &Engine) -> i64 {
    let log = ask(engine, json!({"command": "log", "limit": 1})).unwrap();
    log["log"][0]["seq"].as_i64().unwrap_or(0)
}

fn assert_whole(engine: &Engine) -> Value {
    let report = ask(engine, json!({"command": "verify"})).unwrap()["verified"].clone();
    assert_eq!(report["whole"], true, "{report}");
    report
}

#[test]
fn a_subjects_whole_life() {
    let (engine, folder) = engine();
    learn(&engine, "Bear").unwrap();
    let learned = learn(&engine, "Bear").unwrap();
    assert_eq!(learned["action"], "learn");
    assert_eq!(learned["subject"]["version"], 2);
    let list = ask(&engine, json!({"command": "list"})).unwrap();
    let bear = &list["subjects"][0];
    assert_eq!(bear["name"], "Bear");
    assert_eq!(bear["versions"], json!([1, 2]));
    assert_eq!(bear["consent"]["statement"], CONSENT);
    let thumbnail = bear["thumbnail_png"].as_str().unwrap();
    assert!(thumbnail.starts_with("iVBORw0KGgo"), "{thumbnail}");

    let rename = json!({"command": "rename", "name": "Bear", "to": "Teddy"});
    ask(&engine, rename).unwrap();
    let (history, xmp) = repose(&engine, "Teddy").unwrap();
    assert_eq!(history["action"], "repose");
    assert_eq!(history["seed"], 7);
    assert_eq!(history["subject"]["name"], "Teddy");
    let shown = ask(&engine, json!({"command": "show", "name": "Teddy"})).unwrap();
    let newest = &shown["subject"]["versions"][1];
    assert_eq!(history["subject"]["sha256"], newest["tensors_sha256"]);
    assert_eq!(newest["request_sha256"], learned["request_sha256"]);
    assert!(xmp.contains("http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"));

    // To another library, and at work there.
    let file = folder.path().join("teddy.repose");
    let export = json!({"command": "export", "name": "Teddy", "path": file});
    ask(&engine, export).unwrap();
    let (other, _other_folder) = support::engine();
    let imported = ask(&other, json!({"command": "import", "path": file})).unwrap();
    assert_eq!(imported["imported"], json!({"name": "Teddy", "version": 1}));
    let (elsewhere, _) = repose(&other, "Teddy").unwrap();
    assert_eq!(elsewhere["subject"]["sha256"], history["subject"]["sha256"]);

    let delete = json!({"command": "delete", "name": "Teddy", "version": 1});
    ask(&engine, delete).unwrap();
    assert_eq!(assert_whole(&engine)["versions"], 1);
    ask(&engine, json!({"command": "delete", "name": "Teddy"})).unwrap();
    assert_eq!(repose(&engine, "Teddy").unwrap_err().kind, ErrorKind::Files);
    let expected = [
        "learn", "learn", "rename", "repose", "export", "delete", "delete",
    ];
    assert_eq!(actions(&engine), expected);
    assert_whole(&engine);
}

#[test]
fn consent_is_asked_for_and_its_end_is_the_end_of_use() {
    let (engine, _folder) = engine();
    let scene = Scene::new(48, 40);
    let mut request = LearnRequest::new(scene.picture(), scene.selection(), "Ada", "  ");
    let try_to =
        |request: &LearnRequest<'_>| engine.learn(request).and_then(|job| job.wait(|_| ()));
    assert_eq!(try_to(&request).unwrap_err().kind, ErrorKind::Refused);
    request.consent = "Ada, for the poster";
    request.person = true;
    let refused = try_to(&request).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    assert!(refused.message.contains("person"), "{refused}");
    request.person_agrees = true;
    request.expires = Some("2001-01-01");
    assert_eq!(try_to(&request).unwrap_err().kind, ErrorKind::Refused);
    request.expires = Some("soon");
    assert_eq!(try_to(&request).unwrap_err().kind, ErrorKind::Caller);
    let list = ask(&engine, json!({"command": "list"})).unwrap();
    assert_eq!(list, json!({"subjects": []}));
    request.expires = Some("2999-12-31");
    try_to(&request).unwrap();
    repose(&engine, "Ada").unwrap();

    let revoke = json!({"command": "revoke", "name": "Ada", "reason": "she asked"});
    ask(&engine, revoke).unwrap();
    let refused = repose(&engine, "Ada").unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    assert!(refused.message.contains("she asked"), "{refused}");
    assert!(refused.message.contains("renew"), "{refused}");
    let list = ask(&engine, json!({"command": "list"})).unwrap();
    assert_eq!(list["subjects"][0]["consent"]["standing"], "revoked");
    let renew = |person: bool| {
        json!({
            "command": "renew", "name": "Ada", "statement": "Ada again",
            "person": person, "person_agrees": person
        })
    };
    let refused = ask(&engine, renew(false)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    ask(&engine, renew(true)).unwrap();
    let (history, _) = repose(&engine, "Ada").unwrap();
    assert_eq!(history["subject"]["consent"], "Ada again");
}

#[test]
fn a_damaged_subject_is_refused_by_file_and_reason() {
    let (engine, _folder) = engine();
    learn(&engine, "Bear").unwrap();
    let shown = ask(&engine, json!({"command": "show", "name": "Bear"})).unwrap();
    let folder = shown["subject"]["folder"].as_str().unwrap();
    let tensors = Path::new(folder).join("v0001/subject.safetensors");
    let whole = std::fs::read(&tensors).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damage in [&whole[..whole.len() / 2], &whole[..0], &flipped] {
        std::fs::write(&tensors, damage).unwrap();
        let error = repose(&engine, "Bear").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Files);
        assert!(error.message.contains("subject.safetensors"), "{error}");
        let report = ask(&engine, json!({"command": "verify"})).unwrap();
        assert_eq!(report["verified"]["problems"][0]["version"], 1, "{report}");
    }
    std::fs::write(&tensors, &whole).unwrap();
    repose(&engine, "Bear").unwrap();
    assert_whole(&engine);
}

#[test]
fn commands_that_are_not_understood_say_what_is() {
    let (engine, _folder) = engine();
    let commands = [
        "",
        "list",
        "{}",
        "{\"command\":\"explode\"}",
        "{\"command\":\"list\",\"x\":1}",
    ];
    for command in commands {
        let error = engine.library(command).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Caller, "{command}");
        assert!(error.message.contains("rebuild-index"), "{error}");
    }
}

/// Runs `program` below in a process of its own.
fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["program", "--exact", "--ignored"])
        .env("REPOSE_TEST_LIBRARY", folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
#[ignore = "the tests below run it as a program of its own"]
fn program() {
    let folder = std::env::var_os("REPOSE_TEST_LIBRARY").unwrap();
    let engine = open(Path::new(&folder));
    for _ in 0..8 {
        learn(&engine, "Bear").unwrap();
        repose(&engine, "Bear").unwrap();
    }
}

#[test]
fn two_programs_share_a_library() {
    let folder = tempfile::tempdir().unwrap();
    let mut children = [start(folder.path()), start(folder.path())];
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let report = assert_whole(&open(folder.path()));
    assert_eq!(report["subjects"], 1);
    assert_eq!(report["versions"], 16);
    // Each learn and each re-pose of both.
    assert_eq!(report["log_rows"], 32);
}

#[test]
fn a_killed_program_leaves_a_whole_library() {
    let folder = tempfile::tempdir().unwrap();
    let engine = open(folder.path());
    for round in 0..10u64 {
        let before = newest(&engine);
        let mut child = start(folder.path());
        // It is at work when the log has grown; on a busy machine that may take a while.
        let begun = Instant::now();
        while newest(&engine) == before && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(23 * round));
        // SIGKILL on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
        let versions = assert_whole(&engine)["versions"].clone();
        let rebuilt = ask(&engine, json!({"command": "rebuild-index"})).unwrap();
        assert_eq!(rebuilt["rebuilt"]["versions"], versions);
        if versions != 0 {
            repose(&engine, "Bear").unwrap();
        }
    }
    let versions = &assert_whole(&engine)["versions"];
    assert!(versions.as_u64().unwrap() > 3, "{versions}");
}
