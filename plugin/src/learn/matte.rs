//! From a rough selection to a matte: how much of each pixel is the subject.
//!
//! A margin of background that a rough selection has is taken off first (`trim.rs`). The edge band is estimated from the
//! colours on both sides (projection on the line between the local foreground and background mean) and then made to follow
//! the picture's own edges by a guided filter (He, Sun and Tang 2010).
//! The matte never leaves the selection: what the user did not select stays untouched.

use super::trim::trim;
use crate::canvas::{Grid, Image, Mask, erode, gaussian_blur, grow};
use crate::request::Refine;

/// Softness of a selection above which it is taken for a matte already: soft pixels per pixel of its outline.
/// An anti-aliased outline has about 1.
const SOFT_OUTLINE: f32 = 2.5;

/// Coverage below this is noise of a selection tool (it leaves a film over whole pictures), not subject.
pub const FAINT: f32 = 0.02;

/// Of a margin, this share of the subject's extent next to it is removed with it, and so many pixels at least: there the
/// estimate may be wrong, and traces of the subject are worse than a little background made anew.
const LEFT_TO_REMOVE: f32 = 0.015;
const LEAST_TO_REMOVE: usize = 4;

/// A subject cut out of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Cutout {
    /// How much of each pixel is the subject.
    pub matte: Mask,
    /// What has to go if the subject goes: the selection, less what of a margin is far from the subject. That is
    /// background, and stays as it is.
    pub removal: Mask,
}

/// Cuts out what `selection` holds in `image` (same size). Both masks are 0 wherever the selection is 0, and the removal
/// is nowhere more than the selection.
pub fn cut_out(image: &Image, selection: &Mask, refine: Refine) -> Cutout {
    let wanted = match refine {
        Refine::Always => true,
        Refine::Never => false,
        Refine::Auto => softness(selection) < SOFT_OUTLINE,
    };
    let whole = without_films(selection);
    if !wanted {
        return Cutout {
            matte: whole.clone(),
            removal: whole,
        };
    }
    let Some(trimmed) = trim(image, selection) else {
        return Cutout {
            matte: without_films(&refined(image, selection)),
            removal: whole,
        };
    };
    let beyond = ((extent(&trimmed) * LEFT_TO_REMOVE).round() as usize).max(LEAST_TO_REMOVE);
    let near = grow(&trimmed, beyond);
    Cutout {
        matte: without_films(&refined(image, &trimmed)),
        removal: Grid::from_fn(whole.width(), whole.height(), |x, y| {
            near.at(x, y).min(whole.at(x, y))
        }),
    }
}

/// Square root of the area.
fn extent(selection: &Mask) -> f32 {
    selection.data().iter().sum::<f32>().sqrt()
}

/// `mask` without what is fainter than [`FAINT`], and without connected parts that nowhere reach one half while others do:
/// selection tools leave films over what only resembles the subject.
pub fn without_films(mask: &Mask) -> Mask {
    let (w, h) = (mask.width(), mask.height());
    let mut out = mask.map(|&v| if v < FAINT { 0.0 } else { v });
    if mask.data().iter().all(|&v| v < 0.5) {
        return out;
    }
    let mut seen = vec![false; w * h];
    let (mut part, mut next) = (Vec::new(), Vec::new());
    for start in 0..w * h {
        if seen[start] || out.data()[start] <= 0.0 {
            continue;
        }
        seen[start] = true;
        part.clear();
        next.push(start);
        let mut most = 0.0f32;
        while let Some(p) = next.pop() {
            most = most.max(out.data()[p]);
            part.push(p);
            let (x, y) = (p % w, p / w);
            for ny in y.saturating_sub(1)..(y + 2).min(h) {
                for nx in x.saturating_sub(1)..(x + 2).min(w) {
                    let n = ny * w + nx;
                    if !seen[n] && out.data()[n] > 0.0 {
                        seen[n] = true;
                        next.push(n);
                    }
                }
            }
        }
        if most < 0.5 {
            for &p in &part {
                out.data_mut()[p] = 0.0;
            }
        }
    }
    out
}

/// Pixels neither clearly in nor clearly out, per pixel of the outline at one half.
fn softness(selection: &Mask) -> f32 {
    let (w, h) = (selection.width(), selection.height());
    let (mut soft, mut outline) = (0u32, 0u32);
    for y in 0..h {
        for x in 0..w {
            let v = selection.at(x, y);
            soft += u32::from(v > 0.02 && v < 0.98);
            let inside = v >= 0.5;
            let right = x + 1 < w && (selection.at(x + 1, y) >= 0.5) != inside;
            let below = y + 1 < h && (selection.at(x, y + 1) >= 0.5) != inside;
            outline += u32::from(right || below);
        }
    }
    soft as f32 / outline.max(1) as f32
}

fn refined(image: &Image, selection: &Mask) -> Mask {
    // A selection's edge is off by a small part of the subject's size.
    let band = ((extent(selection) * 0.03).round() as usize).clamp(4, 24);
    let inner = erode(selection, band);
    let sure_in: Mask = inner.map(|&v| f32::from(u8::from(v > 0.5)));
    let sure_out: Mask = selection.map(|&v| f32::from(u8::from(v <= 0.0)));
    if sure_in.data().iter().all(|&v| v == 0.0) || sure_out.data().iter().all(|&v| v == 0.0) {
        return selection.clone();
    }
    let reach = band as f32 * 1.5;
    let front = local_mean(image, &sure_in, reach);
    let back = local_mean(image, &sure_out, reach);
    let raw = Grid::from_fn(image.width(), image.height(), |x, y| {
        if sure_in.at(x, y) > 0.0 {
            return 1.0;
        }
        if sure_out.at(x, y) > 0.0 {
            return 0.0;
        }
        let (i, (f, vf), (b, vb)) = (image.at(x, y), front.at(x, y), back.at(x, y));
        let (by_colour, trust) = by_colour(i, (f, vf), (b, vb));
        trust * by_colour + (1.0 - trust) * selection.at(x, y)
    });
    let smooth = guided(image, &raw, 2.0, 1e-3);
    Grid::from_fn(image.width(), image.height(), |x, y| {
        if sure_in.at(x, y) > 0.0 {
            return 1.0;
        }
        // Almost none and almost all are noise of the estimate.
        let v = ((smooth.at(x, y) - 0.05) / 0.9).clamp(0.0, 1.0);
        v.min(selection.at(x, y))
    })
}

/// How much of a pixel is the front by its colour, from both sides' means and variances, and how far that can be trusted:
/// where both sides look alike, colour says nothing.
fn by_colour(i: [f32; 3], front: ([f32; 3], f32), back: ([f32; 3], f32)) -> (f32, f32) {
    let ((f, vf), (b, vb)) = (front, back);
    let axis: [f32; 3] = std::array::from_fn(|c| f[c] - b[c]);
    let length: f32 = axis.iter().map(|v| v * v).sum();
    let along: f32 = (0..3).map(|c| (i[c] - b[c]) * axis[c]).sum();
    let share = (along / length.max(1e-6)).clamp(0.0, 1.0);
    (share, length / (length + 2.0 * (vf + vb) + 1e-3))
}

/// Mean colour (and its variance) of the pixels in `of` around every pixel, weighted by a Gaussian of `sigma`; where none
/// is near, wider ones are used.
pub(crate) fn local_mean(image: &Image, of: &Mask, sigma: f32) -> Grid<([f32; 3], f32)> {
    let (w, h) = (image.width(), image.height());
    let n = of.data().iter().filter(|v| **v > 0.0).count().max(1) as f32;
    let mut all = [0.0f32; 3];
    for (p, k) in image.data().iter().zip(of.data()) {
        for c in 0..3 {
            all[c] += p[c] * k / n;
        }
    }
    let colours = Grid::from_fn(w, h, |x, y| image.at(x, y).map(|v| v * of.at(x, y)));
    let squares = Grid::from_fn(w, h, |x, y| {
        image.at(x, y).iter().map(|v| v * v).sum::<f32>() * of.at(x, y)
    });
    let (weight, sum, square) = (
        gaussian_blur(of, sigma),
        gaussian_blur(&colours, sigma),
        gaussian_blur(&squares, sigma),
    );
    Grid::from_fn(w, h, |x, y| {
        let k = weight.at(x, y);
        if k < 1e-4 {
            return (all, 1.0);
        }
        let mean = sum.at(x, y).map(|v| v / k);
        let variance = square.at(x, y) / k - mean.iter().map(|v| v * v).sum::<f32>();
        (mean, variance.max(0.0))
    })
}

/// Guided filter with a colour guide: `raw` as a local linear function of the picture, window of Gaussian `sigma`.
fn guided(image: &Image, raw: &Mask, sigma: f32, epsilon: f32) -> Mask {
    let (w, h) = (image.width(), image.height());
    let product = |f: &dyn Fn(usize, usize) -> f32| gaussian_blur(&Grid::from_fn(w, h, f), sigma);
    let mean_i = gaussian_blur(image, sigma);
    let mean_p = gaussian_blur(raw, sigma);
    let ip = gaussian_blur(
        &Grid::from_fn(w, h, |x, y| image.at(x, y).map(|v| v * raw.at(x, y))),
        sigma,
    );
    let diagonal = gaussian_blur(&image.map(|p| p.map(|v| v * v)), sigma);
    let (rg, rb, gb) = (
        product(&|x, y| image.at(x, y)[0] * image.at(x, y)[1]),
        product(&|x, y| image.at(x, y)[0] * image.at(x, y)[2]),
        product(&|x, y| image.at(x, y)[1] * image.at(x, y)[2]),
    );
    let mut slope = Grid::new(w, h, [0.0f32; 3]);
    let mut offset = Grid::new(w, h, 0.0f32);
    for y in 0..h {
        for x in 0..w {
            let (m, d) = (mean_i.at(x, y), diagonal.at(x, y));
            let p = mean_p.at(x, y);
            let cov: [f32; 3] = std::array::from_fn(|c| ip.at(x, y)[c] - m[c] * p);
            let s = [
                [
                    d[0] - m[0] * m[0] + epsilon,
                    rg.at(x, y) - m[0] * m[1],
                    rb.at(x, y) - m[0] * m[2],
                ],
                [0.0, d[1] - m[1] * m[1] + epsilon, gb.at(x, y) - m[1] * m[2]],
                [0.0, 0.0, d[2] - m[2] * m[2] + epsilon],
            ];
            let a = solve3(s, cov);
            slope.set(x, y, a);
            offset.set(x, y, p - (0..3).map(|c| a[c] * m[c]).sum::<f32>());
        }
    }
    let (slope, offset) = (gaussian_blur(&slope, sigma), gaussian_blur(&offset, sigma));
    Grid::from_fn(w, h, |x, y| {
        let (a, i) = (slope.at(x, y), image.at(x, y));
        (a[0] * i[0] + a[1] * i[1] + a[2] * i[2] + offset.at(x, y)).clamp(0.0, 1.0)
    })
}

/// Solves a symmetric positive 3 × 3 system given by its upper triangle.
fn solve3(s: [[f32; 3]; 3], b: [f32; 3]) -> [f32; 3] {
    let (a, d, f) = (s[0][0], s[0][1], s[0][2]);
    let (e, g, i) = (s[1][1], s[1][2], s[2][2]);
    let (c0, c1, c2) = (e * i - g * g, f * g - d * i, d * g - e * f);
    let det = a * c0 + d * c1 + f * c2;
    if det.abs() < 1e-18 {
        return [0.0; 3];
    }
    let (c3, c4, c5) = (a * i - f * f, d * f - a * g, a * e - d * d);
    [
        (c0 * b[0] + c1 * b[1] + c2 * b[2]) / det,
        (c1 * b[0] + c3 * b[1] + c4 * b[2]) / det,
        (c2 * b[0] + c4 * b[1] + c5 * b[2]) / det,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(w: usize, h: usize, r: f32) -> Mask {
        Grid::from_fn(w, h, |x, y| {
            let d =
                ((x as f32 - w as f32 / 2.0).powi(2) + (y as f32 - h as f32 / 2.0).powi(2)).sqrt();
            (r + 0.5 - d).clamp(0.0, 1.0)
        })
    }

    fn picture(alpha: &Mask) -> Image {
        Grid::from_fn(alpha.width(), alpha.height(), |x, y| {
            let a = alpha.at(x, y);
            let grain = ((x * 7 + y * 13) % 5) as f32 * 0.01;
            [
                0.8 * a + 0.1 * (1.0 - a) + grain,
                0.2 * a + 0.3 * (1.0 - a) + grain,
                0.1 * a + 0.7 * (1.0 - a),
            ]
        })
    }

    #[test]
    fn a_loose_selection_shrinks_to_the_subject() {
        let truth = disc(96, 96, 30.0);
        let rough = disc(96, 96, 33.0).map(|&v| f32::from(u8::from(v > 0.5)));
        let found = cut_out(&picture(&truth), &rough, Refine::Auto).matte;
        let error = |m: &Mask| {
            m.data()
                .iter()
                .zip(truth.data())
                .map(|(a, b)| (a - b).abs())
                .sum::<f32>()
        };
        assert!(
            error(&found) < 0.25 * error(&rough),
            "{} of {}",
            error(&found),
            error(&rough)
        );
    }

    #[test]
    fn the_matte_never_leaves_the_selection() {
        let truth = disc(64, 64, 22.0);
        let tight = disc(64, 64, 18.0).map(|&v| f32::from(u8::from(v > 0.5)));
        let found = cut_out(&picture(&truth), &tight, Refine::Always).matte;
        assert!(found.data().iter().zip(tight.data()).all(|(m, s)| *m <= *s));
    }

    #[test]
    fn films_beside_the_subject_are_not_the_subject() {
        let mut selected = disc(64, 64, 12.0);
        for x in 2..12 {
            selected.set(x, 5, 0.3);
        }
        let found = without_films(&selected);
        assert!((2..12).all(|x| found.at(x, 5) == 0.0));
        assert_eq!(found.at(32, 32), 1.0);
        // What is faint everywhere is what was selected.
        let faint = selected.map(|v| v * 0.4);
        assert!(without_films(&faint).at(5, 5) > 0.1);
    }

    #[test]
    fn a_soft_selection_is_kept_as_it_is() {
        let soft = gaussian_blur(&disc(64, 64, 20.0), 3.0);
        let found = cut_out(&picture(&soft), &soft, Refine::Auto).matte;
        assert!(
            found
                .data()
                .iter()
                .zip(soft.data())
                .all(|(f, s)| f == s || (*f == 0.0 && *s < FAINT))
        );
    }
}
