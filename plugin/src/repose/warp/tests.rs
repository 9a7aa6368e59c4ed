#![allow(clippy::unwrap_used)]

use super::*;
use crate::learn::mesh::mesh;
use crate::repose::deform::{bounds, deform};
use crate::request::{Pin, Placement};

fn frame(width: usize, height: usize, origin: [i32; 2]) -> Frame {
    Frame {
        width,
        height,
        origin,
    }
}

/// Colours that differ everywhere, so that any resampling shows.
fn noise(width: usize, height: usize) -> Image {
    let mut state = 7u32;
    Image::from_fn(width, height, |_, _| {
        [0, 1, 2].map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        })
    })
}

/// A disc with an edge one pixel soft.
fn disc(side: usize, radius: f32) -> Mask {
    let middle = side as f32 / 2.0;
    Mask::from_fn(side, side, |x, y| {
        let away = (x as f32 + 0.5 - middle).hypot(y as f32 + 0.5 - middle);
        (radius - away + 0.5).clamp(0.0, 1.0)
    })
}

fn placed(colours: &Image, matte: &Mask, placement: Placement, frame: Frame) -> Warped {
    let mesh = mesh(matte);
    let middle = [matte.width() as f32 / 2.0, matte.height() as f32 / 2.0];
    let deformed = deform(&mesh, matte, &[], &placement, middle).unwrap();
    warp(colours, matte, &mesh, &deformed, frame).unwrap()
}

#[test]
fn whole_steps_keep_every_bit() {
    let (colours, matte) = (noise(90, 90), disc(90, 38.0));
    let moved = Placement {
        offset: [13.0, -7.0],
        ..Placement::default()
    };
    for (placement, origin, dx, dy) in [
        (Placement::default(), [0, 0], 0, 0),
        (moved, [5, 20], 18, 13),
    ] {
        let warped = placed(&colours, &matte, placement, frame(130, 120, origin));
        let mut seen = 0;
        for y in 0..120usize {
            for x in 0..130usize {
                let inside = (dx..dx + 90).contains(&x) && (dy..dy + 90).contains(&y);
                let want = if inside {
                    matte.at(x - dx, y - dy)
                } else {
                    0.0
                };
                assert_eq!(warped.matte.at(x, y).to_bits(), want.to_bits());
                if want > 0.0 {
                    seen += 1;
                    assert_eq!(warped.colours.at(x, y), colours.at(x - dx, y - dy));
                    assert_eq!(warped.stretch.at(x, y), 1.0);
                } else {
                    assert_eq!(warped.stretch.at(x, y), 0.0);
                }
            }
        }
        assert!(seen > 4000);
    }
}

#[test]
fn turned_and_scaled_it_keeps_its_area_and_has_no_cracks() {
    let matte = disc(200, 90.0);
    let colours = Image::from_fn(200, 200, |x, y| {
        if matte.at(x, y) > 0.0 {
            [0.25, 0.5, 0.75]
        } else {
            [9.0; 3]
        }
    });
    let area = |m: &Mask| m.data().iter().map(|&v| f64::from(v)).sum::<f64>();
    for (angle, scale) in [(33.0, 1.0), (77.0, 0.4), (10.0, 1.7), (181.0, 0.06)] {
        let placement = Placement {
            angle,
            scale,
            offset: [0.3, 0.6],
        };
        let warped = placed(&colours, &matte, placement, frame(400, 400, [100, 100]));
        let want = area(&matte) * f64::from(scale * scale);
        let got = area(&warped.matte);
        assert!(
            (got / want - 1.0).abs() < 0.02,
            "{angle}° × {scale}: {got} for {want}"
        );
        for y in 0..400usize {
            for x in 0..400usize {
                let away = (x as f32 - 199.8).hypot(y as f32 - 200.1);
                if away < 87.0 * scale - 2.0 {
                    assert!(warped.matte.at(x, y) > 0.999, "crack at {x}, {y}");
                }
                // Nothing of the other colours comes in at the edge.
                if warped.matte.at(x, y) > 0.0 {
                    let colour = warped.colours.at(x, y);
                    let want = [0.25, 0.5, 0.75];
                    assert!(
                        (0..3).all(|c| (colour[c] - want[c]).abs() < 1e-4),
                        "{colour:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn fine_detail_survives_a_turn_there_and_back() {
    // A pattern with 6 pixels per wave, turned and turned back.
    let side = 160;
    let wave = |v: usize| (v as f32 * std::f32::consts::TAU / 6.0).sin() * 0.4 + 0.5;
    let colours = Image::from_fn(side, side, |x, y| [wave(x), wave(y), wave(x + y)]);
    let matte = Mask::new(side, side, 1.0);
    let turn = |angle| Placement {
        angle,
        ..Placement::default()
    };
    let there = placed(&colours, &matte, turn(30.0), frame(side, side, [0, 0]));
    let back = placed(
        &there.colours,
        &matte,
        turn(-30.0),
        frame(side, side, [0, 0]),
    );
    let (mut sum, mut count) = (0.0f32, 0.0f32);
    for y in 50..110 {
        for x in 50..110 {
            sum += (back.colours.at(x, y)[0] - colours.at(x, y)[0]).powi(2);
            count += 1.0;
        }
    }
    assert!((sum / count).sqrt() < 0.04, "{}", (sum / count).sqrt());
}

/// Two blocks joined by a thin bridge; the right one moves over the left one.
fn fold(left_depth: f32, right_depth: f32) -> [f32; 3] {
    let matte = Mask::from_fn(300, 100, |x, y| {
        let block = (20..100).contains(&x) || (200..280).contains(&x);
        let on =
            (block && (10..90).contains(&y)) || ((90..210).contains(&x) && (10..20).contains(&y));
        f32::from(u8::from(on))
    });
    let colours = Image::from_fn(300, 100, |x, _| {
        if x < 150 {
            [1.0, 0.0, 0.0]
        } else {
            [0.0, 0.0, 1.0]
        }
    });
    let pin = |from: [f32; 2], dx: f32, depth| Pin {
        from,
        to: [from[0] + dx, from[1]],
        angle: None,
        depth,
    };
    let mut pins = vec![];
    for (x, y) in [(30.0, 30.0), (90.0, 30.0), (60.0, 80.0)] {
        pins.push(pin([x, y], 0.0, left_depth));
        pins.push(pin([x + 180.0, y], -150.0, right_depth));
    }
    let mesh = mesh(&matte);
    let deformed = deform(&mesh, &matte, &pins, &Placement::default(), [0.0; 2]).unwrap();
    let warped = warp(&colours, &matte, &mesh, &deformed, frame(300, 100, [0, 0])).unwrap();
    assert!(warped.matte.at(80, 60) > 0.99);
    warped.colours.at(80, 60)
}

#[test]
fn depth_decides_who_is_in_front() {
    let near = |got: [f32; 3], want: [f32; 3]| {
        assert!(
            (0..3).all(|c| (got[c] - want[c]).abs() < 1e-4),
            "{got:?} for {want:?}"
        );
    };
    near(fold(0.0, 1.0), [0.0, 0.0, 1.0]);
    near(fold(1.0, 0.0), [1.0, 0.0, 0.0]);
    // At equal depth, what moved further.
    near(fold(2.5, 2.5), [0.0, 0.0, 1.0]);
}

#[test]
fn soft_edges_in_front_show_what_is_behind() {
    let mesh = Mesh {
        vertices: [[0.0, 0.0], [40.0, 0.0], [40.0, 10.0], [0.0, 10.0]].into(),
        triangles: vec![[0, 1, 2], [0, 2, 3]],
    };
    let back = [[50.0, 0.0], [90.0, 0.0], [90.0, 10.0], [50.0, 10.0]];
    let both = Mesh {
        vertices: mesh.vertices.iter().copied().chain(back).collect(),
        triangles: vec![[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]],
    };
    let matte = Mask::from_fn(90, 10, |x, _| if x < 50 { 0.25 } else { 0.5 });
    let colours = Image::from_fn(90, 10, |x, _| if x < 50 { [1.0; 3] } else { [0.0; 3] });
    let mut deformed = deform(&both, &matte, &[], &Placement::default(), [0.0; 2]).unwrap();
    for v in 4..8 {
        deformed.vertices[v][0] -= 50.0;
        deformed.depth[v] = -1.0;
    }
    let warped = warp(&colours, &matte, &both, &deformed, frame(90, 10, [0, 0])).unwrap();
    let (alpha, colour) = (warped.matte.at(20, 5), warped.colours.at(20, 5));
    assert!((alpha - 0.625).abs() < 1e-6);
    assert!((colour[0] - 0.25 / 0.625).abs() < 1e-6);
}

#[test]
fn frames_of_any_kind() {
    let (colours, matte) = (noise(40, 40), disc(40, 15.0));
    let mesh = mesh(&matte);
    let deformed = deform(&mesh, &matte, &[], &Placement::default(), [0.0; 2]).unwrap();
    let (low, high) = bounds(&deformed);
    assert!(low[0] <= 3.0 && low[0] >= 0.0 && high[1] >= 37.0 && high[1] <= 40.0);
    for frame in [
        frame(0, 5, [0, 0]),
        frame(7, 3, [-20, -20]),
        frame(9, 9, [i32::MIN, i32::MAX]),
    ] {
        let warped = warp(&colours, &matte, &mesh, &deformed, frame).unwrap();
        assert_eq!(warped.matte.width(), frame.width);
        assert_eq!(warped.stretch.height(), frame.height);
    }
    let small = Mask::new(3, 3, 1.0);
    assert!(warp(&colours, &small, &mesh, &deformed, frame(9, 9, [0, 0])).is_err());
    let none = warp(
        &Image::default(),
        &Mask::default(),
        &mesh,
        &deformed,
        frame(9, 9, [0, 0]),
    )
    .unwrap();
    assert!(none.matte.data().iter().all(|&m| m == 0.0));
}
