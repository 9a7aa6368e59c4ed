//! The law of unmasked pixels, as a host sees it: whatever the format, the strides, the selection and its softness,
//! showing the result changes nothing where the masks are 0.
#![allow(clippy::unwrap_used)]

mod document;
mod show;

use document::{Document, Format, Marquee, formats};
use repose_host::{
    Channels, Depth, Engine, EraseRequest, Error, Job, LearnRequest, Options, Pin, Plugin, Refine,
    ReposeRequest, Role, Space,
};
use show::{Shown, flatten};

/// The plugin with an empty library in a folder of its own.
fn open() -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        library: Some(folder.path().to_owned()),
        ..Options::default()
    };
    let engine = Plugin::find(None).unwrap().open(&options).unwrap();
    (engine, folder)
}

fn finish(job: Result<Job, Error>) -> Job {
    let job = job.unwrap();
    job.wait(|_| ()).unwrap();
    job
}

/// What must hold for every result: the document's format, its bytes where masked out, and nothing
/// new outside the masks. Returns what a host would show, one for each candidate.
fn check_law(document: &Document, layers: &[repose_host::Layer<'_>]) -> Vec<Shown> {
    let picture = document.picture();
    for layer in layers {
        assert_eq!(layer.picture.depth, picture.depth);
        assert_eq!(layer.picture.channels, picture.channels);
        assert_eq!(layer.picture.space, picture.space);
        for y in 0..layer.picture.height {
            for x in 0..layer.picture.width {
                let mask = show::mask(layer, x, y);
                assert!((0.0..=1.0).contains(&mask));
                if mask == 0.0 {
                    let own = document.pixel(layer.x + x, layer.y + y);
                    assert_eq!(show::pixel(&layer.picture, x, y), own);
                }
            }
        }
    }
    let candidates = layers.iter().map(|l| l.candidate + 1).max().unwrap_or(0);
    (0..candidates)
        .map(|candidate| {
            let shown = flatten(document, layers, candidate);
            for y in 0..picture.height {
                for x in 0..picture.width {
                    if !shown.covered(x, y) {
                        assert_eq!(shown.pixel(x, y), document.pixel(x, y), "at {x}, {y}");
                    }
                }
            }
            shown
        })
        .collect()
}

#[test]
fn an_erase_touches_what_is_selected_and_nothing_else() {
    let (engine, _folder) = open();
    for (index, format) in formats().into_iter().enumerate() {
        let document = Document::new(format, 48, 40, index % 3 * 5);
        let marquee = Marquee::soft(index);
        let mut request = EraseRequest::new(document.picture(), marquee.selection());
        request.candidates = 1 + (index % 2) as u32;
        let job = finish(engine.erase(&request));
        let layers = job.layers().unwrap();
        let shown = check_law(&document, &layers);
        assert_eq!(shown.len(), request.candidates as usize, "{format:?}");
        for shown in &shown {
            let mut changed = 0;
            for y in 0..40 {
                for x in 0..48 {
                    // The layer fades exactly as the selection does: nothing is thresholded.
                    assert_eq!(
                        shown.cover(x, y),
                        marquee.at(x, y),
                        "{format:?} at {x}, {y}"
                    );
                    changed += usize::from(shown.pixel(x, y) != document.pixel(x, y));
                }
            }
            assert!(changed > 50, "{format:?}: only {changed} pixels changed");
        }
        assert!(layers.iter().all(|l| l.role == Role::Background));
        assert!(
            layers
                .iter()
                .all(|l| l.mask_depth == marquee.selection().depth)
        );
    }
}

#[test]
fn strides_and_the_selections_frame_make_no_difference() {
    let (engine, _folder) = open();
    for format in [
        Format::new(Depth::U8, Channels::Rgb, 0),
        Format::new(Depth::F16, Channels::Rgba, 1),
        Format::new(Depth::U16, Channels::GreyAlpha, 2),
    ] {
        let show = |padding: usize, marquee: &Marquee| {
            let document = Document::new(format, 48, 40, padding);
            let request = EraseRequest::new(document.picture(), marquee.selection());
            let job = finish(engine.erase(&request));
            flatten(&document, &job.layers().unwrap(), 0)
        };
        let tight = Marquee::soft(0);
        let expected = show(0, &tight);
        assert_eq!(show(7, &tight), expected, "{format:?}, padded rows");
        assert_eq!(
            show(0, &tight.framed(3, 11)),
            expected,
            "{format:?}, framed selection"
        );
        // Reaching over every edge of the picture.
        assert_eq!(
            show(64, &tight.framed(60, 0)),
            expected,
            "{format:?}, wide selection"
        );
    }
}

#[test]
fn an_empty_selection_changes_nothing() {
    let (engine, _folder) = open();
    let document = Document::new(Format::new(Depth::U8, Channels::Rgb, 0), 48, 40, 0);
    let nothing = Marquee::nothing();
    // Either answer is right: no layer, or a word to the user that nothing is selected.
    match engine.erase(&EraseRequest::new(document.picture(), nothing.selection())) {
        Ok(job) => {
            if job.wait(|_| ()).is_ok() {
                let layers = job.layers().unwrap();
                for shown in check_law(&document, &layers) {
                    assert!((0..40).all(|y| (0..48).all(|x| !shown.covered(x, y))));
                }
            }
        }
        Err(error) => assert_eq!(error.kind, repose_host::ErrorKind::Caller, "{error}"),
    }
}

#[test]
fn a_repose_touches_old_and_new_place_only() {
    let (engine, _folder) = open();
    let formats = [
        Format::new(Depth::U8, Channels::Rgb, 0),
        Format::new(Depth::U16, Channels::Rgb, 2),
        Format::new(Depth::F16, Channels::Grey, 1),
        Format::new(Depth::F32, Channels::Rgba, 0),
        Format::new(Depth::U8, Channels::Bgra, 2),
        Format::new(Depth::U16, Channels::GreyAlpha, 0),
    ];
    for (index, format) in formats.into_iter().enumerate() {
        let document = Document::new(format, 64, 56, index % 2 * 3);
        let marquee = Marquee::soft(index);
        let name = format!("subject {index}");
        let consent = "my own drawing, for this test";
        let mut learn = LearnRequest::new(document.picture(), marquee.selection(), &name, consent);
        learn.refine = Refine::Never;
        finish(engine.learn(&learn));
        assert!(check_law(&document, &[]).is_empty());

        let pins = [
            Pin {
                from: [18.0, 20.0],
                to: [18.0, 20.0],
                angle: None,
                depth: 0.0,
            },
            Pin {
                from: [26.0, 14.0],
                to: [33.0, 12.0],
                angle: None,
                depth: 0.0,
            },
        ];
        let mut repose = ReposeRequest::new(document.picture(), Some(marquee.selection()), &name);
        repose.refine = Refine::Never;
        if index % 2 == 0 {
            repose.pins = &pins;
        } else {
            (repose.offset, repose.angle) = ([14.0, 9.0], 20.0);
        }
        let job = finish(engine.repose(&repose));
        let layers = job.layers().unwrap();
        let shown = check_law(&document, &layers);
        assert_eq!(shown.len(), 1, "{format:?}");
        assert!(layers.iter().any(|l| l.role == Role::Subject), "{format:?}");
        for layer in layers.iter().filter(|l| l.role == Role::Background) {
            for y in 0..layer.picture.height {
                for x in 0..layer.picture.width {
                    if show::mask(layer, x, y) > 0.0 {
                        let selected = marquee.at(layer.x + x, layer.y + y);
                        assert!(
                            selected > 0.0,
                            "{format:?}: background outside the selection"
                        );
                    }
                }
            }
        }
        let changed = (0..56)
            .flat_map(|y| (0..64).map(move |x| (x, y)))
            .filter(|&(x, y)| shown[0].pixel(x, y) != document.pixel(x, y))
            .count();
        assert!(changed > 50, "{format:?}: only {changed} pixels changed");
    }
}

#[test]
fn profiles_come_back_byte_for_byte() {
    let (engine, _folder) = open();
    let document = Document::new(Format::new(Depth::U16, Channels::Rgb, 2), 48, 40, 0);
    let marquee = Marquee::soft(1);
    let job = finish(engine.erase(&EraseRequest::new(document.picture(), marquee.selection())));
    let Space::Icc(profile) = document.picture().space else {
        panic!("the document has a profile");
    };
    for layer in job.layers().unwrap() {
        assert_eq!(layer.picture.space, Space::Icc(profile));
    }
}
