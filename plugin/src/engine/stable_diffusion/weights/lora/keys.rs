//! The names in LoRA files: which tensor is which part, and which projection it changes.
//!
//! All conventions come down to a module's name with dots or underscores, under the network's name. So names are compared
//! with underscores alone; no two modules of these networks become the same.

use std::collections::HashMap;

use super::super::keys::unet::{Layout, to_ldm};
use super::Networks;

/// What a tensor is to its projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The first matrix.
    Down,
    /// The second.
    Up,
    /// LoCon's between them.
    Mid,
    /// The scale times the rank.
    Alpha,
    /// A part of another method, with its name.
    Other(&'static str),
}

/// Which network a change is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The U-Net.
    UNet,
    /// The text encoder of this number.
    Text(usize),
}

/// How tensors' names end, and what they are then.
const ENDINGS: [(&str, Role); 21] = [
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_mid.weight", Role::Mid),
    (".alpha", Role::Alpha),
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora_A.default.weight", Role::Down),
    (".lora_B.default.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".dora_scale", Role::Other("DoRA")),
    (".diff", Role::Other("file of whole differences")),
    (".diff_b", Role::Other("file of whole differences")),
    (".on_input", Role::Other("(IA)³")),
    (".b1.weight", Role::Other("GLoRA")),
    (".lora_down1.weight", Role::Other("LoRA of another shape")),
    (".oft_blocks", Role::Other("OFT")),
];

/// Parts of names that only other methods have.
const OTHERS: [(&str, &str); 5] = [
    (".lora_magnitude_vector", "DoRA"),
    (".hada_w", "LoHa"),
    (".lokr_w", "LoKr"),
    (".lokr_t", "LoKr"),
    (".oft_", "OFT"),
];

/// The module's part of a tensor's name, and what the tensor is; `None` if it belongs to no method that is known.
pub fn role(key: &str) -> Option<(&str, Role)> {
    if let Some((_, kind)) = OTHERS.iter().find(|(part, _)| key.contains(part)) {
        return Some((key, Role::Other(kind)));
    }
    ENDINGS
        .iter()
        .find_map(|(ending, role)| Some((key.strip_suffix(ending)?, *role)))
}

/// How a file's names begin, and which network that means. `None`: whichever has the module.
const BEGINNINGS: [(&str, Option<Target>); 15] = [
    ("lora_unet_", Some(Target::UNet)),
    ("lora_te_", Some(Target::Text(0))),
    ("lora_te1_", Some(Target::Text(0))),
    ("lora_te2_", Some(Target::Text(1))),
    ("base_model_model_unet_", Some(Target::UNet)),
    ("base_model_model_text_encoder_2_", Some(Target::Text(1))),
    ("base_model_model_text_encoder_", Some(Target::Text(0))),
    ("unet_base_model_model_", Some(Target::UNet)),
    ("unet_", Some(Target::UNet)),
    ("model_diffusion_model_", Some(Target::UNet)),
    ("diffusion_model_", Some(Target::UNet)),
    ("text_encoder_2_", Some(Target::Text(1))),
    ("text_encoder_", Some(Target::Text(0))),
    ("base_model_model_", None),
    ("", None),
];

/// Every name that a model's projections can have in a file, with underscores.
pub struct Names {
    names: HashMap<(Target, String), String>,
}

impl Names {
    /// Collects them.
    pub fn new(networks: &Networks) -> Self {
        let mut names = HashMap::new();
        let modules: Vec<String> = networks.unet.slots().into_keys().collect();
        let levels = modules
            .iter()
            .filter_map(|m| {
                m.strip_prefix("up_blocks.")?
                    .split('.')
                    .next()?
                    .parse::<usize>()
                    .ok()
            })
            .max()
            .map_or(0, |last| last + 1);
        let attention_up = (0..levels)
            .map(|i| {
                modules
                    .iter()
                    .any(|m| m.starts_with(&format!("up_blocks.{i}.attentions.")))
            })
            .collect();
        let layout = Layout {
            layers: networks.layers,
            attention_up,
        };
        for module in modules {
            let mut add = |name: String| names.insert((Target::UNet, flat(&name)), module.clone());
            if let Some(ldm) = to_ldm(&module, &layout) {
                add(ldm);
            }
            if let Some(short) = module.strip_suffix(".to_out.0") {
                add(format!("{short}.to_out"));
            }
            add(module.clone());
        }
        for (index, weights) in networks.text.iter().enumerate() {
            for module in weights.slots().into_keys() {
                // The older names of diffusers call text projections as the U-Net's; version 5 of transformers leaves
                // `text_model` out.
                let old = [
                    ("q_proj", "to_q"),
                    ("k_proj", "to_k"),
                    ("v_proj", "to_v"),
                    ("out_proj", "to_out"),
                ]
                .iter()
                .find_map(|(new, old)| Some(format!("{}{old}", module.strip_suffix(new)?)));
                for name in [Some(module.clone()), old].into_iter().flatten() {
                    let short = name.strip_prefix("text_model.").map(flat);
                    for name in [Some(flat(&name)), short].into_iter().flatten() {
                        names.insert((Target::Text(index), name), module.clone());
                    }
                }
            }
        }
        Self { names }
    }

    /// The network and projection that a file's module name means.
    pub fn find(&self, stem: &str) -> Option<(Target, String)> {
        let stem = flat(&stem.replace(".processor.", "."));
        BEGINNINGS.iter().find_map(|(beginning, target)| {
            let rest = stem.strip_prefix(beginning)?;
            let targets = match target {
                Some(target) => vec![*target],
                None => vec![Target::UNet, Target::Text(0), Target::Text(1)],
            };
            targets.into_iter().find_map(|target| {
                let module = self.names.get(&(target, rest.to_owned()))?;
                Some((target, module.clone()))
            })
        })
    }
}

fn flat(name: &str) -> String {
    name.replace('.', "_")
}
