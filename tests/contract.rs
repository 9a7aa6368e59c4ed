//! Accidents: what hosts do wrong, or at bad moments, through the contract only. Every test is named after its accident.
//!
//! Whoever calls through the table directly does so on purpose wrongly; a crash of the plugin would end this process, and
//! with it all tests here, which is why `cargo test` runs this file as a process of its own.
#![allow(unsafe_code, reason = "wrong calls need the bare table")]
#![allow(
    clippy::unwrap_used,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block
)]

mod support;

use std::ffi::{CString, c_void};
use std::ptr;
use std::time::{Duration, Instant};

use repose_host::{ErrorKind, Job, LearnRequest, Options, ReposeRequest, State, abi};
use support::{Scene, engine, plugin};

/// Everything a learn needs, as the bare contract wants it.
struct Bare {
    pixels: Vec<u8>,
    mask: Vec<u8>,
    name: CString,
    consent: CString,
    picture: abi::Picture,
    selection: abi::Selection,
}

impl Bare {
    fn new() -> Box<Self> {
        let mut bare = Box::new(Self {
            pixels: vec![100; 16 * 12 * 3],
            mask: vec![255; 16 * 12],
            name: CString::new("thing").unwrap(),
            consent: CString::new("mine").unwrap(),
            picture: abi::Picture {
                struct_size: size_of::<abi::Picture>() as u32,
                width: 16,
                height: 12,
                depth: abi::DEPTH_U8,
                channels: abi::CHANNELS_RGB,
                space: abi::SPACE_SRGB,
                pixels: ptr::null(),
                pixels_size: 16 * 12 * 3,
                stride: 16 * 3,
                icc: ptr::null(),
                icc_size: 0,
            },
            selection: abi::Selection {
                struct_size: size_of::<abi::Selection>() as u32,
                depth: abi::DEPTH_U8,
                x: 0,
                y: 0,
                width: 16,
                height: 12,
                samples: ptr::null(),
                samples_size: 16 * 12,
                stride: 16,
            },
        });
        bare.picture.pixels = bare.pixels.as_ptr().cast();
        bare.selection.samples = bare.mask.as_ptr().cast();
        bare
    }

    fn learn(&self) -> abi::LearnRequest {
        abi::LearnRequest {
            struct_size: size_of::<abi::LearnRequest>() as u32,
            refine: abi::REFINE_AUTO,
            picture: &self.picture,
            selection: &self.selection,
            name: self.name.as_ptr(),
            consent: self.consent.as_ptr(),
            expires: ptr::null(),
            person: 0,
            person_agrees: 0,
        }
    }

    fn erase(&self) -> abi::EraseRequest {
        abi::EraseRequest {
            struct_size: size_of::<abi::EraseRequest>() as u32,
            candidates: 1,
            picture: &self.picture,
            selection: &self.selection,
            seed: 0,
            grow: 0,
            reserved: 0,
        }
    }
}

/// An engine with a library of its own, closed and removed at the end.
struct RawEngine {
    api: &'static abi::Api,
    raw: *mut abi::Engine,
    _folder: tempfile::TempDir,
}

impl RawEngine {
    fn open() -> Self {
        let api = plugin().api();
        let folder = tempfile::tempdir().unwrap();
        let path = CString::new(folder.path().to_str().unwrap()).unwrap();
        let options = abi::EngineOptions {
            struct_size: size_of::<abi::EngineOptions>() as u32,
            threads: 1,
            queue: 0,
            reserved: 0,
            library: path.as_ptr(),
        };
        let mut raw = ptr::null_mut();
        let code = unsafe { (api.engine_open)(&options, &mut raw, ptr::null_mut()) };
        assert_eq!(code, abi::OK);
        Self {
            api,
            raw,
            _folder: folder,
        }
    }

    /// Asks for an erase that must fail; gives the code and the text.
    fn refused(&self, request: *const abi::EraseRequest) -> (i32, String) {
        let mut job = ptr::null_mut();
        let mut error = ptr::null_mut();
        let code = unsafe { (self.api.job_erase)(self.raw, request, &mut job, &mut error) };
        assert!(job.is_null(), "an output was written on failure");
        (code, self.taken(error))
    }

    fn taken(&self, bytes: *mut abi::Bytes) -> String {
        assert!(!bytes.is_null(), "no text");
        let (data, size) = unsafe { ((*bytes).data.cast::<u8>(), (*bytes).size) };
        let text = unsafe { std::slice::from_raw_parts(data, size) };
        assert_eq!(unsafe { *data.add(size) }, 0, "no NUL at the end");
        let text = String::from_utf8(text.to_vec()).unwrap();
        unsafe { (self.api.bytes_free)(bytes) };
        text
    }
}

impl Drop for RawEngine {
    fn drop(&mut self) {
        unsafe { (self.api.engine_close)(self.raw) }
    }
}

#[test]
fn null_for_every_argument() {
    let engine = RawEngine::open();
    let api = engine.api;
    let bare = Bare::new();
    let erase = bare.erase();
    let learn = bare.learn();
    let (mut job, mut error) = (ptr::null_mut(), ptr::null_mut());
    let mut status = unsafe { std::mem::zeroed::<abi::JobStatus>() };
    status.struct_size = size_of::<abi::JobStatus>() as u32;
    unsafe {
        assert_eq!(
            (api.engine_open)(ptr::null(), ptr::null_mut(), &mut error),
            abi::CALLER
        );
        assert!(engine.taken(error).contains("NULL"));
        (api.engine_close)(ptr::null_mut());
        (api.job_free)(ptr::null_mut());
        (api.bytes_free)(ptr::null_mut());
        let no_text = ptr::null_mut();
        for code in [
            (api.job_erase)(ptr::null_mut(), &erase, &mut job, no_text),
            (api.job_erase)(engine.raw, ptr::null(), &mut job, no_text),
            (api.job_erase)(engine.raw, &erase, ptr::null_mut(), no_text),
            (api.job_learn)(ptr::null_mut(), &learn, &mut job, no_text),
            (api.job_learn)(engine.raw, ptr::null(), &mut job, no_text),
            (api.job_repose)(engine.raw, ptr::null(), &mut job, no_text),
            (api.job_replay)(engine.raw, ptr::null(), 0, &mut job, no_text),
            (api.job_replay)(engine.raw, ptr::null(), 100, &mut job, no_text),
            (api.job_status)(ptr::null(), &mut status),
            (api.job_cancel)(ptr::null_mut()),
            (api.job_preview)(ptr::null(), &mut 0, &mut 0, &mut error),
            (api.job_layer)(ptr::null(), 0, ptr::null_mut()),
            (api.job_picture)(ptr::null(), ptr::null_mut()),
            (api.job_bytes)(ptr::null(), abi::BYTES_MESSAGE, &mut error),
            (api.library_command)(engine.raw, ptr::null(), &mut error, no_text),
            (api.library_command)(engine.raw, c"{}".as_ptr(), ptr::null_mut(), no_text),
            (api.library_command)(ptr::null_mut(), c"{}".as_ptr(), &mut error, no_text),
        ] {
            assert_eq!(code, abi::CALLER);
        }
        assert!(job.is_null());
        // A good job, and nowhere to write to.
        assert_eq!(
            (api.job_erase)(engine.raw, &erase, &mut job, no_text),
            abi::OK
        );
        for code in [
            (api.job_status)(job, ptr::null_mut()),
            (api.job_layer)(job, 0, ptr::null_mut()),
            (api.job_picture)(job, ptr::null_mut()),
            (api.job_preview)(job, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()),
            (api.job_bytes)(job, abi::BYTES_MESSAGE, ptr::null_mut()),
            (api.job_bytes)(job, 77, &mut error),
        ] {
            assert_eq!(code, abi::CALLER);
        }
        (api.job_free)(job);
    }
}

#[test]
fn null_inside_a_request() {
    let engine = RawEngine::open();
    let bare = Bare::new();
    for broken in [
        abi::EraseRequest {
            picture: ptr::null(),
            ..bare.erase()
        },
        abi::EraseRequest {
            selection: ptr::null(),
            ..bare.erase()
        },
        abi::EraseRequest {
            picture: &abi::Picture {
                pixels: ptr::null(),
                ..bare.picture
            },
            ..bare.erase()
        },
        abi::EraseRequest {
            selection: &abi::Selection {
                samples: ptr::null(),
                ..bare.selection
            },
            ..bare.erase()
        },
    ] {
        let (code, text) = engine.refused(&broken);
        assert_eq!(code, abi::CALLER);
        assert!(text.contains("NULL"), "{text}");
    }
    let pose = abi::PoseRequest {
        struct_size: size_of::<abi::PoseRequest>() as u32,
        candidates: 1,
        picture: &bare.picture,
        selection: &bare.selection,
        subject: bare.name.as_ptr(),
        pins: ptr::null(),
        pin_count: 5,
        version: 0,
        guide: ptr::null(),
        prompt: ptr::null(),
        offset_x: 0.0,
        offset_y: 0.0,
        scale: 0.0,
        angle: 0.0,
        seed: 0,
        grow: 0,
        refine: abi::REFINE_AUTO,
    };
    for pose in [
        pose,
        abi::PoseRequest {
            subject: ptr::null(),
            pin_count: 0,
            ..pose
        },
    ] {
        let mut job = ptr::null_mut();
        let code = unsafe { (engine.api.job_repose)(engine.raw, &pose, &mut job, ptr::null_mut()) };
        assert_eq!((code, job.is_null()), (abi::CALLER, true));
    }
    // The consent is the user's, not the program's: without it the answer is another one.
    let learn = abi::LearnRequest {
        consent: ptr::null(),
        ..bare.learn()
    };
    let (mut job, mut error) = (ptr::null_mut(), ptr::null_mut());
    let code = unsafe { (engine.api.job_learn)(engine.raw, &learn, &mut job, &mut error) };
    assert_eq!(code, abi::REFUSED);
    assert!(engine.taken(error).contains("consent"));
}

#[test]
fn struct_size_of_an_unfinished_host() {
    let engine = RawEngine::open();
    let bare = Bare::new();
    for size in [0, 4, 39] {
        let (code, text) = engine.refused(&abi::EraseRequest {
            struct_size: size,
            ..bare.erase()
        });
        assert_eq!(code, abi::CALLER);
        assert!(text.contains("struct_size"), "{text}");
    }
    let picture = abi::Picture {
        struct_size: 63,
        ..bare.picture
    };
    assert_eq!(
        engine
            .refused(&abi::EraseRequest {
                picture: &picture,
                ..bare.erase()
            })
            .0,
        abi::CALLER
    );
}

#[test]
fn struct_size_of_a_newer_host() {
    #[repr(C)]
    struct Newer {
        known: abi::EraseRequest,
        unknown: [u64; 4],
    }
    #[repr(C)]
    struct NewerStatus {
        known: abi::JobStatus,
        unknown: [u64; 4],
    }
    let engine = RawEngine::open();
    let bare = Bare::new();
    let mut newer = Newer {
        known: bare.erase(),
        unknown: [u64::MAX; 4],
    };
    newer.known.struct_size = size_of::<Newer>() as u32;
    let mut job = ptr::null_mut();
    let code = unsafe {
        (engine.api.job_erase)(
            engine.raw,
            (&raw const newer).cast(),
            &mut job,
            ptr::null_mut(),
        )
    };
    assert_eq!(code, abi::OK);
    let mut status = NewerStatus {
        known: unsafe { std::mem::zeroed() },
        unknown: [7; 4],
    };
    status.known.struct_size = size_of::<NewerStatus>() as u32;
    let code = unsafe { (engine.api.job_status)(job, (&raw mut status).cast()) };
    assert_eq!(code, abi::OK);
    assert_ne!(status.known.state, 0);
    assert_eq!(status.known.struct_size, size_of::<NewerStatus>() as u32);
    assert_eq!(
        status.unknown, [7; 4],
        "written beyond what this version knows"
    );
    unsafe { (engine.api.job_free)(job) };
}

#[test]
fn sizes_that_lie() {
    let engine = RawEngine::open();
    let bare = Bare::new();
    let p = bare.picture;
    let s = bare.selection;
    let pictures = [
        ("stride < row", abi::Picture { stride: 47, ..p }),
        ("0 wide", abi::Picture { width: 0, ..p }),
        ("0 high", abi::Picture { height: 0, ..p }),
        (
            "0×0",
            abi::Picture {
                width: 0,
                height: 0,
                stride: 0,
                pixels_size: 0,
                ..p
            },
        ),
        (
            "100 000 × 100 000",
            abi::Picture {
                width: 100_000,
                height: 100_000,
                stride: 300_000,
                pixels_size: usize::MAX,
                ..p
            },
        ),
        (
            "u32::MAX × u32::MAX",
            abi::Picture {
                width: u32::MAX,
                height: u32::MAX,
                stride: usize::MAX,
                pixels_size: usize::MAX,
                ..p
            },
        ),
        (
            "stride beyond memory",
            abi::Picture {
                stride: usize::MAX,
                pixels_size: usize::MAX,
                ..p
            },
        ),
        (
            "fewer bytes than rows",
            abi::Picture {
                pixels_size: 16 * 12 * 3 - 1,
                ..p
            },
        ),
        ("unknown depth", abi::Picture { depth: 5, ..p }),
        ("unknown channels", abi::Picture { channels: 0, ..p }),
        ("unknown space", abi::Picture { space: 9, ..p }),
        (
            "profile without bytes",
            abi::Picture {
                space: abi::SPACE_ICC,
                ..p
            },
        ),
    ];
    for (what, picture) in pictures {
        let (code, text) = engine.refused(&abi::EraseRequest {
            picture: &picture,
            ..bare.erase()
        });
        assert_eq!(code, abi::CALLER, "{what}");
        assert!(!text.is_empty(), "{what}");
    }
    let selections = [
        ("stride < row", abi::Selection { stride: 15, ..s }),
        (
            "0×0",
            abi::Selection {
                width: 0,
                height: 0,
                ..s
            },
        ),
        (
            "half floats",
            abi::Selection {
                depth: abi::DEPTH_F16,
                ..s
            },
        ),
        (
            "fewer bytes than rows",
            abi::Selection {
                samples_size: 16 * 12 - 1,
                ..s
            },
        ),
        (
            "far outside",
            abi::Selection {
                x: i32::MAX,
                y: i32::MIN,
                ..s
            },
        ),
    ];
    for (what, selection) in selections {
        let erase = abi::EraseRequest {
            selection: &selection,
            ..bare.erase()
        };
        assert_eq!(engine.refused(&erase).0, abi::CALLER, "{what}");
    }
}

#[test]
fn numbers_out_of_range() {
    let engine = RawEngine::open();
    let bare = Bare::new();
    for request in [
        abi::EraseRequest {
            candidates: 17,
            ..bare.erase()
        },
        abi::EraseRequest {
            grow: 257,
            ..bare.erase()
        },
        abi::EraseRequest {
            reserved: 1,
            ..bare.erase()
        },
    ] {
        assert_eq!(engine.refused(&request).0, abi::CALLER);
    }
    let scene = Scene::new(16, 12);
    let (engine, _folder) = support::engine();
    let good = ReposeRequest::new(scene.picture(), Some(scene.selection()), "thing");
    let pin = repose_host::Pin {
        from: [1.0, 1.0],
        to: [f32::NAN, 1.0],
        angle: None,
        depth: 0.0,
    };
    let too_many = vec![
        repose_host::Pin {
            to: [1.0, 1.0],
            ..pin
        };
        1001
    ];
    for request in [
        ReposeRequest {
            pins: &[pin],
            ..good
        },
        ReposeRequest {
            pins: &too_many,
            ..good
        },
        ReposeRequest {
            scale: f32::INFINITY,
            ..good
        },
        ReposeRequest {
            scale: -1.0,
            ..good
        },
        ReposeRequest {
            offset: [f32::NAN, 0.0],
            ..good
        },
        ReposeRequest {
            subject: "a/b",
            ..good
        },
        ReposeRequest {
            guide: Some(scene.picture()),
            ..good
        },
    ] {
        assert_eq!(engine.repose(&request).unwrap_err().kind, ErrorKind::Caller);
    }
}

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
fn ends_decently(job: &Job) {
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
                    queue: 0,
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

#[test]
fn not_a_plugin() {
    use repose_host::{LoadError, Plugin};
    use std::path::Path;
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.so");
    assert!(
        matches!(Plugin::load(&missing), Err(LoadError::NotFound(tried)) if tried == [missing])
    );
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    assert!(matches!(
        Plugin::load(&text),
        Err(LoadError::CannotLoad(..))
    ));
    assert!(matches!(
        Plugin::load_symbol(&text),
        Err(LoadError::CannotLoad(..))
    ));
    // A library, but a stranger: the system's own maths library.
    let stranger = [
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib/aarch64-linux-gnu/libm.so.6",
    ]
    .map(Path::new)
    .into_iter()
    .find(|p| p.exists());
    if let Some(stranger) = stranger {
        assert!(matches!(
            Plugin::load(stranger),
            Err(LoadError::NoSymbol(..))
        ));
        assert!(matches!(
            Plugin::load_symbol(stranger),
            Err(LoadError::NoSymbol(..))
        ));
    }
}

#[test]
fn a_plugin_that_knows_no_such_version() {
    use repose_host::{LoadError, Plugin};
    if !support::has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("old.c"), folder.path().join("old.so"));
    let code = "#include <stddef.h>\n#include <stdint.h>\nconst void *repose_api(uint32_t version);\n\
                const void *repose_api(uint32_t version) { return version == 0 ? \"\" : NULL; }\n";
    std::fs::write(&source, code).unwrap();
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status()
        .unwrap();
    assert!(built.success());
    assert!(matches!(
        Plugin::load_symbol(&library),
        Err(LoadError::Version(_, 1))
    ));
    assert!(matches!(
        Plugin::load(&library),
        Err(LoadError::NoSymbol(..))
    ));
}

#[test]
fn both_doors_lead_to_one_table() {
    let root = plugin();
    let symbol = repose_host::Plugin::load_symbol(root.path()).unwrap();
    assert!(ptr::eq(root.api(), symbol.api()));
    assert_eq!(root.version(), symbol.version());
    assert_eq!(root.version(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn misaligned_pointers() {
    let engine = RawEngine::open();
    let bare = Bare::new();
    let mut store = [0u64; 32];
    let odd: *mut c_void = unsafe { store.as_mut_ptr().cast::<u8>().add(1).cast() };
    let mut job = ptr::null_mut();
    unsafe {
        let api = engine.api;
        assert_eq!(engine.refused(odd.cast()).0, abi::CALLER);
        assert_eq!(
            (api.job_erase)(engine.raw, &bare.erase(), odd.cast(), ptr::null_mut()),
            abi::CALLER
        );
        assert_eq!(
            (api.job_erase)(engine.raw, &bare.erase(), &mut job, ptr::null_mut()),
            abi::OK
        );
        assert_eq!((api.job_status)(job, odd.cast()), abi::CALLER);
        (api.job_free)(job);
    }
    // Pixels may lie anywhere.
    let mut pixels = vec![0u8; 16 * 12 * 6 + 1];
    let picture = abi::Picture {
        depth: abi::DEPTH_U16,
        pixels: unsafe { pixels.as_mut_ptr().add(1) }.cast(),
        pixels_size: 16 * 12 * 6,
        stride: 16 * 6,
        ..bare.picture
    };
    let erase = abi::EraseRequest {
        picture: &picture,
        ..bare.erase()
    };
    unsafe {
        assert_eq!(
            (engine.api.job_erase)(engine.raw, &erase, &mut job, ptr::null_mut()),
            abi::OK
        );
        (engine.api.job_free)(job);
    }
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
