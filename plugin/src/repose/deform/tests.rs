#![allow(clippy::unwrap_used)]

use super::*;
use crate::canvas::Mask;
use crate::learn::mesh::mesh;

/// A lying bar, 400 × 80, with its left end at x = 20.
fn bar() -> Mesh {
    mesh(&Mask::from_fn(440, 120, |x, y| {
        f32::from(u8::from((20..420).contains(&x) && (20..100).contains(&y)))
    }))
}

fn pin(from: [f32; 2], to: [f32; 2]) -> Pin {
    Pin {
        from,
        to,
        angle: None,
        depth: 0.0,
    }
}

fn pose(mesh: &Mesh, pins: &[Pin]) -> Deformed {
    pose_of(mesh, &Mask::default(), pins)
}

fn pose_of(mesh: &Mesh, matte: &Mask, pins: &[Pin]) -> Deformed {
    let deformed = deform(mesh, matte, pins, &Placement::default(), [0.0, 0.0]).unwrap();
    for values in [&deformed.depth, &deformed.stretch, &deformed.moved] {
        assert_eq!(values.len(), mesh.vertices.len());
        assert!(values.iter().all(|v| v.is_finite()));
    }
    assert!(deformed.vertices.iter().flatten().all(|v| v.is_finite()));
    deformed
}

/// Where a point of the subject went.
fn goes(mesh: &Mesh, deformed: &Deformed, p: [f32; 2]) -> [f32; 2] {
    let rest: Vec<Point> = mesh.vertices.iter().map(|&v| v.into()).collect();
    let pinned = Finder::new(mesh, &Mask::default(), &rest, &edges(mesh))
        .pin(&[pin(p, p)])
        .unwrap();
    let mut at = Point::default();
    for (v, share) in pinned[0].corners {
        at += Point::from(deformed.vertices[v]) * share;
    }
    at.into()
}

fn apart(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

fn turned(p: [f32; 2], about: [f32; 2], degrees: f32) -> [f32; 2] {
    let (s, c) = degrees.to_radians().sin_cos();
    let (x, y) = (p[0] - about[0], p[1] - about[1]);
    [about[0] + c * x - s * y, about[1] + s * x + c * y]
}

#[test]
fn nothing_asked_nothing_changed() {
    let mesh = bar();
    for pins in [
        vec![],
        vec![
            pin([30.0, 60.0], [30.0, 60.0]),
            pin([400.3, 50.7], [400.3, 50.7]),
        ],
    ] {
        let deformed = pose(&mesh, &pins);
        assert_eq!(deformed.vertices, mesh.vertices);
        assert!(deformed.stretch.iter().all(|s| (s - 1.0).abs() < 1e-6));
        assert!(deformed.moved.iter().all(|&m| m == 0.0));
    }
}

#[test]
fn one_pin_moves_everything_by_whole_pixels() {
    let mesh = bar();
    let deformed = pose(&mesh, &[pin([120.3, 60.7], [150.3, 20.7])]);
    for (a, b) in mesh.vertices.iter().zip(&deformed.vertices) {
        assert_eq!([a[0] + 30.0, a[1] - 40.0], *b);
    }
}

#[test]
fn placement_alone_is_exactly_itself() {
    let mesh = bar();
    let placement = Placement {
        offset: [10.0, -5.0],
        scale: 1.5,
        angle: 30.0,
    };
    let deformed = deform(&mesh, &Mask::default(), &[], &placement, [220.0, 60.0]).unwrap();
    for (&a, &b) in mesh.vertices.iter().zip(&deformed.vertices) {
        let t = turned(a, [220.0, 60.0], 30.0);
        let want = [
            220.0 + (t[0] - 220.0) * 1.5 + 10.0,
            60.0 + (t[1] - 60.0) * 1.5 - 5.0,
        ];
        assert!(apart(want, b) < 1e-3);
    }
    assert!(deformed.stretch.iter().all(|s| (s - 1.0).abs() < 1e-4));
    let quarter = Placement {
        angle: 90.0,
        ..Placement::default()
    };
    let deformed = deform(&mesh, &Mask::default(), &[], &quarter, [220.0, 60.0]).unwrap();
    for (a, b) in mesh.vertices.iter().zip(&deformed.vertices) {
        assert_eq!([220.0 - (a[1] - 60.0), 60.0 + (a[0] - 220.0)], *b);
    }
}

#[test]
fn rigid_motion_of_three_pins_is_recovered() {
    let mesh = bar();
    let rigid = |p| {
        let t = turned(p, [200.0, 60.0], 50.0);
        [t[0] + 33.0, t[1] - 12.5]
    };
    let pins = [[40.0, 40.0], [220.0, 80.0], [400.0, 50.0]].map(|p| pin(p, rigid(p)));
    let deformed = pose(&mesh, &pins);
    for (&a, &b) in mesh.vertices.iter().zip(&deformed.vertices) {
        assert!(apart(rigid(a), b) < 0.1);
    }
    assert!(deformed.stretch.iter().all(|s| (s - 1.0).abs() < 0.01));
}

#[test]
fn scale_keeps_its_size_under_pins() {
    let mesh = bar();
    let placement = Placement {
        scale: 0.5,
        ..Placement::default()
    };
    let pins = [
        pin([40.0, 60.0], [40.0, 60.0]),
        pin([240.0, 60.0], [40.0, 160.0]),
    ];
    let deformed = deform(&mesh, &Mask::default(), &pins, &placement, [0.0, 0.0]).unwrap();
    let end = goes(&mesh, &deformed, [400.0, 60.0]);
    assert!(apart(end, [40.0, 240.0]) < 1.0, "{end:?}");
    assert!(deformed.stretch.iter().all(|s| (s - 1.0).abs() < 0.02));
}

#[test]
fn pins_are_reached_and_fixed_ones_stay() {
    let mesh = bar();
    let pins = [
        pin([40.0, 60.0], [40.0, 60.0]),
        pin([160.0, 60.0], [160.0, 60.0]),
        pin([400.0, 60.0], [330.0, 230.0]),
    ];
    let deformed = pose(&mesh, &pins);
    for p in &pins {
        let got = goes(&mesh, &deformed, p.from);
        assert!(apart(got, p.to) < 0.1, "{got:?} for {:?}", p.to);
    }
    // Bent, not sheared or squashed: its width at the moved end is still 80.
    let (above, below) = (
        goes(&mesh, &deformed, [380.0, 25.0]),
        goes(&mesh, &deformed, [380.0, 95.0]),
    );
    assert!(
        (apart(above, below) - 70.0).abs() < 5.0,
        "{}",
        apart(above, below)
    );
}

#[test]
fn what_is_pulled_is_known_as_stretched() {
    let mesh = bar();
    let deformed = pose(
        &mesh,
        &[
            pin([40.0, 60.0], [40.0, 60.0]),
            pin([400.0, 60.0], [900.0, 60.0]),
        ],
    );
    let middle: Vec<f32> = (mesh.vertices.iter().zip(&deformed.stretch))
        .filter(|(v, _)| (150.0..300.0).contains(&v[0]))
        .map(|(_, &s)| s)
        .collect();
    assert!(middle.len() > 50 && middle.iter().all(|&s| s > 1.5));
}

#[test]
fn an_angle_turns_what_is_near() {
    let mesh = bar();
    let mut turn = pin([380.0, 60.0], [380.0, 60.0]);
    turn.angle = Some(40.0);
    let deformed = pose(
        &mesh,
        &[
            pin([40.0, 60.0], [40.0, 60.0]),
            pin([140.0, 60.0], [140.0, 60.0]),
            turn,
        ],
    );
    let centre = goes(&mesh, &deformed, [380.0, 60.0]);
    assert!(apart(centre, [380.0, 60.0]) < 0.1);
    for p in [[400.0, 60.0], [380.0, 80.0], [365.0, 50.0]] {
        let (got, want) = (goes(&mesh, &deformed, p), turned(p, [380.0, 60.0], 40.0));
        assert!(apart(got, want) < 2.5, "{got:?} {want:?}");
    }
    for p in [[40.0, 90.0], [100.0, 60.0]] {
        assert!(apart(goes(&mesh, &deformed, p), p) < 4.0);
    }
    // Alone, it turns everything.
    let deformed = pose(&mesh, &[turn]);
    let got = goes(&mesh, &deformed, [40.0, 60.0]);
    assert!(
        apart(got, turned([40.0, 60.0], [380.0, 60.0], 40.0)) < 0.5,
        "{got:?}"
    );
}

#[test]
fn parts_without_a_pin_follow() {
    let mesh = mesh(&Mask::from_fn(300, 60, |x, y| {
        let on = (10..140).contains(&x) || (220..280).contains(&x);
        f32::from(u8::from(on && (10..50).contains(&y)))
    }));
    let rigid = |p| turned(p, [20.0, 30.0], 25.0);
    let pins = [[20.0, 30.0], [130.0, 30.0]].map(|p| pin(p, rigid(p)));
    let deformed = pose(&mesh, &pins);
    for (&a, &b) in mesh.vertices.iter().zip(&deformed.vertices) {
        assert!(apart(rigid(a), b) < 0.3, "{a:?} {b:?}");
    }
}

#[test]
fn depth_flows_along_the_subject() {
    let mesh = bar();
    let mut end = pin([400.0, 60.0], [400.0, 90.0]);
    end.depth = 2.0;
    let mut start = pin([40.0, 60.0], [40.0, 60.0]);
    start.depth = -1.0;
    let deformed = pose(&mesh, &[start, end]);
    for (v, &d) in mesh.vertices.iter().zip(&deformed.depth) {
        assert!((-1.01..=2.01).contains(&d));
        if v[0] < 45.0 {
            assert!(d < -0.5);
        } else if v[0] > 395.0 {
            assert!(d > 1.5);
        }
    }
}

#[test]
fn thin_and_tiny_subjects_are_posed() {
    for (w, h) in [(1, 1), (1, 90), (90, 1), (2, 3)] {
        let mesh = mesh(&Mask::new(w, h, 1.0));
        let end = [w as f32 - 0.5, h as f32 - 0.5];
        let pins = [
            pin([0.5, 0.5], [0.5, 0.5]),
            pin(end, [end[0] + 9.0, end[1] + 5.0]),
        ];
        let pins = if w * h == 1 { &pins[..1] } else { &pins[..] };
        pose(&mesh, pins);
    }
    let flat = Mesh {
        vertices: vec![[3.0, 3.0]; 3],
        triangles: vec![[0, 1, 2], [0, 0, 0]],
    };
    pose(&flat, &[pin([3.0, 3.0], [5.0, 9.5])]);
    let mut turn = pin([3.0, 3.0], [5.0, 9.5]);
    turn.angle = Some(20.0);
    pose(&flat, &[turn]);
}

#[test]
fn a_pin_beside_a_thin_part_takes_it_along() {
    let mesh = bar();
    let pins = [
        pin([40.0, 8.0], [40.0, 8.0]),
        pin([400.0, 60.0], [400.0, 90.0]),
    ];
    let deformed = pose(&mesh, &pins);
    let top = goes(&mesh, &deformed, [40.0, 18.0]);
    assert!(apart(top, [40.0, 18.0]) < 2.0, "{top:?}");
}

#[test]
fn an_arm_beside_a_body_moves_by_itself() {
    // A body, and an arm that hangs beside it from the shoulder; the gap between them is narrower than a cell.
    let matte = Mask::from_fn(300, 400, |x, y| {
        let body = (100..280).contains(&x) && (20..380).contains(&y);
        let arm = (60..93).contains(&x) && (20..300).contains(&y);
        let shoulder = (60..280).contains(&x) && (20..60).contains(&y);
        f32::from(u8::from(body || arm || shoulder))
    });
    let mesh = mesh(&matte);
    let pins = [
        pin([76.0, 290.0], [16.0, 275.0]),
        pin([150.0, 40.0], [150.0, 40.0]),
        pin([150.0, 360.0], [150.0, 360.0]),
        pin([270.0, 200.0], [270.0, 200.0]),
    ];
    let deformed = pose_of(&mesh, &matte, &pins);
    assert!(apart(goes(&mesh, &deformed, [76.0, 290.0]), [16.0, 275.0]) < 1.0);
    for y in [140.0, 200.0, 280.0, 340.0] {
        let side = [112.0, y];
        let moved = apart(goes(&mesh, &deformed, side), side);
        assert!(moved < 6.0, "the body's side at {y} moved by {moved}");
    }
}

#[test]
fn a_pin_beside_the_subject_holds_what_it_covers() {
    let matte = Mask::from_fn(440, 120, |x, y| {
        f32::from(u8::from((20..420).contains(&x) && (20..100).contains(&y)))
    });
    let pins = [
        pin([60.0, 12.0], [60.0, 2.0]),
        pin([380.0, 60.0], [380.0, 60.0]),
    ];
    let mesh = mesh(&matte);
    let deformed = pose_of(&mesh, &matte, &pins);
    let edge = goes(&mesh, &deformed, [60.0, 22.0]);
    assert!(apart(edge, [60.0, 12.0]) < 1.0, "{edge:?}");
}

#[test]
fn what_cannot_be_is_said() {
    let mesh = bar();
    let still = Placement::default();
    let try_ = |pins: &[Pin]| {
        let unusable = deform(&mesh, &Mask::default(), pins, &still, [0.0, 0.0]).unwrap_err();
        let error = unusable.error(pins, [1000.0, 2000.0]);
        assert_eq!(error.kind, crate::ErrorKind::Caller);
        error.message
    };
    let fine = pin([40.0, 60.0], [40.0, 60.0]);
    let off = try_(&[fine, pin([40.0, 160.0], [40.0, 160.0])]);
    assert!(
        off.contains("pin 2 at (1040.0, 2160.0)") && off.contains("1018."),
        "{off}"
    );
    let twice = try_(&[fine, pin([40.0, 60.0], [41.0, 60.0])]);
    assert!(
        twice.contains("pin 1") && twice.contains("pin 2"),
        "{twice}"
    );
    for bad in [f32::NAN, f32::INFINITY, 1e30] {
        assert!(try_(&[pin([40.0, 60.0], [bad, 60.0])]).contains("pin 1"));
        assert!(try_(&[pin([bad, 60.0], [40.0, 60.0])]).contains("pin 1"));
    }
    let mut odd = fine;
    odd.angle = Some(f32::NAN);
    assert!(try_(&[odd]).contains("pin 1"));
    odd = fine;
    odd.depth = f32::NEG_INFINITY;
    assert!(try_(&[odd]).contains("pin 1"));
    assert!(try_(&[fine; 1001]).contains("1000"));

    for (scale, angle, offset) in [
        (0.0, 0.0, 0.0),
        (f32::NAN, 0.0, 0.0),
        (1.0, f32::NAN, 0.0),
        (1.0, 0.0, f32::INFINITY),
    ] {
        let placement = Placement {
            offset: [offset, 0.0],
            scale,
            angle,
        };
        assert!(deform(&mesh, &Mask::default(), &[], &placement, [0.0, 0.0]).is_err());
    }
    assert!(deform(&Mesh::default(), &Mask::default(), &[], &still, [0.0, 0.0]).is_err());
    let broken = Mesh {
        triangles: vec![[0, 1, 9]],
        vertices: vec![[0.0, 1.0]; 3],
    };
    assert!(deform(&broken, &Mask::default(), &[], &still, [0.0, 0.0]).is_err());
}
