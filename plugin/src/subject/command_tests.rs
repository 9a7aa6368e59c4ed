#![allow(clippy::unwrap_used)]
use super::*;
use crate::ErrorKind;
use crate::canvas::Depth;
use crate::subject::testing::{consent, library, subject};

fn filled() -> (tempfile::TempDir, Library) {
    let (folder, library) = library();
    for name in ["Cat", "Bear", "Bear"] {
        library
            .save(&subject(name, 8, 6, Depth::U8), &consent())
            .unwrap();
    }
    (folder, library)
}

fn ask(library: &Library, command: Value) -> Result<Value> {
    library
        .command(&command.to_string())
        .map(|answer| serde_json::from_str(&answer).unwrap())
}

#[test]
fn an_empty_library_answers_and_makes_nothing() {
    let (_folder, library) = library();
    assert_eq!(
        ask(&library, json!({"command": "list"})).unwrap(),
        json!({"subjects": []})
    );
    assert_eq!(
        ask(&library, json!({"command": "log"})).unwrap(),
        json!({"log": []})
    );
    let verified = ask(&library, json!({"command": "verify"})).unwrap();
    assert_eq!(verified["verified"]["whole"], true);
    let info = ask(&library, json!({"command": "info"})).unwrap();
    assert_eq!(info["info"]["engines"], json!(["patch"]));
    assert_eq!(info["info"]["subjects"], 0);
    assert!(!library.root().exists());
}

#[test]
fn a_list_shows_name_versions_consent_and_thumbnail() {
    let (_folder, library) = filled();
    let answer = ask(&library, json!({"command": "list"})).unwrap();
    let subjects = answer["subjects"].as_array().unwrap();
    assert_eq!(subjects.len(), 2);
    let bear = &subjects[0];
    assert_eq!(bear["name"], "Bear");
    assert_eq!(
        (&bear["versions"], &bear["newest"]),
        (&json!([1, 2]), &json!(2))
    );
    assert_eq!(bear["size"], json!([8, 6]));
    assert_eq!(bear["consent"]["statement"], consent().statement);
    assert_eq!(bear["consent"]["standing"], "valid");
    assert_eq!(bear["caption"], "a thing of noise");
    assert_eq!(bear["word"], "thing");
    assert!(
        bear["thumbnail_png"]
            .as_str()
            .unwrap()
            .starts_with("iVBORw0KGgo")
    );
    assert_eq!(bear["problem"], Value::Null);
}

#[test]
fn show_tells_everything_of_every_version() {
    let (_folder, library) = filled();
    ask(
        &library,
        json!({"command": "rename", "name": "Bear", "to": "Teddy"}),
    )
    .unwrap();
    ask(
        &library,
        json!({"command": "revoke", "name": "Teddy", "version": 1, "reason": "asked"}),
    )
    .unwrap();
    let shown = ask(&library, json!({"command": "show", "name": "Teddy"})).unwrap();
    let subject = &shown["subject"];
    assert_eq!(subject["earlier_names"], json!(["Bear"]));
    assert_eq!(subject["changes"][0]["revoked"], "asked");
    let versions = subject["versions"].as_array().unwrap();
    assert_eq!(versions[0]["consent"]["standing"], "revoked");
    assert_eq!(versions[1]["consent"]["standing"], "valid");
    assert_eq!(versions[1]["source"]["width"], 18);
    assert_eq!(versions[1]["metrics"]["pixels"], 48);
    assert_eq!(versions[1]["tensors_sha256"].as_str().unwrap().len(), 64);
    assert!(subject["folder"].as_str().unwrap().contains("subjects"));
    assert_eq!(
        ask(&library, json!({"command": "show", "name": "Bear"}))
            .unwrap_err()
            .kind,
        ErrorKind::Files
    );
}

#[test]
fn every_command_does_its_work_and_is_logged() {
    let (folder, library) = filled();
    let path = folder.path().join("bear.repose");
    let exported = ask(
        &library,
        json!({"command": "export", "name": "Bear", "version": 1, "path": path}),
    )
    .unwrap();
    assert_eq!(exported["exported"]["version"], 1);
    assert!(exported["exported"]["bytes"].as_u64().unwrap() > 1000);
    let again = json!({"command": "export", "name": "Bear", "path": path});
    assert_eq!(ask(&library, again).unwrap_err().kind, ErrorKind::Caller);
    let imported = ask(
        &library,
        json!({"command": "import", "path": path, "name": "Guest"}),
    )
    .unwrap();
    assert_eq!(
        imported,
        json!({"imported": {"name": "Guest", "version": 1}})
    );
    let deleted = ask(
        &library,
        json!({"command": "delete", "name": "Bear", "version": 1}),
    )
    .unwrap();
    assert_eq!(
        deleted,
        json!({"deleted": {"name": "Bear", "versions": [1]}})
    );
    ask(&library, json!({"command": "revoke", "name": "Guest"})).unwrap();
    assert_eq!(
        library.load("Guest", None).unwrap_err().kind,
        ErrorKind::Refused
    );
    let renew =
        json!({"command": "renew", "name": "Guest", "statement": "yes", "expires": "2999-12-31"});
    ask(&library, renew).unwrap();
    library.load("Guest", None).unwrap();
    let rebuilt = ask(&library, json!({"command": "rebuild-index"})).unwrap();
    assert_eq!(
        rebuilt["rebuilt"],
        json!({"subjects": 3, "versions": 3, "moved_aside": null})
    );
    let verified = ask(&library, json!({"command": "verify", "name": "Guest"})).unwrap();
    assert_eq!(verified["verified"]["versions"], 1);
    let log = ask(&library, json!({"command": "log", "limit": 5})).unwrap();
    let actions: Vec<_> = log["log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["export", "import", "delete", "revoke", "renew"]);
    let log = ask(&library, json!({"command": "log", "name": "Cat"})).unwrap();
    assert_eq!(log["log"].as_array().unwrap().len(), 1);
    let info = ask(&library, json!({"command": "info"})).unwrap();
    assert_eq!(info["info"]["log_head"].as_str().unwrap().len(), 64);
}

#[test]
fn null_is_the_same_as_left_out() {
    let (folder, library) = filled();
    let path = folder.path().join("bear.repose");
    for command in [
        json!({"command": "export", "name": "Bear", "version": null, "path": path, "overwrite": null}),
        json!({"command": "import", "path": path, "name": null}),
        json!({"command": "verify", "name": null}),
        json!({"command": "revoke", "name": "Bear", "version": null, "reason": null}),
        json!({
            "command": "renew", "name": "Bear", "version": null, "statement": "yes", "person": null,
            "person_agrees": null, "expires": null
        }),
        json!({"command": "log", "name": null, "limit": null}),
        json!({"command": "delete", "name": "Bear", "version": null}),
    ] {
        ask(&library, command).unwrap();
    }
}

#[test]
fn what_is_not_understood_is_refused_with_what_is() {
    let (_folder, library) = filled();
    let cases = [
        ("{\"command\": \"explode\"}", "rebuild-index"),
        ("{\"command\": \"list\", \"nmae\": 1}", "nmae"),
        (
            "{\"command\": \"delete\", \"name\": \"Bear\", \"versoin\": 1}",
            "version",
        ),
        ("{\"command\": \"delete\"}", "name"),
        (
            "{\"command\": \"delete\", \"name\": \"Bear\", \"version\": -1}",
            "integer",
        ),
        ("{}", "command"),
        ("[]", "command"),
        ("", "list"),
        ("{\"command\": \"list\"", "list"),
        ("nonsense \u{0}", "list"),
    ];
    for (json, expected) in cases {
        let error = library.command(json).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Caller, "{json}");
        assert!(error.message.contains(expected), "{json}: {error}");
    }
    let long = format!("{{\"command\": \"{}\"}}", "x".repeat(MAX_COMMAND));
    assert_eq!(library.command(&long).unwrap_err().kind, ErrorKind::Caller);
    let deep = "[".repeat(60_000);
    assert_eq!(library.command(&deep).unwrap_err().kind, ErrorKind::Caller);
    // A mistyped delete deleted nothing.
    library.load("Bear", Some(1)).unwrap();
}

#[test]
fn damaged_subjects_are_listed_with_their_problem() {
    let (_folder, library) = filled();
    let folder = library.existing("Bear").unwrap().path;
    std::fs::write(folder.join("record.json"), b"damaged").unwrap();
    std::fs::write(folder.join("v0001/card.json"), b"damaged").unwrap();
    let answer = ask(&library, json!({"command": "list"})).unwrap();
    let bear = &answer["subjects"][0];
    assert_eq!(
        (&bear["name"], &bear["consent"]["standing"]),
        (&json!("Bear"), &json!("unknown"))
    );
    assert!(bear["problem"].as_str().unwrap().contains("record.json"));
    let shown = ask(&library, json!({"command": "show", "name": "Bear"})).unwrap();
    assert!(
        shown["subject"]["versions"][0]["problem"]
            .as_str()
            .unwrap()
            .contains("card.json")
    );
    let info = ask(&library, json!({"command": "info"})).unwrap();
    assert_eq!(info["info"]["problems"], 2);
}
