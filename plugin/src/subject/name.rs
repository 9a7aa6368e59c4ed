//! Names of subjects, and the folder names made from them.

use super::disk::sha256;
use crate::{Error, Result};

/// The longest name, in characters.
pub const MAX_NAME: usize = 80;

/// `Caller` unless `name` has 1 to [`MAX_NAME`] characters, not only spaces, no control characters, no `/` and no `\`.
pub fn check(name: &str) -> Result<()> {
    let length = name.chars().count();
    let why = if name.trim().is_empty() {
        "it is blank".to_owned()
    } else if length > MAX_NAME {
        format!("it has {length} characters")
    } else if let Some(c) = name
        .chars()
        .find(|&c| c.is_control() || c == '/' || c == '\\')
    {
        format!("it contains {c:?}")
    } else {
        return Ok(());
    };
    Err(Error::caller(format!(
        "a subject's name has 1 to {MAX_NAME} characters, without control characters, / and \\; this one cannot be \
         used: {why}"
    )))
}

/// The folder a new subject of this name gets: readable ASCII and the start of the name's hash. Never `.`, `..`, hidden
/// or absolute, whatever the name. `attempt` > 0 gives others, for when a renamed subject already lives there.
pub fn folder(name: &str, attempt: u32) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if slug.len() >= 40 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    let slug = if slug.is_empty() { "subject" } else { slug };
    let hash = &sha256(name.as_bytes())[..8];
    if attempt == 0 {
        format!("{slug}-{hash}")
    } else {
        format!("{slug}-{hash}-{}", attempt + 1)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bad_names_are_refused_with_a_reason() {
        for (name, reason) in [
            ("", "blank"),
            ("   ", "blank"),
            ("a/b", "'/'"),
            ("a\\b", "'\\\\'"),
            ("a\nb", "'\\n'"),
            ("a\u{7f}b", "7f"),
            (&"x".repeat(81), "81 characters"),
        ] {
            let error = check(name).unwrap_err();
            assert!(error.message.contains(reason), "{name:?}: {error}");
        }
        for name in ["a", "..", "Bär 🐻", "con", &"ü".repeat(80)] {
            check(name).unwrap();
        }
    }

    proptest! {
        #[test]
        fn folder_names_are_plain(name in "\\PC{0,90}", attempt in 0u32..3) {
            let folder = folder(&name, attempt);
            prop_assert!(folder.len() <= 64);
            prop_assert!(folder.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            prop_assert!(folder.starts_with(|c: char| c.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn names_that_differ_get_folders_that_differ() {
        let names = ["Bear", "bear", "be ar", "be-ar", "..", ".", "熊", "熊熊"];
        let folders: std::collections::HashSet<_> = names.iter().map(|n| folder(n, 0)).collect();
        assert_eq!(folders.len(), names.len());
    }
}
