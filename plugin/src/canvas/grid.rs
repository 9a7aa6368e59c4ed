//! A rectangle of values in rows: working pictures and masks.

use crate::{Error, Result};

/// `width` × `height` values, row after row, top left first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grid<T> {
    width: usize,
    height: usize,
    data: Vec<T>,
}

/// A picture in the working space: sRGB-encoded RGB, 0 to 1 inside the sRGB gamut, not clamped.
pub type Image = Grid<[f32; 3]>;

/// Coverage from 0 (not at all) to 1 (fully).
pub type Mask = Grid<f32>;

/// A rectangle of whole pixels; `x`, `y` is its top left corner in the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rect {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

impl Rect {
    /// Grown by `margin` on every side, kept inside a picture of `width` × `height`.
    pub fn grown(self, margin: usize, width: usize, height: usize) -> Self {
        let x = self.x.saturating_sub(margin);
        let y = self.y.saturating_sub(margin);
        let right = (self.x + self.width + margin).min(width);
        let bottom = (self.y + self.height + margin).min(height);
        Self {
            x,
            y,
            width: right.saturating_sub(x),
            height: bottom.saturating_sub(y),
        }
    }

    /// The smallest rectangle that holds both; an empty one adds nothing.
    pub fn union(self, other: Self) -> Self {
        if other.width == 0 || other.height == 0 {
            return self;
        }
        if self.width == 0 || self.height == 0 {
            return other;
        }
        let x = self.x.min(other.x);
        let y = self.y.min(other.y);
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self {
            x,
            y,
            width: right - x,
            height: bottom - y,
        }
    }
}

impl<T: Clone> Grid<T> {
    /// All values equal `value`.
    pub fn new(width: usize, height: usize, value: T) -> Self {
        Self {
            width,
            height,
            data: vec![value; width * height],
        }
    }

    /// Takes rows of values; the error says what length was expected.
    pub fn from_vec(width: usize, height: usize, data: Vec<T>) -> Result<Self> {
        if width.checked_mul(height) != Some(data.len()) {
            return Err(Error::caller(format!(
                "{width}×{height} values were expected, {} came",
                data.len()
            )));
        }
        Ok(Self {
            width,
            height,
            data,
        })
    }

    /// A copy of the values inside `rect`, which must lie inside the grid.
    pub fn crop(&self, rect: Rect) -> Self {
        let mut data = Vec::with_capacity(rect.width * rect.height);
        for y in rect.y..rect.y + rect.height {
            data.extend_from_slice(&self.row(y)[rect.x..rect.x + rect.width]);
        }
        Self {
            width: rect.width,
            height: rect.height,
            data,
        }
    }
}

impl<T> Grid<T> {
    /// Calls `value(x, y)` for every place.
    pub fn from_fn(width: usize, height: usize, mut value: impl FnMut(usize, usize) -> T) -> Self {
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                data.push(value(x, y));
            }
        }
        Self {
            width,
            height,
            data,
        }
    }
    /// Values per row.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Number of rows.
    pub fn height(&self) -> usize {
        self.height
    }
    /// The whole grid as a rectangle at the origin.
    pub fn bounds(&self) -> Rect {
        Rect {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        }
    }
    /// All values, row after row.
    pub fn data(&self) -> &[T] {
        &self.data
    }
    /// All values, row after row.
    pub fn data_mut(&mut self) -> &mut [T] {
        &mut self.data
    }
    /// All values, row after row.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }
    /// The indices in [`data`](Self::data) of the places left of, right of, above and below the one at `index`, where there
    /// are any.
    pub fn neighbours(&self, index: usize) -> [Option<usize>; 4] {
        let (x, y) = (index % self.width, index / self.width);
        [
            (x > 0).then(|| index - 1),
            (x + 1 < self.width).then(|| index + 1),
            (y > 0).then(|| index - self.width),
            (y + 1 < self.height).then(|| index + self.width),
        ]
    }
    /// One row.
    pub fn row(&self, y: usize) -> &[T] {
        &self.data[y * self.width..(y + 1) * self.width]
    }
    /// One row.
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        &mut self.data[y * self.width..(y + 1) * self.width]
    }
    /// Every value changed by `f`.
    pub fn map<U>(&self, f: impl FnMut(&T) -> U) -> Grid<U> {
        Grid {
            width: self.width,
            height: self.height,
            data: self.data.iter().map(f).collect(),
        }
    }
}

impl<T: Copy> Grid<T> {
    /// The value at column `x`, row `y`.
    pub fn at(&self, x: usize, y: usize) -> T {
        self.data[y * self.width + x]
    }
    /// Sets the value at column `x`, row `y`.
    pub fn set(&mut self, x: usize, y: usize, value: T) {
        self.data[y * self.width + x] = value;
    }
}

impl Mask {
    /// The smallest rectangle outside which the mask is exactly 0; empty if it is 0 everywhere.
    pub fn support(&self) -> Rect {
        let mut found: Option<(usize, usize, usize, usize)> = None;
        for y in 0..self.height {
            let row = self.row(y);
            let Some(left) = row.iter().position(|&v| v > 0.0) else {
                continue;
            };
            let right = row.iter().rposition(|&v| v > 0.0).unwrap_or(left);
            found = Some(match found {
                None => (left, y, right, y),
                Some((l, t, r, _)) => (l.min(left), t, r.max(right), y),
            });
        }
        found.map_or(Rect::default(), |(l, t, r, b)| Rect {
            x: l,
            y: t,
            width: r - l + 1,
            height: b - t + 1,
        })
    }
}

/// `image` scaled down by area averaging so that its longest side is at most `side`; a smaller one is copied.
pub fn fit(image: &Image, side: usize) -> Image {
    let (w, h) = (image.width(), image.height());
    let longest = w.max(h);
    if longest <= side || side == 0 {
        return image.clone();
    }
    let (nw, nh) = ((w * side / longest).max(1), (h * side / longest).max(1));
    Grid::from_fn(nw, nh, |x, y| {
        let (x0, x1) = (x * w / nw, ((x + 1) * w / nw).max(x * w / nw + 1));
        let (y0, y1) = (y * h / nh, ((y + 1) * h / nh).max(y * h / nh + 1));
        let mut sum = [0.0f32; 3];
        for sy in y0..y1 {
            for p in &image.row(sy)[x0..x1] {
                for c in 0..3 {
                    sum[c] += p[c];
                }
            }
        }
        let n = ((x1 - x0) * (y1 - y0)) as f32;
        sum.map(|s| s / n)
    })
}
