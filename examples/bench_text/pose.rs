//! A whole pose in words, as a host asks for it.

use std::path::Path;
use std::time::Instant;

use image::RgbImage;
use repose_host::{
    Channels, Depth, Job, LearnRequest, Options, Picture, Plugin, ReposeRequest, SelectionRef,
    Space, TextOptions,
};

use crate::Result;
use crate::case::{Case, Computed, Fewer, Full, Measured, SELF, megabytes};

/// Steps of the sampler.
const STEPS: u32 = 20;

/// Poses the photo in `examples/photos`, once; and in full, if something shall be left out. The checkpoint is opened within the
/// first's time.
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
    // A relative path would be the name of a model.
    let checkpoint = case.checkpoint.canonicalize()?;
    let model = checkpoint.to_str().ok_or("a path that is not UTF-8")?;
    let full = TextOptions {
        model: Some(model),
        steps: Some(STEPS),
        side: Some(u32::try_from(case.side)?),
        ..TextOptions::default()
    };
    request.text = Some(TextOptions {
        guided: case.fewer.guided,
        reuse: case.fewer.reuse,
        ..full
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
    let mut measured = Measured {
        seconds: vec![(end - begun).as_secs_f64()],
        peak: megabytes("VmHWM"),
        cores: computed.cores(),
        shares,
        full: None,
    };
    if case.fewer != Fewer::default() {
        request.text = Some(full);
        let begun = Instant::now();
        let whole = engine.repose(&request)?;
        whole.wait(|_| ())?;
        measured.full = Some(Full {
            seconds: begun.elapsed().as_secs_f64(),
            psnr: psnr(&photo, &job, &whole)?,
        });
    }
    Ok(measured)
}

/// How far two results lie apart where either may differ from the photo, in dB; `None` where nowhere.
fn psnr(photo: &RgbImage, one: &Job, other: &Job) -> Result<Option<f64>> {
    let mut edited = vec![false; (photo.width() * photo.height()) as usize];
    let one = flat(photo, one, &mut edited)?;
    let other = flat(photo, other, &mut edited)?;
    let (mut sum, mut samples) = (0.0, 0.0);
    for ((a, b), _) in one
        .pixels()
        .zip(other.pixels())
        .zip(&edited)
        .filter(|(_, e)| **e)
    {
        for (a, b) in a.0.iter().zip(b.0) {
            sum += f64::from(a.abs_diff(b)).powi(2);
            samples += 1.0;
        }
    }
    Ok((sum > 0.0).then(|| 10.0 * (255.0 * 255.0 * samples / sum).log10()))
}

/// The photo with a job's layers over it, mixed by their masks; marks the pixels where these are not 0.
fn flat(photo: &RgbImage, job: &Job, edited: &mut [bool]) -> Result<RgbImage> {
    let mut flat = photo.clone();
    for layer in job.layers()? {
        let pixels = layer.picture.pixels.chunks_exact(3).zip(layer.mask);
        for (index, (pixel, &mask)) in pixels.enumerate() {
            let index = u32::try_from(index)?;
            let (x, y) = (
                layer.x + index % layer.picture.width,
                layer.y + index / layer.picture.width,
            );
            if mask > 0 {
                edited[(y * photo.width() + x) as usize] = true;
            }
            let share = f32::from(mask) / 255.0;
            for (below, above) in flat.get_pixel_mut(x, y).0.iter_mut().zip(pixel) {
                let mixed = f32::from(*below) + share * (f32::from(*above) - f32::from(*below));
                *below = mixed.round() as u8;
            }
        }
    }
    Ok(flat)
}
