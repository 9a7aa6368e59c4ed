//! Numbers that no host means, alone and in any mixture.

use std::cell::Cell;
use std::ptr;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use repose_host::{ErrorKind, ReposeRequest, abi};

use crate::bare::{Bare, RawEngine};
use crate::support::{self, Scene};

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

/// Numbers at which sums and products of sizes go wrong.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..40,
        1 => any::<u32>().prop_map(u64::from),
        1 => any::<u64>(),
        1 => prop::sample::select(vec![
            255,
            1 << 15,
            1 << 29,
            (1 << 31) - 1,
            1 << 31,
            u64::from(u32::MAX),
            1 << 62,
            (1 << 63) - 1,
            1 << 63,
            u64::MAX,
        ]),
    ]
}

/// The sizes of memory are true, all other numbers may be anything: the call takes the request or refuses it.
#[test]
fn any_numbers_at_all() {
    let engine = RawEngine::open();
    let bare = Bare::new();
    let numbers = (prop::collection::vec(edge(), 14), any::<u64>());
    let taken = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(4_000));
    runner
        .run(&numbers, |(n, which)| {
            // One in eight is replaced, or almost nothing would be taken.
            let keep = |i: usize, good: u64| {
                if which >> (4 * i) & 7 == 0 {
                    n[i]
                } else {
                    good
                }
            };
            let picture = abi::Picture {
                width: keep(0, 16) as u32,
                height: keep(1, 12) as u32,
                depth: keep(2, 1) as u32,
                channels: keep(3, 3) as u32,
                space: keep(4, 1) as u32,
                stride: keep(5, 48) as usize,
                ..bare.picture
            };
            let selection = abi::Selection {
                depth: keep(6, 1) as u32,
                x: keep(7, 0) as i32,
                y: keep(8, 0) as i32,
                width: keep(9, 16) as u32,
                height: keep(10, 12) as u32,
                stride: keep(11, 16) as usize,
                ..bare.selection
            };
            let erase = abi::EraseRequest {
                picture: &picture,
                selection: &selection,
                candidates: keep(12, 1) as u32,
                grow: keep(13, 0) as u32,
                seed: which,
                ..bare.erase()
            };
            let mut job = ptr::null_mut();
            let mut code = abi::BUSY;
            while code == abi::BUSY {
                code = unsafe {
                    (engine.api.job_erase)(engine.raw, &erase, &mut job, ptr::null_mut())
                };
            }
            prop_assert!(code == abi::OK || code == abi::CALLER, "{code}");
            prop_assert_eq!(code == abi::OK, !job.is_null());
            taken.set(taken.get() + i32::from(code == abi::OK));
            unsafe { (engine.api.job_free)(job) };
            Ok(())
        })
        .unwrap();
    assert!(taken.get() > 100, "only {taken:?} were taken");
}

#[test]
fn a_precision_is_one_of_those_there_are() {
    let api = support::plugin().api();
    for (precision, expected) in [(0, 0), (1, 0), (2, abi::CALLER)] {
        let options = abi::EngineOptions {
            struct_size: size_of::<abi::EngineOptions>() as u32,
            threads: 1,
            queue: 0,
            precision,
            library: std::ptr::null(),
            models: std::ptr::null(),
        };
        let mut engine = std::ptr::null_mut();
        let code = unsafe { (api.engine_open)(&options, &mut engine, std::ptr::null_mut()) };
        assert_eq!(code, expected);
        unsafe { (api.engine_close)(engine) };
    }
}
