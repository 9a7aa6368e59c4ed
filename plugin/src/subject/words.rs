//! What text models are told about a subject.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::engine::stable_diffusion::text::mentions;

/// What text models are told about a subject.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubjectWords {
    /// What the picture shows that it was learned from, at most 4096 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// What it is, such as `teddy bear`, at most 200 bytes; `None`: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
}

/// Where a text has these words, whole, in any case; not within `<lora:…>` and `<subject:…>`.
pub fn places(text: &str, words: &str) -> Vec<Range<usize>> {
    let words = words.trim();
    let mentions = mentions(text);
    let within = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut found: Vec<Range<usize>> = Vec::new();
    if words.is_empty() {
        return found;
    }
    for (start, _) in text.char_indices() {
        let free = found.last().is_none_or(|last| last.end <= start)
            && !mentions.iter().any(|mention| mention.contains(&start));
        if free
            && !within(text[..start].chars().next_back())
            && let Some(length) = begins(&text[start..], words)
            && !within(text[start + length..].chars().next())
        {
            found.push(start..start + length);
        }
    }
    found
}

/// How many bytes of a text these words take that it begins with, in any case.
fn begins(text: &str, words: &str) -> Option<usize> {
    let ends = text.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    let mut lower = ends.flat_map(|(end, c)| c.to_lowercase().map(move |c| (end, c)));
    let mut length = 0;
    for wanted in words.chars().flat_map(char::to_lowercase) {
        let (end, _) = lower.next().filter(|(_, c)| *c == wanted)?;
        length = end;
    }
    Some(length)
}

/// Whether a text has a learned word, which is not the beginning of another one.
pub fn stands(text: &str, token: &str) -> bool {
    !learned(text, token).is_empty()
}

/// Where a text has a learned word, which is not the beginning of another one.
fn learned(text: &str, token: &str) -> Vec<Range<usize>> {
    let mut found = places(text, token);
    found.retain(|place| !text[place.end..].starts_with('-'));
    found
}

/// A text with `token` before each occurrence of these words; before the whole, with them, where they do not occur. Where
/// the user has written the token, it stays as it is.
pub fn marked(text: &str, words: &str, token: &str) -> String {
    if token.is_empty() || stands(text, token) {
        return text.to_owned();
    }
    let places = places(text, words);
    if places.is_empty() {
        return match text.trim() {
            "" => format!("{token} {words}"),
            text => format!("{token} {words}, {text}"),
        };
    }
    let (mut marked, mut from) = (String::new(), 0);
    for place in places {
        marked += &text[from..place.start];
        marked += token;
        marked += " ";
        from = place.start;
    }
    marked + &text[from..]
}

/// The opposite of [`marked`]: a text without `token` before these words, and with these words where it stands alone.
pub fn unmarked(text: &str, words: &str, token: &str) -> String {
    let (words, mut plain, mut from) = (words.trim(), String::new(), 0);
    for place in learned(text, token) {
        plain += &text[from..place.start];
        let rest = text[place.end..].trim_start();
        from = match places(rest, words).first() {
            Some(next) if next.start == 0 => text.len() - rest.len(),
            _ => {
                plain += words;
                place.end
            }
        };
    }
    plain + &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole() {
        let holds = |text, words| !places(text, words).is_empty();
        assert!(holds("A photo of a Teddy Bear, waving", "teddy bear"));
        assert!(holds("(cat:1.2) on a mat", " cat "));
        assert!(!holds("a catalogue", "cat"));
        assert!(!holds("a bobcat", "cat"));
        assert!(!holds("a cat", "  "));
        assert_eq!(places("Éa éa", "ÉA"), [0..3, 4..7]);
    }

    #[test]
    fn a_token_stands_before_each_occurrence() {
        assert_eq!(
            marked("a Cat on a cat tree", "cat", "s*"),
            "a s* Cat on a s* cat tree"
        );
        assert_eq!(marked("on a mat", "cat", "s*"), "s* cat, on a mat");
        assert_eq!(marked(" ", "cat", "s*"), "s* cat");
        let mentioned = "a cat <subject:cat:0.5> <lora:cat>";
        assert_eq!(
            marked(mentioned, "cat", "s*"),
            "a s* cat <subject:cat:0.5> <lora:cat>"
        );
        assert_eq!(marked("my-a-2 cat", "cat", "my-a"), "my-a-2 my-a cat");
        assert_eq!(marked("a cat", "cat", ""), "a cat");
        let told = "my-a cat beside my-b cat";
        assert_eq!(marked(told, "cat", "my-b"), told);
    }

    #[test]
    fn without_its_token_a_text_tells_of_any_such_thing() {
        for text in [
            "a Cat on a cat tree",
            "a cat <subject:cat:0.5>",
            "(cat:1.2)",
        ] {
            let told = marked(text, "cat", "my-a");
            assert_ne!(told, text);
            assert_eq!(unmarked(&told, "cat", "my-a"), text);
        }
        assert_eq!(unmarked("My-a on a mat", "cat", "my-a"), "cat on a mat");
        assert_eq!(unmarked("my-a  catalogue", "cat", "my-a"), "cat  catalogue");
        let beside = "a cat with my-a-pose-0 pose beside my-b cat";
        assert_eq!(unmarked(beside, "cat", "my-a"), beside);
        assert_eq!(unmarked("a cat", "cat", ""), "a cat");
    }
}
