//! Where a subject's joints are in a pose: y up, z where it looks, x to its left; a standing subject is about 1 high.

use glam::{Mat3, Vec3};

use crate::pose::{Limb, Pose};
use crate::subject::Subject;
use crate::words::Kind;

/// Joints that pictures come with.
pub const JOINTS: [&str; 14] = [
    "head",
    "chest",
    "pelvis",
    "tail",
    "left elbow",
    "left hand",
    "right elbow",
    "right hand",
    "left knee",
    "left foot",
    "right knee",
    "right foot",
    "left shoulder",
    "right shoulder",
];

/// Sizes of a kind, before an individual's own factors.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Radius of the head.
    pub head: f32,
    /// Of the neck, from the shoulders to the head's middle.
    pub neck: f32,
    /// Length of the torso and its radius.
    pub torso: [f32; 2],
    /// Lengths of an arm's bones, and the radius.
    pub arm: [f32; 2],
    /// Lengths of a leg's bones, and the radius.
    pub leg: [f32; 2],
    /// Half the distance of the shoulders and of the hips.
    pub wide: [f32; 2],
}

/// A kind's sizes with an individual's factors.
pub fn sizes(subject: &Subject) -> Sizes {
    let sizes = |head, neck, torso, arm, leg, wide| Sizes {
        head,
        neck,
        torso,
        arm,
        leg,
        wide,
    };
    let kind = match subject.kind {
        Kind::Robot => sizes(
            0.13,
            0.19,
            [0.30, 0.15],
            [0.15, 0.045],
            [0.17, 0.055],
            [0.19, 0.09],
        ),
        Kind::Bear => sizes(
            0.17,
            0.21,
            [0.30, 0.19],
            [0.14, 0.07],
            [0.13, 0.08],
            [0.17, 0.10],
        ),
        Kind::Rabbit => sizes(
            0.15,
            0.20,
            [0.28, 0.15],
            [0.13, 0.05],
            [0.15, 0.06],
            [0.13, 0.08],
        ),
        Kind::Cat => sizes(
            0.15,
            0.19,
            [0.29, 0.14],
            [0.14, 0.045],
            [0.15, 0.055],
            [0.12, 0.08],
        ),
        Kind::Doll => sizes(
            0.13,
            0.19,
            [0.29, 0.12],
            [0.16, 0.04],
            [0.20, 0.05],
            [0.14, 0.07],
        ),
        Kind::Penguin => sizes(
            0.14,
            0.17,
            [0.34, 0.20],
            [0.14, 0.045],
            [0.07, 0.055],
            [0.18, 0.09],
        ),
        Kind::Dinosaur => sizes(
            0.15,
            0.24,
            [0.33, 0.18],
            [0.10, 0.045],
            [0.16, 0.08],
            [0.14, 0.11],
        ),
        Kind::Alien => sizes(
            0.20,
            0.25,
            [0.25, 0.10],
            [0.18, 0.035],
            [0.17, 0.04],
            [0.11, 0.06],
        ),
        Kind::Dog => sizes(
            0.13,
            0.20,
            [0.40, 0.13],
            [0.14, 0.05],
            [0.14, 0.055],
            [0.08, 0.08],
        ),
        Kind::Horse => sizes(
            0.12,
            0.32,
            [0.46, 0.15],
            [0.22, 0.045],
            [0.22, 0.05],
            [0.09, 0.09],
        ),
        Kind::Elephant => sizes(
            0.19,
            0.24,
            [0.42, 0.24],
            [0.15, 0.08],
            [0.15, 0.085],
            [0.14, 0.14],
        ),
        Kind::Pig => sizes(
            0.15,
            0.18,
            [0.36, 0.20],
            [0.10, 0.055],
            [0.10, 0.06],
            [0.11, 0.11],
        ),
        Kind::Giraffe => sizes(
            0.10,
            0.52,
            [0.36, 0.14],
            [0.23, 0.042],
            [0.22, 0.045],
            [0.09, 0.09],
        ),
        Kind::Turtle => sizes(
            0.11,
            0.24,
            [0.36, 0.22],
            [0.09, 0.055],
            [0.09, 0.055],
            [0.17, 0.15],
        ),
    };
    let build = &subject.build;
    Sizes {
        head: kind.head * build.head,
        neck: kind.neck * (0.5 + 0.5 * build.head),
        torso: [kind.torso[0] * build.torso, kind.torso[1] * build.girth],
        arm: [kind.arm[0] * build.arms, kind.arm[1] * build.limbs],
        leg: [kind.leg[0] * build.legs, kind.leg[1] * build.limbs],
        wide: [
            kind.wide[0] * (0.4 + 0.6 * build.girth),
            kind.wide[1] * (0.4 + 0.6 * build.girth),
        ],
    }
}

/// A pose's joints, and the frames of torso and head: columns are left, up, ahead.
#[derive(Debug, Clone)]
pub struct Skeleton {
    /// Middle of the hips.
    pub pelvis: Vec3,
    /// Middle of the shoulders.
    pub chest: Vec3,
    /// Middle of the head.
    pub head: Vec3,
    /// Left and right: shoulder, elbow, hand.
    pub arms: [[Vec3; 3]; 2],
    /// Left and right: hip, knee, foot.
    pub legs: [[Vec3; 3]; 2],
    /// Of the torso: up is from the pelvis to the chest, ahead is where the belly is.
    pub torso_frame: Mat3,
    /// Of the head: ahead is where it looks.
    pub head_frame: Mat3,
    /// Where a tail's tip is.
    pub tail: Vec3,
}

impl Skeleton {
    /// The joints of a subject in a pose, with the pelvis somewhere over the ground.
    pub fn new(subject: &Subject, sizes: &Sizes, pose: &Pose) -> Self {
        let four = subject.kind.is_quadruped();
        let lean = match four {
            // A torso on four legs lies ahead; its chest rises.
            true => Mat3::from_rotation_x(std::f32::consts::FRAC_PI_2 - pose.torso[0]),
            false => Mat3::from_rotation_x(pose.torso[0]),
        };
        let whole = Mat3::from_rotation_x(-pose.tilt);
        let torso = whole * Mat3::from_rotation_z(-pose.torso[1]) * lean;
        let pelvis = Vec3::Y;
        let chest = pelvis + torso * Vec3::Y * sizes.torso[0];
        let turned = Mat3::from_rotation_y(pose.head[1])
            * Mat3::from_rotation_x(pose.head[0])
            * Mat3::from_rotation_z(pose.head[2]);
        let (head, head_frame) = if four {
            let up = whole * neck_of(subject.kind, pose);
            (chest + up * sizes.neck, whole * turned)
        } else {
            // A head stays more upright than the torso that carries it.
            let upright = whole * Mat3::from_rotation_x(0.6 * pose.torso[0]);
            (chest + torso * Vec3::Y * sizes.neck, upright * turned)
        };
        let limbs = |limbs: &[Limb; 2], from: Vec3, half: f32, bone: f32, frame: Mat3| {
            [(0, 1.0), (1, -1.0)].map(|(index, side): (usize, f32)| {
                let limb: &Limb = &limbs[index];
                let first = from + frame * Vec3::X * (side * half);
                let second = first + frame * direction(limb.upper, side) * bone;
                [
                    first,
                    second,
                    second + frame * direction(limb.lower, side) * bone,
                ]
            })
        };
        let upright = whole;
        let arms_frame = if four { upright } else { torso };
        let tail = torso * Vec3::new(0.0, -0.25, -0.35) * (sizes.torso[0] + 0.2);
        Self {
            arms: limbs(&pose.arms, chest, sizes.wide[0], sizes.arm[0], arms_frame),
            legs: limbs(&pose.legs, pelvis, sizes.wide[1], sizes.leg[0], upright),
            tail: pelvis + tail,
            pelvis,
            chest,
            head,
            torso_frame: torso,
            head_frame,
        }
    }

    /// All joints in the order of [`JOINTS`].
    pub fn joints(&self) -> [Vec3; JOINTS.len()] {
        let [left, right] = self.arms;
        let [left_leg, right_leg] = self.legs;
        [
            self.head,
            self.chest,
            self.pelvis,
            self.tail,
            left[1],
            left[2],
            right[1],
            right[2],
            left_leg[1],
            left_leg[2],
            right_leg[1],
            right_leg[2],
            left[0],
            right[0],
        ]
    }
}

/// Where a neck on four legs points.
fn neck_of(kind: Kind, pose: &Pose) -> Vec3 {
    let raised: f32 = match kind {
        Kind::Giraffe => 1.2,
        Kind::Horse => 0.9,
        Kind::Turtle => 0.15,
        Kind::Pig => 0.3,
        _ => 0.6,
    };
    // The neck goes most of the way that the head goes.
    let angle = raised - 1.1 * pose.head[0] + 0.4 * pose.torso[0];
    Vec3::new(0.0, angle.sin(), angle.cos())
}

/// Where a bone points that goes forward by the first angle from hanging down, and outward by the second.
fn direction([swing, spread]: [f32; 2], side: f32) -> Vec3 {
    Vec3::new(
        side * spread.sin() * swing.cos(),
        -spread.cos() * swing.cos(),
        swing.sin(),
    )
}
