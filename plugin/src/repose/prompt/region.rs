//! Where a re-pose by words may act: the old silhouette and the new one (LIPE, arXiv 2406.17236: M_s ∪ M_e).
//!
//! The old one is the user's selection, the new one is read, step by step, from the model's attention to the subject's
//! word; a deformed subject's outline, if pins or a guide made one, belongs to it from the start.

use crate::canvas::{Grid, Mask, grow};
use crate::engine::stable_diffusion::frame::Frame;

/// Attention to a word, from 0 to 1 over the map, from which a place shows what the word means. The local blend of
/// Prompt-to-Prompt (arXiv 2208.01626) takes 0.3, which loses hands and feet.
const SEEN: f32 = 0.2;
/// Attention that finds the word in more than this share of all places outside the old silhouette points nowhere.
const NOWHERE: f32 = 0.5;
/// The region reaches this many latents beyond what it must hold, so that edges are drawn, not cut.
const MARGIN: usize = 1;
/// And this many beyond where the word is seen: what a subject wears or holds has other words.
const WORN: usize = 2;

/// What an edit must at least be free to change, on the pixels of a frame.
#[derive(Debug, Clone)]
pub struct Region {
    frame: Frame,
    /// Old silhouette and deformed subject, soft.
    asked: Mask,
    /// The same on latents: 1 where any of it lies.
    base: Mask,
}

impl Region {
    /// `asked` covers the frame's pixels.
    pub fn new(frame: Frame, asked: Mask) -> Self {
        let (width, height) = frame.latent();
        let base = grow(&pool(&asked, width, height), MARGIN);
        Self { frame, asked, base }
    }

    /// The region on latents, 1 or 0: what was asked for and, of where `attention` (any range, the latents' size) shows the
    /// subject's word, the parts that hang together with it.
    pub fn latent(&self, attention: Option<&Mask>) -> Mask {
        let Some(attention) = attention else {
            return self.base.clone();
        };
        let values = attention.data().iter().copied();
        let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        // Attention that is even everywhere points nowhere.
        if !(high - low).is_finite() || high - low <= 1e-6 * high.abs().max(1e-6) {
            return self.base.clone();
        }
        let seen = attention.map(|v| f32::from(u8::from((v - low) / (high - low) >= SEEN)));
        let region = connected(&grow(&seen, WORN), &self.base);
        let sum = |mask: &Mask| mask.data().iter().sum::<f32>();
        let (all, base) = (region.data().len() as f32, sum(&self.base));
        match sum(&region) - base > NOWHERE * (all - base) {
            true => self.base.clone(),
            false => region,
        }
    }

    /// The layer's mask on the frame's pixels, for an edit that ended with `latent`: soft as the selection where that ends
    /// the region, and falling off over a latent elsewhere.
    pub fn pixels(&self, latent: &Mask) -> Mask {
        // Whole where all four neighbours are in, so that the soft edge lies inside what was freed.
        let inner = crate::canvas::erode(latent, MARGIN);
        let drawn = self.frame.mask_of_latent(&inner);
        let freed = self.frame.mask_of_latent(latent);
        Grid::from_fn(drawn.width(), drawn.height(), |x, y| {
            // At corners the soft edge would reach beyond what was freed.
            let drawn = drawn.at(x, y).min(2.0 * freed.at(x, y) - 1.0);
            drawn.max(self.asked.at(x, y)).clamp(0.0, 1.0)
        })
    }
}

/// 1 for each square of the smaller grid that holds anything of the mask.
fn pool(mask: &Mask, width: usize, height: usize) -> Mask {
    let mut pooled = Mask::new(width, height, 0.0);
    for y in 0..mask.height() {
        for x in 0..mask.width() {
            if mask.at(x, y) > 0.0 {
                // A pixel may straddle squares where the two grids do not divide.
                let end = |at: usize, from: usize, to: usize| ((at + 1) * to - 1) / from;
                let (x0, y0) = (x * width / mask.width(), y * height / mask.height());
                for row in y0..=end(y, mask.height(), height) {
                    for column in x0..=end(x, mask.width(), width) {
                        pooled.set(column, row, 1.0);
                    }
                }
            }
        }
    }
    pooled
}

/// The parts of `mask` that touch `seed`, and `seed` itself.
fn connected(mask: &Mask, seed: &Mask) -> Mask {
    let mut out = seed.clone();
    let mut open: Vec<usize> = (0..seed.data().len())
        .filter(|i| seed.data()[*i] > 0.0)
        .collect();
    while let Some(index) = open.pop() {
        for near in mask.neighbours(index).into_iter().flatten() {
            if mask.data()[near] > 0.0 && out.data()[near] <= 0.0 {
                out.data_mut()[near] = 1.0;
                open.push(near);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::Rect;

    fn disc(width: usize, height: usize, at: (f32, f32), radius: f32) -> Mask {
        Mask::from_fn(width, height, |x, y| {
            let (dx, dy) = (x as f32 + 0.5 - at.0, y as f32 + 0.5 - at.1);
            (radius - (dx * dx + dy * dy).sqrt() + 0.5).clamp(0.0, 1.0)
        })
    }

    fn region() -> Region {
        let frame = Frame {
            rect: Rect {
                x: 7,
                y: 9,
                width: 300,
                height: 200,
            },
            width: 384,
            height: 256,
            factor: 8,
        };
        Region::new(frame, disc(300, 200, (150.0, 100.0), 40.0))
    }

    #[test]
    fn what_was_asked_for_is_always_inside() {
        let region = region();
        let latent = region.latent(None);
        assert_eq!((latent.width(), latent.height()), (48, 32));
        let mask = region.pixels(&latent);
        let fine = region.frame.mask_of_latent(&latent);
        for y in 0..200 {
            for x in 0..300 {
                assert!(mask.at(x, y) >= region.asked.at(x, y), "{x}, {y}");
                // A layer shows only pixels whose latents were free.
                assert!(mask.at(x, y) <= 0.0 || fine.at(x, y) > 0.5, "{x}, {y}");
            }
        }
        assert_eq!(mask.at(2, 2), 0.0);
    }

    #[test]
    fn attention_adds_what_hangs_together_with_the_subject() {
        let region = region();
        // An arm that reaches out of the old silhouette, and something else far away.
        let attention = Mask::from_fn(48, 32, |x, y| {
            let arm = (24..40).contains(&x) && (14..18).contains(&y);
            let other = (2..5).contains(&x) && (2..5).contains(&y);
            if arm || other { 0.9 } else { 0.1 }
        });
        let latent = region.latent(Some(&attention));
        assert_eq!(latent.at(39, 16), 1.0);
        assert_eq!(latent.at(3, 3), 0.0);
        let mask = region.pixels(&latent);
        assert!(mask.at(38 * 300 / 48, 16 * 200 / 32) > 0.9);
        assert_eq!(
            region.latent(Some(&Mask::new(48, 32, 0.2))),
            region.latent(None)
        );
        // A word that is everywhere, more or less, frees nothing.
        let noise = Mask::from_fn(48, 32, |x, y| ((x * 7 + y * 11) % 10) as f32 / 10.0 + 0.1);
        assert_eq!(region.latent(Some(&noise)), region.latent(None));
    }
}
