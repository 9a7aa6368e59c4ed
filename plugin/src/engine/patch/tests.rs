//! What a fill promises, on pictures that are easy to judge.
#![allow(clippy::unwrap_used)]

use std::f32::consts::TAU;

use super::fill::{Fill, fill};
use super::level::{Part, Start};
use crate::canvas::{Grid, Image};
use crate::{Error, ErrorKind, Result};

const HOW: Fill = Fill {
    start: Start::Unknown,
    nearness: 10.0,
    seed: 5,
};

/// A pattern that repeats every 8 × 12 pixels.
fn pattern(width: usize, height: usize) -> Image {
    Grid::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 * TAU / 8.0, y as f32 * TAU / 12.0);
        [
            0.5 + 0.3 * u.sin(),
            0.5 + 0.2 * (u + v).cos(),
            0.4 + 0.3 * v.sin(),
        ]
    })
}

fn disc(width: usize, height: usize, radius: f32) -> Grid<bool> {
    Grid::from_fn(width, height, |x, y| {
        (x as f32 - width as f32 / 2.0).hypot(y as f32 - height as f32 / 2.0) < radius
    })
}

/// `image` with magenta in `hole`: a fill must not look at what is there.
fn hidden(image: &Image, hole: &Grid<bool>) -> Image {
    Grid::from_fn(image.width(), image.height(), |x, y| {
        if hole.at(x, y) {
            [1.0, 0.0, 1.0]
        } else {
            image.at(x, y)
        }
    })
}

fn run(image: &Image, hole: &Grid<bool>, how: &Fill) -> Result<Image> {
    fill(image, &parts(hole, Part::Source), how, &mut |_, _| Ok(()))
}

fn parts(hole: &Grid<bool>, rest: Part) -> Grid<Part> {
    hole.map(|&open| if open { Part::Open } else { rest })
}

fn rms(a: &Image, b: &Image, hole: &Grid<bool>) -> f32 {
    let (mut sum, mut n) = (0.0, 0.0);
    for ((a, b), _) in a
        .data()
        .iter()
        .zip(b.data())
        .zip(hole.data())
        .filter(|h| *h.1)
    {
        sum += (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f32>();
        n += 3.0;
    }
    (sum / n).sqrt()
}

fn bits(image: &Image) -> Vec<[u32; 3]> {
    image.data().iter().map(|p| p.map(f32::to_bits)).collect()
}

#[test]
fn pixels_outside_the_hole_come_back_bit_for_bit() {
    let hole = disc(90, 70, 20.0);
    let mut image = hidden(&pattern(90, 70), &hole);
    // Values that arithmetic would change: negative zero, tiny, far out of range.
    image.set(0, 0, [-0.0, 1e-42, 60000.0]);
    image.set(89, 69, [-5.0, 0.1 + 0.2, f32::MIN_POSITIVE]);
    for start in [Start::Unknown, Start::Guess] {
        let filled = run(&image, &hole, &Fill { start, ..HOW }).unwrap();
        let pairs = bits(&filled).into_iter().zip(bits(&image));
        assert!(pairs.zip(hole.data()).all(|((a, b), open)| *open || a == b));
        assert!(filled.data().iter().flatten().all(|v| v.is_finite()));
    }
}

#[test]
fn a_pattern_is_continued() {
    let truth = pattern(160, 140);
    for (radius, bound) in [(12.0, 0.02), (24.0, 0.04), (40.0, 0.12)] {
        let hole = disc(160, 140, radius);
        let filled = run(&hidden(&truth, &hole), &hole, &HOW).unwrap();
        let error = rms(&filled, &truth, &hole);
        assert!(error < bound, "radius {radius}: {error}");
    }
}

#[test]
fn a_guess_keeps_its_structure() {
    // A pattern, faded in the hole as stretching fades it: the repair brings the contrast back where the guess had it.
    let truth = pattern(120, 100);
    let hole = disc(120, 100, 20.0);
    let faded = Grid::from_fn(120, 100, |x, y| {
        let p = truth.at(x, y);
        if hole.at(x, y) {
            p.map(|v| 0.45 + 0.6 * (v - 0.45))
        } else {
            p
        }
    });
    let how = Fill {
        start: Start::Guess,
        ..HOW
    };
    let filled = run(&faded, &hole, &how).unwrap();
    let (before, after) = (rms(&faded, &truth, &hole), rms(&filled, &truth, &hole));
    assert!(after < 0.5 * before, "{after} of {before}");
}

#[test]
fn the_same_seed_gives_the_same_pixels_with_any_number_of_threads() {
    let hole = disc(120, 90, 26.0);
    let noise = Grid::from_fn(120, 90, |x, y| {
        let h = super::field::mix((y * 120 + x) as u64);
        [0, 16, 32].map(|s| ((h >> s) & 0xff) as f32 / 255.0)
    });
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        bits(
            &pool
                .install(|| run(&noise, &hole, &Fill { seed, ..HOW }))
                .unwrap(),
        )
    };
    let one = with(1, 5);
    assert!(one == with(4, 5));
    assert!(one != with(1, 6));
}

#[test]
fn excluded_pixels_are_never_copied() {
    // The right half is red and excluded; nothing red may come into the hole.
    let hole = disc(120, 90, 22.0);
    let parts = Grid::from_fn(120, 90, |x, y| match (hole.at(x, y), x > 60) {
        (true, _) => Part::Open,
        (false, true) => Part::Shown,
        (false, false) => Part::Source,
    });
    let image = Grid::from_fn(120, 90, |x, y| match x > 60 {
        true => [1.0, 0.0, 0.0],
        false => [0.2, 0.4 + 0.1 * ((x / 2 + y / 3) % 3) as f32, 0.5],
    });
    // The seam at the border meets red pixels, so their gradient is kept out as well: excluded pixels touch the hole.
    let filled = fill(&image, &parts, &HOW, &mut |_, _| Ok(())).unwrap();
    let far = |x: usize, y: usize| hole.at(x, y) && x < 48;
    for y in 0..90 {
        for x in (0..120).filter(|&x| far(x, y)) {
            let p = filled.at(x, y);
            assert!(p[0] < 0.6 && p[2] > 0.2, "{x}, {y}: {p:?}");
        }
    }
}

#[test]
fn a_veil_says_nothing_about_what_is_beside_it() {
    // Whatever the veiled half shows, the fill of the other half is the same to the bit, and continues the pattern.
    let truth = pattern(160, 120);
    let parts = Grid::from_fn(160, 120, |x, y| match x {
        100.. => Part::Veiled,
        60.. if (30..90).contains(&y) => Part::Open,
        _ => Part::Source,
    });
    let fills = [[1.0, 0.0, 1.0], [0.0, 9.0, 0.2]].map(|veil| {
        let image = Grid::from_fn(160, 120, |x, y| match parts.at(x, y) {
            Part::Veiled | Part::Open => veil,
            _ => truth.at(x, y),
        });
        let filled = fill(&image, &parts, &HOW, &mut |_, _| Ok(())).unwrap();
        Grid::from_fn(100, 120, |x, y| filled.at(x, y))
    });
    assert_eq!(bits(&fills[0]), bits(&fills[1]));
    let hole = Grid::from_fn(100, 120, |x, y| parts.at(x, y) == Part::Open);
    let error = rms(&fills[0], &truth.crop(hole.bounds()), &hole);
    assert!(error < 0.05, "{error}");
}

#[test]
fn nothing_to_fill_from_is_the_callers_error() {
    let image = pattern(40, 30);
    let all = Grid::new(40, 30, true);
    assert_eq!(run(&image, &all, &HOW).unwrap_err().kind, ErrorKind::Caller);
    let hole = disc(40, 30, 8.0);
    for rest in [Part::Shown, Part::Veiled] {
        let error = fill(&image, &parts(&hole, rest), &HOW, &mut |_, _| Ok(())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Caller);
    }
}

#[test]
fn nothing_to_fill_is_no_work() {
    let image = pattern(40, 30);
    let none = Grid::new(40, 30, Part::Source);
    let filled = fill(&image, &none, &HOW, &mut |_, _| {
        Err(Error::bug("there is nothing to report"))
    });
    assert_eq!(bits(&filled.unwrap()), bits(&image));
}

#[test]
fn cancelled_within_one_round() {
    let hole = disc(120, 90, 26.0);
    let parts = parts(&hole, Part::Source);
    let image = pattern(120, 90);
    let mut rounds = Vec::new();
    fill(&image, &parts, &HOW, &mut |done, _| {
        rounds.push(done);
        Ok(())
    })
    .unwrap();
    assert!(rounds.len() > 20);
    assert!(rounds.windows(2).all(|r| r[0] < r[1]) && rounds[rounds.len() - 1] <= 1.0001);
    for last in 1..=rounds.len() {
        let mut calls = 0;
        let ended = fill(&image, &parts, &HOW, &mut |_, _| {
            calls += 1;
            if calls == last {
                Err(Error::cancelled())
            } else {
                Ok(())
            }
        });
        assert_eq!(ended.unwrap_err().kind, ErrorKind::Cancelled);
        assert_eq!(calls, last);
    }
}

#[test]
fn tiny_pictures_and_strange_holes() {
    for (w, h) in (1..=8).flat_map(|w| (1..=8).map(move |h| (w, h))) {
        let image = pattern(w, h);
        let holes: [&dyn Fn(usize, usize) -> bool; 5] = [
            // One pixel; all but one; one half; the rim; every other pixel.
            &|x, y| (x, y) == (w / 2, h / 2),
            &|x, y| (x, y) != (w - 1, h / 2),
            &|x, _| 2 * x >= w,
            &|x, y| x == 0 || y == 0 || x + 1 == w || y + 1 == h,
            &|x, y| (x + y) % 2 == 0,
        ];
        for hole in holes {
            let hole = Grid::from_fn(w, h, hole);
            for start in [Start::Unknown, Start::Guess] {
                match run(&image, &hole, &Fill { start, ..HOW }) {
                    Ok(filled) => assert!(filled.data().iter().flatten().all(|v| v.is_finite())),
                    Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Caller);
                        assert!(!hole.data().contains(&false), "{w}×{h}: {error}");
                    }
                }
            }
        }
    }
}

#[test]
fn holes_at_the_pictures_edge_are_filled_from_what_is_left() {
    let truth = pattern(100, 80);
    let holes: [&dyn Fn(usize, usize) -> bool; 4] = [
        &|x, _| x < 30,
        &|_, y| y >= 60,
        &|x, y| x < 40 && y < 30,
        // All but a corner that holds few patches.
        &|x, y| !(x < 12 && y < 12),
    ];
    for hole in holes {
        let hole = Grid::from_fn(100, 80, hole);
        let filled = run(&hidden(&truth, &hole), &hole, &HOW).unwrap();
        for p in filled.data() {
            // Magenta would mean that a hidden pixel was copied; the pattern itself is never purer than this.
            assert!(p.iter().all(|v| (0.09..0.81).contains(v)), "{p:?}");
        }
    }
}
