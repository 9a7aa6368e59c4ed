//! What a subject does with its limbs. Angles are in radians, in the subject's own frame: y up, z where it looks, x to its
//! left.

use std::f32::consts::FRAC_PI_2;

use crate::random::Random;
use crate::words::{Action, Kind};

/// A limb of two bones, by the direction of each.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limb {
    /// Of the upper bone: forward from hanging down, and then outward.
    pub upper: [f32; 2],
    /// Of the lower bone.
    pub lower: [f32; 2],
}

/// A posture.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pose {
    /// Of the torso: forward (of four legs: the chest up), and to its left.
    pub torso: [f32; 2],
    /// Of the head: down, to its left, and tilted.
    pub head: [f32; 3],
    /// Left and right arm, or front leg.
    pub arms: [Limb; 2],
    /// Left and right leg.
    pub legs: [Limb; 2],
    /// Of the whole body: onto its back.
    pub tilt: f32,
    /// Height of the lowest point over the ground, in body heights.
    pub lift: f32,
}

impl Limb {
    /// Straight.
    fn straight(swing: f32, spread: f32) -> Self {
        Self {
            upper: [swing, spread],
            lower: [swing, spread],
        }
    }

    /// The lower bone turned by `bend` against the upper: forward for arms, backward (negative) for legs.
    fn bent(swing: f32, spread: f32, bend: f32) -> Self {
        Self {
            upper: [swing, spread],
            lower: [swing + bend, spread],
        }
    }
}

impl Pose {
    /// A posture that shows this action, never twice the same.
    pub fn of(action: Action, kind: Kind, random: &mut Random) -> Self {
        let mut pose = match kind.is_quadruped() {
            true => on_four_legs(action, random),
            false => on_two_legs(action, random),
        };
        pose.head[0] += random.about(0.12);
        pose.head[1] += random.about(0.3);
        pose.head[2] += random.about(0.12);
        pose.torso[0] += random.about(0.05);
        for limb in pose.arms.iter_mut().chain(&mut pose.legs) {
            for angle in limb.upper.iter_mut().chain(&mut limb.lower) {
                *angle += random.about(0.07);
            }
        }
        pose
    }
}

/// Exchanges left and right, always or never: which leg or arm is in front.
fn sides(random: &mut Random) -> impl Fn([Limb; 2]) -> [Limb; 2] + use<> {
    let turn = random.chance(0.5);
    move |[left, right]| match turn {
        true => [right, left],
        false => [left, right],
    }
}

fn on_two_legs(action: Action, random: &mut Random) -> Pose {
    let hanging = [Limb::straight(0.05, 0.22); 2];
    let standing = [Limb::straight(0.0, 0.1); 2];
    let sides = sides(random);
    let wave = |random: &mut Random| {
        let up = random.between(1.5, 2.0);
        Limb {
            upper: [0.1, up],
            lower: [0.1, up + random.between(0.5, 1.2)],
        }
    };
    let rest = Pose {
        arms: hanging,
        legs: standing,
        ..Pose::default()
    };
    match action {
        Action::Walk => Pose {
            torso: [0.08, 0.0],
            arms: sides([Limb::bent(-0.5, 0.15, 0.2), Limb::bent(0.5, 0.15, 0.3)]),
            legs: sides([Limb::bent(0.5, 0.05, -0.1), Limb::bent(-0.35, 0.05, -0.35)]),
            ..rest
        },
        Action::Run => Pose {
            torso: [0.3, 0.0],
            arms: sides([Limb::bent(-0.9, 0.2, 1.2), Limb::bent(0.9, 0.2, 1.4)]),
            legs: sides([Limb::bent(1.2, 0.05, -0.7), Limb::bent(-0.6, 0.05, -1.3)]),
            lift: random.between(0.0, 0.08),
            ..rest
        },
        Action::Jump => Pose {
            arms: [Limb::bent(0.5, 1.9, 0.2); 2],
            legs: [Limb::bent(0.5, 0.35, -1.1); 2],
            lift: random.between(0.22, 0.35),
            ..rest
        },
        Action::Sit => Pose {
            arms: [Limb::bent(0.3, 0.3, 0.3); 2],
            legs: [Limb::bent(FRAC_PI_2, 0.25, 0.0); 2],
            ..rest
        },
        Action::Lie => Pose {
            arms: [Limb::straight(0.1, 0.5); 2],
            tilt: FRAC_PI_2,
            ..rest
        },
        Action::WaveLeft => Pose {
            arms: [wave(random), hanging[1]],
            ..rest
        },
        Action::WaveRight => Pose {
            arms: [hanging[0], wave(random)],
            ..rest
        },
        Action::ArmsUp => Pose {
            arms: [Limb::straight(0.1, random.between(2.6, 2.9)); 2],
            ..rest
        },
        Action::ArmsOut => Pose {
            arms: [Limb::straight(0.0, random.between(1.35, 1.65)); 2],
            ..rest
        },
        Action::Bow => Pose {
            torso: [random.between(1.0, 1.35), 0.0],
            head: [0.3, 0.0, 0.0],
            arms: [Limb::straight(-0.2, 0.25); 2],
            ..rest
        },
        Action::Kick => Pose {
            torso: [-0.15, 0.0],
            arms: [Limb::straight(0.1, 0.8); 2],
            legs: sides([
                Limb::bent(random.between(1.2, 1.6), 0.05, -0.1),
                Limb::bent(-0.05, 0.05, -0.1),
            ]),
            ..rest
        },
        _ => rest,
    }
}

fn on_four_legs(action: Action, random: &mut Random) -> Pose {
    let standing = [Limb::straight(0.0, 0.06); 2];
    let sides = sides(random);
    let rest = Pose {
        arms: standing,
        legs: standing,
        ..Pose::default()
    };
    match action {
        Action::Walk => Pose {
            arms: sides([Limb::bent(0.4, 0.05, -0.15), Limb::bent(-0.35, 0.05, -0.1)]),
            legs: sides([Limb::bent(-0.35, 0.05, -0.1), Limb::bent(0.4, 0.05, -0.15)]),
            ..rest
        },
        Action::Run => Pose {
            torso: [random.between(-0.05, 0.15), 0.0],
            arms: [Limb::bent(1.0, 0.05, -0.3), Limb::bent(0.8, 0.05, -0.2)],
            legs: [Limb::bent(-0.9, 0.05, -0.3), Limb::bent(-0.7, 0.05, -0.4)],
            lift: random.between(0.02, 0.1),
            ..rest
        },
        Action::Jump => Pose {
            torso: [0.35, 0.0],
            arms: [Limb::bent(0.9, 0.1, -1.3); 2],
            legs: [Limb::bent(-0.7, 0.1, -0.2); 2],
            lift: random.between(0.22, 0.35),
            ..rest
        },
        Action::Sit => Pose {
            torso: [0.75, 0.0],
            head: [0.3, 0.0, 0.0],
            arms: [Limb::straight(0.05, 0.06); 2],
            legs: [Limb::bent(1.7, 0.35, -0.2); 2],
            ..rest
        },
        Action::Lie => Pose {
            arms: [Limb::straight(1.45, 0.2); 2],
            legs: [Limb::bent(1.2, 0.4, 0.25); 2],
            ..rest
        },
        Action::Rear => Pose {
            torso: [random.between(0.9, 1.2), 0.0],
            head: [0.6, 0.0, 0.0],
            arms: [Limb::bent(1.2, 0.1, -0.9), Limb::bent(0.9, 0.1, -1.0)],
            legs: [Limb::straight(0.0, 0.1); 2],
            ..rest
        },
        Action::Paw => Pose {
            arms: sides([
                Limb::bent(random.between(1.0, 1.3), 0.05, -0.5),
                standing[0],
            ]),
            ..rest
        },
        Action::Graze => Pose {
            head: [random.between(1.1, 1.4), 0.0, 0.0],
            ..rest
        },
        Action::LookUp => Pose {
            head: [random.between(-0.9, -0.65), 0.0, 0.0],
            ..rest
        },
        _ => rest,
    }
}
