//! From what the user writes to what the U-Net is given.
//!
//! 1. [`Prompt::parse`] reads the syntax that users know from A1111: weights, `BREAK`, `<lora:…>`, `<subject:…>`.
//! 2. [`Tokenizer`] turns words into CLIP's tokens, as transformers does; [`Learned`] words keep their places.
//! 3. [`Chunks::new`] lays tokens out in sequences of 77 and knows where each word went.
//! 4. [`Stage`] encodes them and [`Conditioning`] is the result for all text encoders of a model.

mod chunks;
mod clean;
mod conditioning;
mod files;
mod lora;
mod new_words;
mod prompt;
#[cfg(test)]
mod tests;
mod time_ids;
mod tokenizer;
mod weigh;

pub use chunks::{Chunk, Chunks, LearnedAt, SEQUENCE};
pub use conditioning::{Conditioning, Stage, with_vectors};
pub use lora::{LoraUse, mentions};
pub use new_words::NewWords;
pub use prompt::{Piece, Prompt};
pub use time_ids::time_ids;
pub use tokenizer::{Learned, Pad, Token, Tokenizer};
pub use weigh::weigh;

use crate::{Error, Result};

/// The longest prompt, in bytes. It bounds the work for hostile text; 1500 tokens, the most that are encoded, are about 6 KB.
pub const LONGEST_PROMPT: usize = 32 << 10;

/// That a text is of bearable length.
fn check_length(text: &str) -> Result<()> {
    if text.len() <= LONGEST_PROMPT {
        return Ok(());
    }
    Err(Error::caller(format!(
        "the prompt has {} bytes; at most {LONGEST_PROMPT} were expected: shorten it",
        text.len()
    )))
}
