#![allow(clippy::unwrap_used, reason = "shared files of tests")]

use std::sync::Arc;

use super::*;
use crate::canvas::Rect;
use crate::engine::stable_diffusion::model::{Text, Worn};
use crate::engine::stable_diffusion::sampler::Method;
use crate::engine::stable_diffusion::testing::{passes, random};
use crate::engine::stable_diffusion::text::LoraUse;
use crate::engine::stable_diffusion::weights::Options;
use crate::engine::stable_diffusion::weights::lora::Lora;
use crate::engine::stable_diffusion::weights::store::Store;
use crate::repose::prompt::turns::{Shares, turns};

#[path = "../../../../tests/support/tiny.rs"]
mod tiny;

const STEPS: usize = 6;

/// All that runs share.
struct Bench {
    model: Model,
    _folder: tempfile::TempDir,
    frame: Frame,
    region: Region,
    subject: Mask,
    texts: [Text; 3],
    /// The same of what the model knew before, and in which share of the steps it is told them.
    unlearned: Option<[Text; 3]>,
    delayed: f64,
    start: Tensor,
    /// How often the subject's look is taken from the picture.
    looks: usize,
    variant: Variant,
    lacks: Lacks,
    /// Share of the steps that look at the subject.
    looked: f64,
}

impl Bench {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir().unwrap();
        tiny::install(folder.path(), "tiny", false);
        let path = folder.path().join("models/tiny");
        let model = Model::open(&path, &Options::default(), &Device::Cpu)?;
        let all = Rect {
            x: 0,
            y: 0,
            width: 64,
            height: 64,
        };
        let frame = Frame::around((64, 64), all, 64, 8);
        let subject = Grid::from_fn(64, 64, |x, y| f32::from(u8::from(x / 32 + y / 32 == 1)));
        let prompts = ["a disc rolling", "grey", "a disc"];
        Ok(Self {
            texts: model.texts(prompts, &["disc".to_owned()], 0)?,
            model,
            _folder: folder,
            frame,
            region: Region::new(frame, subject.clone()),
            subject,
            unlearned: None,
            delayed: 0.0,
            start: random(&[1, 4, 8, 8], 1)?,
            looks: 1,
            variant: Variant::default(),
            lacks: Lacks::Both,
            looked: 1.0,
        })
    }

    /// A run's latent, and the samples of its passes, f for fine ones: the looks before each prediction.
    fn run(&self, method: Method, guided: f64, reuse: usize) -> Result<(Vec<f32>, String)> {
        let (made, passes) = self.made(method, guided, reuse)?;
        Ok((made.latent.flatten_all()?.to_vec1()?, passes))
    }

    fn made(&self, method: Method, guided: f64, reuse: usize) -> Result<(Made, String)> {
        let path = Path::Straight {
            clean: self.start.clone(),
            noise: random(&[1, 4, 8, 8], 2)?,
        };
        let told = Phases {
            learned: Told::of(self.texts.clone()),
            unlearned: self.unlearned.clone().map(Told::of),
        };
        let look = Look {
            path: &path,
            told: told.source(),
            subject: &self.subject,
            whole: !self.variant.mask,
            weight: 3.0,
        };
        let shares = Shares {
            guided,
            looked: self.looked,
            delayed: self.delayed,
        };
        let run = Run {
            model: &self.model,
            frame: self.frame,
            region: &self.region,
            path: &path,
            start: &self.start,
            told: &told,
            looks: &vec![look; self.looks],
            masked: None,
            guidance: 7.5,
            rescale: 0.7,
            variant: self.variant,
            first: 1,
            turns: &turns(STEPS - 1, shares, reuse, &mut || self.lacks),
        };
        let sampler = Sampler::new(method, self.model.schedule(), STEPS)?;
        passes();
        let made = run.run(sampler, 7, &|| Ok(()), &mut |_, _, _| Ok(()))?;
        let spelled = |(samples, fine): (usize, bool)| match fine {
            true => format!("{samples}f "),
            false => format!("{samples} "),
        };
        let passes: String = passes().into_iter().map(spelled).collect();
        Ok((made, passes))
    }
}

#[test]
fn the_network_runs_as_often_as_was_asked_for() -> Result<()> {
    let bench = Bench::new()?;
    for method in Method::ALL {
        let (plain, passes) = bench.run(method, 1.0, 1)?;
        assert_eq!(passes, "1 2 1 2 1 2 1 2 1 2 ", "{method}");
        for (guided, reuse, expected) in [
            (0.6, 1, "1 2 1 2 1 2 1 1 1 1 "),
            (0.0, 1, "1 1 1 1 1 1 1 1 1 1 "),
            (1.0, 3, "1 2 1f 2f 1f 2f 1 2 1f 2f "),
            (0.4, 10, "1 2 1f 2f 1 1 1f 1f 1f 1f "),
        ] {
            let (found, passes) = bench.run(method, guided, reuse)?;
            assert_eq!(passes, expected, "{method}");
            assert!(found.iter().all(|v| v.is_finite()), "{method}");
            assert_ne!(found, plain, "{method}");
        }
    }
    Ok(())
}

#[test]
fn a_text_alone_is_looked_at_by_its_own_keys() -> Result<()> {
    let mut bench = Bench::new()?;
    let all_alone = |bench: &Bench| bench.run(Method::Dpm, 0.0, 1);
    let half = |bench: &Bench| bench.run(Method::Dpm, 0.4, 1);
    let (alone, mixed) = (all_alone(&bench)?.0, half(&bench)?.0);
    // What must not be seen has no part in passes without guidance.
    let prompts = ["a disc rolling", "a cat", "a disc"];
    let [_, negative, _] = bench.model.texts(prompts, &["disc".to_owned()], 0)?;
    bench.texts[1] = negative;
    assert_eq!(all_alone(&bench)?.0, alone);
    assert_ne!(half(&bench)?.0, mixed);
    Ok(())
}

#[test]
fn each_picture_of_the_subject_takes_a_pass_and_counts() -> Result<()> {
    let mut bench = Bench::new()?;
    let (one, _) = bench.run(Method::Dpm, 1.0, 1)?;
    bench.looks = 2;
    let (two, passes) = bench.run(Method::Dpm, 1.0, 1)?;
    assert_eq!(passes, "1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 ");
    assert_ne!(one, two);
    bench.looks = 0;
    let (none, passes) = bench.run(Method::Dpm, 1.0, 1)?;
    assert_eq!(passes, "2 2 2 2 2 ");
    assert!(none != one && none != two);
    (bench.looks, bench.looked) = (1, 0.6);
    let (early, passes) = bench.run(Method::Dpm, 1.0, 1)?;
    assert_eq!(passes, "1 2 1 2 1 2 2 2 ");
    assert!(early != one && early != none);
    Ok(())
}

#[test]
fn first_steps_know_nothing_of_what_was_learned() -> Result<()> {
    let mut bench = Bench::new()?;
    let run = |bench: &Bench| bench.run(Method::Dpm, 1.0, 1);
    let class = bench.texts.clone();
    let (before, passes) = run(&bench)?;
    bench.model.wear(&[change(&bench.model)?])?;
    let prompts = ["a blue disc rolling", "grey", "a blue disc"];
    bench.texts = bench.model.texts(prompts, &["disc".to_owned()], 0)?;
    let learned = run(&bench)?.0;
    assert_ne!(learned, before);
    bench.unlearned = Some(class);
    assert_eq!(run(&bench)?.0, learned, "no step is without");
    bench.delayed = 0.5;
    let (half, passed) = run(&bench)?;
    assert!(half != learned && half != before);
    assert_eq!(passed, passes);
    bench.delayed = 1.0;
    assert_eq!(run(&bench)?.0, before, "all steps are");
    // And the model is left as it was.
    bench.delayed = 0.0;
    assert_eq!(run(&bench)?.0, learned);
    Ok(())
}

/// A change of the model's attentions, as something learned of a subject.
fn change(model: &Model) -> Result<Worn> {
    let mut tensors = Vec::new();
    for (name, _) in model.unet().weights().slots() {
        if let (true, Some(&[rows, columns])) = (
            name.ends_with(".to_v"),
            model.unet().weights().at(&name).shape("weight"),
        ) {
            let seed = tensors.len() as u64;
            tensors.push((
                format!("unet.{name}.lora_A.weight"),
                random(&[2, columns], seed)?,
            ));
            tensors.push((
                format!("unet.{name}.lora_B.weight"),
                random(&[rows, 2], seed + 1)?,
            ));
        }
    }
    let file = safetensors::serialize(tensors, None).unwrap();
    let store = Store::parse(std::path::Path::new("change"), Arc::new(file))?;
    Ok(Worn {
        delayed: true,
        ..Worn::new(Lora::of(store)?, LoraUse::whole("change"))
    })
}

#[test]
fn each_variant_makes_something_else() -> Result<()> {
    let mut bench = Bench::new()?;
    let mut seen = vec![bench.run(Method::Dpm, 1.0, 1)?.0];
    let changed = |bench: &Bench, seen: &mut Vec<Vec<f32>>| -> Result<()> {
        let (made, passes) = bench.run(Method::Dpm, 1.0, 1)?;
        assert_eq!(passes, "1 2 1 2 1 2 1 2 1 2 ");
        assert!(made.iter().all(|v| v.is_finite()));
        assert!(
            !seen.contains(&made),
            "{:?} {:?}",
            bench.variant,
            bench.lacks
        );
        seen.push(made);
        Ok(())
    };
    for name in ["no-blend", "mask"] {
        bench.variant = name.parse()?;
        changed(&bench, &mut seen)?;
    }
    bench.variant = Variant::default();
    for lacks in [Lacks::Look, Lacks::Prompt] {
        bench.lacks = lacks;
        changed(&bench, &mut seen)?;
    }
    // What is not to be seen has no part where guidance leads to the look alone.
    let prompts = ["a disc rolling", "a cat", "a disc"];
    [_, bench.texts[1], _] = bench.model.texts(prompts, &["disc".to_owned()], 0)?;
    let prompt_alone = bench.run(Method::Dpm, 1.0, 1)?.0;
    bench.lacks = Lacks::Look;
    let look_alone = bench.run(Method::Dpm, 1.0, 1)?.0;
    assert!(seen.contains(&look_alone) && !seen.contains(&prompt_alone));
    Ok(())
}

#[test]
fn outside_the_region_a_run_ends_with_the_picture_unless_it_does_not_blend() -> Result<()> {
    let mut bench = Bench::new()?;
    let kept = |bench: &Bench| -> Result<bool> {
        let (made, _) = bench.made(Method::Dpm, 1.0, 1)?;
        let latent: Vec<f32> = made.latent.flatten_all()?.to_vec1()?;
        let clean: Vec<f32> = bench.start.flatten_all()?.to_vec1()?;
        let free = made.region.data().iter().cycle();
        let held = latent.iter().zip(&clean).zip(free);
        let mut held = held.filter(|(_, free)| **free == 0.0).peekable();
        assert!(held.peek().is_some(), "all is free");
        Ok(held.all(|((a, b), _)| a == b))
    };
    assert!(kept(&bench)?);
    bench.variant = "no-blend".parse()?;
    assert!(!kept(&bench)?);
    Ok(())
}
