//! Bad moments: freeing, closing and cancelling while things are going on.

use std::time::{Duration, Instant};

use repose_host::{ErrorKind, Job, Options, State};

use crate::pictures::ends_decently;
use crate::support::{self, Scene, engine, plugin};

#[test]
fn freed_in_every_order() {
    let scene = Scene::new(64, 48);
    for order in 0..6 {
        let (engine, _folder) = engine();
        let first = engine.erase(&scene.erase()).unwrap();
        let second = engine.erase(&scene.erase()).unwrap();
        match order {
            0 => drop((engine, first, second)),
            1 => drop((engine, second, first)),
            2 => drop((first, engine, second)),
            3 => drop((first, second, engine)),
            4 => drop((second, first, engine)),
            _ => drop((second, engine, first)),
        }
    }
}

#[test]
fn job_outlives_its_engine() {
    let (engine, _folder) = engine();
    let scene = Scene::new(32, 32);
    let job = engine.erase(&scene.erase()).unwrap();
    ends_decently(&job);
    let before = job.status().unwrap();
    drop(engine);
    assert_eq!(job.status().unwrap(), before);
    assert_eq!(job.picture().unwrap().pixels, scene.pixels);
    assert!(!job.request().unwrap().is_empty());
    assert_eq!(job.preview().is_some(), before.preview_serial > 0);
    if let Some(preview) = job.preview() {
        assert_eq!(
            preview.rgba.len(),
            (preview.width * preview.height * 4) as usize
        );
    }
    if before.state == State::Done {
        assert_eq!(job.layers().unwrap().len(), before.layer_count as usize);
        assert!(!job.history().unwrap().is_empty());
    }
}

#[test]
fn closed_with_a_job_running_and_others_waiting() {
    let (engine, _folder) = engine();
    let scene = Scene::new(600, 400);
    let jobs: Vec<Job> = (0..4)
        .map(|_| engine.erase(&scene.erase()).unwrap())
        .collect();
    let start = Instant::now();
    drop(engine);
    let waited = start.elapsed();
    for job in &jobs {
        assert!(job.status().unwrap().state.is_end());
    }
    assert_eq!(jobs[3].status().unwrap().state, State::Cancelled);
    assert!(waited < Duration::from_secs(10), "closing took {waited:?}");
}

#[test]
fn cancelled_while_queued() {
    let (engine, _folder) = engine();
    let scene = Scene::new(600, 400);
    let running = engine.erase(&scene.erase()).unwrap();
    let waiting = engine.erase(&scene.erase()).unwrap();
    waiting.cancel();
    let status = waiting.status().unwrap();
    assert_eq!(
        (status.state, status.error),
        (State::Cancelled, Some(ErrorKind::Cancelled))
    );
    assert_eq!(waiting.wait(|_| ()).unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(waiting.layers().unwrap_err().kind, ErrorKind::Caller);
    running.cancel();
    running.cancel();
}

/// Cancels when each stage is first seen; the job must end soon, and as cancelled unless it was faster.
#[test]
fn cancelled_at_each_stage() {
    let (engine, _folder) = engine();
    let scene = Scene::new(320, 240);
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..30 {
        let job = engine.erase(&scene.erase()).unwrap();
        let mut asked: Option<Instant> = None;
        let end = loop {
            let status = job.status().unwrap();
            if status.state.is_end() {
                break status.state;
            }
            if asked.is_none() && !seen.contains(&status.stage) {
                seen.push(status.stage);
                job.cancel();
                asked = Some(Instant::now());
            }
        };
        assert!(
            matches!(end, State::Done | State::Cancelled),
            "{end:?} {seen:?}"
        );
        let Some(asked) = asked else { break };
        let took = asked.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{seen:?} took {took:?} to stop"
        );
    }
    assert!(seen.len() >= 2, "{seen:?}");
}

#[test]
fn queue_full() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        library: Some(folder.path().to_owned()),
        threads: 1,
        queue: 1,
        ..Options::default()
    };
    let engine = plugin().open(&options).unwrap();
    let scene = Scene::new(600, 400);
    let mut jobs = Vec::new();
    let error = loop {
        match engine.erase(&scene.erase()) {
            Ok(job) => jobs.push(job),
            Err(error) => break error,
        }
        assert!(jobs.len() < 100, "never full");
    };
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(jobs.len() <= 3);
}

#[test]
fn two_hundred_threads_open_and_close() {
    let plugin = plugin();
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::new(24, 16);
    std::thread::scope(|scope| {
        for n in 0..200 {
            let (folder, scene) = (&folder, &scene);
            scope.spawn(move || {
                let options = Options {
                    library: Some(folder.path().to_owned()),
                    threads: 1,
                    ..Options::default()
                };
                let engine = plugin.open(&options).unwrap();
                let job = engine.erase(&scene.erase()).unwrap();
                if n % 2 == 0 {
                    drop(engine);
                }
                job.status().unwrap();
            });
        }
    });
}

#[test]
fn every_call_is_quick() {
    let (engine, _folder) = engine();
    let scene = Scene::new(64, 48);
    let job = engine.erase(&scene.erase()).unwrap();
    let start = Instant::now();
    for _ in 0..1000 {
        job.status().unwrap();
    }
    let each = start.elapsed() / 1000;
    assert!(each < Duration::from_millis(1), "job_status took {each:?}");
    let start = Instant::now();
    let other = support::engine();
    let took = start.elapsed();
    assert!(
        took < Duration::from_millis(50),
        "engine_open took {took:?}"
    );
    drop(other);
}
