//! A pose in words, through the contract, on a small random checkpoint: what it draws is noise, what it leaves alone must be
//! left alone.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/tiny.rs"]
mod tiny;

use std::time::{Duration, Instant};

use repose_host::{
    Engine, ErrorKind, Job, LearnRequest, Options, Pin, Refine, ReposeRequest, Role, State,
    TextOptions,
};
use support::{Scene, apart, done, failed, flat, plugin};

const NAME: &str = "disc";

/// An engine with a text model that has learned the scene's disc.
fn learned(scene: &Scene, inpainting: bool) -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        library: Some(folder.path().join("library")),
        models: Some(folder.path().join("words")),
        threads: 2,
        ..Options::default()
    };
    tiny::install(&folder.path().join("words"), "tiny", inpainting);
    let engine = plugin().open(&options).unwrap();
    let mut request = LearnRequest::new(scene.picture(), scene.selection(), NAME, "my own");
    request.refine = Refine::Never;
    request.caption = Some("a disc on stripes");
    engine.learn(&request).unwrap().wait(|_| ()).unwrap();
    (engine, folder)
}

/// Few steps, small frame.
fn quick() -> TextOptions<'static> {
    TextOptions {
        steps: Some(3),
        side: Some(64),
        ..TextOptions::default()
    }
}

fn pose(scene: &Scene) -> ReposeRequest<'_> {
    let mut request = ReposeRequest::new(scene.picture(), Some(scene.selection()), NAME);
    request.refine = Refine::Never;
    request.prompt = Some("a disc rolling");
    request.text = Some(quick());
    request
}

/// The mask's pixels as they lie in the picture, and how many are neither 0 nor outside.
fn changed(scene: &Scene, job: &Job) -> usize {
    let layers = job.layers().unwrap();
    let mut changed = 0;
    for layer in &layers {
        assert_eq!(layer.role, Role::Subject);
        for y in 0..layer.picture.height {
            for x in 0..layer.picture.width {
                let at = (y * layer.picture.width + x) as usize * 3;
                let there = ((layer.y + y) * scene.width + layer.x + x) as usize * 3;
                let (new, old) = (
                    &layer.picture.pixels[at..at + 3],
                    &scene.pixels[there..there + 3],
                );
                match layer.mask[(y * layer.picture.width + x) as usize] {
                    0 => assert_eq!(new, old, "{x}, {y}"),
                    _ => changed += usize::from(new != old),
                }
            }
        }
    }
    changed
}

#[test]
fn words_redraw_the_subject_and_nothing_else() {
    let scene = Scene::new(160, 120);
    for inpainting in [false, true] {
        let (engine, _folder) = learned(&scene, inpainting);
        let job = done(&engine, &pose(&scene));
        assert!(changed(&scene, &job) > 500, "{inpainting}");
        let history = job.history().unwrap();
        for wanted in [
            "stable-diffusion",
            "tiny",
            "model_sha256",
            "compositeWithTrained",
        ] {
            assert!(history.contains(wanted), "{wanted} is not in {history}");
        }
    }
}

#[test]
fn every_sampler_and_a_shape_beside_the_words() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene, false);
    for sampler in [
        "ddim",
        "dpm++2m",
        "dpm++2m-karras",
        "euler-a",
        "unipc",
        "lcm",
    ] {
        let mut request = pose(&scene);
        request.text = Some(TextOptions {
            sampler: Some(sampler),
            ..quick()
        });
        assert!(changed(&scene, &done(&engine, &request)) > 500, "{sampler}");
    }
    let guided = |guidance| {
        let mut request = pose(&scene);
        request.text = Some(TextOptions {
            guidance: Some(guidance),
            ..quick()
        });
        let job = done(&engine, &request);
        assert!(changed(&scene, &job) > 500, "{guidance}");
        flat(&scene, &job)
    };
    // Without guidance the network looks at the prompt alone; nearly without, at both, for nearly the same result.
    let (without, nearly, much) = (guided(1.0), guided(1.001), guided(20.0));
    let (near, far) = (apart(&without, &nearly), apart(&without, &much));
    assert!(10.0 * near < far, "{near} and {far}");
    let pins = [Pin {
        from: [64.0, 60.0],
        to: [84.0, 66.0],
        angle: None,
        depth: 0.0,
    }];
    let mut request = pose(&scene);
    request.pins = &pins;
    assert!(changed(&scene, &done(&engine, &request)) > 500);
    // Without words of its own the caption stands for the prompt.
    request.prompt = None;
    assert!(changed(&scene, &done(&engine, &request)) > 500);
}

#[test]
fn fewer_passes_are_made_only_where_asked_for() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene, false);
    let posed = |text: TextOptions<'static>| {
        let mut request = pose(&scene);
        request.candidates = 2;
        request.text = Some(TextOptions {
            steps: Some(4),
            side: Some(64),
            ..text
        });
        let job = done(&engine, &request);
        assert!(changed(&scene, &job) > 500, "{text:?}");
        job
    };
    let pixels = |job: &Job| -> Vec<Vec<u8>> {
        let layers = job.layers().unwrap();
        layers.iter().map(|l| l.picture.pixels.to_vec()).collect()
    };
    let made = |text: TextOptions<'static>| pixels(&posed(text));
    let with = |guided, reuse| TextOptions {
        guided,
        reuse,
        ..TextOptions::default()
    };
    let plain = made(with(None, None));
    assert!(plain == made(with(Some(1.0), Some(1))));
    let without = made(with(Some(0.0), None));
    let guidance = TextOptions {
        guidance: Some(1.0),
        ..TextOptions::default()
    };
    assert!(without == made(guidance));
    let half = made(with(Some(0.5), None));
    let reused = made(with(None, Some(3)));
    let results = [&plain, &without, &half, &reused];
    for (index, one) in results.iter().enumerate() {
        for other in &results[..index] {
            assert!(one[0] != other[0] && one[1] != other[1], "{index}");
        }
    }
    // A saved request holds them.
    let both = posed(with(Some(0.5), Some(2)));
    let saved = engine.replay(&both.request().unwrap()).unwrap();
    saved.wait(|_| ()).unwrap();
    assert!(both.layers().unwrap() == saved.layers().unwrap());
    assert!(pixels(&both) != half);
}

#[test]
fn each_variant_makes_something_else_and_keeps_what_is_outside() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene, false);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for variant in [
        None,
        Some("no-blend"),
        Some("mask"),
        Some("interleaved, mask"),
    ] {
        let mut request = pose(&scene);
        request.text = Some(TextOptions {
            steps: Some(8),
            side: Some(64),
            variant,
            ..TextOptions::default()
        });
        let job = done(&engine, &request);
        assert!(changed(&scene, &job) > 500, "{variant:?}");
        let saved = engine.replay(&job.request().unwrap()).unwrap();
        saved.wait(|_| ()).unwrap();
        assert!(job.layers().unwrap() == saved.layers().unwrap());
        let pixels = flat(&scene, &job);
        assert!(!seen.contains(&pixels), "{variant:?}");
        seen.push(pixels);
    }
}

#[test]
fn the_same_seed_gives_the_same_pixels_and_candidates_differ() {
    let scene = Scene::new(128, 96);
    let (engine, _folder) = learned(&scene, false);
    let mut request = pose(&scene);
    request.candidates = 2;
    let (first, second) = (done(&engine, &request), done(&engine, &request));
    let saved = engine.replay(&first.request().unwrap()).unwrap();
    saved.wait(|_| ()).unwrap();
    let (first, second, third) = (
        first.layers().unwrap(),
        second.layers().unwrap(),
        saved.layers().unwrap(),
    );
    assert!(first == second && first == third);
    assert_eq!(first.len(), 2);
    assert!(first[0].picture.pixels != first[1].picture.pixels);
}

#[test]
fn a_run_shows_itself_and_stops_within_a_step() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene, false);
    // What one step takes here, from a short run.
    let begun = Instant::now();
    done(&engine, &pose(&scene));
    let step = begun.elapsed() / 3;
    for (sampler, last) in [(None, "sampling"), (Some("ddim"), "inverting")] {
        let mut request = pose(&scene);
        request.text = Some(TextOptions {
            steps: Some(900),
            sampler,
            ..quick()
        });
        let job = engine.repose(&request).unwrap();
        let waiting = Instant::now();
        let mut seen = Vec::new();
        let done = loop {
            let status = job.status().unwrap();
            if seen.last() != Some(&status.stage) {
                seen.push(status.stage.clone());
            }
            if status.stage == last && status.done > 4 {
                break status.done;
            }
            assert!(waiting.elapsed() < Duration::from_secs(120), "{seen:?}");
            std::thread::sleep(Duration::from_millis(2));
        };
        job.cancel();
        let cancelled = Instant::now();
        while job.status().unwrap().state != State::Cancelled {
            let late = cancelled.elapsed();
            assert!(late < 3 * step + Duration::from_secs(2), "{late:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
        // Seen a few steps after its beginning, of hundreds.
        assert!(done < 20, "{done} % done where {last} begins");
        // A short stage may pass between two looks, but none comes out of turn.
        let stages = ["queued", "preparing", "subject", "model", "encoding", last];
        let mut stages = stages.iter();
        assert!(
            seen.iter().all(|s| stages.any(|stage| stage == s)),
            "{seen:?}"
        );
    }
    let job = done(&engine, &pose(&scene));
    let preview = job.preview().unwrap();
    assert!(preview.width > 0 && preview.height > 0);
}

#[test]
fn a_model_that_is_not_whole_stands_in_nobodys_way() {
    let scene = Scene::new(128, 96);
    let (engine, folder) = learned(&scene, false);
    let models = folder.path().join("words");
    tiny::install(&models, "half-downloaded", false);
    let unet = models.join("models/half-downloaded/unet");
    std::fs::remove_file(unet.join("diffusion_pytorch_model.safetensors")).unwrap();
    assert!(changed(&scene, &done(&engine, &pose(&scene))) > 300);
    tiny::install(&models, "whole", false);
    let error = failed(&engine, &pose(&scene));
    assert_eq!(error.kind, ErrorKind::Caller, "{error}");
    assert!(
        error.message.contains("models/tiny, models/whole"),
        "{error}"
    );
}

#[test]
fn a_quick_decoder_beside_the_models_shows_the_run_and_changes_no_result() {
    let scene = Scene::new(160, 120);
    let (engine, folder) = learned(&scene, false);
    let plain = done(&engine, &pose(&scene));
    drop(engine);
    let models = folder.path().join("words");
    tiny::install_glance(&models);
    let options = Options {
        library: Some(folder.path().join("library")),
        models: Some(models),
        threads: 2,
        ..Options::default()
    };
    let engine = plugin().open(&options).unwrap();
    let shown = done(&engine, &pose(&scene));
    let (a, b) = (plain.preview().unwrap(), shown.preview().unwrap());
    assert_eq!((a.width, a.height), (b.width, b.height));
    assert_ne!(a.rgba, b.rgba);
    assert_eq!(plain.layers().unwrap(), shown.layers().unwrap());
}

#[test]
fn what_cannot_be_done_is_said() {
    let scene = Scene::new(128, 96);
    let (engine, folder) = learned(&scene, false);
    let refuse = |change: &dyn Fn(&mut ReposeRequest<'_>), kind: ErrorKind, words: &str| {
        let mut request = pose(&scene);
        change(&mut request);
        let error = failed(&engine, &request);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
    };
    let text = |text: TextOptions<'static>| {
        move |request: &mut ReposeRequest<'_>| {
            request.text = Some(TextOptions {
                side: Some(64),
                ..text
            });
        }
    };
    let base = TextOptions::default;
    refuse(
        &text(TextOptions {
            steps: Some(1001),
            ..base()
        }),
        ErrorKind::Caller,
        "steps",
    );
    refuse(
        &text(TextOptions {
            strength: Some(1.5),
            ..base()
        }),
        ErrorKind::Caller,
        "strength",
    );
    refuse(
        &text(TextOptions {
            guided: Some(1.5),
            ..base()
        }),
        ErrorKind::Caller,
        "guided share of the steps must be 0 to 1, not 1.5",
    );
    refuse(
        &text(TextOptions {
            reuse: Some(11),
            ..base()
        }),
        ErrorKind::Caller,
        "reuse must be 1 to 10, not 11",
    );
    refuse(
        &text(TextOptions {
            variant: Some("mask,magic"),
            ..base()
        }),
        ErrorKind::Caller,
        "no variant \"magic\"; there are no-blend",
    );
    refuse(
        &text(TextOptions {
            sampler: Some("magic"),
            ..base()
        }),
        ErrorKind::Caller,
        "ddim",
    );
    refuse(
        &text(TextOptions {
            word: Some("rabbit"),
            ..base()
        }),
        ErrorKind::Caller,
        "rabbit",
    );
    refuse(
        &text(TextOptions {
            model: Some("absent"),
            ..base()
        }),
        ErrorKind::Caller,
        "tiny",
    );
    refuse(
        &|request| request.prompt = Some("a disc <lora:absent:1>"),
        ErrorKind::Caller,
        "absent",
    );
    let weights = folder
        .path()
        .join("words/models/tiny/unet/diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    refuse(&text(base()), ErrorKind::Files, "diffusion_pytorch_model");
    std::fs::remove_dir_all(folder.path().join("words/models")).unwrap();
    refuse(&text(base()), ErrorKind::Refused, "repose models add");
}

#[test]
fn pocket_redraws_a_toy_with_nothing_installed() {
    let (scene, shot) = Scene::toy(7);
    let folder = tempfile::tempdir().unwrap();
    let engine = plugin()
        .open(&Options {
            library: Some(folder.path().join("library")),
            models: Some(folder.path().join("models")),
            threads: 2,
            ..Options::default()
        })
        .unwrap();
    let caption = shot.caption();
    let mut request = LearnRequest::new(scene.picture(), scene.selection(), "toy", "drawn");
    request.caption = Some(&caption);
    request.word = Some(shot.subject.kind.word());
    engine.learn(&request).unwrap().wait(|_| ()).unwrap();
    let mut request = ReposeRequest::new(scene.picture(), Some(scene.selection()), "toy");
    request.text = Some(TextOptions {
        model: Some("pocket"),
        steps: Some(5),
        ..TextOptions::default()
    });
    let other = caption.replace(shot.action.word(), "lying down");
    let mut made = Vec::new();
    for prompt in [&caption, &other, &other] {
        request.prompt = Some(prompt);
        let job = done(&engine, &request);
        assert!(changed(&scene, &job) > 100);
        made.push(flat(&scene, &job));
    }
    assert!(apart(&made[0], &made[1]) > 1.0, "the prompt says nothing");
    assert_eq!(made[1], made[2]);
}
