//! Figures of a result, against the truth.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use image::{DynamicImage, GrayImage};
use image_compare::{Algorithm, gray_similarity_structure};

use crate::Result;
use crate::case::{Case, SIDE};
use crate::over::Done;
use crate::probe::{Probe, Seen};
use crate::sheet;

/// Figures of one result, or means of many.
#[derive(Debug, Clone, Copy, Default)]
pub struct Score {
    /// Peak signal to noise in dB over the true silhouettes, old and new.
    pub psnr: f64,
    /// Structural similarity of the brightness there.
    pub ssim: f64,
    /// The same in dB everywhere else: the background.
    pub background: f64,
    /// How much the subject of the source it shows, or that of the truth where the source shows none, -1 to 1.
    pub identity: f64,
    /// Distance of the joints as the probe sees them, as a share of the side.
    pub joints: f64,
    /// 1 where the probe sees the action that was asked for.
    pub action: f64,
    /// 1 where it sees the same subject as well.
    pub success: f64,
    /// How much of the learned picture's background shines through around the subject, 0 to 1.
    pub leak: f64,
    /// Pixels outside the layers' masks that are not the source's.
    pub outside: f64,
    /// Distance of the results of two seeds, root mean square over the silhouettes, in levels of 255.
    pub diversity: f64,
    /// To learn.
    pub learning: f64,
    /// To re-pose.
    pub seconds: f64,
}

impl Score {
    /// Writes it to the end of a table of comma-separated values, behind what names it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(mut self, path: &Path, named: &str) -> Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let parts = self.parts();
        if file.metadata()?.len() == 0 {
            let names = parts.each_ref().map(|(name, _)| *name);
            writeln!(file, "recipe,subject,seed,{}", names.join(","))?;
        }
        let values = parts.map(|(_, part)| part.to_string());
        Ok(writeln!(file, "{named},{}", values.join(","))?)
    }

    fn parts(&mut self) -> [(&'static str, &mut f64); 12] {
        [
            ("psnr", &mut self.psnr),
            ("ssim", &mut self.ssim),
            ("background", &mut self.background),
            ("identity", &mut self.identity),
            ("joints", &mut self.joints),
            ("action", &mut self.action),
            ("success", &mut self.success),
            ("leak", &mut self.leak),
            ("outside", &mut self.outside),
            ("diversity", &mut self.diversity),
            ("learning", &mut self.learning),
            ("seconds", &mut self.seconds),
        ]
    }

    /// Means, but pixels outside: all of them together.
    pub fn mean(all: &[Self]) -> Self {
        let mut mean = Self::default();
        for mut one in all.iter().copied() {
            for ((_, sum), (_, part)) in mean.parts().into_iter().zip(one.parts()) {
                *sum += *part / all.len() as f64;
            }
        }
        mean.outside *= all.len() as f64;
        mean
    }
}

/// Scores a result; `other` is that of another seed, if the recipe depends on it. `learning`: seconds that learning took.
///
/// # Errors
/// As the probe.
pub fn score(
    probe: &Probe,
    case: &Case,
    done: &Done,
    other: Option<&Done>,
    learning: f64,
) -> Result<Score> {
    let (source, truth) = (&case.source.picture, &case.truth.picture);
    let inside: Vec<f64> = silhouettes(&source.matte, &truth.matte);
    let beyond: Vec<f64> = inside.iter().map(|v| 1.0 - v).collect();
    let seen = probe.see(&done.rgb, SIDE)?;
    let subject = if case.shown() { source } else { truth };
    let identity = f64::from(seen.alike(&probe.see(&subject.rgb, SIDE)?));
    let same = identity >= f64::from(probe.held_out.floor);
    let does = seen.word("action") == Some(case.truth.shot.action.word());
    Ok(Score {
        psnr: decibels(squares(&done.rgb, &truth.rgb, &inside)),
        ssim: similarity(&done.rgb, &truth.rgb, &inside)?,
        background: decibels(squares(&done.rgb, &truth.rgb, &beyond)),
        identity,
        joints: away(&seen, case),
        action: f64::from(u8::from(does)),
        success: f64::from(u8::from(same && does)),
        leak: leak(&done.rgb, case),
        outside: done.outside as f64,
        diversity: other.map_or(0.0, |other| squares(&done.rgb, &other.rgb, &inside).sqrt()),
        learning,
        seconds: done.seconds,
    })
}

/// 1 within two pixels of either silhouette, else 0: a matte's soft edge belongs to it.
fn silhouettes(a: &[u8], b: &[u8]) -> Vec<f64> {
    let covered = |x: usize, y: usize| a[y * SIDE + x] > 0 || b[y * SIDE + x] > 0;
    let near = |v: usize| v.saturating_sub(2)..(v + 3).min(SIDE);
    let at = |n: usize| {
        let (x, y) = (n % SIDE, n / SIDE);
        f64::from(u8::from(near(y).any(|y| near(x).any(|x| covered(x, y)))))
    };
    (0..SIDE * SIDE).map(at).collect()
}

/// Mean square of the differences, in levels of 255, weighted.
fn squares(a: &[[u8; 3]], b: &[[u8; 3]], weights: &[f64]) -> f64 {
    let square = |(a, b): (&[u8; 3], &[u8; 3])| {
        let channels = a
            .iter()
            .zip(b)
            .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
        channels.sum::<f64>() / 3.0
    };
    let pairs = a.iter().zip(b).zip(weights);
    pairs.map(|(pair, w)| w * square(pair)).sum::<f64>() / weights.iter().sum::<f64>().max(1.0)
}

/// As a peak signal to noise ratio; 99 where nothing differs.
fn decibels(square: f64) -> f64 {
    (10.0 * (255.0f64.powi(2) / square.max(1e-9)).log10()).min(99.0)
}

fn similarity(a: &[[u8; 3]], b: &[[u8; 3]], weights: &[f64]) -> Result<f64> {
    let grey = |rgb| -> Result<GrayImage> { Ok(DynamicImage::from(sheet::image(rgb)?).to_luma8()) };
    let found = gray_similarity_structure(&Algorithm::MSSIMSimple, &grey(a)?, &grey(b)?)?;
    let map = found.image.to_color_map().to_luma8();
    let map = map.pixels().map(|p| f64::from(p.0[0]) / 255.0).zip(weights);
    Ok(map.map(|(v, w)| v * w).sum::<f64>() / weights.iter().sum::<f64>().max(1.0))
}

fn away(seen: &Seen, case: &Case) -> f64 {
    let truth = &case.truth.picture;
    let side = truth.side as f32;
    let pairs = seen.joints.iter().zip(&truth.joints);
    // What is hidden in the truth cannot be seen in a result either.
    let free = pairs.filter(|(_, (_, free))| *free);
    let (sum, count) = free.fold((0.0, 0), |(sum, count), (a, (b, _))| {
        (
            sum + (a[0] - b[0] / side).hypot(a[1] - b[1] / side),
            count + 1,
        )
    });
    f64::from(sum) / f64::from(count.max(1))
}

/// Around the true subject, by how much what was made leans from the true background to the learned picture's.
fn leak(rgb: &[[u8; 3]], case: &Case) -> f64 {
    let truth = &case.truth.picture;
    let Some(learned) = case.learned.last().map(|k| &k.picture) else {
        return 0.0;
    };
    let (mut along, mut length) = (0.0, 0.0);
    for (n, made) in rgb.iter().enumerate() {
        if truth.matte[n] > 0 || learned.matte[n] > 0 {
            continue;
        }
        for channel in 0..3 {
            let was = f64::from(truth.rgb[n][channel]);
            let towards = f64::from(learned.rgb[n][channel]) - was;
            along += (f64::from(made[channel]) - was) * towards;
            length += towards * towards;
        }
    }
    (along / f64::max(length, 1.0)).clamp(0.0, 1.0)
}
