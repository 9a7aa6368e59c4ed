//! The parts of a subject, on its skeleton.

use glam::{Mat3, Vec3};

use crate::paint::Paint;
use crate::shape::{Shape, Solid};
use crate::skeleton::{Sizes, Skeleton};
use crate::subject::Subject;
use crate::words::{Accessory, Colour, Kind};

/// A solid and its surface.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Where it is.
    pub shape: Shape,
    /// What it looks like.
    pub paint: Paint,
}

/// Collects parts.
struct Body<'a> {
    subject: &'a Subject,
    sizes: &'a Sizes,
    bones: &'a Skeleton,
    skin: Paint,
    /// The second colour, for what is not of the first.
    trim: Paint,
    parts: Vec<Part>,
}

/// All parts of a subject.
pub fn parts(subject: &Subject, sizes: &Sizes, bones: &Skeleton) -> Vec<Part> {
    let skin = Paint::skin(subject);
    let mut body = Body {
        subject,
        sizes,
        bones,
        skin,
        trim: Paint {
            gloss: skin.gloss,
            ..Paint::plain(subject.second)
        },
        parts: Vec::new(),
    };
    body.torso();
    body.limbs();
    body.head();
    body.extras();
    body.clothes();
    body.parts
}

impl Body<'_> {
    fn add(&mut self, solid: Solid, frame: Mat3, paint: Paint) {
        let shape = Shape { solid, frame };
        self.parts.push(Part { shape, paint });
    }

    fn ball(&mut self, middle: Vec3, radii: [f32; 3], frame: Mat3, paint: Paint) {
        let radii = Vec3::from(radii);
        self.add(Solid::Ball { middle, radii }, frame, paint);
    }

    fn block(&mut self, middle: Vec3, half: [f32; 3], frame: Mat3, paint: Paint) {
        let half = Vec3::from(half);
        self.add(Solid::Block { middle, half }, frame, paint);
    }

    fn cone(&mut self, from: Vec3, to: Vec3, radii: [f32; 2], paint: Paint) {
        let up = (to - from).try_normalize().unwrap_or(Vec3::Y);
        // Any two axes that are perpendicular to the bone, the third as far ahead as can be.
        let side = up.any_orthonormal_vector();
        let side = Vec3::Z.cross(up).try_normalize().unwrap_or(side);
        let side = -side;
        let frame = Mat3::from_cols(side, up, side.cross(up));
        self.add(Solid::Cone { from, to, radii }, frame, paint);
    }

    /// A place in the head's frame, in its radii.
    fn on_head(&self, x: f32, y: f32, z: f32) -> Vec3 {
        self.bones.head + self.bones.head_frame * Vec3::new(x, y, z) * self.sizes.head
    }

    fn torso(&mut self) {
        let Sizes { torso, .. } = *self.sizes;
        let (bones, frame) = (self.bones, self.bones.torso_frame);
        let middle = (bones.pelvis + bones.chest) / 2.0;
        let [length, radius] = torso;
        let mut paint = self.skin;
        if let Some((mark, colour)) = self.subject.mark {
            let colour = Vec3::from(colour.linear());
            // On the belly of those who stand; those on four legs carry it on their back.
            paint.mark = Some((mark, colour, 0.55 * radius));
        }
        match self.subject.kind {
            Kind::Robot => {
                let half = [radius, length * 0.58, radius * 0.75];
                self.block(middle, half, frame, paint);
            }
            kind if kind.is_quadruped() => {
                // Its mark looks up: ahead of the frame is its belly.
                let back = frame * Mat3::from_diagonal(Vec3::new(-1.0, 1.0, -1.0));
                let radii = [radius, length * 0.5 + radius * 0.6, radius];
                self.ball(middle, radii, back, paint);
            }
            _ => {
                let radii = [radius, length * 0.5 + radius * 0.55, radius * 0.85];
                self.ball(middle, radii, frame, paint);
            }
        }
        if matches!(self.subject.kind, Kind::Penguin) {
            let belly = middle + frame * Vec3::new(0.0, -0.02, radius * 0.35);
            let white = Paint {
                mark: paint.mark,
                ..Paint::plain(Colour::White)
            };
            self.ball(
                belly,
                [radius * 0.72, length * 0.55, radius * 0.6],
                frame,
                white,
            );
        }
    }

    fn limbs(&mut self) {
        let Sizes { arm, leg, .. } = *self.sizes;
        let bones = self.bones;
        for [shoulder, elbow, hand] in bones.arms {
            self.limb(
                [shoulder, elbow, hand],
                arm[1],
                !self.subject.kind.is_quadruped(),
            );
        }
        for [hip, knee, foot] in bones.legs {
            self.limb([hip, knee, foot], leg[1], false);
        }
    }

    fn limb(&mut self, [first, second, third]: [Vec3; 3], radius: f32, arm: bool) {
        let (skin, trim) = (self.skin, self.trim);
        self.cone(first, second, [radius * 1.15, radius], skin);
        self.cone(second, third, [radius, radius * 0.85], skin);
        if self.subject.kind.is_quadruped() {
            return self.ball(third, [radius * 1.05; 3], Mat3::IDENTITY, trim);
        }
        if arm {
            return self.ball(third, [radius * 1.2; 3], Mat3::IDENTITY, trim);
        }
        // Feet point ahead, as far as the shin leaves them.
        let ahead = (self.bones.head_frame * Vec3::Z).lerp(self.bones.torso_frame * Vec3::Z, 0.5);
        let shin = (third - second).normalize();
        let ahead = (ahead - shin * ahead.dot(shin))
            .try_normalize()
            .unwrap_or(Vec3::Z);
        self.cone(
            third,
            third + ahead * radius * 1.6,
            [radius * 1.05, radius * 0.9],
            trim,
        );
    }

    fn head(&mut self) {
        let (size, frame) = (self.sizes.head, self.bones.head_frame);
        let (skin, trim) = (self.skin, self.trim);
        let (head, chest) = (self.bones.head, self.bones.chest);
        let thick = self.sizes.torso[1]
            * if self.subject.kind == Kind::Giraffe {
                0.45
            } else {
                0.5
            };
        self.cone(chest, head, [thick, size * 0.5], skin);
        match self.subject.kind {
            Kind::Robot => self.block(head, [size, size * 0.9, size * 0.85], frame, skin.bare()),
            Kind::Alien => self.ball(head, [size, size * 1.15, size * 0.9], frame, skin.bare()),
            kind if kind.is_quadruped() => {
                self.ball(
                    head,
                    [size * 0.9, size * 0.9, size * 1.1],
                    frame,
                    skin.bare(),
                );
            }
            _ => self.ball(head, [size, size * 0.95, size * 0.95], frame, skin.bare()),
        }
        let (white, black) = (Paint::plain(Colour::White), Paint::plain(Colour::Black));
        let far = match self.subject.kind {
            Kind::Robot => 0.86,
            kind if kind.is_quadruped() => 0.95,
            _ => 0.84,
        };
        let wide = if self.subject.kind == Kind::Alien {
            0.34
        } else {
            0.22
        };
        for side in [-1.0, 1.0] {
            let eye = self.on_head(side * 0.4, 0.2, far * 0.9);
            self.ball(eye, [wide * size; 3], frame, white);
            let pupil = self.on_head(side * 0.4, 0.2, far * 0.9 + wide * 0.6);
            self.ball(pupil, [wide * size * 0.6; 3], frame, black);
        }
        let (reach, thick) = match self.subject.kind {
            Kind::Elephant => return self.trunk(),
            Kind::Penguin | Kind::Robot | Kind::Alien | Kind::Doll => (1.0, 0.0),
            Kind::Bear | Kind::Pig => (1.05, 0.42),
            Kind::Dinosaur | Kind::Horse => (1.35, 0.5),
            Kind::Dog | Kind::Giraffe => (1.35, 0.36),
            _ => (0.95, 0.3),
        };
        if thick > 0.0 {
            let nose = self.on_head(0.0, -0.28, reach);
            self.cone(
                self.on_head(0.0, -0.2, 0.4),
                nose,
                [thick * size, thick * size * 0.9],
                trim,
            );
            let tip = self.on_head(0.0, -0.2, reach + thick * 0.85);
            self.ball(tip, [thick * size * 0.35; 3], frame, black);
        } else if self.subject.kind == Kind::Penguin {
            let beak = Paint::plain(Colour::Orange);
            let from = self.on_head(0.0, -0.12, 0.7);
            self.cone(
                from,
                self.on_head(0.0, -0.2, 1.5),
                [size * 0.28, size * 0.06],
                beak,
            );
        } else {
            let mouth = self.on_head(0.0, -0.42, 0.82);
            self.ball(mouth, [size * 0.36, size * 0.08, size * 0.12], frame, black);
        }
    }

    fn trunk(&mut self) {
        let (size, skin) = (self.sizes.head, self.skin.bare());
        let places = [
            self.on_head(0.0, -0.2, 0.8),
            self.on_head(0.0, -0.7, 1.35),
            self.on_head(0.0, -1.5, 1.45),
        ];
        self.cone(places[0], places[1], [size * 0.36, size * 0.26], skin);
        self.cone(places[1], places[2], [size * 0.26, size * 0.17], skin);
    }

    /// What makes a kind: ears, hair, feelers, tails, shells.
    fn extras(&mut self) {
        let (size, frame) = (self.sizes.head, self.bones.head_frame);
        let (skin, trim) = (self.skin.bare(), self.trim);
        let long = self.subject.build.ears;
        for side in [-1.0, 1.0] {
            match self.subject.kind {
                Kind::Bear | Kind::Pig => {
                    let ear = self.on_head(side * 0.75, 0.75, 0.0);
                    self.ball(
                        ear,
                        [size * 0.36 * long, size * 0.36 * long, size * 0.18],
                        frame,
                        skin,
                    );
                }
                Kind::Rabbit => {
                    let (from, to) = (
                        self.on_head(side * 0.4, 0.7, 0.0),
                        self.on_head(side * 0.6, 0.7 + 1.4 * long, -0.2),
                    );
                    self.cone(from, to, [size * 0.22, size * 0.2], skin);
                }
                Kind::Cat | Kind::Horse | Kind::Giraffe => {
                    let (from, to) = (
                        self.on_head(side * 0.55, 0.6, 0.0),
                        self.on_head(side * 0.7, 0.75 + 0.65 * long, 0.0),
                    );
                    self.cone(from, to, [size * 0.3, size * 0.05], trim);
                }
                Kind::Dog => {
                    let (from, to) = (
                        self.on_head(side * 0.8, 0.5, 0.0),
                        self.on_head(side * 1.05, 0.4 - 0.9 * long, 0.05),
                    );
                    self.cone(from, to, [size * 0.22, size * 0.3], trim);
                }
                Kind::Elephant => {
                    let ear = self.on_head(side * 1.15, 0.1, -0.3);
                    self.ball(
                        ear,
                        [size * 0.62 * long, size * 0.75 * long, size * 0.12],
                        frame,
                        trim,
                    );
                }
                Kind::Alien => {
                    let (from, to) = (
                        self.on_head(side * 0.35, 1.0, 0.0),
                        self.on_head(side * 0.6, 1.2 + 0.6 * long, 0.0),
                    );
                    self.cone(from, to, [size * 0.07; 2], skin);
                    self.ball(to, [size * 0.17; 3], frame, trim);
                }
                _ => {}
            }
        }
        let (pelvis, tail) = (self.bones.pelvis, self.bones.tail);
        match self.subject.kind {
            Kind::Robot => {
                let (from, to) = (
                    self.on_head(0.0, 0.9, 0.0),
                    self.on_head(0.0, 1.0 + 0.5 * long, 0.0),
                );
                self.cone(from, to, [size * 0.07; 2], trim);
                self.ball(to, [size * 0.16; 3], frame, trim);
            }
            Kind::Doll => {
                let hair = self.on_head(0.0, 0.28, -0.2);
                self.ball(hair, [size * 1.08, size * 0.92, size * 1.0], frame, trim);
            }
            Kind::Dinosaur => {
                self.cone(pelvis, tail, [self.sizes.torso[1] * 0.6, 0.02], self.skin);
                for step in 0..4 {
                    let t = step as f32 / 3.0;
                    let at = self.bones.head.lerp(pelvis, t)
                        - self.bones.torso_frame * Vec3::Z * self.sizes.torso[1] * 0.75;
                    let out = at - self.bones.torso_frame * Vec3::Z * 0.09 * long;
                    self.cone(at, out, [0.05, 0.01], trim);
                }
            }
            Kind::Cat | Kind::Dog | Kind::Pig | Kind::Elephant | Kind::Turtle | Kind::Giraffe => {
                let thin = if self.subject.kind == Kind::Cat {
                    0.03
                } else {
                    0.022
                };
                self.cone(pelvis, tail, [thin * 1.3, thin], skin);
            }
            Kind::Horse => {
                self.cone(pelvis, tail - Vec3::Y * 0.08, [0.04, 0.05], trim);
                let (neck, head) = (self.bones.chest, self.on_head(0.0, 0.7, -0.4));
                self.cone(neck + Vec3::Y * 0.08, head, [0.05, 0.06], trim);
            }
            _ => {}
        }
        if self.subject.kind == Kind::Turtle {
            let middle = (pelvis + self.bones.chest) / 2.0 + Vec3::Y * 0.05;
            let [length, radius] = self.sizes.torso;
            let frame = self.bones.torso_frame * Mat3::from_diagonal(Vec3::new(-1.0, 1.0, -1.0));
            let mark = self
                .subject
                .mark
                .map(|(m, c)| (m, Vec3::from(c.linear()), radius * 0.5));
            let shell = Paint { mark, ..self.trim };
            self.ball(
                middle,
                [radius * 1.15, length * 0.62, radius * 1.0],
                frame,
                shell,
            );
        }
    }

    fn clothes(&mut self) {
        let Some((what, colour)) = self.subject.accessory else {
            return;
        };
        let (size, frame) = (self.sizes.head, self.bones.head_frame);
        let paint = Paint {
            gloss: 0.1,
            ..Paint::plain(colour)
        };
        let four = self.subject.kind.is_quadruped();
        let torso = self.bones.torso_frame;
        match what {
            Accessory::Hat => {
                let brim = self.on_head(0.0, 0.78, 0.0);
                self.ball(brim, [size * 1.15, size * 0.12, size * 1.15], frame, paint);
                let (from, to) = (self.on_head(0.0, 0.8, 0.0), self.on_head(0.0, 1.45, 0.0));
                self.cone(from, to, [size * 0.68, size * 0.55], paint);
            }
            Accessory::Scarf => {
                let neck = self.bones.chest.lerp(self.bones.head, 0.35);
                let round = self.sizes.torso[1].min(size) * 0.85;
                let up = (self.bones.head - self.bones.chest).normalize();
                for step in 0..8 {
                    let turn = std::f32::consts::TAU * step as f32 / 8.0;
                    let side = up.any_orthonormal_vector();
                    let out = side * turn.cos() + up.cross(side) * turn.sin();
                    self.ball(
                        neck + out * round * 0.75,
                        [round * 0.42; 3],
                        Mat3::IDENTITY,
                        paint,
                    );
                }
                let front = if four {
                    frame * Vec3::Z
                } else {
                    torso * Vec3::Z
                };
                let side = if four {
                    frame * Vec3::X
                } else {
                    torso * Vec3::X
                };
                let from = neck + (front + side * 0.5) * round * 0.9;
                self.cone(
                    from,
                    from - up * round * 1.6,
                    [round * 0.3, round * 0.36],
                    paint,
                );
            }
            Accessory::Backpack => {
                let middle = (self.bones.pelvis + self.bones.chest) / 2.0;
                let [length, radius] = self.sizes.torso;
                // The back is behind the belly's frame; of four legs it is on top, which is the same.
                let at = middle - torso * Vec3::Z * radius * 1.15;
                self.block(
                    at,
                    [radius * 0.7, length * 0.4, radius * 0.45],
                    torso,
                    paint,
                );
            }
            Accessory::Glasses => {
                let far = if four { 1.12 } else { 0.98 };
                for side in [-1.0, 1.0] {
                    let lens = self.on_head(side * 0.42, 0.2, far);
                    self.ball(lens, [size * 0.36, size * 0.3, size * 0.1], frame, paint);
                }
                let (from, to) = (
                    self.on_head(-0.95, 0.22, far - 0.3),
                    self.on_head(0.95, 0.22, far - 0.3),
                );
                self.cone(from, to, [size * 0.07; 2], paint);
            }
        }
    }
}
