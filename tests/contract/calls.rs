//! Wrong calls: what a host passes that cannot be used.

use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr;

use repose_host::abi;

use crate::bare::{Bare, RawEngine};

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
        pin_count: 5,
        ..bare.pose()
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
fn struct_size_of_an_older_host() {
    let engine = RawEngine::open();
    let bare = Bare::new();
    let mut text = abi::Text {
        struct_size: size_of::<abi::Text>() as u32,
        guided: f32::NAN,
        reuse: 99,
        ..unsafe { std::mem::zeroed() }
    };
    let submit = |text: &abi::Text| {
        let pose = abi::PoseRequest {
            text,
            ..bare.pose()
        };
        let (mut job, mut error) = (ptr::null_mut(), ptr::null_mut());
        let code = unsafe { (engine.api.job_repose)(engine.raw, &pose, &mut job, &mut error) };
        match job.is_null() {
            true => (code, engine.taken(error)),
            false => {
                unsafe { (engine.api.job_free)(job) };
                (code, String::new())
            }
        }
    };
    let (code, said) = submit(&text);
    assert_eq!(code, abi::CALLER);
    assert!(said.contains("guided") && said.contains("NaN"), "{said}");
    text.guided = 0.0;
    let (code, said) = submit(&text);
    assert_eq!(code, abi::CALLER);
    assert!(said.contains("1 to 10, not 99"), "{said}");
    // What came after the struct of its time is another thing's memory.
    text.guided = f32::NAN;
    text.struct_size = offset_of!(abi::Text, guided) as u32;
    assert_eq!(submit(&text), (abi::OK, String::new()));
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
