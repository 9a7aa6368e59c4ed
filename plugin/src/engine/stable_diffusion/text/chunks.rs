//! Tokens in sequences of the length that text encoders take.

use super::prompt::{Piece, Prompt};
use super::tokenizer::{Learned, Token, Tokenizer};
use crate::{Error, Result};

/// Tokens of a sequence, with those that begin and end it.
pub const SEQUENCE: usize = 77;

/// Tokens of a sequence that the prompt fills.
const FILL: usize = SEQUENCE - 2;

/// The most sequences of a prompt: each makes every step of the U-Net slower.
const MOST: usize = 20;

/// How far back from a full sequence a comma is looked for, to break there. A1111's default.
const BACKTRACK: usize = 20;

/// One sequence: the token that begins it, up to 75 of the prompt, the one that ends it, padding.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// 77 numbers. A learned word has 0 in its places, which [`learned`](Self::learned) names.
    pub ids: Vec<u32>,
    /// 77 weights; 1 outside the prompt.
    pub weights: Vec<f32>,
    /// Which places learned words have.
    pub learned: Vec<LearnedAt>,
    /// The place of the token that ends the sequence, whose state is the pooled one.
    pub end: usize,
}

/// A place of a sequence that a learned word has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnedAt {
    /// Place in the sequence, from 1 to 75.
    pub position: usize,
    /// Index among the learned words.
    pub word: usize,
    /// Index among its vectors.
    pub vector: usize,
}

/// A prompt as one text encoder takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunks {
    /// At least one.
    pub chunks: Vec<Chunk>,
    /// Where in the sequences, laid end to end, each token of the prompt went.
    placed: Vec<(usize, Token)>,
    begin: u32,
    end: u32,
    pad: u32,
}

impl Chunks {
    /// Lays a prompt out. A sequence that is full ends after its last comma if one of its last 20 tokens is one, and in the
    /// middle of a sentence otherwise; a learned word is not torn apart. (A1111's rules.)
    ///
    /// # Errors
    /// `Caller` if it needs more than 20 sequences, or a learned word has more than 75 vectors.
    pub fn new(prompt: &Prompt, tokenizer: &Tokenizer, learned: &[Learned]) -> Result<Self> {
        let mut layout = Layout {
            done: Vec::new(),
            open: Vec::new(),
            comma: None,
        };
        for piece in &prompt.pieces {
            match piece {
                Piece::Break => layout.close()?,
                Piece::Text { text, weight } => {
                    let tokens = tokenizer.encode_with(text, learned)?;
                    layout.lay(&tokens, *weight as f32, tokenizer.comma)?;
                }
            }
        }
        if layout.done.is_empty() || !layout.open.is_empty() {
            layout.close()?;
        }
        let mut new = Self {
            chunks: Vec::new(),
            placed: Vec::new(),
            begin: tokenizer.begin,
            end: tokenizer.end,
            pad: tokenizer.pad,
        };
        for tokens in layout.done {
            new.push(&tokens);
        }
        Ok(new)
    }

    /// Adds empty sequences until there are `count`: the U-Net takes prompt and negative prompt in one batch.
    pub fn pad_to(&mut self, count: usize) {
        while self.chunks.len() < count {
            self.push(&[]);
        }
    }

    /// Number of places of all sequences: of the context that the U-Net is given.
    pub fn places(&self) -> usize {
        self.chunks.len() * SEQUENCE
    }

    /// Where a phrase stands, for reading cross-attention maps: the places of every occurrence in the context (sequences laid
    /// end to end), rising. Nothing if it does not occur; a phrase inside a longer word does not.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn places_of(
        &self,
        phrase: &str,
        tokenizer: &Tokenizer,
        learned: &[Learned],
    ) -> Result<Vec<usize>> {
        let wanted = tokenizer.encode_with(phrase, learned)?;
        let mut places = Vec::new();
        // An empty or an overlong phrase is nowhere.
        if !wanted.is_empty() && wanted.len() <= FILL {
            for window in self.placed.windows(wanted.len()) {
                if window.iter().map(|(_, token)| token).eq(&wanted) {
                    places.extend(window.iter().map(|(place, _)| *place));
                }
            }
            places.sort_unstable();
            places.dedup();
        }
        Ok(places)
    }

    /// The places of all tokens of the prompt, without those that begin, end and fill sequences.
    pub fn places_of_prompt(&self) -> impl Iterator<Item = usize> {
        self.placed.iter().map(|(place, _)| *place)
    }

    fn push(&mut self, tokens: &[(Token, f32)]) {
        let offset = self.places();
        let end = 1 + tokens.len();
        let mut chunk = Chunk {
            ids: vec![self.pad; SEQUENCE],
            weights: vec![1.0; SEQUENCE],
            learned: Vec::new(),
            end,
        };
        chunk.ids[0] = self.begin;
        chunk.ids[end] = self.end;
        for (position, (token, weight)) in (1..).zip(tokens) {
            chunk.weights[position] = *weight;
            self.placed.push((offset + position, *token));
            chunk.ids[position] = match *token {
                Token::Known(id) => id,
                Token::Learned { word, vector } => {
                    chunk.learned.push(LearnedAt {
                        position,
                        word,
                        vector,
                    });
                    0
                }
            };
        }
        self.chunks.push(chunk);
    }
}

/// Sequences while they are filled.
struct Layout {
    done: Vec<Vec<(Token, f32)>>,
    open: Vec<(Token, f32)>,
    /// How many tokens of the open sequence a comma ends.
    comma: Option<usize>,
}

impl Layout {
    fn lay(&mut self, tokens: &[Token], weight: f32, comma: Option<u32>) -> Result<()> {
        let mut rest = tokens;
        while let Some(first) = rest.first() {
            let count = whole(rest).len();
            if count > FILL {
                return Err(Error::caller(format!(
                    "a learned word takes {count} places of a prompt; a sequence has {FILL}"
                )));
            }
            if self.open.len() + count > FILL {
                self.make_room(matches!(first, Token::Known(id) if Some(*id) == comma))?;
            }
            let (word, left) = rest.split_at(count);
            self.open.extend(word.iter().map(|token| (*token, weight)));
            if matches!(first, Token::Known(id) if Some(*id) == comma) {
                self.comma = Some(self.open.len());
            }
            rest = left;
        }
        Ok(())
    }

    /// Closes the full sequence; what stands behind its last comma moves to the next, unless that would be a comma's own.
    fn make_room(&mut self, for_comma: bool) -> Result<()> {
        let at = self
            .comma
            .filter(|at| !for_comma && self.open.len() - at < BACKTRACK)
            .unwrap_or(self.open.len());
        let moved = self.open.split_off(at);
        self.close()?;
        self.open = moved;
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if self.done.len() == MOST {
            return Err(Error::caller(format!(
                "the prompt has more than {} tokens: shorten it",
                MOST * FILL
            )));
        }
        self.done.push(std::mem::take(&mut self.open));
        self.comma = None;
        Ok(())
    }
}

/// The first token, with all vectors of its word if it is a learned one.
fn whole(tokens: &[Token]) -> &[Token] {
    let length = match tokens {
        [Token::Learned { word, .. }, rest @ ..] => {
            let next = |token: &&Token| matches!(token, Token::Learned { word: same, vector } if same == word && *vector > 0);
            1 + rest.iter().take_while(next).count()
        }
        _ => 1,
    };
    &tokens[..length]
}
