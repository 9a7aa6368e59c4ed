//! `repose models`

use serde_json::json;

use crate::ui::Report;

/// What poses can be made with.
pub fn list() -> Report {
    Report {
        wrong: None,
        json: json!({ "ok": true, "models": [{
            "name": "patch",
            "embedded": true,
            "poses": ["pins", "guide", "move", "scale", "rotate"],
            "prompts": false,
        }]}),
        lines: vec![
            "patch   embedded, needs no download; poses by pins, guide, move, scale and rotate; erases".into(),
            String::new(),
            "A pose in words (--prompt) needs a text model. This version cannot use one yet: it will take Stable".into(),
            "Diffusion weights from a diffusers folder, a single .safetensors file or the Hugging Face cache.".into(),
        ],
    }
}
