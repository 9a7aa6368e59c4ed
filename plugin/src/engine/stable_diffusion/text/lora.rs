//! `<lora:name:0.8>` in prompts.

use crate::{Error, Result};

/// More of them in one prompt are a mistake.
const MOST: usize = 32;

/// A LoRA that a prompt asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraUse {
    /// The file's name without its ending.
    pub name: String,
    /// Its weight in the text encoders.
    pub text_encoder: f64,
    /// Its weight in the U-Net; the same unless given.
    pub unet: f64,
}

/// Takes every `<lora:name>`, `<lora:name:weight>`, `<lora:name:text encoder:unet>` out of a text. In place of the numbers,
/// `te=` and `unet=` may name them.
///
/// # Errors
/// `Caller` if there is no name, a weight is no number between −100 and 100, or there are more than 32.
pub(super) fn take_loras(text: &str) -> Result<(String, Vec<LoraUse>)> {
    let mut left = String::with_capacity(text.len());
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("<lora:") {
        let (before, from) = rest.split_at(at);
        left.push_str(before);
        let inside = &from["<lora:".len()..];
        let Some(end) = inside.find('>') else {
            rest = from;
            break;
        };
        found.push(read(&inside[..end])?);
        if found.len() > MOST {
            return Err(Error::caller(format!(
                "the prompt names more than {MOST} LoRAs"
            )));
        }
        rest = &inside[end + 1..];
    }
    left.push_str(rest);
    Ok((left, found))
}

fn read(inside: &str) -> Result<LoraUse> {
    let wrong = |what: &str| {
        let shown: String = inside.chars().take(60).collect();
        Error::caller(format!(
            "<lora:{shown}> in the prompt {what}; <lora:name:0.8> was expected"
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
