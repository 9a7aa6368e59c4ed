//! The history that every result carries, as JSON and as an XMP packet.

use serde::{Deserialize, Serialize};

use super::card::tool;
use super::disk::now;
use super::log::Action;
use crate::outcome::ModelRef;

/// Where a result comes from.
///
/// Of the IPTC's terms (`cv.iptc.org/newscodes/digitalsourcetype`, 2024) this is the one for a composite of several elements
/// of which at least one is synthetic: the photograph stays, pixel for pixel, outside the mask, and the parts inside are
/// synthesised. `compositeWithTrainedAlgorithmicMedia` would claim a model trained on other people's media, which the patch engine does
/// not have; `algorithmicMedia` is for a work that is made by an algorithm as a whole; `algorithmicallyEnhanced` for
/// corrections that add nothing; `humanEdits` for tools that generate nothing.
pub const SOURCE_TYPE: &str = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic";

/// The same for what a text model made: its weights were trained on other people's media.
pub const TRAINED_SOURCE_TYPE: &str =
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";

/// The subject that a result shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectUse {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// SHA-256 of its `subject.safetensors`; empty if it was deleted meanwhile.
    pub sha256: String,
    /// The consent it was used under.
    pub consent: String,
    /// The last day of that consent, if it has one.
    pub consent_expires: Option<String>,
}

/// How a result was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Tool and version.
    pub tool: String,
    /// The engine: `patch` or `stable-diffusion`.
    pub engine: String,
    /// `repose` or `erase`.
    pub action: String,
    /// UTC (RFC 3339).
    pub at: String,
    /// SHA-256 of the request; the same request gives the same pixels.
    pub request_sha256: String,
    /// The request's seed.
    pub seed: u64,
    /// What the user calls the model; the patch engine has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// SHA-256 that names the model's weights; the patch engine has none.
    pub model_sha256: Option<String>,
    /// The pose in words that was asked for, as the user wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// The subject, where one was used.
    pub subject: Option<SubjectUse>,
    /// IPTC digital source type of the result.
    pub digital_source_type: String,
}

/// The history of a result made now. [`Library::history`](super::Library::history) looks the subject up and calls this.
pub fn history(
    action: Action,
    request_sha256: &str,
    subject: Option<SubjectUse>,
    seed: u64,
) -> History {
    History {
        tool: tool(),
        engine: "patch".into(),
        action: action.word().into(),
        at: now(),
        request_sha256: request_sha256.into(),
        seed,
        model: None,
        model_sha256: None,
        prompt: None,
        subject,
        digital_source_type: SOURCE_TYPE.into(),
    }
}

impl History {
    /// The same for a result that a text model made.
    #[must_use]
    pub fn by_model(self, model: &ModelRef) -> Self {
        Self {
            engine: "stable-diffusion".into(),
            model: Some(model.name.clone()),
            model_sha256: Some(model.sha256.clone()),
            digital_source_type: TRAINED_SOURCE_TYPE.into(),
            ..self
        }
    }

    /// The same for a result that was asked for in these words.
    #[must_use]
    pub fn by_words(self, prompt: Option<&str>) -> Self {
        let prompt = prompt.filter(|p| !p.trim().is_empty()).map(str::to_owned);
        Self { prompt, ..self }
    }
}

/// The history as a complete XMP packet (UTF-8): IPTC source type, tool, and one event of the XMP history whose parameters
/// are the history as JSON.
pub fn xmp(history: &History) -> String {
    let json = serde_json::to_string(history).unwrap_or_default();
    let [source, tool, at, parameters] = [
        &history.digital_source_type,
        &history.tool,
        &history.at,
        &json,
    ]
    .map(|t| escape(t));
    format!(
        r#"<?xpacket begin="{bom}" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
   <Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
   <xmp:CreatorTool>{tool}</xmp:CreatorTool>
   <xmp:MetadataDate>{at}</xmp:MetadataDate>
   <xmpMM:History>
    <rdf:Seq>
     <rdf:li rdf:parseType="Resource">
      <stEvt:action>edited</stEvt:action>
      <stEvt:when>{at}</stEvt:when>
      <stEvt:softwareAgent>{tool}</stEvt:softwareAgent>
      <stEvt:changed>/</stEvt:changed>
      <stEvt:parameters>{parameters}</stEvt:parameters>
     </rdf:li>
    </rdf:Seq>
   </xmpMM:History>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"#,
        bom = '\u{feff}',
    )
}

/// Text as XML 1.0 content; characters that XML cannot hold become U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push_str(&format!("&#{};", u32::from(c))),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
#[path = "provenance_tests.rs"]
mod tests;
