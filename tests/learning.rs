//! A text model learns a subject, through the contract: the built-in model, and a toy that it was never shown.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/tiny.rs"]
mod tiny;

use std::path::Path;
use std::time::{Duration, Instant};

use repose_host::{
    Engine, Error, ErrorKind, Job, LearnRequest, Options, ReposeRequest, TextOptions, Training,
};
use serde_json::{Value, json};
use support::{Scene, apart, done, failed, flat, plugin};

/// A toy, and what it is and does.
fn toy(number: u64) -> (Scene, String, &'static str) {
    let (scene, shot) = Scene::toy(number);
    (scene, shot.caption(), shot.subject.kind.word())
}

fn open(folder: &Path) -> Engine {
    plugin()
        .open(&Options {
            library: Some(folder.join("library")),
            models: Some(folder.join("models")),
            threads: 2,
            ..Options::default()
        })
        .unwrap()
}

fn learn(
    engine: &Engine,
    toy: &(Scene, String, &'static str),
    training: Option<Training<'_>>,
) -> Result<Job, Error> {
    let mut request = LearnRequest::new(toy.0.picture(), toy.0.selection(), "toy", "drawn");
    request.caption = Some(&toy.1);
    request.word = Some(toy.2);
    request.training = training;
    let job = engine.learn(&request)?;
    job.wait(|_| ())?;
    Ok(job)
}

fn quick<'a>(recipe: &'a str) -> Option<Training<'a>> {
    Some(Training {
        recipe: Some(recipe),
        model: Some("pocket"),
        steps: Some(8),
        ..Training::default()
    })
}

fn ask(engine: &Engine, command: &Value) -> Result<Value, Error> {
    let answer = engine.library(&command.to_string())?;
    Ok(serde_json::from_str(&answer).unwrap())
}

/// How long each recipe that trains takes with a model, in seconds, where that is known.
fn times(engine: &Engine, model: &str) -> [Option<f64>; 8] {
    let told = ask(engine, &json!({"command": "recipes", "model": model})).unwrap();
    let (recipes, idle): (Vec<&Value>, Vec<&Value>) = told["recipes"]
        .as_array()
        .unwrap()
        .iter()
        .partition(|recipe| recipe["steps"] != 0);
    assert_eq!(recipes.len(), 8);
    for recipe in idle {
        assert_eq!(
            (&recipe["name"], &recipe["seconds"]),
            (&json!("reference"), &json!(0))
        );
    }
    std::array::from_fn(|n| recipes[n]["seconds"].as_f64())
}

/// The pixels of the first layer.
fn pixels(job: &Job) -> Vec<u8> {
    let layers = job.layers().unwrap();
    layers[0].picture.pixels.to_vec()
}

fn pose<'a>(toy: &'a (Scene, String, &'static str), model: Option<&'a str>) -> ReposeRequest<'a> {
    let mut request = ReposeRequest::new(toy.0.picture(), Some(toy.0.selection()), "toy");
    request.prompt = Some(&toy.1);
    request.text = Some(TextOptions {
        model,
        steps: Some(4),
        ..TextOptions::default()
    });
    request
}

#[test]
fn what_a_model_learned_is_used_exported_and_taken_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, toy) = (open(folder.path()), toy(7));
    learn(&engine, &toy, None).unwrap();
    let plain = pixels(&done(&engine, &pose(&toy, Some("pocket"))));
    assert_eq!(times(&engine, "pocket"), [None; 8]);
    let job = learn(&engine, &toy, quick("single-insert")).unwrap();
    let history: Value = serde_json::from_str(&job.history().unwrap()).unwrap();
    assert_eq!(history["subject"]["version"], 2);
    assert!(history.to_string().contains("pocket"), "{history}");

    let shown = ask(&engine, &json!({"command": "show", "name": "toy"})).unwrap();
    let card = &shown["subject"]["versions"][1];
    assert_eq!(card["recipe"], "single-insert");
    // What eight steps took tells how long all of any recipe takes, with this model.
    let took = card["text"]["seconds"].as_f64().unwrap();
    for seconds in times(&engine, "pocket") {
        assert!(seconds.unwrap() > 2.0 * took, "{seconds:?}, {took}");
    }
    assert_eq!(times(&engine, "another"), [None; 8]);
    assert_eq!(card["engine"], "stable-diffusion");
    assert_eq!(card["text"]["steps"], 8);
    assert_eq!(card["text"]["pictures"], 1);
    assert_eq!(card["text"]["token"], "my-toy");
    assert!(card["text"]["losses"]["subject"].as_f64().unwrap() > 0.0);

    // The model need not be named any more, and draws something else.
    let learned = pixels(&done(&engine, &pose(&toy, None)));
    assert_ne!(learned, plain);
    // First steps do without what it learned, unless nothing else tells how the subject looks.
    let varied = |identity, variant| {
        let mut request = pose(&toy, None);
        request.text = request.text.map(|text| TextOptions {
            identity,
            variant,
            // Of eight, the first is without.
            steps: Some(8),
            ..text
        });
        pixels(&done(&engine, &request))
    };
    assert!(varied(None, Some("no-delay")) != varied(None, None));
    assert!(varied(Some(0.0), Some("no-delay")) == varied(Some(0.0), None));

    let out = |name: &str| folder.path().join(name);
    let parts = [
        ("lora", "attn1.to_q.lora_A.weight"),
        ("kohya", "attn1_to_q.lora_down.weight"),
        ("word", "my-toy"),
        ("a1111", "emb_params"),
    ];
    for (part, key) in parts {
        let path = out(part);
        let command = json!({"command": "export", "name": "toy", "path": path, "part": part});
        ask(&engine, &command).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert!(file.names().iter().any(|n| n.ends_with(key)), "{part}");
        let again = ask(&engine, &command).unwrap_err();
        assert_eq!(again.kind, ErrorKind::Caller, "{again}");
    }
    let command = json!({"command": "export", "name": "toy", "version": 1, "path": out("none"), "part": "lora"});
    let error = ask(&engine, &command).unwrap_err();
    assert!(error.message.contains("has no LoRA"), "{error}");

    // Elsewhere it draws the same.
    let command = json!({"command": "export", "name": "toy", "path": out("toy.repose")});
    ask(&engine, &command).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = open(elsewhere.path());
    ask(
        &other,
        &json!({"command": "import", "path": out("toy.repose")}),
    )
    .unwrap();
    assert_eq!(pixels(&done(&other, &pose(&toy, None))), learned);
    assert_eq!(times(&other, "pocket"), [None; 8]);
    let whole = ask(&other, &json!({"command": "verify"})).unwrap();
    assert_eq!(whole["verified"]["whole"], true, "{whole}");
}

#[test]
fn subjects_learned_apart_are_posed_together() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, other, toy) = (open(folder.path()), toy(2), toy(7));
    assert_ne!(toy.2, other.2);
    learn(&engine, &toy, quick("dreambooth-lora")).unwrap();
    let learn_other = |training| {
        let mut request =
            LearnRequest::new(other.0.picture(), other.0.selection(), "other", "drawn");
        request.word = Some(other.2);
        request.training = training;
        engine.learn(&request).unwrap().wait(|_| ()).unwrap();
    };
    learn_other(None);
    let pose_with = |more: &str| {
        let prompt = format!("{}{}", toy.1, more.replace("cat", other.2));
        let mut request = pose(&toy, None);
        request.prompt = Some(&prompt);
        let job = engine.repose(&request).unwrap();
        job.wait(|_| ()).map(|()| pixels(&job))
    };
    let with = |more: &str| pose_with(more).unwrap();
    let refused = |more: &str| pose_with(more).unwrap_err();
    let error = refused(" beside a cat <subject:other>");
    assert!(error.message.contains("learn it with a recipe"), "{error}");
    learn_other(quick("custom-diffusion"));

    let beside = with(" beside a cat");
    let together = with(" beside a cat <subject:other>");
    assert_ne!(together, beside);
    assert_eq!(with(" beside a my-other cat <subject:other>"), together);
    assert_ne!(with(" beside a cat <subject:other:0.3>"), together);
    // Its own weight: at 0 the changes are off, the word stays.
    assert_ne!(with(" beside a cat <subject:toy:0>"), beside);
    assert_eq!(with(" beside a cat <subject:toy:1>"), beside);

    let log = ask(&engine, &json!({"command": "log", "name": "other"})).unwrap();
    let used = log["log"].as_array().unwrap().iter();
    assert_eq!(used.filter(|row| row["action"] == "repose").count(), 3);
    // Both change keys and values of the text alone now: they are merged, each for its own words.
    learn(&engine, &toy, quick("custom-diffusion")).unwrap();
    assert_ne!(with(" beside a cat <subject:other>"), with(" beside a cat"));

    let error = refused(" <subject:other>");
    assert!(error.message.contains("no words for it"), "{error}");
    let error = refused(" beside a cat <subject:nobody>");
    assert!(error.message.contains("nobody"), "{error}");
}

#[test]
fn pose_and_place_of_a_picture_are_kept_and_lent_to_other_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, other, toy) = (open(folder.path()), toy(2), toy(7));
    learn(&engine, &toy, quick("detex")).unwrap();
    let shown = ask(&engine, &json!({"command": "show", "name": "toy"})).unwrap();
    let facts = &shown["subject"]["versions"][0]["text"];
    let words = json!(["my-toy-pose-0", "my-toy-place-0"]);
    assert_eq!(facts["beside"], words);

    let own = |place: &str| {
        let told = (
            Scene::toy(7).0,
            format!("{} in {place} background", toy.1),
            toy.2,
        );
        flat(&told.0, &done(&engine, &pose(&told, None)))
    };
    // After eight steps a learned word is still near the one that it began as; a name that was not learned is letters.
    let (learned, began) = (own("my-toy-place-0"), own("background"));
    let letters = own("my-toy-place-7");
    assert_ne!(learned, began);
    assert!(
        apart(&learned, &began) < 0.5 * apart(&letters, &began),
        "{} {}",
        apart(&learned, &began),
        apart(&letters, &began)
    );

    let mut request = LearnRequest::new(other.0.picture(), other.0.selection(), "other", "drawn");
    request.word = Some(other.2);
    engine.learn(&request).unwrap().wait(|_| ()).unwrap();
    let lent = |place: &str| {
        let prompt = format!(
            "a photo of a {} in {place} background <subject:toy>",
            other.2
        );
        let mut request = ReposeRequest::new(other.0.picture(), Some(other.0.selection()), "other");
        request.prompt = Some(&prompt);
        request.text = Some(TextOptions {
            steps: Some(4),
            ..TextOptions::default()
        });
        let job = engine.repose(&request)?;
        job.wait(|_| ()).map(|()| pixels(&job))
    };
    let borrowed = lent("my-toy-place-0").unwrap();
    assert_ne!(borrowed, lent("my-toy-pose-0").unwrap());
    // The word itself is there as well: now the toy shall be seen, too.
    assert_ne!(borrowed, lent("my-toy my-toy-place-0").unwrap());
    let error = lent("my-toy-place-7").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Caller);
    assert!(error.message.contains("my-toy-place-0"), "{error}");

    // All of it lies in the subject.
    let path = folder.path().join("toy.repose");
    let command = json!({"command": "export", "name": "toy", "path": path});
    ask(&engine, &command).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let there = open(elsewhere.path());
    ask(&there, &json!({"command": "import", "path": path})).unwrap();
    let told = (
        Scene::toy(7).0,
        format!("{} in my-toy-place-0 background", toy.1),
        toy.2,
    );
    let posed = done(&there, &pose(&told, None));
    assert_eq!(flat(&told.0, &posed), learned);

    // Other recipes have no such words.
    learn(&engine, &toy, quick("custom-diffusion")).unwrap();
    let shown = ask(&engine, &json!({"command": "show", "name": "toy"})).unwrap();
    assert!(shown["subject"]["versions"][1]["text"]["beside"].is_null());
}

#[test]
fn another_model_of_the_generation_poses_where_the_prompt_insists() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, toy) = (open(folder.path()), toy(7));
    learn(&engine, &toy, quick("single-insert")).unwrap();
    pocket_like(&folder.path().join("models/models/like"));
    let error = failed(&engine, &pose(&toy, Some("like")));
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("<subject:NAME>"), "{error}");
    let insisting = (toy.0, format!("{} <subject:toy:0.9>", toy.1), toy.2);
    done(&engine, &pose(&insisting, Some("like")));
}

/// A copy of the built-in model, a rounding error away from it.
fn pocket_like(folder: &Path) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/pocket");
    tiny::copy(&own, folder);
    let weights = folder.join("unet/diffusion_pytorch_model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    // The last number's lowest bits.
    let at = bytes.len() - 2;
    bytes[at] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
}

#[test]
fn what_another_program_learned_is_attached() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, toy) = (open(folder.path()), toy(7));
    learn(&engine, &toy, quick("single-insert")).unwrap();
    let own = pixels(&done(&engine, &pose(&toy, None)));
    let out = |name: &str| folder.path().join(name);
    for part in ["lora", "kohya", "word", "a1111"] {
        let path = out(&format!("{part}.safetensors"));
        let command = json!({"command": "export", "name": "toy", "path": path, "part": part});
        ask(&engine, &command).unwrap();
    }
    // As if from elsewhere, to a subject of which no text model has learned anything.
    learn(&engine, &toy, None).unwrap();
    for (lora, word) in [("lora", "word"), ("kohya", "a1111")] {
        let file = |name: &str| out(&format!("{name}.safetensors"));
        let attached = ask(
            &engine,
            &json!({"command": "attach", "name": "toy", "lora": file(lora), "word": file(word), "model": "pocket"}),
        );
        assert!(attached.unwrap()["attached"]["version"].as_u64() > Some(2));
        let posed = pixels(&done(&engine, &pose(&toy, None)));
        // A1111's form has no name of its own; which one stands in the prompt makes no difference.
        assert_eq!(posed, own, "{lora}");
        let again = json!({"command": "export", "name": "toy", "path": out("again"), "part": lora, "overwrite": true});
        ask(&engine, &again).unwrap();
        assert_eq!(
            std::fs::read(out("again")).unwrap(),
            std::fs::read(file(lora)).unwrap()
        );
        let other = if lora == "lora" { "kohya" } else { "lora" };
        let again = json!({"command": "export", "name": "toy", "path": out("again"), "part": other, "overwrite": true});
        let error = ask(&engine, &again).unwrap_err();
        assert!(error.message.contains(lora), "{error}");
    }
    let alone = json!({"command": "attach", "name": "toy", "lora": out("lora.safetensors"), "token": "sks", "is": toy.2});
    ask(&engine, &alone).unwrap();
    done(&engine, &pose(&toy, Some("pocket")));
    for (field, path) in [("lora", "word"), ("word", "kohya"), ("lora", "nothing")] {
        let wrong =
            json!({"command": "attach", "name": "toy", field: out(&format!("{path}.safetensors"))});
        let error = ask(&engine, &wrong).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Files, "{field} {path}: {error}");
    }
    let error = ask(&engine, &json!({"command": "attach", "name": "toy"})).unwrap_err();
    assert!(error.message.contains("nothing to attach"), "{error}");
    let error = ask(
        &engine,
        &json!({"command": "attach", "name": "toy", "lorra": "x"}),
    )
    .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Caller);
}

#[test]
fn reference_trains_nothing_and_poses_look_at_what_was_learned() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, mut here, toy) = (open(folder.path()), toy(2), toy(7));
    here.1.clone_from(&toy.1);
    let posed = |scene, change: &dyn Fn(&mut ReposeRequest<'_>)| {
        let mut request = pose(scene, Some("pocket"));
        change(&mut request);
        pixels(&done(&engine, &request))
    };
    let blind = |request: &mut ReposeRequest<'_>| {
        request.text.as_mut().unwrap().identity = Some(0.0);
    };
    learn(&engine, &toy, None).unwrap();
    let (plain, unseen) = (posed(&here, &|_| ()), posed(&here, &blind));
    let at_home = posed(&toy, &|_| ());

    let error = learn(&engine, &toy, quick("reference")).unwrap_err();
    assert!(error.message.contains("trains nothing"), "{error}");
    let reference = |earlier| Training {
        steps: None,
        earlier,
        ..quick("reference").unwrap()
    };
    learn(&engine, &toy, Some(reference(0))).unwrap();
    let shown = ask(&engine, &json!({"command": "show", "name": "toy"})).unwrap();
    let card = &shown["subject"]["versions"][1];
    assert_eq!(
        (&card["recipe"], &card["text"]["steps"]),
        (&json!("reference"), &json!(0))
    );
    assert_eq!(
        (&card["text"]["model"], &card["text"]["token"]),
        (&json!("pocket"), &json!(""))
    );

    let looked = posed(&here, &|_| ());
    assert_ne!(looked, plain);
    assert_eq!(posed(&here, &blind), unseen);
    assert_eq!(posed(&here, &|request| request.version = Some(1)), plain);
    // Its own picture is looked at once.
    assert_eq!(posed(&toy, &|_| ()), at_home);
    // Nothing was trained: any model will do, and without a name it is the one that was there.
    let own = |request: &mut ReposeRequest<'_>| request.text.as_mut().unwrap().model = None;
    assert_eq!(posed(&here, &own), looked);
    tiny::install(&folder.path().join("models"), "tiny", false);
    done(&engine, &pose(&here, Some("tiny")));

    // Another picture of it.
    let mut other = LearnRequest::new(here.0.picture(), here.0.selection(), "toy", "drawn");
    other.word = Some(toy.2);
    other.training = Some(reference(5));
    engine.learn(&other).unwrap().wait(|_| ()).unwrap();
    let shown = ask(&engine, &json!({"command": "show", "name": "toy"})).unwrap();
    assert_eq!(shown["subject"]["versions"][2]["text"]["pictures"], 3);
    assert_ne!(posed(&toy, &|_| ()), at_home);

    let asked = format!("{} <subject:toy>", toy.1);
    let mut request = pose(&here, Some("pocket"));
    request.prompt = Some(&asked);
    let error = failed(&engine, &request);
    assert!(error.message.contains("reference"), "{error}");
}

#[test]
fn a_subject_that_is_new_in_a_picture_looks_as_it_was_learned() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, here, toy) = (open(folder.path()), toy(2), toy(7));
    for training in [None, quick("single-insert")] {
        learn(&engine, &toy, training).unwrap();
        let placed = |identity| {
            let mut request = ReposeRequest::new(here.0.picture(), None, "toy");
            request.prompt = Some(&toy.1);
            request.text = Some(TextOptions {
                model: Some("pocket"),
                steps: Some(4),
                identity,
                ..TextOptions::default()
            });
            pixels(&done(&engine, &request))
        };
        assert_ne!(placed(None), placed(Some(0.0)), "{training:?}");
    }
}

#[test]
fn earlier_versions_are_learned_from_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, toy) = (open(folder.path()), toy(7));
    learn(&engine, &toy, None).unwrap();
    let both = Training {
        earlier: 5,
        ..quick("detex").unwrap()
    };
    learn(&engine, &toy, Some(both)).unwrap();
    let shown = ask(&engine, &json!({"command": "show", "name": "toy"})).unwrap();
    assert_eq!(shown["subject"]["versions"][1]["text"]["pictures"], 2);
}

#[test]
fn a_learn_shows_itself_and_stops_within_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, toy) = (open(folder.path()), toy(7));
    let mut request = LearnRequest::new(toy.0.picture(), toy.0.selection(), "toy", "drawn");
    request.word = Some(toy.2);
    request.training = Some(Training {
        steps: Some(100_000),
        ..quick("textual-inversion").unwrap()
    });
    let job = engine.learn(&request).unwrap();
    let limit = Instant::now() + Duration::from_secs(120);
    loop {
        let status = job.status().unwrap();
        if status.stage == "training" && status.eta.is_some() {
            break;
        }
        assert!(Instant::now() < limit, "{status:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let asked = Instant::now();
    job.cancel();
    let error = job.wait(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(10));
    let listed = ask(&engine, &json!({"command": "list"})).unwrap();
    assert_eq!(listed["subjects"], json!([]));
}

#[test]
fn what_cannot_be_learned_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, toy) = (open(folder.path()), toy(7));
    let refused = |training| learn(&engine, &toy, training).unwrap_err();
    let error = refused(quick("dream-booth"));
    assert_eq!(error.kind, ErrorKind::Caller);
    assert!(error.message.contains("dreambooth-lora"), "{error}");
    let error = refused(Some(Training {
        rank: Some(1000),
        ..Training::default()
    }));
    assert!(error.message.contains("1 to 256"), "{error}");

    tiny::install(&folder.path().join("models"), "tiny", false);
    tiny::install(&folder.path().join("models"), "tiny-inpainting", true);
    let error = refused(Some(Training {
        model: Some("tiny-inpainting"),
        ..Training::default()
    }));
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("inpainting"), "{error}");

    learn(&engine, &toy, quick("single-insert")).unwrap();
    let error = failed(&engine, &pose(&toy, Some("tiny")));
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("pocket"), "{error}");
    assert!(error.message.contains("tiny"), "{error}");
}
