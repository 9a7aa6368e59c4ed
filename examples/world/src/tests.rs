//! What training and the benchmark rely on.

use std::collections::HashSet;

use crate::words::{Action, Kind, Place, View};
use crate::{JOINTS, Shot, Split, Style, Subject, render, render_empty};

#[test]
fn a_seed_gives_the_same_picture_and_another_seed_another() {
    let [first, again, other] = [7, 7, 8].map(|seed| render(&Shot::any(seed, Split::Train), 64));
    assert_eq!(first.rgb, again.rgb);
    assert_eq!(first.matte, again.matte);
    assert_ne!(first.rgb, other.rgb);
}

#[test]
fn training_and_held_out_subjects_share_no_combination() {
    let named = |s: &Subject| {
        format!(
            "{:?}",
            (s.kind, s.colour, s.second, s.pattern, s.accessory, s.mark)
        )
    };
    let all = |split| -> HashSet<String> {
        (0..4000)
            .map(|seed| named(&Subject::new(seed, split)))
            .collect()
    };
    let (train, held) = (all(Split::Train), all(Split::HeldOut));
    assert!(train.is_disjoint(&held));
    // Most are alone with their combination, and no two have the same measures.
    assert!(
        train.len() > 3000 && held.len() > 3000,
        "{} {}",
        train.len(),
        held.len()
    );
}

#[test]
fn every_subject_can_be_seen_whole_in_every_action() {
    for (index, &kind) in Kind::ALL.iter().enumerate() {
        for (n, &action) in Action::ALL
            .iter()
            .enumerate()
            .filter(|(_, a)| a.suits(kind))
        {
            let seed = (index * 100 + n) as u64;
            let mut subject = Subject::new(seed, Split::Train);
            subject.kind = kind;
            let view = View::ALL[n % View::ALL.len()];
            let shot = Shot::new(
                &subject,
                action,
                view,
                Place::ALL[n % Place::ALL.len()],
                seed,
            );
            let picture = render(&shot, 96);
            let covered = picture
                .matte
                .iter()
                .map(|m| f32::from(*m) / 255.0)
                .sum::<f32>();
            let share = covered / (96.0 * 96.0);
            assert!(
                (0.03..0.6).contains(&share),
                "{kind:?} {action:?} covers {share}"
            );
            let edge = (0..96).flat_map(|i| [i, 95 * 96 + i, i * 96, i * 96 + 95]);
            assert!(
                edge.into_iter().all(|i| picture.matte[i] == 0),
                "{kind:?} {action:?} is cut off"
            );
            for (name, (at, _)) in JOINTS.iter().zip(picture.joints) {
                assert!(
                    at.iter().all(|v| (0.0..96.0).contains(v)),
                    "{kind:?} {action:?}: {name} at {at:?}"
                );
            }
        }
    }
}

#[test]
fn a_subject_keeps_its_colours_from_shot_to_shot_and_moves_its_joints() {
    let subject = Subject::new(3, Split::HeldOut);
    let shots = [Action::Stand, Action::Jump]
        .map(|a| Shot::new(&subject, a, View::Front, Place::Studio, 5));
    let [a, b] = shots.each_ref().map(|shot| render(shot, 96));
    let moved = a
        .joints
        .iter()
        .zip(&b.joints)
        .map(|(a, b)| (a.0[0] - b.0[0]).hypot(a.0[1] - b.0[1]));
    assert!(moved.fold(0.0, f32::max) > 5.0);
    assert_eq!(shots[0].subject, shots[1].subject);
}

#[test]
fn another_pose_leaves_camera_and_place_as_they_are() {
    let shot = Shot::any(11, Split::HeldOut);
    let other = shot.posed(Action::Lie, 5);
    let [before, after] = [&shot, &other].map(Shot::staged);
    assert_eq!((before.foot, before.scale), (after.foot, after.scale));
    assert_eq!(shot.subject, other.subject);
    let [before, after] = [&shot, &other].map(|s| render(s, 96));
    assert_ne!(before.joints, after.joints);
    // The upper edge is neither covered nor in a shadow.
    assert_eq!(before.rgb[..96], after.rgb[..96]);
}

#[test]
fn a_drawing_is_of_the_same_subject_in_the_same_pose() {
    let shot = Shot::any(11, Split::HeldOut);
    let (photo, drawing) = (
        render(&shot, 96),
        render(&shot.clone().in_style(Style::Drawing), 96),
    );
    assert_eq!(photo.matte, drawing.matte);
    assert_eq!(photo.joints, drawing.joints);
    assert_ne!(photo.rgb, drawing.rgb);
}

#[test]
fn a_place_without_its_subject_is_the_same_place() {
    let shot = Shot::any(5, Split::Train);
    let (with, without) = (render(&shot, 64), render_empty(&shot, 64));
    assert!(without.matte.iter().all(|covered| *covered == 0));
    let pairs = with.rgb.iter().zip(&without.rgb).zip(&with.matte);
    let beside: Vec<_> = pairs.filter(|(_, covered)| **covered == 0).collect();
    // What differs there is its shadow.
    assert!(
        beside
            .iter()
            .all(|((a, b), _)| (0..3).all(|c| a[c] <= b[c]))
    );
    let same = beside.iter().filter(|((a, b), _)| a == b).count();
    assert!(same > beside.len() / 2, "{same} of {}", beside.len());
}

#[test]
fn captions_say_what_is_there() {
    for seed in 0..200 {
        let shot = Shot::any(seed, Split::Train);
        let (full, short) = (shot.caption(), shot.short_caption(seed));
        for word in [
            shot.subject.kind.word(),
            shot.subject.colour.word(),
            shot.action.word(),
        ] {
            assert!(
                full.contains(word) && short.contains(word),
                "{full} / {short}"
            );
        }
        assert!(full.contains(shot.scene.place.word()) && full.contains(shot.view.word()));
        let class = shot.class_caption();
        let does = class.split_once(shot.subject.kind.word());
        assert!(
            does.is_some_and(|(_, does)| full.ends_with(does)),
            "{class}"
        );
        assert!(!class.contains(shot.subject.colour.word()), "{class}");
        assert!(short.len() <= full.len() && full.split(' ').count() < 45);
    }
}
