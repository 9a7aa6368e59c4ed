//! A subject that is ready to move: its colours and matte, and where they lie in the picture.

use super::Posed;
use super::deform::{bounds, deform};
use super::warp::{Frame, warp};
use crate::Result;
use crate::canvas::{Canvas, Grid, Image, Mask, Rect};
use crate::request::{Pin, Placement};
use crate::subject::{Mesh, Subject};

/// A subject as it stands.
pub(crate) struct Figure {
    /// Where the crop's corner lies in the picture; may be outside.
    origin: [i32; 2],
    /// The subject's own colours.
    pub colours: Image,
    /// Its coverage.
    pub matte: Mask,
    mesh: Mesh,
}

impl Figure {
    /// A crop (colours and matte of one size) whose corner lies at `origin`.
    pub fn new(origin: [i32; 2], colours: Image, matte: Mask) -> Self {
        Self {
            origin,
            mesh: crate::learn::mesh::mesh(&matte),
            colours,
            matte,
        }
    }

    /// The learned subject, where it was learned.
    pub fn of(subject: &Subject) -> Self {
        Self {
            origin: [subject.rect.x as i32, subject.rect.y as i32],
            colours: subject.colours.clone(),
            matte: subject.matte.clone(),
            mesh: subject.mesh.clone(),
        }
    }

    /// The same with the middle of its silhouette in the middle of a picture.
    pub fn centred(mut self, picture: Rect) -> Self {
        let middle = self.middle();
        self.origin = [
            picture.width as i32 / 2 - middle[0].round() as i32,
            picture.height as i32 / 2 - middle[1].round() as i32,
        ];
        self
    }

    /// Middle of the silhouette's box, in pixels of the crop.
    fn middle(&self) -> [f32; 2] {
        let s = self.matte.support();
        [
            s.x as f32 + s.width as f32 / 2.0,
            s.y as f32 + s.height as f32 / 2.0,
        ]
    }

    /// The figure after pins (in picture pixels) and placement; what leaves the picture is cut off.
    pub fn posed(&self, canvas: &Canvas<'_>, pins: &[Pin], placement: &Placement) -> Result<Posed> {
        let corner = self.origin.map(|v| v as f32);
        let local = |p: [f32; 2]| [p[0] - corner[0], p[1] - corner[1]];
        let pins: Vec<Pin> = pins
            .iter()
            .map(|p| Pin {
                from: local(p.from),
                to: local(p.to),
                ..*p
            })
            .collect();
        let deformed = deform(&self.mesh, &self.matte, &pins, placement, self.middle())
            .map_err(|unusable| unusable.error(&pins, corner))?;
        let (low, high) = bounds(&deformed);
        let all = canvas.bounds();
        let edge = |v: f32, limit: usize| v.clamp(0.0, limit as f32) as usize;
        let (left, top) = (
            edge((low[0] + corner[0]).floor() - 1.0, all.width),
            edge((low[1] + corner[1]).floor() - 1.0, all.height),
        );
        let (right, bottom) = (
            edge((high[0] + corner[0]).ceil() + 1.0, all.width),
            edge((high[1] + corner[1]).ceil() + 1.0, all.height),
        );
        let rect = Rect {
            x: left,
            y: top,
            width: right.saturating_sub(left),
            height: bottom.saturating_sub(top),
        };
        if rect.width == 0 || rect.height == 0 {
            return Ok(Posed {
                rect: Rect::default(),
                colours: Grid::default(),
                matte: Grid::default(),
                stretch: Grid::default(),
            });
        }
        let frame = Frame {
            width: rect.width,
            height: rect.height,
            origin: [
                self.origin[0] - rect.x as i32,
                self.origin[1] - rect.y as i32,
            ],
        };
        let warped = warp(&self.colours, &self.matte, &self.mesh, &deformed, frame)?;
        let seen = warped.matte.support();
        Ok(Posed {
            rect: Rect {
                x: rect.x + seen.x,
                y: rect.y + seen.y,
                ..seen
            },
            colours: warped.colours.crop(seen),
            matte: warped.matte.crop(seen),
            stretch: warped.stretch.crop(seen),
        })
    }
}
