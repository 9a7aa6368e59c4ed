//! `<lora:name:0.8>` and `<subject:name:0.8>` in prompts.

use std::ops::Range;

use crate::{Error, Result};

/// More mentions in one prompt are a mistake.
const MOST: usize = 32;

/// A LoRA that a prompt asks for, or a subject of which it takes what a text model learned.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraUse {
    /// The file's name without its ending; the subject's name.
    pub name: String,
    /// Its weight in the text encoders.
    pub text_encoder: f64,
    /// Its weight in the U-Net; the same unless given.
    pub unet: f64,
}

impl LoraUse {
    /// As it was learned.
    pub fn whole(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            text_encoder: 1.0,
            unet: 1.0,
        }
    }
}

/// What begins a mention, and what is mentioned.
const TAGS: [(&str, Kind); 2] = [("<lora:", Kind::Lora), ("<subject:", Kind::Subject)];

/// What a prompt can mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A LoRA of the user's.
    Lora,
    /// A subject of the library.
    Subject,
}

/// Takes every `<lora:name>`, `<lora:name:weight>`, `<lora:name:text encoder:unet>` out of a text, and every `<subject:…>` of
/// the same form. In place of the numbers, `te=` and `unet=` may name them.
///
/// # Errors
/// `Caller` if there is no name, a weight is no number between −100 and 100, or there are more than 32.
pub(super) fn take_mentions(text: &str) -> Result<(String, Vec<(Kind, LoraUse)>)> {
    let mut left = String::with_capacity(text.len());
    let mut found = Vec::new();
    let mut from = 0;
    for mention in mentions(text) {
        left.push_str(&text[from..mention.start]);
        from = mention.end;
        let tag = &text[mention];
        let of = TAGS.iter().find(|(begin, _)| tag.starts_with(begin));
        let (begin, kind) = of.ok_or_else(|| Error::bug("a mention of nothing"))?;
        found.push((*kind, read(begin, &tag[begin.len()..tag.len() - 1])?));
        if found.len() > MOST {
            return Err(Error::caller(format!(
                "the prompt names more than {MOST} LoRAs and subjects"
            )));
        }
    }
    left.push_str(&text[from..]);
    Ok((left, found))
}

/// Where a prompt mentions a LoRA or a subject: no words for the model stand there.
pub fn mentions(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find('<') {
        let start = from + at;
        from = start + 1;
        if TAGS.iter().any(|(tag, _)| text[start..].starts_with(tag))
            && let Some(length) = text[start..].find('>')
        {
            from = start + length + 1;
            found.push(start..from);
        }
    }
    found
}

fn read(begin: &str, inside: &str) -> Result<LoraUse> {
    let wrong = |what: &str| {
        let shown: String = inside.chars().take(60).collect();
        Error::caller(format!(
            "{begin}{shown}> in the prompt {what}; {begin}name:0.8> was expected"
        ))
    };
    let mut parts = inside.split(':').map(str::trim);
    let name = parts.next().unwrap_or_default();
    if name.is_empty() {
        return Err(wrong("has no name"));
    }
    let (mut text_encoder, mut unet) = (None, None);
    for (place, part) in parts.enumerate() {
        let (slot, number) = match (part.split_once('='), place) {
            (Some(("te", number)), _) => (&mut text_encoder, number),
            (Some(("unet", number)), _) => (&mut unet, number),
            (None, 0) => (&mut text_encoder, part),
            (None, 1) => (&mut unet, part),
            _ => return Err(wrong("says more than a weight")),
        };
        let number = number.parse().ok();
        *slot = number.filter(|weight| (-100.0..=100.0).contains(weight));
        if slot.is_none() {
            return Err(wrong("has a weight that is no number from −100 to 100"));
        }
    }
    let text_encoder: f64 = text_encoder.unwrap_or(1.0);
    Ok(LoraUse {
        name: name.to_owned(),
        text_encoder,
        unet: unet.unwrap_or(text_encoder),
    })
}
