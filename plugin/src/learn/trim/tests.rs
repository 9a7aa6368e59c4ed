#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

/// 1 within `r` pixels of the middle.
fn disc(size: usize, r: f32) -> Mask {
    let middle = size as f32 / 2.0;
    Grid::from_fn(size, size, |x, y| disc_at(x, y, [middle; 2], r))
}

fn disc_at(x: usize, y: usize, middle: [f32; 2], r: f32) -> f32 {
    let d = (x as f32 + 0.5 - middle[0]).hypot(y as f32 + 0.5 - middle[1]);
    f32::from(u8::from(d <= r))
}

fn grain(x: usize, y: usize) -> f32 {
    ((x * 7 + y * 13) % 5) as f32 * 0.01
}

/// A red subject on grey-blue ground.
fn picture(subject: &Mask) -> Image {
    Grid::from_fn(subject.width(), subject.height(), |x, y| {
        let g = grain(x, y);
        match subject.at(x, y) {
            0.0 => [0.3 + g, 0.35 + g, 0.5 + g],
            _ => [0.7 + g, 0.2 + g, 0.15 + g],
        }
    })
}

fn area(mask: &Mask) -> f32 {
    mask.data().iter().sum()
}

fn differs(a: &Mask, b: &Mask) -> f32 {
    let pairs = a.data().iter().zip(b.data());
    pairs.map(|(a, b)| (a - b).abs()).sum()
}

#[test]
fn a_margin_of_background_is_taken_off() {
    let truth = disc(240, 80.0);
    for margin in [4.0, 7.0, 11.0] {
        let rough = disc(240, 80.0 + margin);
        let found = trim(&picture(&truth), &rough).expect("a margin");
        let (before, after) = (differs(&rough, &truth), differs(&found, &truth));
        assert!(after < 0.4 * before, "{margin}: {after} of {before}");
        // What is cut off is not the subject.
        let lost = found.data().iter().zip(truth.data());
        assert!(lost.map(|(f, t)| (t - f).max(0.0)).sum::<f32>() < 0.01 * area(&truth));
    }
}

#[test]
fn large_pictures_are_trimmed_as_small_ones_are() {
    let truth = disc(900, 300.0);
    let rough = disc(900, 325.0);
    let found = trim(&picture(&truth), &rough).expect("a margin");
    assert!(differs(&found, &truth) < 0.25 * differs(&rough, &truth));
}

#[test]
fn an_outline_on_an_edge_is_left_as_it_is() {
    let tight = disc(240, 80.0);
    assert_eq!(trim(&picture(&tight), &tight), None);
    // Even where the subject's rim has the background's colour, as long as the outline is an edge.
    let rim = Grid::from_fn(240, 240, |x, y| {
        let inner = disc(240, 72.0).at(x, y);
        tight.at(x, y) + inner
    });
    let edged = Grid::from_fn(240, 240, |x, y| {
        let g = grain(x, y);
        match rim.at(x, y) as u8 {
            0 => [0.5 + 0.3 * (y as f32 / 240.0) + g; 3],
            1 => [0.30 + g; 3],
            _ => [0.7 + g, 0.2 + g, 0.15 + g],
        }
    });
    assert_eq!(trim(&edged, &tight), None);
}

#[test]
fn of_a_selection_that_is_rough_on_one_side_the_other_side_is_left() {
    let truth = disc(240, 80.0);
    let wide = disc(240, 90.0);
    let half = Grid::from_fn(240, 240, |x, y| match x < 120 {
        true => wide.at(x, y),
        false => truth.at(x, y),
    });
    let found = trim(&picture(&truth), &half).expect("a margin");
    assert!(differs(&found, &truth) < 0.4 * differs(&half, &truth));
    for y in 0..240 {
        for x in 135..240 {
            assert_eq!(found.at(x, y), half.at(x, y), "{x}, {y}");
        }
    }
}

#[test]
fn no_more_is_taken_off_than_the_deepest_margin() {
    // On one side the margin is deeper than that.
    let truth = disc(300, 80.0);
    let rough = Grid::from_fn(300, 300, |x, y| disc_at(x, y, [162.0, 150.0], 92.0));
    let found = trim(&picture(&truth), &rough).expect("a margin");
    let deepest = DEEPEST * area(&rough).sqrt();
    let inner = 92.0 - 1.1 * deepest - 2.0;
    let safe = Grid::from_fn(300, 300, |x, y| disc_at(x, y, [162.0, 150.0], inner));
    let mut pairs = found.data().iter().zip(safe.data());
    assert!(pairs.all(|(found, safe)| found >= safe));
}

#[test]
fn where_there_is_nothing_to_tell_by_nothing_is_taken_off() {
    let image = picture(&disc(60, 20.0));
    for selection in [
        Mask::new(60, 60, 0.0),
        Mask::new(60, 60, 1.0),
        disc(60, 2.0),
        Mask::new(60, 60, 0.3),
    ] {
        assert_eq!(trim(&image, &selection), None);
    }
    assert_eq!(trim(&Image::default(), &Mask::default()), None);
    // One colour everywhere.
    let flat = Image::new(100, 100, [0.5; 3]);
    assert_eq!(trim(&flat, &disc(100, 30.0)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn nothing_is_ever_added(
        w in 1usize..90, h in 1usize..90, seed in any::<u64>(),
        boxes in proptest::collection::vec((0usize..90, 0usize..90, 1usize..60, 1usize..60, 0.1f32..=1.0), 1..4),
    ) {
        let mut selection = Mask::new(w, h, 0.0);
        for (x, y, across, down, value) in boxes {
            for y in y.min(h)..(y + down).min(h) {
                for x in x.min(w)..(x + across).min(w) {
                    selection.set(x, y, value);
                }
            }
        }
        let image = Image::from_fn(w, h, |x, y| {
            let z = seed.wrapping_mul((x * x / 30 + 91 * (y / 20) + 1) as u64);
            [z as u8, (z >> 8) as u8, (z >> 16) as u8].map(|v| f32::from(v) / 255.0)
        });
        if let Some(found) = trim(&image, &selection) {
            let pairs = found.data().iter().zip(selection.data());
            prop_assert!(pairs.clone().all(|(f, s)| f <= s && *f >= 0.0));
        }
    }
}
