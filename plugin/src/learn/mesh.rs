//! Triangles over a silhouette: what the pins of a re-pose bend.

use crate::canvas::Mask;
use crate::subject::Mesh;

/// Cells along the longer side of the silhouette's box: fine enough for a finger of a figure, few enough to solve in
/// milliseconds.
const CELLS: usize = 48;
/// Smaller cells than this, in pixels, carry no more shape than the matte's own edge.
const SMALLEST: usize = 4;
/// The mesh reaches this many pixels beyond the matte, so that resampling at the edge still finds a triangle.
const MARGIN: usize = 2;

/// A piece apart from the rest is a speck of the matte, not a part of the subject, below this share of all coverage.
const SPECK: f64 = 0.002;

/// A regular triangulation over `matte > 0` grown by 2 pixels, in pixels of the matte; empty for an empty matte. Specks far
/// from the rest are left out: they would make all cells coarser, and be bent by pins that mean something else.
///
/// Its corners are whole pixel corners and may lie a little outside the matte's rectangle. Cells are square, 1/48 of the
/// silhouette's longer side but at least 4 pixels, their diagonals alternate so that no direction is stiffer than
/// another, and there are at most 2601 corners. All triangles wind clockwise on screen.
pub fn mesh(matte: &Mask) -> Mesh {
    let matte = &without_specks(matte);
    let box_ = matte.support();
    if box_.width == 0 {
        return Mesh::default();
    }
    let side = box_.width.max(box_.height).div_ceil(CELLS).max(SMALLEST);
    let across = Axis::new(box_.x, box_.width, side);
    let down = Axis::new(box_.y, box_.height, side);

    let mut used = vec![false; across.cells * down.cells];
    let mut columns = vec![false; across.cells];
    for y in box_.y..box_.y + box_.height {
        columns.fill(false);
        for (x, _) in matte.row(y).iter().enumerate().filter(|(_, v)| **v > 0.0) {
            columns[across.touched(x)].fill(true);
        }
        for row in down.touched(y) {
            for (used, &column) in used[row * across.cells..].iter_mut().zip(&columns) {
                *used |= column;
            }
        }
    }

    let mut mesh = Mesh::default();
    let width = across.cells + 1;
    let mut corner = vec![u32::MAX; width * (down.cells + 1)];
    for row in 0..=down.cells {
        for column in 0..=across.cells {
            // A corner is kept when one of the four cells around it is.
            let near = |c: usize, r: usize| {
                c < across.cells && r < down.cells && used[r * across.cells + c]
            };
            let (c, r) = (column.wrapping_sub(1), row.wrapping_sub(1));
            if near(column, row) || near(c, row) || near(column, r) || near(c, r) {
                corner[row * width + column] = mesh.vertices.len() as u32;
                mesh.vertices.push([across.place(column), down.place(row)]);
            }
        }
    }
    for row in 0..down.cells {
        for column in 0..across.cells {
            if used[row * across.cells + column] {
                let at = row * width + column;
                let (a, b) = (corner[at], corner[at + 1]);
                let (d, c) = (corner[at + width], corner[at + width + 1]);
                mesh.triangles.extend(if (row + column) % 2 == 0 {
                    [[a, b, c], [a, c, d]]
                } else {
                    [[a, b, d], [b, c, d]]
                });
            }
        }
    }
    mesh
}

/// The matte without its specks. Pieces are told apart on blocks of 4 × 4 pixels, so small gaps do not part them.
fn without_specks(matte: &Mask) -> Mask {
    let (across, down) = (
        matte.width().div_ceil(SMALLEST),
        matte.height().div_ceil(SMALLEST),
    );
    let mut blocks = vec![0.0f64; across * down];
    for y in 0..matte.height() {
        for (x, &v) in matte.row(y).iter().enumerate() {
            blocks[y / SMALLEST * across + x / SMALLEST] += f64::from(v);
        }
    }
    // The piece of each block, 0 for none yet; coverage of each piece.
    let (mut piece, mut cover) = (vec![0usize; blocks.len()], vec![0.0]);
    let mut waiting = Vec::new();
    for start in 0..blocks.len() {
        if blocks[start] <= 0.0 || piece[start] != 0 {
            continue;
        }
        let number = cover.len();
        cover.push(0.0);
        piece[start] = number;
        waiting.push(start);
        while let Some(at) = waiting.pop() {
            cover[number] += blocks[at];
            let (x, y) = (at % across, at / across);
            for ny in y.saturating_sub(1)..(y + 2).min(down) {
                for nx in x.saturating_sub(1)..(x + 2).min(across) {
                    let next = ny * across + nx;
                    if blocks[next] > 0.0 && piece[next] == 0 {
                        piece[next] = number;
                        waiting.push(next);
                    }
                }
            }
        }
    }
    let least = SPECK * cover.iter().sum::<f64>();
    // Where all is specks, they are the subject.
    if !cover.iter().any(|c| *c >= least && *c > 0.0) {
        return matte.clone();
    }
    Mask::from_fn(matte.width(), matte.height(), |x, y| {
        let number = piece[y / SMALLEST * across + x / SMALLEST];
        if cover[number] >= least {
            matte.at(x, y)
        } else {
            0.0
        }
    })
}

/// Cells along one axis, centred on the grown box.
struct Axis {
    first: i64,
    side: usize,
    cells: usize,
}

impl Axis {
    fn new(start: usize, length: usize, side: usize) -> Self {
        let grown = length + 2 * MARGIN;
        let cells = grown.div_ceil(side);
        let spare = cells * side - grown;
        Self {
            first: start as i64 - MARGIN as i64 - (spare / 2) as i64,
            side,
            cells,
        }
    }

    /// The cells that a pixel, grown by the margin, reaches into.
    fn touched(&self, pixel: usize) -> std::ops::Range<usize> {
        let from = (pixel as i64 - MARGIN as i64 - self.first) as usize;
        let last = from + 2 * MARGIN;
        from / self.side..last / self.side + 1
    }

    fn place(&self, node: usize) -> f32 {
        (self.first + (node * self.side) as i64) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disc(side: usize, radius: f32) -> Mask {
        let middle = side as f32 / 2.0;
        Mask::from_fn(side, side, |x, y| {
            let (dx, dy) = (x as f32 + 0.5 - middle, y as f32 + 0.5 - middle);
            f32::from(u8::from(dx * dx + dy * dy < radius * radius))
        })
    }

    fn area(mesh: &Mesh) -> f32 {
        mesh.triangles
            .iter()
            .map(|t| {
                let [a, b, c] = t.map(|i| mesh.vertices[i as usize]);
                let twice = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
                assert!(twice > 0.0, "winds clockwise on screen");
                twice / 2.0
            })
            .sum()
    }

    #[test]
    fn covers_the_silhouette_and_little_more() {
        let matte = disc(300, 140.0);
        let mesh = mesh(&matte);
        let round = std::f32::consts::PI * 140.0 * 140.0;
        assert!(
            area(&mesh) > round && area(&mesh) < round * 1.15,
            "{}",
            area(&mesh)
        );
        assert!(mesh.vertices.len() <= 2601);
        assert_eq!(mesh, super::mesh(&matte));
    }

    #[test]
    fn every_size_stays_within_the_bound() {
        for (w, h) in [(1, 1), (1, 500), (3000, 7), (2000, 2000), (49, 48)] {
            let mesh = mesh(&Mask::new(w, h, 1.0));
            assert!(
                (4..=2601).contains(&mesh.vertices.len()),
                "{w}×{h}: {}",
                mesh.vertices.len()
            );
            for axis in 0..2 {
                let length = [w, h][axis] as f32;
                let all = || mesh.vertices.iter().map(|v| v[axis]);
                assert!(all().fold(f32::INFINITY, f32::min) <= -2.0);
                assert!(all().fold(0.0, f32::max) >= length + 2.0);
            }
        }
    }

    #[test]
    fn specks_do_not_make_the_mesh_coarser() {
        let clean = disc(300, 60.0);
        let mut dirty = clean.clone();
        for (x, y) in [(2, 3), (297, 1), (150, 299)] {
            dirty.set(x, y, 0.9);
        }
        assert_eq!(mesh(&dirty), mesh(&clean));
        // A wisp beside the subject is covered by the cells there, and a hand that is cut off stays.
        let mut parts = clean.clone();
        for y in 0..12 {
            for x in 0..12 {
                parts.set(10 + x, 10 + y, 1.0);
            }
        }
        assert!(mesh(&parts).vertices.iter().any(|v| v[0] < 24.0));
        // Dust alone is not nothing.
        let dust = Mask::from_fn(400, 400, |x, y| {
            f32::from(u8::from(x % 13 == 0 && y % 13 == 0))
        });
        assert!(!mesh(&dust).triangles.is_empty());
    }

    #[test]
    fn nothing_gives_nothing_and_parts_stay_apart() {
        assert_eq!(mesh(&Mask::new(30, 20, 0.0)), Mesh::default());
        assert_eq!(mesh(&Mask::default()), Mesh::default());
        let mut two = Mask::new(200, 20, 0.0);
        two.set(5, 10, 0.01);
        two.set(190, 10, 1.0);
        let mesh = mesh(&two);
        assert!(mesh.vertices.iter().all(|v| v[0] < 20.0 || v[0] > 170.0));
    }
}
