//! The patches of pictures under a convolution's kernel, laid out as columns of a matrix, and back.

use rayon::prelude::*;

/// What a convolution reads and writes.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// Pictures.
    pub batch: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Height and width of the kernel.
    pub size: [usize; 2],
    /// Distance of patches.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
}

/// Pixels of one picture's output that follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Which picture.
    pub picture: usize,
    /// First pixel in its output.
    pub pixel: usize,
    /// How many.
    pub count: usize,
    /// The first one's place among those that are laid out.
    pub laid: usize,
}

impl Span {
    /// The same pixels, at most `most` at a time.
    pub fn parts(self, most: usize) -> impl Iterator<Item = Self> {
        (0..self.count).step_by(most).map(move |start| Self {
            pixel: self.pixel + start,
            count: most.min(self.count - start),
            laid: self.laid + start,
            ..self
        })
    }
}

impl Geometry {
    /// Values of a patch.
    pub fn depth(&self) -> usize {
        self.channels * self.size[0] * self.size[1]
    }

    /// Pixels of an output.
    pub fn plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Whether the patches are the input itself.
    pub fn is_plain(&self) -> bool {
        self.size == [1, 1] && self.stride == 1 && self.padding == 0
    }

    /// Divides `rows` rows of all outputs, from `from` on, into spans of about `most` pixels.
    pub fn spans(&self, from: usize, rows: usize, most: usize) -> Vec<Span> {
        let [height, width] = self.output;
        let mut spans = Vec::new();
        let mut row = from;
        while row < from + rows {
            let (picture, inside) = (row / height, row % height);
            let count = (height - inside).min(from + rows - row);
            let pixels = count * width;
            let parts = pixels.div_ceil(most.max(1));
            let step = pixels.div_ceil(parts);
            for start in (0..pixels).step_by(step) {
                spans.push(Span {
                    picture,
                    pixel: inside * width + start,
                    count: step.min(pixels - start),
                    laid: (row - from) * width + start,
                });
            }
            row += count;
        }
        spans
    }

    /// Writes the patches of those rows as columns of `laid`, `depth` rows of one value for each pixel.
    pub fn lay_out(&self, x: &[f32], from: usize, rows: usize, laid: &mut [f32]) {
        let width = self.output[1];
        let taps = self.size[0] * self.size[1];
        let each = taps * rows * width;
        laid.par_chunks_mut(each).enumerate().for_each(|(c, laid)| {
            for (tap, laid) in laid.chunks_exact_mut(rows * width).enumerate() {
                let [ky, kx] = [tap / self.size[1], tap % self.size[1]];
                let (start, end, first) = self.reach(kx);
                for (r, line) in laid.chunks_exact_mut(width).enumerate() {
                    let Some(source) = self.line(c, from + r, ky) else {
                        line.fill(0.0);
                        continue;
                    };
                    line[..start].fill(0.0);
                    line[end..].fill(0.0);
                    let source = &x[source + first..];
                    let line = &mut line[start..end];
                    if self.stride == 1 {
                        line.copy_from_slice(&source[..line.len()]);
                    } else {
                        let source = source.iter().step_by(self.stride);
                        line.iter_mut()
                            .zip(source)
                            .for_each(|(to, from)| *to = *from);
                    }
                }
            }
        });
    }

    /// Adds each value of `laid`, as [`Geometry::lay_out`] writes them, to where it came from.
    pub fn gather(&self, laid: &[f32], from: usize, rows: usize, dx: &mut [f32]) {
        let width = self.output[1];
        let taps = self.size[0] * self.size[1];
        let each = taps * rows * width;
        let plane = self.input[0] * self.input[1];
        dx.par_chunks_mut(plane).enumerate().for_each(|(i, dx)| {
            let (picture, c) = (i / self.channels, i % self.channels);
            let laid = &laid[c * each..][..each];
            for (tap, laid) in laid.chunks_exact(rows * width).enumerate() {
                let [ky, kx] = [tap / self.size[1], tap % self.size[1]];
                let (start, end, first) = self.reach(kx);
                for (r, line) in laid.chunks_exact(width).enumerate() {
                    if (from + r) / self.output[0] != picture {
                        continue;
                    }
                    let Some(target) = self.line(c, from + r, ky) else {
                        continue;
                    };
                    let target = &mut dx[target - i * plane + first..];
                    let line = &line[start..end];
                    if self.stride == 1 {
                        target
                            .iter_mut()
                            .zip(line)
                            .for_each(|(to, from)| *to += from);
                    } else {
                        let target = target.iter_mut().step_by(self.stride);
                        target.zip(line).for_each(|(to, from)| *to += from);
                    }
                }
            }
        });
    }

    /// Where the input row begins that row `row` of all outputs sees under kernel row `ky`; none in the padding.
    fn line(&self, channel: usize, row: usize, ky: usize) -> Option<usize> {
        let (picture, inside) = (row / self.output[0], row % self.output[0]);
        let y = (inside * self.stride + ky).checked_sub(self.padding)?;
        let [height, width] = self.input;
        (y < height).then(|| ((picture * self.channels + channel) * height + y) * width)
    }

    /// The output columns `start..end` that see the input under kernel column `kx`, and the input column that the first of
    /// them sees.
    fn reach(&self, kx: usize) -> (usize, usize, usize) {
        let (width, stride) = (self.input[1], self.stride);
        let start = self.padding.saturating_sub(kx).div_ceil(stride);
        // The first column whose place is beyond the input.
        let end = (width + self.padding).saturating_sub(kx).div_ceil(stride);
        let end = end.min(self.output[1]);
        if start >= end {
            return (self.output[1], self.output[1], 0);
        }
        (start, end, start * stride + kx - self.padding)
    }
}
