//! What is to be done, and how it would truly look.

use repose::canvas::Grid;
use repose_world::random::{Random, mix};
use repose_world::words::Action;
use repose_world::{Picture, Shot, Split, Style, Subject, render, render_empty};

/// Pixels of a side: what pocket was trained on.
pub const SIDE: usize = 128;
/// Joints may come so near to the edge, as a share of the side.
const EDGE: f32 = 0.03;
/// Joints must move this far on average, as a share of the side.
const LEAST: f32 = 0.04;

/// One picture with what is known of it.
pub struct Known {
    /// All that determines it.
    pub shot: Shot,
    /// Pixels, matte and joints.
    pub picture: Picture,
}

impl Known {
    fn new(shot: Shot) -> Self {
        let picture = render(&shot, SIDE);
        Self { shot, picture }
    }

    fn is_whole(&self) -> bool {
        let inside = |v: f32| (EDGE..1.0 - EDGE).contains(&(v / SIDE as f32));
        self.picture
            .joints
            .iter()
            .all(|(at, _)| at.iter().all(|&v| inside(v)))
    }
}

/// A subject that training never saw: learned from one picture or several, to be re-posed in another.
pub struct Case {
    /// Which it is.
    pub number: u64,
    /// What it is learned from.
    pub learned: Vec<Known>,
    /// The picture that is to be edited: the same subject elsewhere, or only where it shall be.
    pub source: Known,
    /// The edited picture as it truly would be: the same place and camera, another action.
    pub truth: Known,
}

impl Case {
    /// The case of a number, with so many pictures to learn from, at least one; every other case is drawn in the style that
    /// training never saw.
    pub fn new(number: u64, pictures: usize) -> Self {
        let style = match number % 2 {
            0 => Style::Photo,
            _ => Style::Drawing,
        };
        let mut random = Random::new(mix(number), 6);
        loop {
            let subject = Subject::new(random.number(), Split::HeldOut);
            let shot = |random: &mut Random| {
                Known::new(Shot::of(&subject, random.number()).in_style(style))
            };
            let (learned, source) = (shot(&mut random), shot(&mut random));
            let fits = |a: &&Action| a.suits(subject.kind) && **a != source.shot.action;
            let actions: Vec<Action> = Action::ALL.iter().filter(fits).copied().collect();
            let action = random.of(&actions);
            let truth = Known::new(source.shot.posed(action, random.number()));
            let far = distance(&source.picture, &truth.picture) > LEAST;
            if far && [&learned, &source, &truth].iter().all(|k| k.is_whole()) {
                // More pictures change nothing in what else the case is.
                let mut random = Random::new(mix(number), 7);
                let more = std::iter::repeat_with(|| shot(&mut random));
                let more = more.filter(Known::is_whole).take(pictures - 1);
                return Self {
                    number,
                    learned: more.chain([learned]).collect(),
                    source,
                    truth,
                };
            }
        }
    }

    /// The same where the edited picture shows nobody, and the subject comes into it.
    pub fn elsewhere(mut self) -> Self {
        self.source.picture = render_empty(&self.source.shot, SIDE);
        self
    }

    /// Whether the edited picture shows the subject.
    pub fn shown(&self) -> bool {
        self.source.picture.matte.iter().any(|covered| *covered > 0)
    }

    /// How the learned silhouette comes to be where the true one is, from the picture's middle: pixels to the right and down, and
    /// factor of size.
    pub fn placement(&self) -> ([f32; 2], f32) {
        let place = |known: &Known| {
            let covered = |x, y| known.picture.matte[y * SIDE + x] > 127;
            Grid::from_fn(SIDE, SIDE, |x, y| f32::from(u8::from(covered(x, y)))).support()
        };
        let there = place(&self.truth);
        let middle = [2 * there.x + there.width, 2 * there.y + there.height];
        let learned = self.learned.last().map(place);
        let scale = learned.map_or(1.0, |learned| there.height as f32 / learned.height as f32);
        (
            middle.map(|twice| (twice as f32 - SIDE as f32) / 2.0),
            scale,
        )
    }
}

/// Mean distance of the joints of two pictures, as a share of the side.
fn distance(a: &Picture, b: &Picture) -> f32 {
    let pairs = a.joints.iter().zip(&b.joints);
    let away = pairs.map(|((a, _), (b, _))| (a[0] - b[0]).hypot(a[1] - b[1]));
    away.sum::<f32>() / a.joints.len() as f32 / a.side as f32
}
