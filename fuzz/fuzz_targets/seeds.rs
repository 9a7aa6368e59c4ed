//! What the fuzzers start from: small whole files, written by the code that writes them for users.

use std::path::PathBuf;

use repose::canvas::{Channels, Depth, Grid, Raster, Rect, Space};

/// Puts `files` into the folder that `FUZZ_SEEDS` names; libFuzzer reads it after this.
pub fn write(files: &[(&str, Vec<u8>)]) {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

/// A picture of 7 × 5 pixels, no two rows alike.
#[allow(dead_code, reason = "not every target needs it")]
pub fn raster(depth: Depth, channels: Channels, space: Space) -> Raster {
    let length = 7 * 5 * depth.bytes() * channels.count();
    Raster {
        width: 7,
        height: 5,
        depth,
        channels,
        space,
        // Small bytes: finite numbers in every format.
        bytes: (0..length).map(|i| (i * 37 % 60) as u8).collect(),
    }
}

/// The rectangle of that picture, with something in each value.
#[allow(dead_code, reason = "not every target needs it")]
pub fn mask() -> (Rect, Grid<f32>) {
    let rect = Rect {
        x: 1,
        y: 1,
        width: 4,
        height: 3,
    };
    (rect, Grid::from_fn(4, 3, |x, y| (x + y) as f32 / 5.0))
}
