//! The syntax of prompts.

use super::check_length;
use super::lora::{Kind, LoraUse, take_mentions};
use crate::Result;

/// What a bracket without a number multiplies by.
const STEP: f64 = 1.1;

/// The largest weight; brackets can multiply to more.
const HEAVIEST: f64 = 100.0;

/// A prompt, read as A1111 reads it:
///
/// * `(word)` weighs 1.1, `[word]` 1 / 1.1, `(word:1.3)` 1.3; they multiply when nested. Brackets that are not closed reach to
///   the end; ones that close nothing are text. `\(`, `\)`, `\[`, `\]`, `\\` are the signs themselves.
/// * `BREAK`, in capitals, begins a new sequence. (Here it does so inside brackets, too.)
/// * `<lora:name:0.8>` names a LoRA, `<subject:name:0.8>` another subject; they are taken out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prompt {
    /// Text and breaks in order.
    pub pieces: Vec<Piece>,
    /// LoRAs that it asks for, in order.
    pub loras: Vec<LoraUse>,
    /// Subjects that it names, in order.
    pub subjects: Vec<LoraUse>,
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text of one weight.
    Text {
        /// As written, without the syntax.
        text: String,
        /// From −100 to 100; 1 is neutral.
        weight: f64,
    },
    /// What follows is in another sequence.
    Break,
}

/// A sign of the syntax.
enum Sign<'a> {
    Text(&'a str),
    Open(Bracket),
    Close(Bracket),
    /// `:1.3)`; the whole of it, and the number.
    CloseBy(&'a str, f64),
    Break,
}

#[derive(Clone, Copy, PartialEq)]
enum Bracket {
    Round,
    Square,
}

impl Prompt {
    /// Reads a prompt. The time it takes grows with its length, however deep its brackets.
    ///
    /// # Errors
    /// `Caller` if it has more than 32 KB, or a `<lora:…>` or `<subject:…>` makes no sense.
    pub fn parse(text: &str) -> Result<Self> {
        check_length(text)?;
        let (text, mentioned) = take_mentions(text)?;
        let mut reader = Reader::default();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (sign, left) = next(rest);
            reader.take(sign);
            rest = left;
        }
        let (loras, subjects): (Vec<_>, Vec<_>) = mentioned
            .into_iter()
            .partition(|(kind, _)| *kind == Kind::Lora);
        let uses = |found: Vec<(Kind, LoraUse)>| found.into_iter().map(|(_, used)| used).collect();
        Ok(Self {
            pieces: reader.finish(),
            loras: uses(loras),
            subjects: uses(subjects),
        })
    }

    /// A prompt whose signs all stand for themselves, as diffusers reads prompts.
    ///
    /// # Errors
    /// `Caller` if it has more than 32 KB.
    pub fn plain(text: &str) -> Result<Self> {
        check_length(text)?;
        let text = text.to_owned();
        Ok(Self {
            pieces: vec![Piece::Text { text, weight: 1.0 }],
            ..Self::default()
        })
    }
}

/// What has been read: pieces, and from which piece to which each pair of brackets reaches.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    round: Vec<usize>,
    square: Vec<usize>,
    /// First piece, the one behind the last, factor.
    ranges: Vec<(usize, usize, f64)>,
}

impl Reader {
    fn take(&mut self, sign: Sign<'_>) {
        let here = self.pieces.len();
        match sign {
            Sign::Text(text) => self.text(text),
            Sign::Break => self.pieces.push(Piece::Break),
            Sign::Open(Bracket::Round) => self.round.push(here),
            Sign::Open(Bracket::Square) => self.square.push(here),
            Sign::Close(Bracket::Round) => match self.round.pop() {
                Some(from) => self.ranges.push((from, here, STEP)),
                None => self.text(")"),
            },
            Sign::Close(Bracket::Square) => match self.square.pop() {
                Some(from) => self.ranges.push((from, here, 1.0 / STEP)),
                None => self.text("]"),
            },
            Sign::CloseBy(written, factor) => match self.round.pop() {
                Some(from) => self.ranges.push((from, here, factor)),
                None => self.text(written),
            },
        }
    }

    fn text(&mut self, text: &str) {
        let text = text.to_owned();
        self.pieces.push(Piece::Text { text, weight: 1.0 });
    }

    fn finish(mut self) -> Vec<Piece> {
        let end = self.pieces.len();
        let open = self.round.iter().map(|from| (*from, end, STEP));
        self.ranges.extend(open);
        let open = self.square.iter().map(|from| (*from, end, 1.0 / STEP));
        self.ranges.extend(open);
        // Products by their logarithms, so that a factor can be taken out where its brackets end.
        let mut changes = vec![Factor::default(); end + 1];
        for (from, to, factor) in &self.ranges {
            changes[*from].change(*factor, 1);
            changes[*to].change(*factor, -1);
        }
        let mut product = Factor::default();
        let mut merged: Vec<Piece> = Vec::new();
        for (piece, change) in self.pieces.into_iter().zip(&changes) {
            product.add(change);
            let Piece::Text { text, .. } = piece else {
                merged.push(piece);
                continue;
            };
            let weight = product.value();
            match merged.last_mut() {
                Some(Piece::Text {
                    text: before,
                    weight: same,
                }) if (*same - weight).abs() < 1e-9 => before.push_str(&text),
                _ => merged.push(Piece::Text { text, weight }),
            }
        }
        merged
    }
}

/// A product of factors, some of which may be 0 or negative.
#[derive(Clone, Copy, Default)]
struct Factor {
    logarithm: f64,
    zeros: i32,
    negatives: i32,
}

impl Factor {
    fn change(&mut self, factor: f64, times: i32) {
        if factor == 0.0 {
            self.zeros += times;
        } else {
            self.logarithm += factor.abs().ln() * f64::from(times);
            self.negatives += i32::from(factor < 0.0) * times;
        }
    }

    fn add(&mut self, other: &Self) {
        self.logarithm += other.logarithm;
        self.zeros += other.zeros;
        self.negatives += other.negatives;
    }

    fn value(&self) -> f64 {
        if self.zeros > 0 {
            return 0.0;
        }
        let size = self.logarithm.exp().min(HEAVIEST);
        // Exactly neutral where brackets cancel out or are closed.
        let size = if (size - 1.0).abs() < 1e-9 { 1.0 } else { size };
        if self.negatives % 2 == 0 { size } else { -size }
    }
}

/// The first sign of a text that is not empty, and what follows it.
fn next(text: &str) -> (Sign<'_>, &str) {
    let split = |at: usize| (&text[..at], &text[at..]);
    let bytes = text.as_bytes();
    match bytes[0] {
        b'\\' => {
            let escaped = matches!(bytes.get(1), Some(b'(' | b')' | b'[' | b']' | b'\\'));
            let (sign, rest) = split(1 + usize::from(escaped));
            // A lone backslash vanishes, as in A1111.
            (Sign::Text(&sign[1..]), rest)
        }
        b'(' => (Sign::Open(Bracket::Round), &text[1..]),
        b'[' => (Sign::Open(Bracket::Square), &text[1..]),
        b')' => (Sign::Close(Bracket::Round), &text[1..]),
        b']' => (Sign::Close(Bracket::Square), &text[1..]),
        b':' => match weight(text) {
            Some((length, factor)) => {
                let (written, rest) = split(length);
                (Sign::CloseBy(written, factor), rest)
            }
            None => {
                let (sign, rest) = split(1);
                (Sign::Text(sign), rest)
            }
        },
        _ => {
            let end = text
                .find(['\\', '(', ')', '[', ']', ':'])
                .unwrap_or(text.len());
            match find_break(&text[..end]) {
                Some((0, to)) => (Sign::Break, &text[to..]),
                Some((from, _)) => {
                    let (before, rest) = split(from);
                    (Sign::Text(before), rest)
                }
                None => {
                    let (all, rest) = split(end);
                    (Sign::Text(all), rest)
                }
            }
        }
    }
}

/// `: 1.3 )` at the beginning of a text: its length and the number.
fn weight(text: &str) -> Option<(usize, f64)> {
    let inside = text.strip_prefix(':')?;
    // No number is longer; without a bound, many colons before one bracket would be read over and over.
    let end = inside.bytes().take(64).position(|b| b == b')')?;
    let number = inside[..end].trim();
    let plain = number.trim_start_matches(['+', '-']);
    let digits = plain.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if !digits || number.len() > plain.len() + 1 {
        return None;
    }
    let factor: f64 = number.parse().ok()?;
    Some((1 + end + 1, factor.clamp(-HEAVIEST, HEAVIEST)))
}

/// The first `BREAK` that stands alone, with the white space around it.
fn find_break(text: &str) -> Option<(usize, usize)> {
    const WORD: &str = "BREAK";
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in text.match_indices(WORD) {
        let (before, after) = (&text[..at], &text[at + WORD.len()..]);
        if before.chars().next_back().is_some_and(letter)
            || after.chars().next().is_some_and(letter)
        {
            continue;
        }
        let from = before.trim_end().len();
        let to = text.len() - after.trim_start().len();
        return Some((from, to));
    }
    None
}
