//! RGB profiles made of tables: no matrix, an A2B and a B2A table instead (scanners, printers, sRGB v4 preference).

use std::sync::Arc;

use moxcms::{ColorProfile, Layout, RenderingIntent, TransformF32Executor, TransformOptions};

use super::colour::{apply, inverse, product};
use super::curve::Curve;
use crate::{Error, Result};

/// Both ways through a table profile. In between stands ProPhoto RGB, wide enough that hardly any colour is clipped.
pub(super) struct TableProfile {
    to_wide: Arc<TransformF32Executor>,
    from_wide: Arc<TransformF32Executor>,
    curve: Curve,
    wide_to_srgb: [[f64; 3]; 3],
    srgb_to_wide: [[f64; 3]; 3],
}

fn unusable(what: &str) -> Error {
    Error::caller(format!(
        "expected an RGB or grey profile that works in both directions; the picture's ICC profile {what}; convert the \
         picture to sRGB or another standard profile"
    ))
}

impl TableProfile {
    pub(super) fn new(profile: &ColorProfile) -> Result<Self> {
        let wide = ColorProfile::new_pro_photo_rgb();
        let options = TransformOptions {
            rendering_intent: RenderingIntent::RelativeColorimetric,
            ..TransformOptions::default()
        };
        let to_wide = profile
            .create_transform_f32(Layout::Rgb, &wide, Layout::Rgb, options)
            .map_err(|e| unusable(&format!("cannot be read from ({e})")))?;
        let from_wide = wide
            .create_transform_f32(Layout::Rgb, profile, Layout::Rgb, options)
            .map_err(|e| unusable(&format!("cannot be written to ({e})")))?;
        let srgb = ColorProfile::new_srgb().colorant_matrix().v;
        let (Some(to_wide_matrix), Some(to_srgb_matrix)) =
            (inverse(&wide.colorant_matrix().v), inverse(&srgb))
        else {
            return Err(Error::bug("the built-in profiles have no inverse"));
        };
        Ok(Self {
            to_wide,
            from_wide,
            curve: Curve::gamma(1.8)?,
            wide_to_srgb: product(&to_srgb_matrix, &wide.colorant_matrix().v),
            srgb_to_wide: product(&to_wide_matrix, &srgb),
        })
    }

    /// A device colour as linear light with sRGB primaries.
    pub(super) fn to_linear(&self, colour: [f32; 3]) -> [f64; 3] {
        let wide = run(&self.to_wide, colour);
        apply(
            &self.wide_to_srgb,
            wide.map(|v| self.curve.decode(f64::from(v))),
        )
    }

    /// Linear light with sRGB primaries as a device colour.
    pub(super) fn to_device(&self, linear: [f64; 3]) -> [f64; 3] {
        let wide = apply(&self.srgb_to_wide, linear).map(|v| self.curve.encode(v) as f32);
        run(&self.from_wide, wide).map(f64::from)
    }
}

fn run(transform: &Arc<TransformF32Executor>, colour: [f32; 3]) -> [f32; 3] {
    let inside = colour.map(|v| v.clamp(0.0, 1.0));
    let mut out = [0.0; 3];
    // The one error it knows is a wrong number of samples, which cannot come here; black is a visible answer to a bug.
    if transform.transform(&inside, &mut out).is_err() {
        return [0.0; 3];
    }
    out
}
