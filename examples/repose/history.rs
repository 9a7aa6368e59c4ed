//! How a picture was made, as the plugin wrote it into the picture's XMP.

use serde_json::Value;

/// The history in an XMP packet; `None` where Repose did not make the picture.
pub fn of_xmp(xmp: &str) -> Option<Value> {
    let escaped = between(xmp, "<stEvt:parameters>", "<")?;
    let text = quick_xml::escape::unescape(escaped).ok()?;
    serde_json::from_str(&text).ok()
}

/// The words that a picture was posed by, without the names of what was put on the model: `<lora:…>`, `<subject:…>`.
pub fn prompt(history: &Value) -> Option<String> {
    let mut rest = history["prompt"].as_str()?;
    let mut words = String::new();
    while let Some((before, after)) = rest.split_once('<') {
        words += before;
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    let words = words + rest;
    let plain: Vec<&str> = words.split_whitespace().collect();
    Some(plain.join(" ")).filter(|plain| !plain.is_empty())
}

/// What stands in `text` between `open` and the next `close`.
pub fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let rest = text.split_once(open)?.1;
    rest.split_once(close).map(|(inside, _)| inside)
}
