//! On the model that is built in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use candle_core::{Device, Tensor};

use super::lesson::Class;
use super::pupil::Pupil;
use super::reference::Reference;
use super::{Picture, Study};
use crate::canvas::Grid;
use crate::engine::stable_diffusion::model::{Model, Worn};
use crate::engine::stable_diffusion::sampler::Noise;
use crate::engine::stable_diffusion::text::{LoraUse, NewWords};
use crate::engine::stable_diffusion::unet::Controls;
use crate::engine::stable_diffusion::weights::embedding::Embedding;
use crate::engine::stable_diffusion::weights::lora::Lora;
use crate::engine::stable_diffusion::weights::store::Store;
use crate::engine::stable_diffusion::weights::{Checkpoint, Options};
use crate::learn::recipe::{Lesson, Recipe};
use crate::learn::train::{Parts, Plan, Step};
use crate::progress::Progress;
use crate::subject::{Part, TextFacts, TextPart};
use crate::{ErrorKind, Result};

fn model() -> Result<Model> {
    model_on(&Device::Cpu)
}

fn model_on(device: &Device) -> Result<Model> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pocket");
    Model::new(&Checkpoint::open(&path, &Options::default())?, device)
}

/// A red thing with a blue spot, on grass.
fn picture() -> Picture {
    let away = |x: usize, y: usize, at: [f32; 2]| (x as f32 - at[0]).hypot(y as f32 - at[1]);
    let matte = Grid::from_fn(96, 96, |x, y| {
        (24.0 - away(x, y, [48.0, 50.0])).clamp(0.0, 1.0)
    });
    Picture {
        image: Grid::from_fn(96, 96, |x, y| match away(x, y, [42.0, 44.0]) {
            0.0..8.0 => [0.1, 0.1, 0.8],
            _ if matte.at(x, y) > 0.5 => [0.8, 0.1, 0.1],
            _ => [0.2, 0.5 + 0.002 * y as f32, 0.2],
        }),
        matte,
        caption: Some("a photo of a red bear sitting in a meadow".to_owned()),
    }
}

fn study(recipe: Recipe, steps: u64) -> Study<'static> {
    Study {
        recipe: recipe.into(),
        steps: Some(steps),
        rank: None,
        seed: 3,
        word: "bear",
        token: "my-bear".to_owned(),
        state: None,
    }
}

/// A lesson over pictures with a bear.
fn class<'a>(model: &'a Model, lesson: &'a Lesson, references: &'a [Reference]) -> Class<'a> {
    Class {
        model,
        lesson,
        word: "bear",
        references,
        class_pictures: &[],
    }
}

/// Learns for a few steps.
fn learn(class: &Class<'_>, pupil: &Pupil, parts: &mut Parts, steps: u64) -> Result<()> {
    let plan = Plan {
        steps,
        clip: 1.0,
        average: None,
        seed: 1,
        keep: Duration::MAX,
    };
    plan.run(
        parts,
        None,
        &Progress::new(),
        &mut |step: &mut Step| class.loss(pupil, step),
        &mut |_, _| Ok(()),
    )
}

/// The error of the noise that the model finds in a picture under words, over many levels.
fn error(model: &Model, words: &NewWords, caption: &str) -> Result<f32> {
    let references = [Reference::new(&picture(), model, &Progress::new(), 0)?];
    let lesson = Lesson {
        batch: 24,
        ..Lesson::default()
    };
    let class = class(model, &lesson, &references);
    let samples = class.noised(
        &class.references[0].whole.latents,
        24,
        lesson.weighting,
        &mut Noise::new(11, 0),
    )?;
    let text = model.text(caption, words)?;
    let (made, _) = class.predict(&samples, &text, false)?;
    let error = samples.error(&made, &samples.target)?;
    Ok(error.mean_all()?.to_scalar()?)
}

/// Puts what was learned on a model, from its files, as a re-pose does.
fn put_on(model: &mut Model, part: &TextPart) -> Result<NewWords> {
    let path = Path::new("test");
    let mut words = NewWords::default();
    let word = Embedding::parse(path, part.word.clone())?;
    words.add(&part.facts.token, &word.for_encoders(&model.text_widths())?);
    let mut loras = Vec::new();
    if !part.lora.is_empty() {
        let store = Store::parse(path, Arc::new(part.lora.clone()))?;
        loras.push(Worn::new(Lora::of(store)?, LoraUse::whole("test")));
    }
    assert!(model.wear(&loras)?.is_empty());
    Ok(words)
}

#[test]
fn every_recipe_makes_the_picture_likelier_under_its_words() -> Result<()> {
    let mut model = model()?;
    let caption = "a photo of a red bear sitting in a meadow";
    let told = "a photo of a red my-bear bear sitting in a meadow";
    let plain = error(&model, &NewWords::default(), caption)?;
    let trains = |recipe: &Recipe| !recipe.course().lessons.is_empty();
    for recipe in Recipe::ALL.into_iter().filter(trains) {
        let study = Study {
            // Quick enough for a test, and far enough to be seen.
            rank: Some(8),
            ..study(recipe, 24)
        };
        let part = study.run(&model, &[picture()], &Progress::new(), &|_| Ok(()))?;
        assert_eq!(part.facts.steps, 24, "{}", recipe.name());
        assert!(part.facts.losses.values().all(|l| l.is_finite()));
        // Nothing is left on the model.
        assert_eq!(error(&model, &NewWords::default(), caption)?, plain);
        let words = put_on(&mut model, &part)?;
        let learned = error(&model, &words, told)?;
        model.take_off();
        assert!(
            learned < 0.995 * plain,
            "{}: {learned}, {plain} before",
            recipe.name()
        );
    }
    Ok(())
}

/// In half precision, there, with scaled losses. For machines that have one: `cargo test --features cuda`.
#[test]
#[cfg(any(feature = "cuda", feature = "metal"))]
fn a_gpu_learns_as_much_as_the_cpu() -> Result<()> {
    let gpu = crate::engine::stable_diffusion::model::device();
    assert!(!gpu.is_cpu(), "no GPU");
    let (mut cpu, gpu) = (model()?, model_on(&gpu)?);
    let caption = "a photo of a red bear sitting in a meadow";
    let told = "a photo of a red my-bear bear sitting in a meadow";
    let none = NewWords::default();
    let plain = error(&cpu, &none, caption)?;
    let there = error(&gpu, &none, caption)?;
    assert!((there / plain - 1.0).abs() < 0.01, "{there}, {plain}");
    let trains = |recipe: &Recipe| !recipe.course().lessons.is_empty();
    for recipe in Recipe::ALL.into_iter().filter(trains) {
        let study = Study {
            rank: Some(8),
            ..study(recipe, 24)
        };
        let mut gain = |model: Option<&Model>| -> Result<f32> {
            let model = model.unwrap_or(&cpu);
            let part = study.run(model, &[picture()], &Progress::new(), &|_| Ok(()))?;
            let words = put_on(&mut cpu, &part)?;
            let learned = error(&cpu, &words, told)?;
            cpu.take_off();
            Ok(plain - learned)
        };
        let (here, there) = (gain(None)?, gain(Some(&gpu))?);
        let alike = (0.8..1.25).contains(&(there / here));
        assert!(alike, "{}: {here}, and {there} there", recipe.name());
    }
    Ok(())
}

#[test]
fn what_is_not_trained_says_so() -> Result<()> {
    let model = model()?;
    let told = std::cell::Cell::new(0);
    let study = Study {
        steps: None,
        ..study(Recipe::Reference, 0)
    };
    let part = study.run(&model, &[picture()], &Progress::new(), &|_| {
        told.set(told.get() + 1);
        Ok(())
    })?;
    assert!(!part.trained());
    assert_eq!(
        (part.facts.steps, part.facts.pictures, told.get()),
        (0, 1, 0)
    );
    assert_eq!(
        (part.facts.recipe.as_str(), part.facts.token.as_str()),
        ("reference", "")
    );
    Ok(())
}

#[test]
fn the_same_study_learns_the_same_and_goes_on_where_it_was() -> Result<()> {
    let (model, folder) = (model()?, tempfile::tempdir().expect("a folder"));
    let whole = study(Recipe::SingleInsert, 9);
    let first = whole.run(&model, &[picture()], &Progress::new(), &|_| Ok(()))?;
    let again = Study {
        state: Some(folder.path().join("state")),
        ..study(Recipe::SingleInsert, 9)
    };
    let progress = Progress::new();
    progress.begin(1000);
    let broken = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Nine steps, of which the last six take twice as long.
            while progress.snapshot().done < 100 {
                std::thread::yield_now();
            }
            progress.cancel();
        });
        again.run(&model, &[picture()], &progress, &|_| Ok(()))
    });
    assert_eq!(broken.err().map(|e| e.kind), Some(ErrorKind::Cancelled));
    assert!(folder.path().join("state.0.safetensors").exists());
    let second = again.run(&model, &[picture()], &Progress::new(), &|_| Ok(()))?;
    assert_eq!((first.lora, first.word), (second.lora, second.word));
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "states of a finished study are removed");
    Ok(())
}

#[test]
fn a_file_means_what_was_learned() -> Result<()> {
    let mut model = model()?;
    let mut noise = Noise::new(5, 0);
    let single = Recipe::SingleInsert.course();
    let mut pupil = Pupil::new(&model, &single, "my-bear", "bear", &mut noise)?;
    let lesson = single.lessons.last().expect("two lessons");
    let references = [Reference::new(&picture(), &model, &Progress::new(), 0)?];
    let mut parts = pupil.begin(lesson, &references, &model, &mut noise)?;
    assert!(parts.numbers() > 10_000);
    let class = class(&model, lesson, &references);
    // After two steps nothing is 0 any more.
    learn(&class, &pupil, &mut parts, 2)?;
    pupil.end()?;
    let latents = Noise::new(1, 1).tensor(&[1, 8, 16, 16], &Device::Cpu)?;
    let predict = |model: &Model, words: &NewWords| -> Result<Tensor> {
        let text = model.text("a my-bear bear", words)?;
        Ok(model
            .predict(&latents, &[300.0], &[&text], &Controls::default())?
            .0)
    };
    model.take_off();
    let before = predict(&model, &pupil.words(None)?)?;
    pupil.on();
    let expected = predict(&model, &pupil.words(None)?)?;
    let part = TextPart {
        facts: TextFacts {
            token: "my-bear".to_owned(),
            ..Default::default()
        },
        lora: pupil.lora()?,
        word: pupil.word()?,
        beside: Vec::new(),
    };
    let words = put_on(&mut model, &part)?;
    let found = predict(&model, &words)?;
    let elsewhere = TextPart {
        lora: Part::Kohya.of(&part)?,
        word: Part::A1111.of(&part)?,
        ..part.clone()
    };
    assert_ne!(elsewhere, part);
    let words = put_on(&mut model, &elsewhere)?;
    let again = predict(&model, &words)?;
    let far =
        |a: &Tensor, b: &Tensor| -> Result<f32> { Ok((a - b)?.abs()?.max_all()?.to_scalar()?) };
    assert!(far(&before, &expected)? > 1e-6);
    assert!(far(&found, &expected)? < 1e-6);
    assert!(far(&again, &expected)? < 1e-6);
    Ok(())
}

#[test]
fn a_word_begins_near_the_class_or_is_rare_where_it_is_not_learned() -> Result<()> {
    let (model, mut noise) = (model()?, Noise::new(5, 0));
    let class = model.vectors_of("bear")?[0].flatten_all()?;
    let length = |of: &Tensor| -> Result<f32> { Ok(of.sqr()?.sum_all()?.sqrt()?.to_scalar()?) };
    for recipe in Recipe::ALL {
        let course = recipe.course();
        let pupil = Pupil::new(&model, &course, "my-bear", "bear", &mut noise)?;
        let words = pupil.words(None)?;
        let word = words.of(0)[0].flatten_all()?;
        let lengths = length(&class)? * length(&word)?;
        let alike = (&class * &word)?.sum_all()?.to_scalar::<f32>()? / lengths;
        let rare = [Recipe::DreamboothLora, Recipe::Lipe, Recipe::Reference].contains(&recipe);
        assert!(rare == (alike.abs() < 0.5), "{}: {alike}", recipe.name());
        assert!(rare == (alike < 0.98), "{}: {alike}", recipe.name());
        let longer = length(&word)? / length(&class)?;
        assert!((0.7..1.4).contains(&longer), "{}: {longer}", recipe.name());
    }
    Ok(())
}

#[test]
fn an_image_encoder_gives_the_word_of_its_picture_and_its_mean_is_kept() -> Result<()> {
    let (model, mut noise) = (model()?, Noise::new(5, 0));
    let course = Recipe::SingleInsert.course();
    let mut pupil = Pupil::new(&model, &course, "my-bear", "bear", &mut noise)?;
    let other = Picture {
        image: picture().image.map(|p| [p[2], p[0], p[1]]),
        ..picture()
    };
    let see = |picture: &Picture| Reference::new(picture, &model, &Progress::new(), 0);
    let references = [see(&picture())?, see(&other)?];
    let value = |pupil: &Pupil, picture: Option<usize>| -> Result<Vec<f32>> {
        Ok(pupil.words(picture)?.of(0)[0].squeeze(0)?.to_vec1()?)
    };
    let mut kept: Option<Vec<f32>> = None;
    for lesson in &course.lessons {
        let mut parts = pupil.begin(lesson, &references, &model, &mut noise)?;
        if let Some(kept) = &kept {
            assert_eq!(&value(&pupil, None)?, kept, "the encoder goes on as it was");
        }
        let names: Vec<&str> = parts.learned().map(|(name, _)| name).collect();
        assert!(names.iter().any(|name| name.starts_with("encoder.")));
        assert!(!names.contains(&"word.0"));
        let before = value(&pupil, None)?;
        let class = class(&model, lesson, &references);
        learn(&class, &pupil, &mut parts, 3)?;
        let (one, two) = (value(&pupil, Some(0))?, value(&pupil, Some(1))?);
        assert_ne!(one, two, "each picture has its own");
        assert_ne!(value(&pupil, None)?, before);
        pupil.end()?;
        let mean = value(&pupil, None)?;
        for ((mean, one), two) in mean.iter().zip(&one).zip(&two) {
            assert!((mean - 0.5 * (one + two)).abs() < 1e-6);
        }
        kept = Some(mean);
    }
    model.take_off();
    let word = Embedding::parse(Path::new("test"), pupil.word()?)?;
    assert_eq!(Some(word.vectors[0].squeeze(0)?.to_vec1()?), kept);
    Ok(())
}

#[test]
fn all_weights_of_encoder_and_mappers_get_gradients() -> Result<()> {
    let (model, mut noise) = (model()?, Noise::new(5, 0));
    let references = [Reference::new(&picture(), &model, &Progress::new(), 0)?];
    for (recipe, of) in [
        (Recipe::SingleInsert, "encoder."),
        (Recipe::Detex, "mappers."),
    ] {
        let course = recipe.course();
        let mut pupil = Pupil::new(&model, &course, "my-bear", "bear", &mut noise)?;
        let lesson = &course.lessons[0];
        let mut parts = pupil.begin(lesson, &references, &model, &mut noise)?;
        let start: Vec<(String, Tensor)> = parts
            .learned()
            .map(|(name, value)| Ok((name.to_owned(), value.copy()?)))
            .collect::<Result<_>>()?;
        let class = class(&model, lesson, &references);
        // The mappers' first layers move when their last ones have.
        for number in 0..2 {
            let noise = Noise::new(1, number);
            let losses = class.loss(&pupil, &mut Step { number: 0, noise })?;
            parts.step(&losses.total, 1.0, None)?;
        }
        model.take_off();
        let far = |name: &str, value: &Tensor| -> Result<f32> {
            let found = start.iter().find(|(own, _)| own == name);
            let (_, start) = found.ok_or_else(|| crate::Error::bug("a part without a start"))?;
            Ok((value - start)?.abs()?.max_all()?.to_scalar()?)
        };
        let mut count = 0;
        for (name, value) in parts.learned() {
            // A key's bias moves all scores of a query alike, which changes nothing.
            if name.starts_with(of) && !name.ends_with("key.bias") {
                // Decay alone moves them by less.
                assert!(far(name, &value)? > 5e-6, "{name} stays");
                count += 1;
            }
        }
        assert!(count >= 8, "{count}");
    }
    Ok(())
}
