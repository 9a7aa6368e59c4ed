//! Pictures, selections and saved requests at their limits.

use repose_host::{ErrorKind, Job, LearnRequest};

use crate::support::{Scene, engine};

#[test]
fn nothing_selected() {
    let (engine, _folder) = engine();
    let mut scene = Scene::new(16, 12);
    scene.mask.fill(0);
    let error = engine.erase(&scene.erase()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Caller);
    assert!(error.message.contains("select something first"), "{error}");
    let learn = LearnRequest::new(scene.picture(), scene.selection(), "thing", "mine");
    assert_eq!(engine.learn(&learn).unwrap_err().kind, ErrorKind::Caller);
}

/// Ends in whatever way, but ends, and without a mistake of the plugin.
pub fn ends_decently(job: &Job) {
    if let Err(error) = job.wait(|_| ()) {
        assert_ne!(error.kind, ErrorKind::Bug, "{error}");
        assert!(!error.message.is_empty());
    }
}

#[test]
fn everything_selected() {
    let (engine, _folder) = engine();
    let mut scene = Scene::new(48, 40);
    scene.mask.fill(255);
    let learn = LearnRequest::new(scene.picture(), scene.selection(), "thing", "mine");
    ends_decently(&engine.learn(&learn).unwrap());
    ends_decently(&engine.erase(&scene.erase()).unwrap());
}

#[test]
fn one_single_pixel() {
    let (engine, _folder) = engine();
    let mut scene = Scene::new(1, 1);
    scene.mask.fill(255);
    let learn = LearnRequest::new(scene.picture(), scene.selection(), "thing", "mine");
    ends_decently(&engine.learn(&learn).unwrap());
    ends_decently(&engine.erase(&scene.erase()).unwrap());
}

#[test]
fn pixels_and_selection_of_nan() {
    let (engine, _folder) = engine();
    let scene = Scene::new(40, 32);
    let mut floats: Vec<f32> = scene.pixels.iter().map(|v| f32::from(*v) / 255.0).collect();
    for (i, v) in floats.iter_mut().enumerate() {
        match i % 7 {
            0 => *v = f32::NAN,
            1 => *v = f32::INFINITY,
            2 => *v = f32::NEG_INFINITY,
            _ => {}
        }
    }
    let pixels: Vec<u8> = floats.iter().flat_map(|v| v.to_ne_bytes()).collect();
    let samples: Vec<u8> = scene
        .mask
        .iter()
        .enumerate()
        .map(|(i, v)| {
            if i % 5 == 0 {
                f32::NAN
            } else {
                f32::from(*v) / 255.0
            }
        })
        .flat_map(f32::to_ne_bytes)
        .collect();
    let picture = repose_host::Picture {
        depth: repose_host::Depth::F32,
        pixels: &pixels,
        stride: 40 * 12,
        ..scene.picture()
    };
    let selection = repose_host::SelectionRef {
        depth: repose_host::Depth::F32,
        samples: &samples,
        stride: 40 * 4,
        ..scene.selection()
    };
    let erase = repose_host::EraseRequest::new(picture, selection);
    ends_decently(&engine.erase(&erase).unwrap());
    let learn = LearnRequest::new(picture, selection, "thing", "mine");
    ends_decently(&engine.learn(&learn).unwrap());
}

#[test]
fn bytes_that_are_no_request() {
    let (engine, _folder) = engine();
    let scene = Scene::new(16, 12);
    let job = engine.erase(&scene.erase()).unwrap();
    let good = job.request().unwrap();
    for bytes in [&b""[..], b"hello", &[0xff; 64], &good[..good.len() - 1]] {
        assert_eq!(engine.replay(bytes).unwrap_err().kind, ErrorKind::Caller);
    }
    let again = engine.replay(&good).unwrap();
    assert_eq!(again.request().unwrap(), good);
    assert_eq!(again.picture().unwrap(), scene.picture());
}

#[test]
fn replay_gives_the_same_pixels() {
    let (engine, _folder) = engine();
    let scene = Scene::new(64, 48);
    let first = engine.erase(&scene.erase()).unwrap();
    first.wait(|_| ()).unwrap();
    let second = engine.replay(&first.request().unwrap()).unwrap();
    second.wait(|_| ()).unwrap();
    assert_eq!(first.layers().unwrap(), second.layers().unwrap());
    assert!(!first.layers().unwrap().is_empty());
}
