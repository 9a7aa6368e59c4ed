//! Attention among the places of a picture, or to a text.

use candle_core::{DType, Tensor};

use super::controls::{Features, Map, Pass};
use crate::Result;
use crate::engine::stable_diffusion::nn::{Linear, Slot, scores};
use crate::engine::stable_diffusion::weights::Weights;
use crate::kernels::{self, Precision};

/// diffusers' `Attention` as transformers of U-Nets have it.
#[derive(Debug)]
pub(super) struct Attention {
    name: String,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    upcast: bool,
    precision: Precision,
    /// Whether it attends to the text.
    cross: bool,
}

impl Attention {
    /// `text` is the width of the text that is attended to; `None`: to the picture's own places.
    pub(super) fn new(
        weights: &Weights,
        channels: usize,
        text: Option<usize>,
        heads: usize,
        upcast: bool,
    ) -> Result<Self> {
        let context = text.unwrap_or(channels);
        let project = |name, inputs| Linear::new(&weights.at(name), inputs, channels, false);
        Ok(Self {
            name: weights.path().to_owned(),
            query: project("to_q", channels)?,
            key: project("to_k", context)?,
            value: project("to_v", context)?,
            out: Linear::new(&weights.at("to_out.0"), channels, channels, true)?,
            heads,
            upcast,
            precision: weights.precision(),
            cross: text.is_some(),
        })
    }

    /// `x` is `[batch, tokens, channels]`, `context` `[batch, keys, width]`. `pass` comes with the rows and columns of the
    /// grid of tokens.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        context: &Tensor,
        pass: Option<(&mut Pass<'_>, (usize, usize))>,
    ) -> Result<Tensor> {
        let dtype = x.dtype();
        let split = |projection: &Linear, x: &Tensor| {
            let y = kernels::split_heads(&projection.forward(x)?, self.heads)?;
            Ok::<_, crate::Error>(match y.dtype() {
                DType::F16 | DType::BF16 if self.upcast => y.to_dtype(DType::F32)?,
                _ => y,
            })
        };
        let q = split(&self.query, x)?;
        let make = || Ok((split(&self.key, context)?, split(&self.value, context)?));
        let memory = pass
            .as_ref()
            .and_then(|(pass, _)| pass.controls.memory.as_ref());
        let (mut k, mut v) = match memory.filter(|_| self.cross) {
            Some(memory) => memory.recall(&self.name, make)?,
            None => make()?,
        };
        let scale = 1.0 / (q.dim(3)? as f64).sqrt();
        let mut mask = None;
        let mut map = None;
        if let Some((pass, (height, width))) = pass {
            if pass.controls.record.contains(&self.name) {
                let features = Features {
                    keys: k.clone(),
                    values: v.clone(),
                    height,
                    width,
                };
                pass.seen.features.insert(self.name.clone(), features);
            }
            if let Some(feed) = pass.controls.feed.get(&self.name) {
                (k, v, mask) = feed.join(k, v)?;
            }
            if pass.controls.maps.contains(&self.name) {
                let found = scores(&q, &k, &v, scale, mask.as_ref())?;
                let kept = Map {
                    probabilities: found.map,
                    height,
                    width,
                };
                pass.seen.maps.insert(self.name.clone(), kept);
                map = Some(found.output);
            }
        }
        let seen = match map {
            Some(seen) => seen,
            None => kernels::attention(&q, &k, &v, scale, mask.as_ref(), false, self.precision)?,
        };
        drop((q, k, v));
        self.out
            .forward(&kernels::merge_heads(&seen.to_dtype(dtype)?)?)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        [&self.query, &self.key, &self.value, &self.out]
            .map(|projection| projection.slot().clone())
            .into_iter()
    }
}
