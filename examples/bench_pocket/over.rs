//! An engine's layers over a picture, as an editor lays them.

use repose_host::Layer;

use crate::case::SIDE;

/// A result.
pub struct Done {
    /// The picture with its layers.
    pub rgb: Vec<[u8; 3]>,
    /// Pixels outside all masks whose bytes are not the source's.
    pub outside: usize,
    /// To re-pose.
    pub seconds: f64,
}

/// The layers' 8-bit RGB over a picture, and how many pixels differ where no layer is.
pub fn over(source: &[[u8; 3]], layers: &[Layer<'_>]) -> (Vec<[u8; 3]>, usize) {
    let mut rgb = source.to_vec();
    let mut masked = vec![false; rgb.len()];
    for layer in layers {
        for row in 0..layer.picture.height as usize {
            for column in 0..layer.picture.width as usize {
                let at = (layer.y as usize + row) * SIDE + layer.x as usize + column;
                let share = f32::from(layer.mask[row * layer.mask_stride + column]) / 255.0;
                let from = row * layer.picture.stride + 3 * column;
                for (channel, under) in rgb[at].iter_mut().enumerate() {
                    let own = f32::from(layer.picture.pixels[from + channel]);
                    *under = (f32::from(*under) * (1.0 - share) + own * share).round() as u8;
                }
                masked[at] |= share > 0.0;
            }
        }
    }
    let changed = rgb.iter().zip(source).zip(&masked);
    let outside = changed.filter(|((a, b), masked)| a != b && !**masked);
    let outside = outside.count();
    (rgb, outside)
}
