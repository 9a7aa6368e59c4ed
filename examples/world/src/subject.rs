//! Who is in the picture.

use crate::random::{Random, mix};
use crate::words::{Accessory, Colour, Kind, Mark, Pattern};

/// An individual: what stays the same in every pose and place.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// Most of its body.
    pub colour: Colour,
    /// The pattern's, and of some parts, such as a snout.
    pub second: Colour,
    /// What is on its surface.
    pub pattern: Pattern,
    /// What it wears.
    pub accessory: Option<(Accessory, Colour)>,
    /// What is painted on it.
    pub mark: Option<(Mark, Colour)>,
    /// Its own measures.
    pub build: Build,
    /// Determines where spots are.
    pub seed: u64,
}

/// Measures of an individual, as factors of its kind's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Build {
    /// Of the head.
    pub head: f32,
    /// Thickness of the torso.
    pub girth: f32,
    /// Length of the torso.
    pub torso: f32,
    /// Length of arms or front legs.
    pub arms: f32,
    /// Length of legs.
    pub legs: f32,
    /// Thickness of limbs.
    pub limbs: f32,
    /// Of ears, feelers, crests.
    pub ears: f32,
    /// Distance of the pattern's bands or spots.
    pub scale: f32,
    /// Factors of the colour's red, green and blue.
    pub tone: [f32; 3],
    /// 0: like cloth, 1: like lacquer.
    pub gloss: f32,
}

/// Which subjects are for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// For training.
    Train,
    /// Combinations of kind, colours, pattern, accessory and mark that training never sees.
    HeldOut,
}

impl Subject {
    /// The subject of a seed.
    pub fn new(seed: u64, split: Split) -> Self {
        let mut random = Random::new(seed, 1);
        loop {
            let found = Self::draw(&mut random);
            if found.split() == split {
                return found;
            }
        }
    }

    fn draw(random: &mut Random) -> Self {
        let colour = random.of(Colour::ALL);
        let other = |random: &mut Random, than: Colour| loop {
            let found = random.of(Colour::ALL);
            if found != than {
                return found;
            }
        };
        let second = other(random, colour);
        let pattern = match random.chance(0.4) {
            true => Pattern::Plain,
            false => random.of(&Pattern::ALL[1..]),
        };
        let accessory = random
            .chance(0.5)
            .then(|| (random.of(Accessory::ALL), other(random, colour)));
        let mark = random
            .chance(0.4)
            .then(|| (random.of(Mark::ALL), other(random, colour)));
        let mut about = |by: f32| 1.0 + random.about(by);
        let build = Build {
            head: about(0.2),
            girth: about(0.25),
            torso: about(0.2),
            arms: about(0.15),
            legs: about(0.25),
            limbs: about(0.25),
            ears: about(0.3),
            scale: about(0.35),
            tone: [about(0.12), about(0.12), about(0.12)],
            gloss: (about(1.0) - 0.4).clamp(0.0, 1.0),
        };
        Self {
            kind: random.of(Kind::ALL),
            colour,
            second,
            pattern,
            accessory,
            mark,
            build,
            seed: random.number(),
        }
    }

    /// Whether such a combination is for training: one in sixteen is not.
    pub fn split(&self) -> Split {
        let words = [
            self.kind as u64,
            self.colour as u64,
            match self.pattern {
                Pattern::Plain => 99,
                _ => self.second as u64,
            },
            self.pattern as u64,
            self.accessory.map_or(99, |(what, _)| what as u64),
            self.accessory.map_or(99, |(_, colour)| colour as u64),
            self.mark.map_or(99, |(what, _)| what as u64),
            self.mark.map_or(99, |(_, colour)| colour as u64),
        ];
        let hash = words.into_iter().fold(0, |hash, word| mix(hash ^ word));
        match hash % 16 {
            0 => Split::HeldOut,
            _ => Split::Train,
        }
    }
}
