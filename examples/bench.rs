//! How long the embedded engine takes and how much memory it needs, as a host sees it: an ordinary host that learns and
//! re-poses a generated scene of 0.25 to 16 megapixels, a fifth of which is the subject that goes away.
//!
//! `cargo run --release --example bench [-- --threads 2]`. Each case runs in a process of its own, so that its peak memory
//! (VmHWM, Linux; the host's copy of the picture is in it) is its own. Up to one megapixel: median of three runs.
#![allow(
    clippy::print_stdout,
    reason = "a benchmark prints a table, and nobody links it"
)]

mod memory;

use std::env;
use std::error::Error;
use std::f32::consts::PI;
use std::process::Command;
use std::time::{Duration, Instant};

use repose_host::{
    Channels, Depth, Job, LearnRequest, Options, Picture, Pin, Plugin, ReposeRequest, SelectionRef,
    Space,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Side of each crop in pixels, and how often it is run.
const CASES: [(u32, usize); 4] = [(500, 3), (1000, 3), (2000, 1), (4000, 1)];
/// Share of the crop that the subject covers.
const COVERED: f32 = 0.2;
/// What one child tells first: milliseconds to load the plugin and open an engine, to queue a re-pose and to copy the same
/// bytes alone; seconds to learn and to re-pose, peak memory in MiB after each, pixels revealed. Then, in milliseconds, the
/// calls of [`CALLS`].
const NUMBERS: usize = 8;
/// The calls that a host makes about a job, those while it runs first.
const CALLS: [&str; 10] = [
    "job_status while running",
    "job_preview while running",
    "job_status",
    "job_preview",
    "job_layer, all of them",
    "job_picture",
    "job_bytes (history)",
    "job_bytes (XMP)",
    "job_cancel",
    "job_free",
];
const ALL: usize = NUMBERS + CALLS.len();

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let value = |name: &str| -> Result<Option<u32>> {
        let Some(at) = words.iter().position(|w| w == name) else {
            return Ok(None);
        };
        let text = words.get(at + 1).ok_or(format!("{name} needs a number"))?;
        Ok(Some(text.parse()?))
    };
    let threads = value("--threads")?.unwrap_or(2);
    match value("--case")? {
        Some(side) => case(side, threads),
        None => table(threads, value("--side")?),
    }
}

/// Runs every case (or that of one side alone) in children and prints what they tell.
fn table(threads: u32, only: Option<u32>) -> Result<()> {
    println!("{threads} threads; a generated scene, a fifth of it revealed\n");
    println!("   crop   revealed     learn   peak      re-pose   peak    per revealed pixel");
    let mut open = 0.0f64;
    let mut longest = (0.0f64, "");
    let (mut bars, mut queueing) = (String::new(), String::new());
    for (side, runs) in CASES {
        if only.is_some_and(|only| only != side) {
            continue;
        }
        let mut all = Vec::new();
        for _ in 0..runs {
            all.push(child(side, threads)?);
        }
        open = all.iter().fold(open, |m, r| m.max(r[0]));
        let median = |which: usize| {
            let mut values: Vec<f64> = all.iter().map(|r| r[which]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        for (i, name) in CALLS.iter().enumerate() {
            let took = median(NUMBERS + i);
            if took > longest.0 {
                longest = (took, name);
            }
        }
        let [queue, copy] = [1, 2].map(median);
        let [learn, repose] = [3, 4].map(median);
        let [learn_peak, repose_peak, revealed] = [5, 6, 7].map(median);
        queueing += &format!(
            "  {:.2} MP {queue:.1} ms (copying {copy:.1})",
            f64::from(side).powi(2) / 1e6
        );
        println!(
            "{:4.2} MP  {revealed:9.0}  {learn:6.2} s {learn_peak:5.0} MiB  {repose:6.2} s {repose_peak:6.0} MiB  {:8.1} µs",
            f64::from(side).powi(2) / 1e6,
            repose / revealed * 1e6,
        );
        if side == 1000 {
            let verdict = |ok: bool| if ok { "met" } else { "MISSED" };
            bars = format!(
                "bars at 1 MP: learn ≤ 1 s {}; re-pose ≤ 10 s {}; peak ≤ 1000 MiB {}",
                verdict(learn <= 1.0),
                verdict(repose <= 10.0),
                verdict(repose_peak <= 1000.0),
            );
        }
    }
    println!("\nopen the plugin and an engine: {open:.1} ms (bar 50)");
    println!(
        "longest other call that copies no pixels: {:.3} ms, {} (bar 1)",
        longest.0, longest.1
    );
    println!("queueing a re-pose, and copying as many bytes:{queueing}");
    println!("{bars}");
    Ok(())
}

/// One case in a process of its own.
fn child(side: u32, threads: u32) -> Result<[f64; ALL]> {
    let output = Command::new(env::current_exe()?)
        .args([
            "--case",
            &side.to_string(),
            "--threads",
            &threads.to_string(),
        ])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map_while(|w| w.parse().ok())
        .collect();
    <[f64; ALL]>::try_from(numbers).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!(
            "the case of side {side} failed: {}: {text}{said}",
            output.status
        )
        .into()
    })
}

/// Does one case and prints its numbers.
fn case(side: u32, threads: u32) -> Result<()> {
    let scene = Scene::new(side);
    let library = tempfile::tempdir()?;
    let start = Instant::now();
    let plugin = Plugin::find(None)?;
    let options = Options {
        library: Some(library.path().to_owned()),
        threads,
        ..Options::default()
    };
    let engine = plugin.open(&options)?;
    let opened = start.elapsed();

    let request = LearnRequest::new(scene.picture(), scene.selection(), "ball", "my own drawing");
    let learn = timed(|| engine.learn(&request))?.took;
    let learn_peak = peak()?;

    let (middle, reach) = (side as f32 / 2.0, scene.radius);
    let pin = |from: [f32; 2], to: [f32; 2]| Pin {
        from,
        to,
        angle: None,
        depth: 0.0,
    };
    let still = [middle, middle + 0.6 * reach];
    let moving = [middle, middle - 0.6 * reach];
    let pins = [
        pin(still, still),
        pin(moving, [middle + 0.3 * reach, middle - 0.7 * reach]),
    ];
    let mut request = ReposeRequest::new(scene.picture(), Some(scene.selection()), "ball");
    request.pins = &pins;
    let reposed = timed(|| engine.repose(&request))?;
    let repose_peak = peak()?;
    let start = Instant::now();
    let copies = (scene.pixels.clone(), scene.mask.clone());
    let copying = start.elapsed();
    drop(copies);
    let mut calls: Vec<Duration> = reposed
        .polls
        .into_iter()
        .chain(calls(&reposed.job)?)
        .collect();
    let start = Instant::now();
    drop(reposed.job);
    calls.push(start.elapsed());
    let calls: Vec<String> = calls.iter().map(|c| millis(*c).to_string()).collect();
    let revealed = scene.mask.iter().filter(|v| **v > 0).count();
    println!(
        "{} {} {} {} {} {learn_peak} {repose_peak} {revealed} {}",
        millis(opened),
        millis(reposed.queued),
        millis(copying),
        learn.as_secs_f64(),
        reposed.took.as_secs_f64(),
        calls.join(" "),
    );
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A job that was run to its end.
struct Timed {
    job: Job,
    /// From the call to the end, the copying of the pixels included.
    took: Duration,
    /// The call alone.
    queued: Duration,
    /// Medians of `job_status` and `job_preview` while it ran.
    polls: [Duration; 2],
}

fn timed(submit: impl FnOnce() -> std::result::Result<Job, repose_host::Error>) -> Result<Timed> {
    let start = Instant::now();
    let job = submit()?;
    let queued = start.elapsed();
    let mut polls = [Vec::new(), Vec::new()];
    loop {
        let before = Instant::now();
        let status = job.status()?;
        polls[0].push(before.elapsed());
        if status.state.is_end() {
            break;
        }
        if status.preview_serial > 0 {
            let before = Instant::now();
            let preview = job.preview();
            polls[1].push(before.elapsed());
            drop(preview);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = start.elapsed();
    // The state is known; this gives the reason of a failure.
    job.wait(|_| ())?;
    Ok(Timed {
        job,
        took,
        queued,
        polls: polls.map(median),
    })
}

/// So that another program on the same cores is not measured.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// How long the calls about a job take that has ended, in the order of [`CALLS`], but for the last.
fn calls(job: &Job) -> Result<[Duration; CALLS.len() - 3]> {
    let calls: [&dyn Fn() -> Result<()>; CALLS.len() - 3] = [
        &|| job.status().map(drop).map_err(Into::into),
        &|| job.preview().map(drop).ok_or("no preview".into()),
        &|| job.layers().map(drop).map_err(Into::into),
        &|| job.picture().map(drop).map_err(Into::into),
        &|| job.history().map(drop).map_err(Into::into),
        &|| job.xmp().map(drop).map_err(Into::into),
        &|| {
            job.cancel();
            Ok(())
        },
    ];
    let mut took = [Duration::ZERO; CALLS.len() - 3];
    for (call, took) in calls.iter().zip(&mut took) {
        let mut times = Vec::new();
        for _ in 0..25 {
            let start = Instant::now();
            call()?;
            times.push(start.elapsed());
        }
        *took = median(times);
    }
    Ok(took)
}

/// Peak memory of this process so far, in MiB.
fn peak() -> Result<f64> {
    let kib = memory::kib("VmHWM").ok_or("this system does not tell a process's peak memory")?;
    Ok(kib / 1024.0)
}

/// A furry ball on a meadow, in 8-bit RGB.
struct Scene {
    side: u32,
    radius: f32,
    pixels: Vec<u8>,
    mask: Vec<u8>,
}

impl Scene {
    fn new(side: u32) -> Self {
        let radius = (COVERED / PI).sqrt() * side as f32;
        let middle = side as f32 / 2.0;
        let mut pixels = Vec::with_capacity(side as usize * side as usize * 3);
        let mut mask = Vec::with_capacity(side as usize * side as usize);
        for y in 0..side {
            for x in 0..side {
                let (dx, dy) = (x as f32 + 0.5 - middle, y as f32 + 0.5 - middle);
                let inside = (radius - dx.hypot(dy) + 0.5).clamp(0.0, 1.0);
                // Clouds of light on all scales, blades of grass, and a path that the subject stands on.
                let light = clouds(x, y, side);
                let blade = noise(x as f32 / 2.0, y as f32 / 7.0, 11) - 0.5;
                let path = f32::from((dx * 0.7 + dy).abs() < 0.07 * side as f32);
                let fur = noise((dx + dy) / 6.0, (dx - dy) / 2.0, 23) - 0.5;
                let back = [
                    70.0 + 60.0 * light + 40.0 * blade + 70.0 * path,
                    95.0 + 70.0 * light + 50.0 * blade + 20.0 * path,
                    40.0 + 50.0 * light + 20.0 * blade + 60.0 * path,
                ];
                let front = [
                    185.0 + 60.0 * fur - 40.0 * dy / radius,
                    130.0 + 50.0 * fur - 30.0 * dy / radius,
                    70.0 + 40.0 * fur - 20.0 * dy / radius,
                ];
                for c in 0..3 {
                    let value = front[c] * inside + back[c] * (1.0 - inside);
                    pixels.push(value.clamp(0.0, 255.0) as u8);
                }
                mask.push((inside * 255.0) as u8);
            }
        }
        Self {
            side,
            radius,
            pixels,
            mask,
        }
    }

    fn picture(&self) -> Picture<'_> {
        Picture {
            width: self.side,
            height: self.side,
            depth: Depth::U8,
            channels: Channels::Rgb,
            space: Space::Srgb,
            pixels: &self.pixels,
            stride: self.side as usize * 3,
        }
    }

    fn selection(&self) -> SelectionRef<'_> {
        SelectionRef {
            depth: Depth::U8,
            x: 0,
            y: 0,
            width: self.side,
            height: self.side,
            samples: &self.mask,
            stride: self.side as usize,
        }
    }
}

/// Noise of every scale from a third of the picture down, about 0 to 1.
fn clouds(x: u32, y: u32, side: u32) -> f32 {
    let (mut sum, mut share, mut step) = (0.0, 0.5, side as f32 / 3.0);
    let mut salt = 1;
    while step > 2.0 {
        sum += share * noise(x as f32 / step, y as f32 / step, salt);
        (share, step, salt) = (share * 0.6, step / 2.0, salt + 1);
    }
    sum
}

/// Smooth noise with one random value, 0 to 1, at every whole place.
fn noise(x: f32, y: f32, salt: u32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let value = |dx: i32, dy: i32| {
        let (ix, iy) = ((left as i32 + dx) as u32, (top as i32 + dy) as u32);
        let mut h = ix.wrapping_mul(0x9E37_79B1) ^ iy.wrapping_mul(0x85EB_CA77) ^ salt << 24;
        h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
        h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
        (h ^ (h >> 15)) as f32 / u32::MAX as f32
    };
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - left), smooth(y - top));
    let above = value(0, 0) * (1.0 - u) + value(1, 0) * u;
    let below = value(0, 1) * (1.0 - u) + value(1, 1) * u;
    above * (1.0 - v) + below * v
}
