//! What a text model learned, in the forms that other programs read.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;

use super::TextPart;
use crate::{Error, Result};

/// The recipe of what another program learned: its LoRA has the names it came with.
pub const IMPORTED: &str = "imported";

/// A form of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Changes of projections, with the names of diffusers and PEFT.
    Lora,
    /// The same with kohya's names, which A1111 and ComfyUI read.
    Kohya,
    /// The learned word, as diffusers' textual inversion has it.
    Word,
    /// The same as A1111 has it.
    A1111,
}

impl Part {
    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lora | Self::Kohya => "LoRA",
            Self::Word | Self::A1111 => "learned word",
        }
    }

    /// The file; empty if nothing of this kind was learned.
    ///
    /// # Errors
    /// `Files` if the subject's own is damaged.
    pub fn of(self, text: &TextPart) -> Result<Vec<u8>> {
        let own = match self {
            Self::Lora | Self::Kohya => &text.lora,
            Self::Word | Self::A1111 => &text.word,
        };
        let foreign = text.facts.recipe == IMPORTED && matches!(self, Self::Lora | Self::Kohya);
        match self {
            _ if foreign && !own.is_empty() => self.as_it_came(own),
            Self::Lora | Self::Word => Ok(own.clone()),
            _ if own.is_empty() => Ok(Vec::new()),
            Self::Kohya => renamed(own, &|name| {
                let name = name.replace(".lora_A.", ".lora_down.");
                let name = name.replace(".lora_B.", ".lora_up.");
                let (module, end) = name.split_at(name.find(".lora_").unwrap_or(name.len()));
                let (network, module) = module.split_once('.').unwrap_or(("", module));
                // SDXL has two text encoders, which kohya numbers from 1; where there is one it has no number.
                let network = match (network, text.facts.family.as_str()) {
                    ("unet", _) => "lora_unet",
                    ("text_encoder", "sdxl") => "lora_te1",
                    ("text_encoder", _) => "lora_te",
                    _ => "lora_te2",
                };
                format!("{network}_{}{end}", module.replace('.', "_"))
            }),
            // SDXL's has a tensor for each text encoder, as there.
            Self::A1111 => renamed(own, &|name| match name {
                "clip_l" | "clip_g" => name.to_owned(),
                _ => "emb_params".to_owned(),
            }),
        }
    }
}

impl Part {
    /// The LoRA of another program, if it came in this form.
    fn as_it_came(self, own: &[u8]) -> Result<Vec<u8>> {
        let file = SafeTensors::deserialize(own).map_err(|e| damaged(&e))?;
        let kohya = file.names().iter().any(|name| name.starts_with("lora_"));
        if kohya == (self == Self::Kohya) {
            return Ok(own.to_vec());
        }
        let has = if kohya { "kohya" } else { "lora" };
        Err(Error::refused(format!(
            "this LoRA was made by another program and is written only as it came: export it as `{has}`"
        )))
    }
}

fn damaged(e: &dyn std::fmt::Display) -> Error {
    Error::files(format!(
        "what a text model learned of this subject is damaged: {e}"
    ))
}

/// A file with other names; an alpha, which is the rank, beside each pair of kohya's matrices.
fn renamed(bytes: &[u8], name: &dyn Fn(&str) -> String) -> Result<Vec<u8>> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(&e))?;
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (old, view) in file.tensors() {
        let new = name(&old);
        if let (Some(stem), Some(rank)) =
            (new.strip_suffix(".lora_down.weight"), view.shape().first())
        {
            let alpha = (*rank as f32).to_le_bytes().to_vec();
            tensors.push((format!("{stem}.alpha"), Dtype::F32, Vec::new(), alpha));
        }
        let data = view.data().to_vec();
        tensors.push((new, view.dtype(), view.shape().to_vec(), data));
    }
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| Ok((name, TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| damaged(&e))?;
    safetensors::serialize(views, None).map_err(|e| damaged(&e))
}
