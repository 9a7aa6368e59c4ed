//! What a re-pose promises beside leaving the rest alone: copies that are exact, every way of asking for a pose, and clear
//! words where nothing can be done.
#![allow(clippy::unwrap_used)]

mod support;

use repose_host::{
    Channels, Engine, ErrorKind, Layer, LearnRequest, Picture, Pin, Refine, ReposeRequest, Role,
};
use support::{Scene, done, engine, failed};

const NAME: &str = "disc";

/// An engine that has learned the scene's disc, exactly as it is selected.
fn learned(scene: &Scene) -> (Engine, tempfile::TempDir) {
    let (engine, folder) = engine();
    let mut request = LearnRequest::new(scene.picture(), scene.selection(), NAME, "my own");
    request.refine = Refine::Never;
    engine.learn(&request).unwrap().wait(|_| ()).unwrap();
    (engine, folder)
}

fn pose<'a>(scene: &'a Scene, selected: bool) -> ReposeRequest<'a> {
    let selection = selected.then(|| scene.selection());
    let mut request = ReposeRequest::new(scene.picture(), selection, NAME);
    request.refine = Refine::Never;
    request
}

fn of<'a>(layers: &'a [Layer<'a>], role: Role) -> &'a Layer<'a> {
    layers.iter().find(|l| l.role == role).unwrap()
}

fn pixel(picture: &Picture<'_>, x: u32, y: u32) -> [u8; 3] {
    let at = y as usize * picture.stride + x as usize * 3;
    picture.pixels[at..at + 3].try_into().unwrap()
}

fn mask(layer: &Layer<'_>, x: u32, y: u32) -> u8 {
    let inside = |at: u32, from: u32, length: u32| at.checked_sub(from).filter(|&v| v < length);
    let column = inside(x, layer.x, layer.picture.width);
    let row = inside(y, layer.y, layer.picture.height);
    match (column, row) {
        (Some(x), Some(y)) => layer.mask[y as usize * layer.mask_stride + x as usize],
        _ => 0,
    }
}

/// Where the layer is whole it shows the scene's pixels, moved by (dx, dy).
fn assert_copied(scene: &Scene, layer: &Layer<'_>, dx: i32, dy: i32) {
    let mut whole = 0;
    for y in 0..layer.picture.height {
        for x in 0..layer.picture.width {
            let (px, py) = (layer.x + x, layer.y + y);
            let (sx, sy) = (px.wrapping_add_signed(-dx), py.wrapping_add_signed(-dy));
            let selected = scene.mask[(sy * scene.width + sx) as usize];
            assert_eq!(mask(layer, px, py), selected, "mask at {px}, {py}");
            if selected == 255 {
                let own = pixel(&scene.picture(), sx, sy);
                assert_eq!(pixel(&layer.picture, x, y), own, "at {px}, {py}");
                whole += 1;
            }
        }
    }
    assert_eq!(whole, scene.mask.iter().filter(|m| **m == 255).count());
}

#[test]
fn a_move_by_whole_pixels_copies_the_subject_exactly() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene);
    for offset in [[23.0, -9.0], [-5.0, 14.0]] {
        let mut request = pose(&scene, true);
        request.offset = offset;
        let job = done(&engine, &request);
        let layers = job.layers().unwrap();
        assert_eq!(layers.len(), 2);
        let moved = of(&layers, Role::Subject);
        assert_copied(&scene, moved, offset[0] as i32, offset[1] as i32);
        // The background covers what was selected, no more and no less, and holds nothing of the orange disc.
        let background = of(&layers, Role::Background);
        for y in 0..120 {
            for x in 0..160 {
                let selected = scene.mask[(y * 160 + x) as usize];
                assert_eq!(mask(background, x, y), selected);
                if selected > 0 {
                    let p = pixel(&background.picture, x - background.x, y - background.y);
                    assert!(p[0] < p[2].saturating_add(60), "{x}, {y}: {p:?}");
                }
            }
        }
    }
}

#[test]
fn at_home_no_selection_is_needed() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene);
    let mut request = pose(&scene, false);
    request.offset = [12.0, 7.0];
    let job = done(&engine, &request);
    let layers = job.layers().unwrap();
    assert_copied(&scene, of(&layers, Role::Subject), 12, 7);
    let background = of(&layers, Role::Background);
    let covered = (0..120 * 160u32).filter(|p| mask(background, p % 160, p / 160) > 0);
    assert_eq!(
        covered.count(),
        scene.mask.iter().filter(|m| **m > 0).count()
    );
}

#[test]
fn a_subject_from_the_library_comes_to_the_middle_of_another_picture() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene);
    let other = Scene {
        width: 101,
        height: 90,
        pixels: vec![90; 101 * 90 * 3],
        mask: Vec::new(),
    };
    // Nothing need be asked for: it is placed, and may then be moved.
    let job = done(&engine, &pose(&other, false));
    let layers = job.layers().unwrap();
    assert_eq!(layers.len(), 1);
    let placed = of(&layers, Role::Subject);
    let middle = |from: u32, length: u32| f64::from(from) + f64::from(length) / 2.0;
    assert!((middle(placed.x, placed.picture.width) - 50.5).abs() <= 2.0);
    assert!((middle(placed.y, placed.picture.height) - 45.0).abs() <= 2.0);
    let whole = placed.mask.iter().filter(|m| **m == 255).count();
    assert_eq!(whole, scene.mask.iter().filter(|m| **m == 255).count());
}

#[test]
fn what_leaves_the_picture_is_cut_off() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene);
    for (offset, subjects) in [([70.0, 0.0], 1), ([4000.0, 0.0], 0)] {
        let mut request = pose(&scene, true);
        request.offset = offset;
        let job = done(&engine, &request);
        let layers = job.layers().unwrap();
        let shown = layers.iter().filter(|l| l.role == Role::Subject);
        for layer in shown.clone() {
            assert!(layer.x + layer.picture.width <= 160 && layer.y + layer.picture.height <= 120);
        }
        assert_eq!(shown.count(), subjects, "{offset:?}");
    }
}

#[test]
fn a_guide_keeps_its_outline() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene);
    // A box of the subject's colour, painted flat.
    let painted = |x: u32, y: u32| (100..140).contains(&x) && (40..70).contains(&y);
    let guide: Vec<u8> = (0..120 * 160)
        .flat_map(|p| match painted(p % 160, p / 160) {
            true => [208, 128, 48, 255],
            false => [0; 4],
        })
        .collect();
    let mut request = pose(&scene, true);
    request.guide = Some(Picture {
        channels: Channels::Rgba,
        pixels: &guide,
        stride: 160 * 4,
        ..scene.picture()
    });
    let job = done(&engine, &request);
    let layers = job.layers().unwrap();
    let subject = of(&layers, Role::Subject);
    let mut sum = [0u32; 3];
    for y in 0..120 {
        for x in 0..160 {
            assert_eq!(mask(subject, x, y) > 0, painted(x, y), "at {x}, {y}");
            if painted(x, y) {
                let p = pixel(&subject.picture, x - subject.x, y - subject.y);
                sum = std::array::from_fn(|c| sum[c] + u32::from(p[c]));
            }
        }
    }
    let mean = sum.map(|v| v / (40 * 30));
    for (c, wanted) in [208u32, 128, 48].into_iter().enumerate() {
        assert!(mean[c].abs_diff(wanted) < 30, "{mean:?}");
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let scene = Scene::new(80, 60);
    let (engine, _folder) = learned(&scene);
    let nothing = pose(&scene, true);
    let error = failed(&engine, &nothing);
    assert_eq!(error.kind, ErrorKind::Caller);
    assert!(error.message.contains("pin"), "{error}");

    let mut words = pose(&scene, true);
    words.prompt = Some("waving");
    let error = failed(&engine, &words);
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.contains("Stable Diffusion"), "{error}");

    let mut unknown = pose(&scene, true);
    unknown.subject = "nobody";
    unknown.offset = [3.0, 0.0];
    let error = failed(&engine, &unknown);
    assert_eq!(error.kind, ErrorKind::Files);
    assert!(error.message.contains("nobody"), "{error}");

    // Two pins tear one point apart.
    let pins = [[10.0, 30.0], [70.0, 30.0]].map(|to| Pin {
        from: [32.0, 30.0],
        to,
        angle: None,
        depth: 0.0,
    });
    let mut torn = pose(&scene, true);
    torn.pins = &pins;
    assert_eq!(failed(&engine, &torn).kind, ErrorKind::Caller);

    // Nothing is left to restore the background from.
    let mut everything = Scene::new(80, 60);
    everything.mask.fill(255);
    let mut request = pose(&everything, true);
    request.offset = [3.0, 0.0];
    assert_eq!(failed(&engine, &request).kind, ErrorKind::Caller);
}

#[test]
fn the_same_seed_gives_the_same_layers_and_candidates_differ() {
    let scene = Scene::new(160, 120);
    let (engine, _folder) = learned(&scene);
    let mut request = pose(&scene, true);
    request.offset = [30.0, 0.0];
    request.candidates = 2;
    let (first, second) = (done(&engine, &request), done(&engine, &request));
    let (first, second) = (first.layers().unwrap(), second.layers().unwrap());
    assert!(first == second);
    let background = |candidate: u32| {
        let mut layers = first.iter();
        let found = layers.find(|l| l.candidate == candidate && l.role == Role::Background);
        found.unwrap().picture.pixels
    };
    assert!(background(0) != background(1));
}
