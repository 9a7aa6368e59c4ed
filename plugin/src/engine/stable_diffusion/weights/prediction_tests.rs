use std::fs;

use super::super::testing::{Written, changed};
use super::super::{Checkpoint, Options};
use super::*;
use crate::Result;

#[test]
fn what_is_predicted_is_told_by_the_first_that_says_it() -> Result<()> {
    let predicted = |path: &std::path::Path, asked| -> Result<PredictionType> {
        let options = Options {
            prediction: asked,
            ..Options::default()
        };
        Ok(Checkpoint::open(path, &options)?.scheduler.prediction_type)
    };
    let (v, epsilon) = (PredictionType::V, PredictionType::Epsilon);
    let step = |n: i64| -> Written {
        (
            "global_step".into(),
            safetensors::Dtype::I64,
            vec![],
            n.to_le_bytes().to_vec(),
        )
    };
    let (_a, plain) = changed("sd21", "other.safetensors", &[], &[]);
    assert_eq!(predicted(&plain, None)?, v);
    assert_eq!(predicted(&plain, Some(epsilon))?, epsilon);
    fs::write(
        plain.with_extension("yaml"),
        "model:\n  params:\n    parameterization: \"eps\"\n",
    )
    .expect("a file");
    assert_eq!(predicted(&plain, None)?, epsilon);
    fs::write(
        plain.with_extension("yaml"),
        "model:\n  params:\n    parameterization: \"v\"\n",
    )
    .expect("a file");
    assert_eq!(predicted(&plain, None)?, v);
    let (_b, base) = changed("sd21", "x.safetensors", &[step(875_000)], &[]);
    assert_eq!(predicted(&base, None)?, epsilon);
    let (_c, named) = changed("sd21", "v2-1_512-ema.safetensors", &[], &[]);
    assert_eq!(predicted(&named, None)?, epsilon);
    let (_d, spec) = changed(
        "sd21",
        "x.safetensors",
        &[],
        &[("modelspec.prediction_type", "epsilon")],
    );
    assert_eq!(predicted(&spec, None)?, epsilon);
    let nothing =
        |name: &str| -> Written { (name.into(), safetensors::Dtype::F32, vec![0], Vec::new()) };
    let (_e, xl) = changed(
        "sdxl",
        "x.safetensors",
        &[nothing("v_pred"), nothing("ztsnr")],
        &[],
    );
    assert_eq!(predicted(&xl, None)?, v);
    let scheduler = Checkpoint::open(&xl, &Options::default())?.scheduler;
    assert!(scheduler.rescale_betas_zero_snr);
    assert_eq!(scheduler.timestep_spacing, Some(TimestepSpacing::Trailing));
    Ok(())
}
