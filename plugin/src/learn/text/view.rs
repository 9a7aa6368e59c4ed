//! Other views of a picture, from which a step may learn as well: mirrored, farther away, nearer.

use crate::canvas::{Grid, Image, Mask, Rect};
use crate::engine::stable_diffusion::frame::{Frame, scale_image, scale_mask};
use crate::engine::stable_diffusion::sampler::Noise;
use crate::learn::recipe::Augment;

/// There are so many pictures from farther away, and so many from nearer: each is encoded once, and that takes its time.
const VARIANTS: usize = 2;
/// Sizes of pictures from farther away and from nearer, as shares of the frame's, and how likely each kind is, in fifteenths:
/// as in the code of Custom Diffusion's authors (arXiv 2212.04488).
const FAR: [f32; 2] = [1.0 / 3.0, 0.6];
const NEAR: [f32; 2] = [1.2, 1.4];
const LIKELY: [usize; 2] = [4, 5];
const OF: usize = 15;
/// What stands before captions then, also there, by variant.
const FAR_WORDS: [&str; VARIANTS] = ["far away", "very small"];
const NEAR_WORDS: [&str; VARIANTS] = ["zoomed in", "close up"];

/// A way to see a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct View {
    /// Left is right.
    pub mirrored: bool,
    /// From where.
    pub distance: Distance,
}

/// From where a picture is seen. Places and exact sizes depend on the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Distance {
    /// As it is.
    #[default]
    Usual,
    /// Small, on grey.
    Far(usize),
    /// A part of it.
    Near(usize),
}

/// A picture in a view.
#[derive(Debug, Clone)]
pub struct Drawn {
    /// Of the frame's size.
    pub image: Image,
    /// Where the subject is in it.
    pub matte: Mask,
    /// Where the picture is, in latents; `None`: everywhere.
    pub part: Option<Rect>,
}

impl View {
    /// Any view that the recipe wants.
    pub fn draw(augment: Augment, noise: &mut Noise) -> Self {
        if augment == Augment::Nothing {
            return Self::default();
        }
        let mirrored = noise.below(2) == 1;
        let mut distance = Distance::Usual;
        if augment == Augment::Resized {
            let (chance, variant) = (noise.below(OF), noise.below(VARIANTS));
            if chance < LIKELY[0] {
                distance = Distance::Far(variant);
            } else if chance < LIKELY[0] + LIKELY[1] {
                distance = Distance::Near(variant);
            }
        }
        Self { mirrored, distance }
    }

    /// How many views there are beside the usual one.
    pub fn others(augment: Augment) -> usize {
        match augment {
            Augment::Nothing => 0,
            Augment::Mirrored => 1,
            Augment::Resized => 2 * (1 + 2 * VARIANTS) - 1,
        }
    }

    /// A number of its own.
    pub fn number(self) -> usize {
        let distance = match self.distance {
            Distance::Usual => 0,
            Distance::Far(variant) => 1 + variant,
            Distance::Near(variant) => 1 + VARIANTS + variant,
        };
        2 * distance + usize::from(self.mirrored)
    }

    /// A picture and where its subject is in this view, at the frame's size. `noise` is that of the picture and the view.
    pub fn of(self, image: &Image, matte: &Mask, frame: &Frame, noise: &mut Noise) -> Drawn {
        let flipped = self.mirrored.then(|| (flip(image), flip(matte)));
        let (image, matte) = match &flipped {
            Some((image, matte)) => (image, matte),
            None => (image, matte),
        };
        let (width, height) = (frame.width, frame.height);
        match self.distance {
            Distance::Usual => Drawn {
                image: scale_image(image, width, height),
                matte: matte.clone(),
                part: None,
            },
            Distance::Near(_) => {
                let share = 1.0 / between(NEAR, noise);
                let rect = somewhere((image.width(), image.height()), share, noise);
                Drawn {
                    image: scale_image(&image.crop(rect), width, height),
                    matte: matte.crop(rect),
                    part: None,
                }
            }
            Distance::Far(_) => {
                let latents = somewhere(frame.latent(), between(FAR, noise), noise);
                let rect = Rect {
                    x: latents.x * frame.factor,
                    y: latents.y * frame.factor,
                    width: latents.width * frame.factor,
                    height: latents.height * frame.factor,
                };
                let (image, matte) = (
                    scale_image(image, rect.width, rect.height),
                    scale_mask(matte, rect.width, rect.height),
                );
                Drawn {
                    image: pasted(&image, rect, (width, height), [0.5; 3]),
                    matte: pasted(&matte, rect, (width, height), 0.0),
                    part: Some(within(latents)),
                }
            }
        }
    }

    /// What a picture with this caption shows in this view.
    pub fn told(self, caption: &str) -> String {
        let caption = match self.mirrored {
            true => turned(caption),
            false => caption.to_owned(),
        };
        let (words, variant) = match self.distance {
            Distance::Usual => return caption,
            Distance::Far(variant) => (FAR_WORDS, variant),
            Distance::Near(variant) => (NEAR_WORDS, variant),
        };
        let words = words[variant % VARIANTS];
        // "A far away photo of …"
        match caption.split_once(' ') {
            Some((article @ ("a" | "an" | "A" | "An"), rest)) => {
                let article = &article[..1];
                format!("{article} {words} {rest}")
            }
            _ => format!("{words}, {caption}"),
        }
    }
}

/// A share of `size` (width, height), at any place in it.
fn somewhere((width, height): (usize, usize), share: f32, noise: &mut Noise) -> Rect {
    let mut side = |whole: usize| {
        let length = ((whole as f32 * share).round() as usize).clamp(1, whole);
        (noise.below(whole - length + 1), length)
    };
    let ((x, width), (y, height)) = (side(width), side(height));
    Rect {
        x,
        y,
        width,
        height,
    }
}

/// Any number of a range.
fn between([low, high]: [f32; 2], noise: &mut Noise) -> f32 {
    const FINE: usize = 1 << 16;
    low + (high - low) * noise.below(FINE) as f32 / FINE as f32
}

/// Without a latent at each side, which knows of the grey beside it.
fn within(rect: Rect) -> Rect {
    let inner = |at: usize, length: usize| match length {
        0..3 => (at, length),
        _ => (at + 1, length - 2),
    };
    let ((x, width), (y, height)) = (inner(rect.x, rect.width), inner(rect.y, rect.height));
    Rect {
        x,
        y,
        width,
        height,
    }
}

fn flip<T: Copy>(grid: &Grid<T>) -> Grid<T> {
    let last = grid.width().saturating_sub(1);
    Grid::from_fn(grid.width(), grid.height(), |x, y| grid.at(last - x, y))
}

fn pasted<T: Copy>(
    grid: &Grid<T>,
    rect: Rect,
    (width, height): (usize, usize),
    around: T,
) -> Grid<T> {
    let mut all = Grid::new(width, height, around);
    for y in 0..rect.height {
        all.row_mut(rect.y + y)[rect.x..rect.x + rect.width].copy_from_slice(grid.row(y));
    }
    all
}

/// A text with left for right and right for left.
fn turned(text: &str) -> String {
    let words = text.split_inclusive(|c: char| !c.is_alphanumeric());
    let turn = |word: &str| {
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        let other = match bare {
            "left" => "right",
            "right" => "left",
            "Left" => "Right",
            "Right" => "Left",
            same => same,
        };
        other.to_owned() + &word[bare.len()..]
    };
    words.map(turn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Frame = Frame {
        rect: Rect {
            x: 0,
            y: 0,
            width: 96,
            height: 96,
        },
        width: 128,
        height: 128,
        factor: 8,
    };

    /// Red where the subject is, at the left.
    fn picture() -> (Image, Mask) {
        let matte = Grid::from_fn(96, 96, |x, y| {
            f32::from(u8::from(x < 40 && (30..60).contains(&y)))
        });
        (matte.map(|v| [*v, 0.0, 0.2]), matte)
    }

    #[test]
    fn picture_and_matte_stay_together_in_every_view() {
        let (image, matte) = picture();
        let mut noise = Noise::new(1, 0);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..400 {
            let view = View::draw(Augment::Resized, &mut noise);
            seen.insert(view.number());
            let drawn = view.of(
                &image,
                &matte,
                &FRAME,
                &mut Noise::new(7, view.number() as u64),
            );
            assert_eq!((drawn.image.width(), drawn.image.height()), (128, 128));
            let matte = scale_mask(&drawn.matte, 128, 128);
            let part = drawn.part.unwrap_or(Rect {
                x: 0,
                y: 0,
                width: 16,
                height: 16,
            });
            let mut count = 0;
            for y in part.y * 8..(part.y + part.height) * 8 {
                for x in part.x * 8..(part.x + part.width) * 8 {
                    let (red, share) = (drawn.image.at(x, y)[0], matte.at(x, y));
                    assert!((red - share).abs() < 0.5, "{view:?} {x} {y}: {red} {share}");
                    count += usize::from((red - share).abs() > 0.2);
                }
            }
            // They are scaled by different filters, at the edge alone.
            assert!(count < 400, "{view:?}: {count}");
        }
        assert_eq!(seen.len(), View::others(Augment::Resized) + 1);
        let left = |view: View| {
            let drawn = view.of(&image, &matte, &FRAME, &mut Noise::new(7, 0));
            drawn.matte.at(10, 45) > 0.5
        };
        let mirrored = View {
            mirrored: true,
            ..View::default()
        };
        assert!(left(View::default()) && !left(mirrored));
    }

    #[test]
    fn a_far_picture_is_smaller_and_all_else_is_grey() {
        let (image, matte) = picture();
        let view = View {
            mirrored: false,
            distance: Distance::Far(1),
        };
        let drawn = view.of(&image, &matte, &FRAME, &mut Noise::new(3, 0));
        let part = drawn.part.expect("a part");
        let grey = drawn
            .image
            .data()
            .iter()
            .filter(|p| **p == [0.5; 3])
            .count();
        let rest = 128 * 128 - (part.width + 2) * (part.height + 2) * 64;
        assert_eq!(grey, rest);
        assert!(part.width + 2 <= 10 && part.height + 2 <= 10);
        let sum = |mask: &Mask| mask.data().iter().sum::<f32>();
        assert!(sum(&drawn.matte) < 0.7 * sum(&matte) * (128.0f32 / 96.0).powi(2));
    }

    #[test]
    fn captions_say_what_a_view_shows() {
        let view = |mirrored, distance| View { mirrored, distance };
        let caption = "A photo of a bear, Right paw up, left of an upright bright tree";
        assert_eq!(view(false, Distance::Usual).told(caption), caption);
        let mirrored = view(true, Distance::Usual);
        assert_eq!(
            mirrored.told(caption),
            "A photo of a bear, Left paw up, right of an upright bright tree"
        );
        assert_eq!(mirrored.told(&mirrored.told(caption)), caption);
        let far = view(false, Distance::Far(0));
        assert_eq!(far.told("an oil painting"), "a far away oil painting");
        let near = view(true, Distance::Near(1));
        assert_eq!(near.told("seen from left"), "close up, seen from right");
    }
}
