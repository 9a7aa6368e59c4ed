#![allow(clippy::unwrap_used, reason = "shared files of tests")]

use super::*;
use crate::canvas::Rect;
use crate::engine::stable_diffusion::sampler::Method;
use crate::engine::stable_diffusion::testing::{passes, random};
use crate::engine::stable_diffusion::weights::Options;
use crate::repose::prompt::turns::turns;

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
    start: Tensor,
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
            start: random(&[1, 4, 8, 8], 1)?,
        })
    }

    /// A run's latent, and the samples of its passes, f for fine ones: the reference before each prediction.
    fn run(&self, method: Method, guided: f64, reuse: usize) -> Result<(Vec<f32>, String)> {
        let memories: [TextMemory; 3] = Default::default();
        let path = Path::Straight {
            clean: self.start.clone(),
            noise: random(&[1, 4, 8, 8], 2)?,
        };
        let [target, negative, source] = &self.texts;
        let run = Run {
            model: &self.model,
            frame: self.frame,
            region: &self.region,
            path: &path,
            start: &self.start,
            source,
            target,
            negative,
            shown: &memories[0],
            asked: &memories[1],
            alone: &memories[2],
            subject: Some(&self.subject),
            masked: None,
            guidance: 7.5,
            rescale: 0.7,
            identity: 3.0,
            first: 1,
            turns: &turns(STEPS - 1, guided, reuse),
        };
        let sampler = Sampler::new(method, self.model.schedule(), STEPS)?;
        passes();
        let made = run.run(sampler, 7, &|| Ok(()), &mut |_, _, _| Ok(()))?;
        let spelled = |(samples, fine): (usize, bool)| match fine {
            true => format!("{samples}f "),
            false => format!("{samples} "),
        };
        let passes: String = passes().into_iter().map(spelled).collect();
        Ok((made.latent.flatten_all()?.to_vec1()?, passes))
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
