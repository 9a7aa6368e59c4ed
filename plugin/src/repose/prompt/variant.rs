//! Poses in words with parts left out or put in: the ablations that the papers make, and what they say of our own choices.

use std::str::FromStr;

use crate::{Error, Result};

/// How a pose in words is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// What lies outside the old and the new silhouette is set back at each step: NIMA of LIPE (arXiv 2406.17236). Without,
    /// the whole frame is drawn anew; the layer's mask shows the same part of it.
    pub blend: bool,
    /// Of the edited picture, too, only the subject is held up: the mask m_r of DreamTuner's self-subject-attention
    /// (arXiv 2312.13691, §3.2). Without, all of that picture is: its surroundings are those of the result as well.
    pub mask: bool,
    /// First the model is as it was before subjects were learned, and is told what they are: so the words give the pose, and
    /// what was learned the rest (delayed subject conditioning, FastComposer, arXiv 2305.10431). Without, all steps have what
    /// was learned.
    pub delay: bool,
    /// Each step is guided by the subject's look or by the words, as chance has it, instead of by both at once: DreamTuner's
    /// interleaved guidance (§3.3).
    pub interleaved: bool,
}

/// What changes a variant.
type Change = (&'static str, fn(&mut Variant));

impl Variant {
    /// The names of changes, and what they change.
    const CHANGES: [Change; 4] = [
        ("no-blend", |it| it.blend = false),
        ("mask", |it| it.mask = true),
        ("no-delay", |it| it.delay = false),
        ("interleaved", |it| it.interleaved = true),
    ];
}

impl Default for Variant {
    fn default() -> Self {
        Self {
            blend: true,
            mask: false,
            delay: true,
            interleaved: false,
        }
    }
}

impl FromStr for Variant {
    type Err = Error;

    /// Names of changes, joined by commas; blank: none.
    fn from_str(names: &str) -> Result<Self> {
        let mut variant = Self::default();
        for name in names.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            let found = Self::CHANGES.iter().find(|(own, _)| *own == name);
            let (_, change) = found.ok_or_else(|| {
                let known = Self::CHANGES.map(|(own, _)| own).join(", ");
                Error::caller(format!(
                    "a pose in words has no variant {name:?}; there are {known}, joined by commas"
                ))
            })?;
            change(&mut variant);
        }
        Ok(variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_changes_something_of_its_own() -> Result<()> {
        assert_eq!(" ".parse::<Variant>()?, Variant::default());
        let mut seen = vec![Variant::default()];
        for (name, _) in Variant::CHANGES {
            let changed: Variant = name.parse()?;
            assert!(!seen.contains(&changed), "{name}");
            assert_eq!(format!(" {name},, {name} ").parse::<Variant>()?, changed);
            seen.push(changed);
        }
        let all = Variant::CHANGES.map(|(name, _)| name).join(",");
        let opposite = Variant {
            blend: false,
            mask: true,
            delay: false,
            interleaved: true,
        };
        assert_eq!(all.parse::<Variant>()?, opposite);
        Ok(())
    }

    #[test]
    fn an_unknown_name_is_told_with_those_that_exist() {
        let error = "mask,no-mind".parse::<Variant>().err();
        let said = error.map(|e| e.to_string()).unwrap_or_default();
        assert!(said.contains("\"no-mind\""), "{said}");
        assert!(
            said.contains("no-blend, mask, no-delay, interleaved"),
            "{said}"
        );
    }
}
