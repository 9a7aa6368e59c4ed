//! What a single file's U-Net predicts: nothing in its weights says so.

use std::io::Read;

use super::super::config::{PredictionType, SchedulerConfig, TimestepSpacing};
use super::checkpoint::Family;
use super::store::Store;

/// The longest side file that is read.
const MAX_YAML: u64 = 1 << 20;

/// `global_step` of the published `v2-1_512-ema-pruned`, as diffusers tells the base model of SD 2.1.
const BASE_STEP: i64 = 875_000;

/// The noise schedule of a single file. What is predicted is told by the first of these that says it:
///
/// 1. `asked`, the user's word.
/// 2. a tensor named `v_pred`, which reForge, ComfyUI and diffusers read so; one named `ztsnr` means zero terminal
///    signal-to-noise ratio.
/// 3. `modelspec.prediction_type` in the header (Stability's ModelSpec: `v` or `epsilon`).
/// 4. a `.yaml` file beside it, as A1111 wants for SD 2.x: `parameterization: "v"`, else the noise.
/// 5. SD 2.x with 4 channels is taken for the model of 768 pixels, which predicts v (as in diffusers), unless its
///    `global_step` is that of the base model or its name says `base` or `512`. All others predict the noise.
pub fn scheduler(
    store: &Store,
    family: Family,
    channels: usize,
    asked: Option<PredictionType>,
) -> SchedulerConfig {
    let predicted = asked
        .or_else(|| {
            store
                .tensors()
                .contains_key("v_pred")
                .then_some(PredictionType::V)
        })
        .or_else(|| header(store))
        .or_else(|| yaml(store))
        .unwrap_or_else(|| heuristic(store, family, channels));
    let zero = store.tensors().contains_key("ztsnr");
    let mut config = SchedulerConfig {
        class_name: match family {
            Family::Sd1 => "PNDMScheduler",
            Family::Sd2 => "DDIMScheduler",
            Family::Sdxl => "EulerDiscreteScheduler",
        }
        .into(),
        rescale_betas_zero_snr: zero,
        ..SchedulerConfig::stable_diffusion(predicted)
    };
    if zero {
        config.timestep_spacing = Some(TimestepSpacing::Trailing);
    } else if family == Family::Sdxl {
        config.timestep_spacing = Some(TimestepSpacing::Leading);
    }
    config
}

fn header(store: &Store) -> Option<PredictionType> {
    match store.metadata().get("modelspec.prediction_type")?.as_str() {
        "v" | "v_prediction" => Some(PredictionType::V),
        "epsilon" => Some(PredictionType::Epsilon),
        _ => None,
    }
}

fn yaml(store: &Store) -> Option<PredictionType> {
    let file = std::fs::File::open(store.path().with_extension("yaml")).ok()?;
    let mut text = String::new();
    file.take(MAX_YAML).read_to_string(&mut text).ok()?;
    let velocity = text.lines().any(|line| {
        line.trim()
            .strip_prefix("parameterization:")
            .is_some_and(|value| value.trim().trim_matches(['"', '\'']) == "v")
    });
    Some(if velocity {
        PredictionType::V
    } else {
        PredictionType::Epsilon
    })
}

fn heuristic(store: &Store, family: Family, channels: usize) -> PredictionType {
    if family != Family::Sd2 || channels != 4 {
        return PredictionType::Epsilon;
    }
    let step = store.tensors().get("global_step").and_then(|entry| {
        let raw = store.raw(entry);
        match raw.len() {
            8 => Some(i64::from_le_bytes(raw.try_into().ok()?)),
            4 => Some(i64::from(i32::from_le_bytes(raw.try_into().ok()?))),
            _ => None,
        }
    });
    let name = store
        .path()
        .file_stem()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    let name = name.to_ascii_lowercase();
    if step == Some(BASE_STEP) || name.contains("base") || name.contains("512") {
        PredictionType::Epsilon
    } else {
        PredictionType::V
    }
}

#[cfg(test)]
#[path = "prediction_tests.rs"]
mod tests;
