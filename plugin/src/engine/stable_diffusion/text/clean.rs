//! Text as CLIP's tokenizers see it: composed, in lower case, cut into words.

use std::sync::LazyLock;

use regex::Regex;
use tokenizers::NormalizedString;

/// Words as transformers' `CLIPTokenizer` cuts them: English contractions, runs of letters, single digits, runs of anything
/// else but white space. (Its expression names the special tokens as well, but its next step cuts them up.)
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+")
        .expect("a valid expression")
});

/// Unicode's composed form (NFC), in lower case letter by letter: a sigma at the end of a word is no other one. By the code
/// that transformers uses: Unicode's tables differ from version to version.
pub(super) fn clean(text: &str) -> String {
    let mut text = NormalizedString::from(text);
    text.nfc().lowercase();
    text.get().to_owned()
}

/// The words of a cleaned text.
pub(super) fn words(cleaned: &str) -> impl Iterator<Item = &str> {
    WORD.find_iter(cleaned).map(|found| found.as_str())
}

/// A byte as the character that stands for it in vocabularies: printable ones for themselves, the others from U+0100 up, in
/// the order of GPT-2's tables.
pub(super) fn visible(byte: u8) -> char {
    match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
        0..=b' ' => above(u32::from(byte)),
        0x7F..=0xA0 => above(u32::from(byte) - 0x7F + 33),
        0xAD => above(67),
    }
}

fn above(nth: u32) -> char {
    char::from_u32(0x100 + nth).unwrap_or(char::REPLACEMENT_CHARACTER)
}
