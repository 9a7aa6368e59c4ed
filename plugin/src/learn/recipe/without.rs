//! Recipes with parts left out: the ablations that the papers make, and what they say of our own choices.

use std::str::FromStr;

use super::{Augment, Background, ClassOf, Course, Lesson, Recipe};
use crate::learn::train::Weighting;
use crate::{Error, Result};

/// Stands between a recipe's name and that of a part that is left out.
const NO: &str = "-no-";

/// A recipe as it is asked for, such as `single-insert` or `single-insert-no-background`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variant {
    /// The recipe.
    pub recipe: Recipe,
    /// What is left out of it.
    pub without: Vec<Part>,
}

/// A part of a recipe that it also works without, better or worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What holds the background: SingleInsert's L_bg. The error counts inside the mask alone.
    Background,
    /// What holds the words without the learned one: SingleInsert's L_sm.
    ClassWords,
    /// The limit of weights on the clean picture.
    Limit,
    /// Pictures of the class: prior preservation.
    ClassPictures,
    /// That these are in many poses: LIPE's regularisation.
    Actions,
    /// That these look like the subject: DreamTuner's regular pictures.
    Likeness,
    /// Words for each picture's pose and place: DETEX's \[P\] and \[B\].
    Sinks,
    /// What makes these words from the pictures: DETEX's attribute mappers. They are vectors of their own.
    Mappers,
    /// What makes the word from the picture: SingleInsert's image encoder. It is a vector of its own.
    Encoder,
    /// What draws attention to the mask.
    Attention,
    /// Mirror images and other sizes.
    Augmentation,
}

impl Part {
    /// All.
    pub const ALL: [Self; 11] = [
        Self::Background,
        Self::ClassWords,
        Self::Limit,
        Self::ClassPictures,
        Self::Actions,
        Self::Likeness,
        Self::Sinks,
        Self::Mappers,
        Self::Encoder,
        Self::Attention,
        Self::Augmentation,
    ];

    /// What users call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::ClassWords => "class-words",
            Self::Limit => "limit",
            Self::ClassPictures => "class-pictures",
            Self::Actions => "actions",
            Self::Likeness => "likeness",
            Self::Sinks => "sinks",
            Self::Mappers => "mappers",
            Self::Encoder => "encoder",
            Self::Attention => "attention",
            Self::Augmentation => "augmentation",
        }
    }

    /// The course without it, all else as it was.
    fn left_out_of(self, mut course: Course) -> Course {
        for lesson in &mut course.lessons {
            self.left_out(lesson);
        }
        let plain = match self {
            Self::Actions => course.class_of == ClassOf::Actions,
            Self::Likeness => course.class_of == ClassOf::Lookalikes,
            _ => false,
        };
        if plain {
            course.class_of = ClassOf::Things;
        }
        if self == Self::ClassPictures {
            course.class_pictures = 0;
        }
        course
    }

    fn left_out(self, lesson: &mut Lesson) {
        match (self, lesson.background, lesson.weighting) {
            (Self::Background, Background::AsBefore(_), _) => {
                lesson.background = Background::Ignored;
            }
            (Self::Limit, _, Weighting::Clean(_)) => {
                lesson.weighting = Weighting::Clean(f64::INFINITY);
            }
            (Self::ClassWords, ..) => lesson.class_words = 0.0,
            (Self::ClassPictures, ..) => lesson.class_pictures = 0.0,
            (Self::Sinks, ..) => (lesson.sinks, lesson.mappers) = (None, None),
            (Self::Mappers, ..) => lesson.mappers = None,
            (Self::Encoder, ..) => lesson.encoder = None,
            (Self::Attention, ..) => lesson.attention = 0.0,
            (Self::Augmentation, ..) => lesson.augment = Augment::Nothing,
            _ => (),
        }
    }
}

impl Variant {
    /// What users call it.
    pub fn name(&self) -> String {
        let without = self.without.iter().map(|part| NO.to_owned() + part.name());
        self.recipe.name().to_owned() + &without.collect::<String>()
    }

    /// What it does.
    pub fn course(&self) -> Course {
        let parts = self.without.iter();
        parts.fold(self.recipe.course(), |course, part| {
            part.left_out_of(course)
        })
    }
}

impl From<Recipe> for Variant {
    fn from(recipe: Recipe) -> Self {
        Self {
            recipe,
            without: Vec::new(),
        }
    }
}

impl FromStr for Variant {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let mut words = name.split(NO);
        let recipe: Recipe = words.next().unwrap_or_default().parse()?;
        let mut variant = Self::from(recipe);
        for word in words {
            let left = variant.course();
            let had = |part: &Part| part.left_out_of(left.clone()) != left;
            let parts: Vec<Part> = Part::ALL.into_iter().filter(had).collect();
            let Some(part) = parts.iter().find(|part| part.name() == word) else {
                let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
                return Err(Error::caller(format!(
                    "the recipe {} has no part {word:?} to do without; it has: {}",
                    variant.name(),
                    names.join(", ")
                )));
            };
            variant.without.push(*part);
        }
        Ok(variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let mut seen = Vec::new();
        for recipe in Recipe::ALL {
            let whole = Variant::from(recipe);
            assert_eq!(whole.name().parse(), Ok(whole.clone()));
            assert_eq!(whole.course(), recipe.course());
            for part in Part::ALL {
                let name = format!("{}{NO}{}", whole.name(), part.name());
                if let Ok(less) = name.parse::<Variant>() {
                    assert_eq!(less.name(), name);
                    assert_ne!(less.course(), whole.course(), "{name}");
                    // Once is enough.
                    assert!(
                        format!("{name}{NO}{}", part.name())
                            .parse::<Variant>()
                            .is_err()
                    );
                    seen.push(part);
                }
            }
        }
        assert!(Part::ALL.iter().all(|part| seen.contains(part)), "{seen:?}");
    }

    #[test]
    fn a_part_that_is_not_there_is_named_with_those_that_are() -> Result<()> {
        let wrong = "single-insert-no-background-no-sinks".parse::<Variant>();
        let said = wrong.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(
            said.contains("\"sinks\"") && said.contains("class-words, limit, encoder"),
            "{said}"
        );
        assert!("single-insert-no-".parse::<Variant>().is_err());
        assert!("-no-background".parse::<Variant>().is_err());
        let two: Variant = "single-insert-no-background-no-class-words".parse()?;
        assert_eq!(two.without, [Part::Background, Part::ClassWords]);
        Ok(())
    }
}
