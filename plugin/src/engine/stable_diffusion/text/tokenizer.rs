//! CLIP's tokenizer: words to token numbers, as transformers' `CLIPTokenizer`.

use std::fmt;
use std::sync::LazyLock;

use tokenizers::Model;
use tokenizers::models::bpe::BPE;

use super::check_length;
use super::clean::{clean, visible, words};
use crate::{Error, Result};

/// The longest word, in bytes: merging takes time that grows with its square. A sentence in Chinese is one word.
const LONGEST_WORD: usize = 8 << 10;

/// How special tokens are written.
pub(super) const BEGIN: &str = "<|startoftext|>";
pub(super) const END: &str = "<|endoftext|>";

/// OpenAI's vocabulary, which all CLIP text encoders of these families share. Read when it is first needed.
static OPENAI: LazyLock<instant_clip_tokenizer::Tokenizer> =
    LazyLock::new(instant_clip_tokenizer::Tokenizer::new);

/// Which token fills sequences up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pad {
    /// The end token: CLIP by OpenAI, in SD 1.x and SDXL's first encoder.
    End,
    /// "!", token 0: OpenCLIP, in SD 2.x and SDXL's second encoder.
    Zero,
}

/// A learned word: it has no number in the vocabulary but vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// How it is written in prompts. Case does not count, and it must stand alone: `cat` is not found in `cats`.
    pub name: String,
    /// How many vectors, hence places of a sequence, it has.
    pub vectors: usize,
}

/// One place of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// A token of the vocabulary.
    Known(u32),
    /// Vector `vector` of learned word `word`.
    Learned {
        /// Index among the learned words.
        word: usize,
        /// Index among its vectors.
        vector: usize,
    },
}

/// A vocabulary and what special tokens it has.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    /// The token that begins a sequence: 49406.
    pub begin: u32,
    /// The token that ends a sequence: 49407.
    pub end: u32,
    /// The token that fills a sequence up after its end.
    pub pad: u32,
    /// The token of a comma, where long prompts are broken with preference.
    pub(super) comma: Option<u32>,
}

#[derive(Clone)]
enum Vocabulary {
    OpenAi,
    File(Box<BPE>),
}

impl fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenAi => "OpenAi",
            Self::File(_) => "File",
        })
    }
}

impl Tokenizer {
    /// The vocabulary that is built in, for checkpoints without one.
    pub fn built_in(pad: Pad) -> Self {
        let (begin, end) = (
            u32::from(OPENAI.start_of_text().to_u16()),
            u32::from(OPENAI.end_of_text().to_u16()),
        );
        Self::new(Vocabulary::OpenAi, begin, end, pad)
    }

    /// A vocabulary from a file.
    pub(super) fn of_file(vocabulary: BPE, begin: u32, end: u32, pad: Pad) -> Self {
        Self::new(Vocabulary::File(Box::new(vocabulary)), begin, end, pad)
    }

    fn new(vocabulary: Vocabulary, begin: u32, end: u32, pad: Pad) -> Self {
        let mut new = Self {
            vocabulary,
            begin,
            end,
            pad: match pad {
                Pad::End => end,
                Pad::Zero => 0,
            },
            comma: None,
        };
        let mut comma = Vec::new();
        new.comma = match new.word(",", &mut comma) {
            Ok(()) => comma.first().copied(),
            Err(_) => None,
        };
        new
    }

    /// The tokens of a text, without those that begin and end a sequence; equal to transformers'
    /// `CLIPTokenizer(text, add_special_tokens=False)`. A special token that is written out stands for itself.
    ///
    /// # Errors
    /// `Caller` if the text has more than 32 KB, or 8 KB without a space.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        check_length(text)?;
        let mut tokens = Vec::new();
        let mut rest = text;
        // Looked for before anything is cleaned: in capitals they are plain text.
        let special = [(BEGIN, self.begin), (END, self.end)];
        while let Some((at, name, id)) = special
            .iter()
            .filter_map(|(name, id)| Some((rest.find(name)?, name, *id)))
            .min()
        {
            self.plain(&rest[..at], &mut tokens)?;
            tokens.push(id);
            rest = &rest[at + name.len()..];
        }
        self.plain(rest, &mut tokens)?;
        Ok(tokens)
    }

    /// The tokens of a text that may contain learned words; among those that begin at one place the longest is taken.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_with(&self, text: &str, learned: &[Learned]) -> Result<Vec<Token>> {
        check_length(text)?;
        let mut names: Vec<(usize, Vec<char>)> = learned
            .iter()
            .enumerate()
            .filter(|(_, word)| !word.name.is_empty() && word.vectors > 0)
            .map(|(i, word)| (i, lower(&word.name).map(|(_, c)| c).collect()))
            .collect();
        names.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        let characters: Vec<(usize, char)> = lower(text).collect();
        let mut tokens = Vec::new();
        let (mut from, mut at) = (0, 0);
        while at < characters.len() {
            let found = names
                .iter()
                .find(|(_, name)| stands_at(&characters, at, name));
            let Some((word, name)) = found else {
                at += 1;
                continue;
            };
            let known = self.encode(&text[from..characters[at].0])?;
            tokens.extend(known.into_iter().map(Token::Known));
            let word = *word;
            let vectors = 0..learned[word].vectors;
            tokens.extend(vectors.map(|vector| Token::Learned { word, vector }));
            at += name.len();
            from = characters.get(at).map_or(text.len(), |(place, _)| *place);
        }
        let known = self.encode(&text[from..])?;
        tokens.extend(known.into_iter().map(Token::Known));
        Ok(tokens)
    }

    fn plain(&self, text: &str, tokens: &mut Vec<u32>) -> Result<()> {
        let cleaned = clean(text);
        words(&cleaned).try_for_each(|word| self.word(word, tokens))
    }

    fn word(&self, word: &str, tokens: &mut Vec<u32>) -> Result<()> {
        if word.len() > LONGEST_WORD {
            return Err(Error::caller(format!(
                "the prompt has a word of {} bytes; at most {LONGEST_WORD} were expected: put spaces into it",
                word.len()
            )));
        }
        match &self.vocabulary {
            Vocabulary::OpenAi => {
                let mut found = Vec::new();
                OPENAI.encode(word, &mut found);
                tokens.extend(found.into_iter().map(|token| u32::from(token.to_u16())));
            }
            Vocabulary::File(bpe) => {
                let seen: String = word.bytes().map(visible).collect();
                let found = bpe.tokenize(&seen).map_err(|e| {
                    Error::files(format!("the model's tokenizer cannot read {word:?}: {e}"))
                })?;
                tokens.extend(found.into_iter().map(|token| token.id));
            }
        }
        Ok(())
    }
}

/// Characters in lower case, each with the place of the one it comes from.
fn lower(text: &str) -> impl Iterator<Item = (usize, char)> {
    text.char_indices()
        .flat_map(|(place, c)| c.to_lowercase().map(move |c| (place, c)))
}

/// Whether a name stands at this place, not inside a longer word.
fn stands_at(text: &[(usize, char)], at: usize, name: &[char]) -> bool {
    let Some(here) = text.get(at..at + name.len()) else {
        return false;
    };
    let inside = |before: Option<char>, after: Option<char>| {
        before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)
    };
    let before = at.checked_sub(1).map(|at| text[at].1);
    let after = text.get(at + name.len()).map(|(_, c)| *c);
    here.iter().zip(name).all(|((_, a), b)| a == b)
        && !inside(before, name.first().copied())
        && !inside(name.last().copied(), after)
}
