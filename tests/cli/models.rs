//! Models: lists, folders, what a file is, and downloads from a hub.

use std::fs;
use std::path::{Path, PathBuf};

use super::hub::{Accident, COMMIT, Hub};
use super::tool::{Desk, Ran};

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/parity/goldens")
        .join(path)
}

fn read(path: &str) -> Vec<u8> {
    fs::read(golden(path)).unwrap()
}

/// The files of the small model as a repository has them: weights twice, pickles, and what nobody needs.
fn repository() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("README.md".to_owned(), b"# small".to_vec()),
        ("small.ckpt".into(), vec![7; 5000]),
        ("../escape.json".into(), b"{}".to_vec()),
        ("tokenizer/../../escape.json".into(), b"{}".to_vec()),
        (
            "model_index.json".into(),
            read("sd15/checkpoint/model_index.json"),
        ),
        (
            "scheduler/scheduler_config.json".into(),
            read("sd15/checkpoint/scheduler/scheduler_config.json"),
        ),
        ("tokenizer/vocab.json".into(), b"{\"a\": 0}".to_vec()),
        ("tokenizer/merges.txt".into(), b"#version: 0.2\n".to_vec()),
    ];
    for (part, stem) in [
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ] {
        let folder = format!("sd15/checkpoint/{part}");
        files.push((
            format!("{part}/config.json"),
            read(&format!("{folder}/config.json")),
        ));
        files.push((
            format!("{part}/{stem}.fp16.safetensors"),
            read(&format!("{folder}/{stem}.safetensors")),
        ));
        files.push((format!("{part}/{stem}.safetensors"), vec![1; 3000]));
        files.push((format!("{part}/{stem}.bin"), vec![2; 3000]));
    }
    files
}

fn add(desk: &Desk, hub: &Hub, more: &[&str]) -> Ran {
    desk.with(
        &[("HF_ENDPOINT", &hub.endpoint)],
        &[&["models", "add", "org/small"], more].concat(),
    )
}

fn snapshot(desk: &Desk) -> PathBuf {
    desk.path("hf/hub/models--org--small/snapshots")
        .join(COMMIT)
}

fn names(folder: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = walk.filter(|e| !e.path().is_dir());
    let mut names: Vec<_> = files
        .map(|e| {
            e.path()
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_model_is_downloaded_once_with_the_files_it_needs() {
    let (desk, hub) = (Desk::new(), Hub::new(repository()));
    let said = add(&desk, &hub, &["--json"]).expect(0).json();
    assert_eq!(said["model"]["family"], "sd1", "{said}");
    assert_eq!(said["model"]["layout"], "hub");
    assert_eq!(said["model"]["tokenizer"], true);
    assert_eq!(
        names(&snapshot(&desk)),
        [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/config.json",
            "text_encoder/model.fp16.safetensors",
            "tokenizer/merges.txt",
            "tokenizer/vocab.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.fp16.safetensors",
        ]
    );
    assert!(hub.asked().iter().all(|a| a.token.is_none()));
    // It is in the list, and its hashes are those it was downloaded by.
    let list = desk.repose(&["models", "list", "--json"]).expect(0).json();
    assert_eq!(list["models"][2]["name"], "org/small", "{list}");
    let checked = desk
        .repose(&["models", "verify", "org/small", "--hashes", "--json"])
        .expect(0)
        .json();
    assert_eq!(checked["model"]["hashes_match"], true);
    // Again: nothing is transferred but headers.
    hub.asked();
    add(&desk, &hub, &[]).expect(0);
    let again = hub.asked();
    assert!(
        again
            .iter()
            .all(|a| a.path.starts_with("/api/") || a.range.as_deref() == Some("bytes=0-0")),
        "{again:?}"
    );
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let (desk, hub) = (Desk::new(), Hub::new(repository()));
    hub.suffer(Accident::Breaks);
    add(&desk, &hub, &[]).expect(0);
    let unet = read("sd15/checkpoint/unet/diffusion_pytorch_model.safetensors");
    let half = format!("bytes={}-", unet.len() / 2);
    assert!(
        hub.asked().iter().any(|a| a.range.as_ref() == Some(&half)),
        "no {half}"
    );
    let got =
        fs::read(snapshot(&desk).join("unet/diffusion_pytorch_model.fp16.safetensors")).unwrap();
    assert!(got == unet);
}

#[test]
fn a_download_that_failed_goes_on_with_the_next_command() {
    let (desk, hub) = (Desk::new(), Hub::new(repository()));
    hub.suffer(Accident::Dies);
    let ran = add(&desk, &hub, &[]).expect(3);
    assert!(ran.err.contains("goes on there"), "{}", ran.err);
    hub.suffer(Accident::None);
    hub.asked();
    add(&desk, &hub, &[]).expect(0);
    let resumed = hub
        .asked()
        .into_iter()
        .filter_map(|a| a.range)
        .filter(|r| r.ends_with('-') && r != "bytes=0-");
    assert!(resumed.count() >= 1);
    desk.repose(&["models", "verify", "org/small", "--hashes"])
        .expect(0);
}

#[test]
fn a_damaged_file_is_refused_and_does_not_stay() {
    let (desk, hub) = (Desk::new(), Hub::new(repository()));
    hub.suffer(Accident::Damages);
    let ran = add(&desk, &hub, &[]).expect(3);
    assert!(ran.err.contains("damaged"), "{}", ran.err);
    assert!(
        names(&snapshot(&desk))
            .iter()
            .all(|n| !n.ends_with("safetensors"))
    );
    hub.suffer(Accident::None);
    add(&desk, &hub, &[]).expect(0);
    // One that is damaged later on the disk is downloaded again.
    let file = snapshot(&desk).join("vae/diffusion_pytorch_model.fp16.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    desk.repose(&["models", "verify", "org/small", "--hashes"])
        .expect(3);
    add(&desk, &hub, &[]).expect(0);
    desk.repose(&["models", "verify", "org/small", "--hashes"])
        .expect(0);
}

#[test]
fn a_gated_model_wants_a_token() {
    let (desk, hub) = (Desk::new(), Hub::new(repository()));
    hub.suffer(Accident::Gated);
    let ran = add(&desk, &hub, &[]).expect(4);
    assert!(ran.err.contains("HF_TOKEN"), "{}", ran.err);
    let token = [
        ("HF_ENDPOINT", hub.endpoint.as_str()),
        ("HF_TOKEN", "secret"),
    ];
    desk.with(&token, &["models", "add", "org/small"]).expect(0);
}

#[test]
fn what_cannot_be_downloaded_says_why() {
    let desk = Desk::new();
    let hub = Hub::new(repository());
    let none = desk
        .with(
            &[("HF_ENDPOINT", &hub.endpoint)],
            &["models", "add", "org/none"],
        )
        .expect(3);
    assert!(none.err.contains("spelling"), "{}", none.err);
    for name in ["small", "../small", "a/b/c", "org/", "org/.."] {
        desk.with(&[("HF_ENDPOINT", &hub.endpoint)], &["models", "add", name])
            .expect(2);
    }
    // Nobody listens there.
    let nobody = desk
        .with(
            &[("HF_ENDPOINT", "http://127.0.0.1:1")],
            &["models", "add", "org/small"],
        )
        .expect(3);
    assert!(nobody.err.contains("network"), "{}", nobody.err);
    let pickles = repository()
        .into_iter()
        .filter(|(n, _)| !n.ends_with("safetensors"))
        .collect();
    let ran = add(&desk, &Hub::new(pickles), &[]).expect(3);
    assert!(ran.err.contains("pickles"), "{}", ran.err);
    let ran = add(&desk, &hub, &["--file", "small.ckpt"]).expect(2);
    assert!(ran.err.contains("any program"), "{}", ran.err);
}

#[test]
fn a_single_file_can_be_chosen() {
    let files = |names: &[&str]| {
        names
            .iter()
            .map(|n| ((*n).to_owned(), read("sd15/sd15.safetensors")))
            .collect()
    };
    let desk = Desk::new();
    let one = Hub::new(files(&["a.safetensors"]));
    let said = add(&desk, &one, &["--json"]).expect(0).json();
    assert_eq!(
        (&said["model"]["family"], &said["model"]["layout"]),
        (&"sd1".into(), &"hub".into())
    );
    let two = Hub::new(files(&["a.safetensors", "b.safetensors"]));
    let ran = add(&desk, &two, &[]).expect(3);
    assert!(
        ran.err.contains("--file") && ran.err.contains("b.safetensors"),
        "{}",
        ran.err
    );
    let said = add(&desk, &two, &["--file", "b.safetensors", "--json"])
        .expect(0)
        .json();
    assert!(
        said["model"]["path"]
            .as_str()
            .unwrap()
            .ends_with("b.safetensors"),
        "{said}"
    );
}

#[test]
fn folders_of_other_programs_are_named_and_searched() {
    let desk = Desk::new();
    let place = desk.path("comfy/models/checkpoints");
    fs::create_dir_all(&place).unwrap();
    fs::copy(
        golden("sd21/sd21.safetensors"),
        place.join("small 2.safetensors"),
    )
    .unwrap();
    let empty = desk.repose(&["models", "list"]).expect(0);
    assert!(
        empty.out.contains("patch") && empty.out.contains("models add"),
        "{}",
        empty.out
    );
    desk.repose(&["models", "folders", "add", "nowhere"])
        .expect(2);
    let named = desk
        .repose(&["models", "folders", "add", "comfy"])
        .expect(0);
    assert!(named.out.contains("comfy"), "{}", named.out);
    let list = desk.repose(&["models", "list"]).expect(0);
    assert!(
        list.out.contains("small 2  Stable Diffusion 2.x"),
        "{}",
        list.out
    );
    let verdict = desk
        .repose(&["models", "verify", "SMALL 2", "--json"])
        .expect(0)
        .json();
    assert_eq!(verdict["model"]["prediction"], "v_prediction");
    desk.repose(&["models", "folders", "remove", "comfy"])
        .expect(0);
    let list = desk
        .repose(&["models", "folders", "list", "--json"])
        .expect(0)
        .json();
    assert_eq!(list["folders"]["named"], serde_json::json!([]));
    fs::write(desk.path("x.ckpt"), b"PK\x03\x04").unwrap();
    let pickle = desk.repose(&["models", "verify", "x.ckpt"]).expect(3);
    assert!(pickle.out.contains("pickle"), "{}", pickle.out);
    desk.repose(&["models", "verify", "nothing"]).expect(2);
}

#[test]
fn a_librarys_subjects_are_no_text_models() {
    let desk = Desk::new();
    desk.learned();
    let library = desk.path("library");
    assert!(
        names(&library)
            .iter()
            .any(|n| n.ends_with("subject.safetensors"))
    );
    let library = library.to_str().unwrap();
    let list = desk
        .repose(&["--library", library, "models", "list", "--json"])
        .expect(0)
        .json();
    // What is embedded alone.
    assert_eq!(list["models"].as_array().unwrap().len(), 2, "{list}");
}

#[test]
fn recipes_tell_what_they_learn_and_what_they_take_here() {
    let desk = Desk::new();
    let before = desk.repose(&["recipes"]).expect(0).out;
    assert_eq!(before.lines().count(), 10, "{before}");
    assert!(
        before.contains("(default)") && !before.contains("about"),
        "{before}"
    );
    desk.photo();
    let learn = |more: &[&str]| {
        let what = [
            "learn",
            "photo.png",
            "--selection",
            "photo_mask.png",
            "--name",
            "bear",
        ];
        let how = ["--consent", "drawn", "--is", "bear", "--model", "pocket"];
        desk.repose(&[&what[..], &how[..], more].concat())
    };
    // A step tells what all would take, and leaves nothing.
    let estimate = learn(&["--recipe", "detex", "--estimate", "--json"])
        .expect(0)
        .json();
    let one = &estimate["estimate"];
    assert_eq!(
        (&estimate["model"], &one["name"]),
        (&"pocket".into(), &"detex".into())
    );
    assert!(one["seconds"].as_u64() > Some(0), "{estimate}");
    if cfg!(target_os = "linux") {
        assert!(one["memory"].as_u64() > Some(10 << 20), "{estimate}");
    }
    let list = desk
        .repose(&["subjects", "list", "--json"])
        .expect(0)
        .json();
    assert_eq!(list["subjects"].as_array().unwrap().len(), 0);
    // What trains nothing has no step to try, and is not learned either.
    let idle = learn(&["--recipe", "reference", "--estimate"])
        .expect(0)
        .out;
    assert!(idle.contains("looks at the picture"), "{idle}");
    let list = desk
        .repose(&["subjects", "list", "--json"])
        .expect(0)
        .json();
    assert_eq!(list["subjects"].as_array().unwrap().len(), 0);
    learn(&["--estimate", "--steps", "3"]).expect(2);
    let timed = desk.repose(&["recipes", "--json"]).expect(0).json();
    let listed = timed["recipes"].as_array().unwrap();
    let known = |one: &serde_json::Value| {
        (one["seconds"].as_u64() > Some(0)) == (one["steps"].as_u64() > Some(0))
    };
    assert!(listed.iter().all(known), "{timed}");
    let part = learn(&["--recipe", "lipe-no-actions", "--estimate"]).expect(2);
    assert!(part.err.contains("nothing was measured"), "{}", part.err);
    learn(&["--recipe", "textual-inversion", "--steps", "2"]).expect(0);
    // The only model that has learned something need not be named.
    let after = desk.repose(&["recipes", "--json"]).expect(0).json();
    assert_eq!(after["model"], "pocket");
    let listed = after["recipes"].as_array().unwrap();
    assert!(listed.iter().all(known), "{after}");
    let said = desk.repose(&["recipes", "--model", "pocket"]).expect(0).out;
    assert!(
        said.lines().take(8).all(|line| line.contains("about")),
        "{said}"
    );
}

#[test]
fn what_a_picture_shows_is_said_or_proposed() {
    let desk = Desk::new();
    desk.photo();
    let learn = |photo: &str, name: &str, more: &[&str]| {
        let what = [
            "learn",
            photo,
            "--selection",
            "photo_mask.png",
            "--name",
            name,
        ];
        let how = ["--consent", "drawn", "--json"];
        desk.repose(&[&what[..], &how[..], more].concat())
    };
    let caption = |photo: &str, name: &str, more: &[&str]| {
        learn(photo, name, more).expect(0).json();
        let shown = desk
            .repose(&["subjects", "show", name, "--json"])
            .expect(0)
            .json();
        let versions = shown["subject"]["versions"].as_array().unwrap();
        versions.last().unwrap()["caption"]
            .as_str()
            .map(str::to_owned)
    };
    assert_eq!(caption("photo.png", "it", &[]), None);
    let is = ["--is", "owl"];
    assert_eq!(
        caption("photo.png", "it", &is).unwrap(),
        "a photo of an owl"
    );
    let sitting = ["--is", "owl", "--action", "sitting"];
    assert_eq!(
        caption("photo.png", "it", &sitting).unwrap(),
        "a photo of an owl sitting"
    );
    let named = ["--action", "on a rock"];
    assert_eq!(
        caption("photo.png", "bear", &named).unwrap(),
        "a photo of a bear on a rock"
    );
    let own = ["--is", "bear", "--caption", "my bear"];
    assert_eq!(caption("photo.png", "bear", &own).unwrap(), "my bear");
    learn("photo.png", "bear", &["--caption", "a", "--action", "b"]).expect(2);

    // A picture that was posed shows what it was posed to show.
    for out in ["posed.png", "posed.ora"] {
        let what = [
            "pose",
            "photo.png",
            "--subject",
            "bear",
            "--selection",
            "photo_mask.png",
        ];
        let how = [
            "--prompt",
            "a (bear:1.1)  waving",
            "--model",
            "pocket",
            "--steps",
            "2",
            "--out",
            out,
        ];
        desk.repose(&[&what[..], &how[..]].concat()).expect(0);
        let posed = "a (bear:1.1) waving";
        assert_eq!(
            caption(out, "again", &["--is", "bear"]).unwrap(),
            posed,
            "{out}"
        );
        let other = ["--is", "bear", "--action", "sitting"];
        assert_eq!(
            caption(out, "again", &other).unwrap(),
            "a photo of a bear sitting"
        );
        let said = desk.repose(&["info", out]).expect(0).out;
        assert!(said.contains("prompt: a (bear:1.1)  waving"), "{said}");
    }
}
