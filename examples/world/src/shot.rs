//! A photograph: who does what where, and how the camera sees it.

use glam::{Mat3, Vec3};

use crate::body::{self, Part};
use crate::pose::Pose;
use crate::random::Random;
use crate::scene::Scene;
use crate::skeleton::{JOINTS, Skeleton, sizes};
use crate::subject::{Split, Subject};
use crate::words::{Action, Pattern, Place, View};

/// How pictures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// With light and shade.
    Photo,
    /// In few tones, with outlines: never trained on.
    Drawing,
}

/// All that determines a picture.
#[derive(Debug, Clone)]
pub struct Shot {
    /// Who.
    pub subject: Subject,
    /// What its limbs do.
    pub pose: Pose,
    /// What that is called.
    pub action: Action,
    /// From where.
    pub view: View,
    /// Where.
    pub scene: Scene,
    /// How it is drawn.
    pub style: Style,
    /// Angle about the vertical; 0: it looks at the camera.
    turn: f32,
    /// Height of the camera, as an angle.
    pitch: f32,
    /// Share of the picture's height (or width, if it is wider) that the subject takes up.
    share: f32,
    /// Middle of the subject across, and its feet from the bottom.
    place: [f32; 2],
    /// Picture heights for a unit of the subject and where its foot stands, if not as place and share want it.
    standing: Option<(f32, Vec3)>,
}

/// A subject, placed in the picture.
#[derive(Debug, Clone)]
pub struct Staged {
    /// Parts in the picture's coordinates, 0 to 1 across and from the bottom.
    pub parts: Vec<Part>,
    /// Joints in the same, in the order of [`JOINTS`].
    pub joints: [Vec3; JOINTS.len()],
    /// The ground under it.
    pub foot: Vec3,
    /// How far a step towards the camera goes down in the picture.
    pub slope: f32,
    /// Picture heights for a unit of the subject.
    pub scale: f32,
}

impl Shot {
    /// A subject in an action at a place, seen from somewhere; `seed` determines what these leave open.
    pub fn new(subject: &Subject, action: Action, view: View, place: Place, seed: u64) -> Self {
        let mut random = Random::new(seed, 2);
        let pose = Pose::of(action, subject.kind, &mut random);
        let side = std::f32::consts::FRAC_PI_2;
        let turn = match view {
            View::Front => 0.0,
            View::Left => -side,
            View::Right => side,
            View::Angle => random.of(&[-1.0, 1.0]) * random.between(0.6, 0.95),
            View::Back => std::f32::consts::PI,
        };
        Self {
            subject: subject.clone(),
            pose,
            action,
            view,
            scene: Scene::new(place, &mut random),
            style: Style::Photo,
            turn: turn + random.about(0.15),
            pitch: random.between(0.08, 0.25),
            share: random.between(0.55, 0.75),
            place: [0.5 + random.about(0.09), random.between(0.07, 0.16)],
            standing: None,
        }
    }

    /// The same subject on the same spot before the same camera, doing something else; what that leaves open, `seed`
    /// determines. It may reach out of the picture.
    pub fn posed(&self, action: Action, seed: u64) -> Self {
        let staged = self.staged();
        Self {
            pose: Pose::of(action, self.subject.kind, &mut Random::new(seed, 5)),
            action,
            standing: Some((staged.scale, staged.foot)),
            ..self.clone()
        }
    }

    /// The picture of a seed.
    pub fn any(seed: u64, split: Split) -> Self {
        Self::of(&Subject::new(seed, split), seed)
    }

    /// A subject somewhere, doing something: which, `seed` determines.
    pub fn of(subject: &Subject, seed: u64) -> Self {
        let mut random = Random::new(seed, 3);
        let actions: Vec<Action> = Action::ALL
            .iter()
            .copied()
            .filter(|a| a.suits(subject.kind))
            .collect();
        let (action, view) = (random.of(&actions), random.of(View::ALL));
        let place = random.of(Place::ALL);
        Self::new(subject, action, view, place, random.number())
    }

    /// The same, drawn otherwise.
    pub fn in_style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// In natural words: all that can be told of it.
    pub fn caption(&self) -> String {
        self.told(&mut |_| true)
    }

    /// The same but what sets the subject apart from others of its kind: as a word that was learned is to tell it.
    pub fn class_caption(&self) -> String {
        let who = vec![
            "a photo of a".to_owned(),
            self.subject.kind.word().to_owned(),
        ];
        self.doing(who, &mut |_| true)
    }

    /// A caption as people write them, which leave some of it out; `seed` determines what.
    pub fn short_caption(&self, seed: u64) -> String {
        let mut random = Random::new(seed, 4);
        self.told(&mut |share| random.chance(share))
    }

    fn told(&self, say: &mut dyn FnMut(f32) -> bool) -> String {
        let Subject {
            kind,
            colour,
            second,
            pattern,
            accessory,
            mark,
            ..
        } = &self.subject;
        let mut words = vec!["a photo of a".to_owned()];
        words.push(colour.word().to_owned());
        if *pattern != Pattern::Plain {
            // The pattern's own colour is rarely said.
            let mut pattern = pattern.word().to_owned();
            if say(0.4) {
                pattern = format!("and {} {pattern}", second.word());
            }
            words.push(pattern);
        }
        words.push(kind.word().to_owned());
        let mut worn = Vec::new();
        if let Some((what, colour)) = accessory
            && say(0.8)
        {
            let article = match what.word().ends_with('s') {
                true => String::new(),
                false => "a ".to_owned(),
            };
            worn.push(format!("{article}{} {}", colour.word(), what.word()));
        }
        if let Some((what, colour)) = mark
            && say(0.7)
        {
            worn.push(format!("a {} {}", colour.word(), what.word()));
        }
        if !worn.is_empty() {
            words.push(format!("with {}", worn.join(" and ")));
        }
        self.doing(words, say).replace("a orange", "an orange")
    }

    /// What it does, and where, after who it is.
    fn doing(&self, mut words: Vec<String>, say: &mut dyn FnMut(f32) -> bool) -> String {
        words.push(self.action.word().to_owned());
        if say(0.85) {
            words.push(self.scene.place.word().to_owned());
        }
        let mut caption = words.join(" ");
        if say(0.8) {
            caption += &format!(", seen {}", self.view.word());
        }
        caption
    }

    /// Puts the subject's parts where the camera sees them.
    pub fn staged(&self) -> Staged {
        let sizes = sizes(&self.subject);
        let bones = Skeleton::new(&self.subject, &sizes, &self.pose);
        let parts = body::parts(&self.subject, &sizes, &bones);
        let lows = parts.iter().map(|p| p.shape.bounds().0.y);
        let ground = lows.fold(f32::MAX, f32::min) - self.pose.lift * 0.8;
        // Seen from above, what is nearer is lower.
        let turn = Mat3::from_rotation_x(self.pitch) * Mat3::from_rotation_y(self.turn);
        let middle = (bones.pelvis + bones.chest) / 2.0;
        let foot = turn * Vec3::new(middle.x, ground, middle.z);
        let moved = |p: Part| Part {
            shape: p.shape.moved(turn, -foot),
            ..p
        };
        let seen: Vec<Part> = parts.into_iter().map(moved).collect();
        let (scale, by) = self.standing.unwrap_or_else(|| self.stand(&seen));
        Staged {
            parts: seen
                .into_iter()
                .map(|p| Part {
                    shape: p.shape.scaled(scale).moved(Mat3::IDENTITY, by),
                    ..p
                })
                .collect(),
            joints: bones
                .joints()
                .map(|joint| (turn * joint - foot) * scale + by),
            foot: by,
            slope: self.pitch.sin(),
            scale,
        }
    }

    /// How large parts about the foot are to be, and where it shall stand: over its place, with some room at the edges.
    fn stand(&self, parts: &[Part]) -> (f32, Vec3) {
        let (low, high) = parts.iter().fold((Vec3::MAX, Vec3::MIN), |(low, high), p| {
            let (a, b) = p.shape.bounds();
            (low.min(a), high.max(b))
        });
        let size = (high - low).truncate();
        let scale = (self.share / size.max_element())
            .min((0.97 - self.place[1]) / high.y.max(1e-3))
            .min(0.94 / size.x);
        let across = (low.x + high.x) / 2.0 * scale;
        let reach = size.x * scale / 2.0;
        let x = self.place[0].clamp(0.02 + reach, (0.98 - reach).max(0.02 + reach));
        let y = self.place[1].max(0.02 - low.y * scale);
        (scale, Vec3::new(x - across, y, 0.0))
    }
}
