//! How long the kernels of the text engine take on this CPU, beside the same functions in candle's own operations, on the
//! shapes of Stable Diffusion 1.5's networks.
//!
//! `cargo run --release -p repose --example bench_kernels [-- --threads 2] [--only WORD] [--plain]`. Milliseconds, the median of runs
//! over at least half a second, weights in half precision, and the forward pass's 10⁹ multiplications and additions a second, counted
//! as if each were done (Winograd's convolutions leave most out); with `--plain` the reference is measured too, which takes long.
#![allow(
    clippy::print_stdout,
    reason = "a benchmark prints a table, and nobody links it"
)]

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, Var};
use repose::kernels::{self, Frozen, Precision, reference};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Run = Box<dyn Fn(&[Tensor]) -> candle_core::Result<Tensor> + Send + Sync>;

struct Case {
    name: String,
    /// Multiplications and additions; 0 where memory counts.
    work: f64,
    inputs: Vec<Tensor>,
    fast: Run,
    plain: Run,
}

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let value = |name: &str| {
        let at = words.iter().position(|w| w == name)?;
        words.get(at + 1)
    };
    let threads = value("--threads").map_or(Ok(2), |n| n.parse())?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    println!(
        "{threads} threads, ms                forward  10⁹/s   + backward  plain forward  + backward"
    );
    for case in cases()? {
        if value("--only").is_some_and(|word| !case.name.contains(word.as_str())) {
            continue;
        }
        let line = pool.install(|| -> candle_core::Result<String> {
            let mut line = format!("{:33}", case.name);
            let runs = [&case.fast, &case.plain];
            let plain = words.iter().any(|w| w == "--plain");
            for run in &runs[..1 + usize::from(plain)] {
                let time = forward(run, &case.inputs)?;
                line += &format!("{time:10.2}");
                line += &match case.work {
                    0.0 => " ".repeat(7),
                    work => format!("{:7.0}", work / time / 1e6),
                };
                line += &format!("{:13.2}", backward(run, &case.inputs)?);
            }
            Ok(line)
        })?;
        println!("{line}");
    }
    Ok(())
}

fn cases() -> Result<Vec<Case>> {
    let cpu = &Device::Cpu;
    let random = |shape: &[usize]| Tensor::randn(0f32, 1.0, shape, cpu);
    let mut cases = Vec::new();
    // Batch, inputs, outputs, side, kernel, stride.
    for [b, ci, co, side, kernel, stride] in [
        [2, 320, 320, 64, 3, 1],
        [2, 640, 640, 32, 3, 1],
        [2, 1280, 1280, 16, 3, 1],
        [2, 1280, 1280, 8, 3, 1],
        [2, 320, 320, 64, 3, 2],
        [2, 960, 320, 64, 1, 1],
        [2, 4, 320, 64, 3, 1],
        [1, 512, 512, 64, 3, 1],
        [1, 128, 128, 512, 3, 1],
    ] {
        let w = Frozen::of(&random(&[co, ci, kernel, kernel])?, DType::F16)?;
        let wide = w.clone();
        cases.push(Case {
            name: format!("conv {kernel}x{kernel}/{stride} {b}x{ci}→{co}@{side}"),
            work: work(&[b, ci, co, kernel, kernel, (side / stride).pow(2)]),
            inputs: vec![random(&[b, ci, side, side])?],
            fast: Box::new(move |x| kernels::conv2d(&x[0], &w, None, stride, kernel / 2)),
            plain: Box::new(move |x| reference::conv2d(&x[0], &wide, None, stride, kernel / 2)),
        });
    }
    for [rows, k, n] in [
        [8192, 320, 320],
        [8192, 320, 2560],
        [2048, 640, 640],
        [512, 1280, 1280],
        [512, 1280, 10240],
        [128, 1280, 1280],
        [154, 768, 320],
        [2, 1280, 1280],
    ] {
        let w = Frozen::of(&random(&[n, k])?, DType::F16)?;
        let wide = w.clone();
        cases.push(Case {
            name: format!("linear {rows}x{k}→{n}"),
            work: work(&[rows, k, n]),
            inputs: vec![random(&[rows, k])?],
            fast: Box::new(move |x| kernels::linear(&x[0], &w, None)),
            plain: Box::new(move |x| reference::linear(&x[0], &wide, None)),
        });
    }
    for [b, heads, n, m, d] in [
        [1, 8, 4096, 4096, 40],
        [1, 8, 1024, 1024, 80],
        [1, 8, 256, 256, 160],
        [2, 8, 4096, 77, 40],
        [1, 1, 4096, 4096, 512],
    ] {
        let scale = 1.0 / (d as f64).sqrt();
        let [q, k, v] = [n, m, m].map(|tokens| random(&[b, heads, tokens, d]));
        cases.push(Case {
            name: format!("attention {b}x{heads}x{n}x{m}x{d}"),
            work: work(&[2, b, heads, n, m, d]),
            inputs: vec![q?, k?, v?],
            fast: Box::new(move |x| {
                kernels::attention(&x[0], &x[1], &x[2], scale, None, false, Precision::F32)
            }),
            plain: Box::new(move |x| reference::attention(&x[0], &x[1], &x[2], scale, None, false)),
        });
    }
    let (weight, bias) = (random(&[320])?, random(&[320])?);
    let other = (weight.clone(), bias.clone());
    cases.push(Case {
        name: "group_norm + silu 2x320@64".into(),
        work: 0.0,
        inputs: vec![random(&[2, 320, 64, 64])?],
        fast: Box::new(move |x| kernels::group_norm(&x[0], &weight, &bias, 32, 1e-5, true)),
        plain: Box::new(move |x| reference::group_norm(&x[0], &other.0, &other.1, 32, 1e-5, true)),
    });
    let (weight, bias) = (random(&[320])?, random(&[320])?);
    let other = (weight.clone(), bias.clone());
    cases.push(Case {
        name: "layer_norm 2x4096x320".into(),
        work: 0.0,
        inputs: vec![random(&[2, 4096, 320])?],
        fast: Box::new(move |x| kernels::layer_norm(&x[0], &weight, &bias, 1e-5)),
        plain: Box::new(move |x| reference::layer_norm(&x[0], &other.0, &other.1, 1e-5)),
    });
    cases.push(Case {
        name: "geglu 2x4096x2560".into(),
        work: 0.0,
        inputs: vec![random(&[2, 4096, 2560])?],
        fast: Box::new(|x| kernels::geglu(&x[0])),
        plain: Box::new(|x| reference::geglu(&x[0])),
    });
    cases.push(Case {
        name: "upsample 2x640@32".into(),
        work: 0.0,
        inputs: vec![random(&[2, 640, 32, 32])?],
        fast: Box::new(|x| kernels::upsample_nearest_2x(&x[0])),
        plain: Box::new(|x| reference::upsample_nearest_2x(&x[0])),
    });
    let w = Frozen::of(&random(&[320, 320])?, DType::F16)?;
    let wide = w.clone();
    cases.push(Case {
        name: "linear + rank 4 8192x320→320".into(),
        work: work(&[8192, 320, 320]) + work(&[2, 8192, 320, 4]),
        inputs: vec![
            random(&[8192, 320])?,
            random(&[4, 320])?,
            random(&[320, 4])?,
        ],
        fast: Box::new(move |x| kernels::linear_low_rank(&x[0], &w, None, &x[1], &x[2])),
        plain: Box::new(move |x| reference::linear_low_rank(&x[0], &wide, None, &x[1], &x[2])),
    });
    cases.push(Case {
        name: "split_heads 2x4096x8x40".into(),
        work: 0.0,
        inputs: vec![random(&[2, 4096, 320])?],
        fast: Box::new(|x| kernels::split_heads(&x[0], 8)),
        plain: Box::new(|x| {
            let heads = x[0].reshape((2, 4096, 8, 40))?;
            heads.transpose(1, 2)?.contiguous()
        }),
    });
    cases.push(Case {
        name: "transpose 2x320x4096".into(),
        work: 0.0,
        inputs: vec![random(&[2, 320, 4096])?],
        fast: Box::new(|x| kernels::transpose(&x[0])),
        plain: Box::new(|x| x[0].transpose(1, 2)?.contiguous()),
    });
    cases.push(Case {
        name: "join 2x640+320@64".into(),
        work: 0.0,
        inputs: vec![random(&[2, 640, 64, 64])?, random(&[2, 320, 64, 64])?],
        fast: Box::new(|x| kernels::join(&x[0], &x[1])),
        plain: Box::new(|x| Tensor::cat(&[&x[0], &x[1]], 1)),
    });
    Ok(cases)
}

/// Multiplications and additions of as many products as all these numbers together.
fn work(sizes: &[usize]) -> f64 {
    2.0 * sizes.iter().product::<usize>() as f64
}

fn forward(run: &Run, inputs: &[Tensor]) -> candle_core::Result<f64> {
    median(|| run(inputs).map(drop))
}

/// Forward and backward.
fn backward(run: &Run, inputs: &[Tensor]) -> candle_core::Result<f64> {
    let vars: Vec<Var> = inputs
        .iter()
        .map(Var::from_tensor)
        .collect::<candle_core::Result<_>>()?;
    let inputs: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    median(|| run(&inputs)?.backward().map(drop))
}

/// Milliseconds.
fn median(run: impl Fn() -> candle_core::Result<()>) -> candle_core::Result<f64> {
    run()?;
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begin.elapsed() < Duration::from_millis(500) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
