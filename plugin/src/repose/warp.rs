//! The subject's pixels in its new pose: every output pixel looks up where it came from.

mod raster;
mod sample;
#[cfg(test)]
mod tests;

use crate::canvas::{Image, Mask};
use crate::repose::deform::Deformed;
use crate::subject::Mesh;
use crate::{Error, Result};
use raster::{Face, Hits};
use rayon::prelude::*;
use sample::Source;

/// Rows one task works on.
const BAND: usize = 16;
/// Depths this close, relative to their whole range, are equal.
const TIE: f32 = 1e-3;

/// The output grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Where on the grid the crop's corner (0, 0) lies, in whole pixels; may be outside.
    pub origin: [i32; 2],
}

/// A subject in its new pose; all grids have the frame's size.
#[derive(Debug, Clone, PartialEq)]
pub struct Warped {
    /// Colours, not multiplied with the matte; black beyond the mesh.
    pub colours: Image,
    /// Coverage; exactly 0 where nothing of the subject arrived.
    pub matte: Mask,
    /// Largest stretch of what is seen (see [`Deformed::stretch`]); 0 where the matte is 0.
    pub stretch: Mask,
}

/// Draws the subject in its new pose.
///
/// Where it moved by whole pixels its values come out as they are; elsewhere Catmull-Rom interpolation, with several
/// samples per pixel where it shrinks. Where parts lie over each other the larger depth is in front, at equal depth what
/// moved further, and soft edges show what is behind. Colours where the matte is 0 are never used. The error tells of
/// grids and mesh that do not fit each other.
pub fn warp(
    colours: &Image,
    matte: &Mask,
    mesh: &Mesh,
    deformed: &Deformed,
    frame: Frame,
) -> Result<Warped> {
    let count = mesh.vertices.len();
    let fits = colours.bounds() == matte.bounds()
        && [
            deformed.vertices.len(),
            deformed.depth.len(),
            deformed.stretch.len(),
            deformed.moved.len(),
        ] == [count; 4]
        && mesh
            .triangles
            .iter()
            .flatten()
            .all(|&i| (i as usize) < count);
    if !fits {
        return Err(Error::bug(
            "a pose does not fit its subject's mesh or grids",
        ));
    }
    let (width, height) = (frame.width, frame.height);
    let mut out = Warped {
        colours: Image::new(width, height, [0.0; 3]),
        matte: Mask::new(width, height, 0.0),
        stretch: Mask::new(width, height, 0.0),
    };
    if width == 0 || height == 0 {
        return Ok(out);
    }
    let scene = Scene {
        faces: raster::faces(mesh, deformed, frame),
        source: Source::new(colours, matte),
        deformed,
        tie: tie(&deformed.depth),
    };
    let chunk = BAND * width;
    out.colours
        .data_mut()
        .par_chunks_mut(chunk)
        .zip(out.matte.data_mut().par_chunks_mut(chunk))
        .zip(out.stretch.data_mut().par_chunks_mut(chunk))
        .enumerate()
        .for_each_init(
            || Hits::new(width, BAND),
            |hits, (band, ((colours, matte), stretch))| {
                let top = band * BAND;
                hits.collect(&scene.faces, top, top + matte.len() / width);
                for at in 0..matte.len() {
                    let found = hits.at(at);
                    if !found.is_empty() {
                        let (x, y) = (at % width, top + at / width);
                        (colours[at], matte[at], stretch[at]) = scene.pixel(found, x, y);
                    }
                }
            },
        );
    Ok(out)
}

fn tie(depth: &[f32]) -> f32 {
    let least = depth.iter().copied().fold(f32::INFINITY, f32::min);
    let most = depth.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (most - least).max(0.0) * TIE
}

struct Scene<'a> {
    faces: Vec<Face>,
    source: Source<'a>,
    deformed: &'a Deformed,
    tie: f32,
}

impl Scene<'_> {
    /// What is seen at a pixel: its colour, coverage and stretch.
    fn pixel(&self, found: &[raster::Hit], x: usize, y: usize) -> ([f32; 3], f32, f32) {
        if let [hit] = found {
            let (colour, alpha) = self.look(hit, x, y);
            let stretch = if alpha > 0.0 {
                self.value(hit, &self.deformed.stretch)
            } else {
                0.0
            };
            return (colour, alpha, stretch);
        }
        let mut order = [0; raster::MOST];
        let order = &mut order[..found.len()];
        for i in 0..found.len() {
            // Insertion keeps a fixed order even where "equal within a tolerance" is not transitive.
            order[i] = i;
            let mut k = i;
            while k > 0 && self.before(&found[order[k]], &found[order[k - 1]]) {
                order.swap(k, k - 1);
                k -= 1;
            }
        }
        let (mut light, mut seen, mut stretch) = ([0.0; 3], 0.0, 0.0);
        let mut first = None;
        for &i in order.iter() {
            let (colour, alpha) = self.look(&found[i], x, y);
            if alpha <= 0.0 {
                continue;
            }
            let share = (1.0 - seen) * alpha;
            let own = self.value(&found[i], &self.deformed.stretch);
            if first.is_none() {
                first = Some((colour, alpha, own));
            } else {
                first = Some(([f32::NAN; 3], 0.0, 0.0));
            }
            (0..3).for_each(|c| light[c] += share * colour[c]);
            stretch += share * own;
            seen += share;
            if alpha >= 1.0 {
                break;
            }
        }
        match first {
            None => (self.look(&found[order[0]], x, y).0, 0.0, 0.0),
            // Alone, its values stay as they are, to the bit.
            Some(alone) if alone.1 > 0.0 => alone,
            Some(_) => (light.map(|l| l / seen), seen.min(1.0), stretch / seen),
        }
    }

    fn before(&self, a: &raster::Hit, b: &raster::Hit) -> bool {
        let (da, db) = (
            self.value(a, &self.deformed.depth),
            self.value(b, &self.deformed.depth),
        );
        if (da - db).abs() > self.tie {
            return da > db;
        }
        self.value(a, &self.deformed.moved) > self.value(b, &self.deformed.moved)
    }

    /// A corner value at a hit.
    fn value(&self, hit: &raster::Hit, values: &[f32]) -> f32 {
        let [a, b, c] = self.faces[hit.face as usize]
            .corners
            .map(|i| values[i as usize]);
        a + hit.shares[0] * (b - a) + hit.shares[1] * (c - a)
    }

    /// Colour and coverage of one hit.
    fn look(&self, hit: &raster::Hit, x: usize, y: usize) -> ([f32; 3], f32) {
        let face = &self.faces[hit.face as usize];
        if let Some([dx, dy]) = face.shift {
            return self.source.exact(x as i64 - dx, y as i64 - dy);
        }
        let [a, b, c] = face.rest;
        let at =
            [0, 1].map(|k| a[k] + hit.shares[0] * (b[k] - a[k]) + hit.shares[1] * (c[k] - a[k]));
        if face.samples == 1 {
            return self.source.smooth(at);
        }
        self.source.area(at, face.step, face.samples)
    }
}
