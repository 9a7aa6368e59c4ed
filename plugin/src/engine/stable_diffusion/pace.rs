//! Checkpoints that were distilled to need few steps, and how they want to be sampled.

use super::config::{PredictionType, SchedulerConfig, TimestepSpacing};
use super::sampler::Method;

/// The steps and the guidance that a distilled checkpoint was made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The sampler.
    pub method: Method,
    /// Its steps.
    pub steps: usize,
    /// Classifier-free guidance; 1 is none, and half the work.
    pub guidance: f64,
}

/// Latent consistency models (arXiv 2310.04378).
const LCM: Pace = Pace {
    method: Method::Lcm,
    steps: 8,
    guidance: 1.0,
};
/// Adversarial diffusion distillation (SD-Turbo, SDXL-Turbo, arXiv 2311.17042), which takes 1 to 4 steps.
const TURBO: Pace = Pace {
    method: Method::EulerAncestral,
    steps: 4,
    guidance: 1.0,
};
/// SDXL-Lightning (arXiv 2402.13929) and Hyper-SD (arXiv 2404.13686), which are published for 1 to 8 steps; more steps than a
/// file was made for hurt less than fewer.
const LIGHTNING: Pace = Pace { steps: 8, ..TURBO };

impl Pace {
    /// What a checkpoint's name and its scheduler tell; `None` for ordinary models. Published distilled checkpoints carry
    /// their kind in their names; diffusers folders of LCMs and of the Turbo models carry it in their schedulers too.
    pub fn of(name: &str, scheduler: &SchedulerConfig) -> Option<Self> {
        let name = name.to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
        let says = |word: &str| {
            words
                .iter()
                .any(|w| w.starts_with(word) || w.ends_with(word))
        };
        // Models of zero terminal SNR are sampled so too, but predict v.
        let turbo = scheduler.class_name.starts_with("Euler")
            && scheduler.timestep_spacing == Some(TimestepSpacing::Trailing)
            && scheduler.prediction_type == PredictionType::Epsilon;
        if scheduler.class_name == "LCMScheduler" || says("lcm") {
            Some(LCM)
        } else if name.contains("lightning") || words.contains(&"hyper") {
            Some(LIGHTNING)
        } else if name.contains("turbo") || turbo {
            Some(TURBO)
        } else {
            None
        }
    }

    /// The scheduler, with the time steps at which these models were distilled where the file does not say.
    pub fn schedule(self, scheduler: &SchedulerConfig) -> SchedulerConfig {
        let mut scheduler = scheduler.clone();
        if self.method == Method::EulerAncestral {
            scheduler.timestep_spacing = Some(TimestepSpacing::Trailing);
        }
        scheduler
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distilled_checkpoints_are_recognised() {
        let plain = SchedulerConfig::stable_diffusion(PredictionType::Epsilon);
        for (name, expected) in [
            ("v1-5-pruned-emaonly", None),
            ("sd_xl_base_1.0", None),
            ("hyperrealism_v3", None),
            ("sd_turbo", Some(TURBO)),
            ("stabilityai/sdxl-turbo", Some(TURBO)),
            ("DreamShaperXL_Turbo_v2", Some(TURBO)),
            ("realvisxlV40_v40LightningBakedvae", Some(LIGHTNING)),
            ("sdxl_lightning_4step", Some(LIGHTNING)),
            ("Hyper-SD15-8steps", Some(LIGHTNING)),
            ("LCM_Dreamshaper_v7", Some(LCM)),
            ("dreamshaper8_lcm", Some(LCM)),
        ] {
            assert_eq!(Pace::of(name, &plain), expected, "{name}");
        }
        let class = |name: &str, spacing| SchedulerConfig {
            class_name: name.into(),
            timestep_spacing: spacing,
            ..plain.clone()
        };
        let trailing = Some(TimestepSpacing::Trailing);
        let euler = class("EulerAncestralDiscreteScheduler", trailing);
        assert_eq!(Pace::of("model", &euler), Some(TURBO));
        assert_eq!(
            Pace::of("model", &class("EulerDiscreteScheduler", None)),
            None
        );
        assert_eq!(Pace::of("model", &class("DDIMScheduler", trailing)), None);
        assert_eq!(Pace::of("model", &class("LCMScheduler", None)), Some(LCM));
        let found = TURBO.schedule(&plain).timestep_spacing;
        assert_eq!(found, trailing);
        assert_eq!(LCM.schedule(&plain), plain);
    }
}
