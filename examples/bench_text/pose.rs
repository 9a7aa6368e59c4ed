//! A whole pose in words, as a host asks for it.

use std::path::Path;
use std::time::Instant;

use repose_host::{
    Channels, Depth, LearnRequest, Options, Picture, Plugin, ReposeRequest, SelectionRef, Space,
    TextOptions,
};

use crate::Result;
use crate::case::{Case, Computed, Measured, SELF, megabytes};

/// Steps of the sampler.
const STEPS: u32 = 20;

/// Poses the photo in `examples/photos`, once. The checkpoint is opened within the time.
pub fn whole(case: &Case) -> Result<Measured> {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/photos");
    let photo = image::open(photos.join("teddy.jpg"))?.to_rgb8();
    let mask = image::open(photos.join("teddy_mask.png"))?.to_luma8();
    let (width, height) = photo.dimensions();
    let picture = Picture {
        width,
        height,
        depth: Depth::U8,
        channels: Channels::Rgb,
        space: Space::Srgb,
        pixels: photo.as_raw(),
        stride: width as usize * 3,
    };
    let selection = SelectionRef {
        depth: Depth::U8,
        x: 0,
        y: 0,
        width,
        height,
        samples: mask.as_raw(),
        stride: width as usize,
    };
    let library = tempfile::tempdir()?;
    let engine = Plugin::find(None)?.open(&Options {
        library: Some(library.path().to_owned()),
        threads: u32::try_from(case.threads)?,
        ..Options::default()
    })?;
    let mut request = LearnRequest::new(picture, selection, "teddy", "a published photo");
    request.caption = Some("a teddy bear on a rock");
    request.word = Some("teddy bear");
    engine.learn(&request)?.wait(|_| ())?;

    let mut request = ReposeRequest::new(picture, Some(selection), "teddy");
    request.prompt = Some("a teddy bear waving");
    let model = case.checkpoint.to_str().ok_or("a path that is not UTF-8")?;
    request.text = Some(TextOptions {
        model: Some(model),
        steps: Some(STEPS),
        side: Some(u32::try_from(case.side)?),
        ..TextOptions::default()
    });
    let (begun, computed) = (Instant::now(), Computed::begin(SELF));
    let job = engine.repose(&request)?;
    let mut stages: Vec<(String, Instant)> = Vec::new();
    job.wait(|status| {
        if stages.last().is_none_or(|(last, _)| *last != status.stage) {
            stages.push((status.stage.clone(), Instant::now()));
        }
    })?;
    let end = Instant::now();
    let ends = stages.iter().skip(1).map(|(_, at)| *at).chain([end]);
    let shares = stages
        .iter()
        .zip(ends)
        .map(|((name, from), to)| (name.clone(), (to - *from).as_secs_f64()))
        .collect();
    Ok(Measured {
        seconds: vec![(end - begun).as_secs_f64()],
        peak: megabytes("VmHWM"),
        cores: computed.cores(),
        shares,
    })
}
