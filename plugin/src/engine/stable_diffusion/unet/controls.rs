//! What can be read from and fed to a U-Net's attentions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Tensor};

use super::Deep;
use crate::{Error, Result};

/// An attention of a U-Net.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its module name, for example `up_blocks.1.attentions.0.transformer_blocks.0.attn2`.
    pub name: String,
    /// Whether it attends to the text; else to the picture itself.
    pub cross: bool,
    /// Its level: latents are 2^level times as large as its grid of tokens.
    pub level: usize,
    /// On which way it lies.
    pub place: Place,
    /// Number of heads.
    pub heads: usize,
    /// Whether passes that reuse deep features compute it, see [`Deep`].
    pub fine: bool,
}

/// Where in a U-Net an attention lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the way down.
    Down,
    /// In the middle.
    Mid,
    /// On the way up.
    Up,
}

/// What is asked of a pass, by names of [`Layer`]s.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    /// Attentions whose maps are kept. They are computed by way of all their probabilities: slower, and their memory grows
    /// with the square of the tokens.
    pub maps: BTreeSet<String>,
    /// Self-attentions whose keys and values are kept.
    pub record: BTreeSet<String>,
    /// Self-attentions that get other keys and values.
    pub feed: BTreeMap<String, Feed>,
    /// Keep only the blocks' inputs for the backward pass, and compute blocks again there: less memory, about a third more
    /// time. Blocks that are read or fed are kept whole.
    pub checkpoint: bool,
    /// Where the text's keys and values are kept from pass to pass; `None`: each pass makes them.
    pub memory: Option<TextMemory>,
    /// Whether deep features are kept or reused; `None`: neither.
    pub deep: Option<Deep>,
}

/// The keys and values that the attentions to the text make of it, the same at every step of a run: made once. For one
/// context, one set of adapters, and passes without gradients.
#[derive(Debug, Clone, Default)]
pub struct TextMemory(Arc<Mutex<BTreeMap<String, (Tensor, Tensor)>>>);

impl TextMemory {
    /// Keys and values of a layer, made by `make` the first time.
    pub(super) fn recall(
        &self,
        layer: &str,
        make: impl FnOnce() -> Result<(Tensor, Tensor)>,
    ) -> Result<(Tensor, Tensor)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(layer) {
            return Ok(known.clone());
        }
        let made = make()?;
        kept.insert(layer.to_owned(), made.clone());
        Ok(made)
    }
}

/// What was kept of a pass, by names of [`Layer`]s.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Maps, see [`Controls::maps`].
    pub maps: BTreeMap<String, Map>,
    /// Keys and values, see [`Controls::record`].
    pub features: BTreeMap<String, Features>,
    /// Whether deep features were reused, see [`Deep::Take`].
    pub fine: bool,
}

/// The probabilities of an attention, averaged over its heads. Differentiable.
#[derive(Debug, Clone)]
pub struct Map {
    /// `[batch, height · width, keys]`: how much each place attends to each key (a token of the text; in self-attention a
    /// place, fed keys last).
    pub probabilities: Tensor,
    /// Rows of places.
    pub height: usize,
    /// Places in a row.
    pub width: usize,
}

/// The keys and values of a self-attention.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[batch, heads, height · width, d]`.
    pub keys: Tensor,
    /// `[batch, heads, height · width, d]`.
    pub values: Tensor,
    /// Rows of places.
    pub height: usize,
    /// Places in a row.
    pub width: usize,
}

/// Keys and values that a self-attention is given.
#[derive(Debug, Clone)]
pub struct Feed {
    /// `[1 or batch, heads, m, d]`.
    pub keys: Tensor,
    /// `[1 or batch, heads, m, d]`.
    pub values: Tensor,
    /// `[1 or batch, m]`: added to the keys' scores. ln w weighs a key by w, −∞ hides it.
    pub log_weights: Option<Tensor>,
    /// Whether its own keys and values stay.
    pub beside: bool,
}

impl Seen {
    /// All recorded features, to be fed beside attentions' own ([`Features::beside`]), each place by its weight.
    ///
    /// # Errors
    /// As there.
    pub fn beside(self, weigh: impl Fn(&Features) -> Vec<f32>) -> Result<BTreeMap<String, Feed>> {
        let mut feed = BTreeMap::new();
        for (name, features) in self.features {
            if let Some(one) = features.beside(Some(&weigh(&features)))? {
                feed.insert(name, one);
            }
        }
        Ok(feed)
    }
}

impl Features {
    /// These, to be fed beside an attention's own keys and values: DreamTuner's self-subject-attention (arXiv 2312.13691).
    /// `weights` has one number from 0 on for each place, row by row, or as many rows of these as the fed pass has samples:
    /// ω inside the subject, 0 outside; `None` is 1 everywhere. Places of weight 0 in all samples are left out, so a mask of
    /// zeros gives `None`: the attention stays exactly as it is.
    ///
    /// # Errors
    /// `Caller` if `weights` do not fit or are negative or not finite.
    pub fn beside(&self, weights: Option<&[f32]>) -> Result<Option<Feed>> {
        self.feed(weights, true)
    }

    /// These, to be fed in place of an attention's own: MasaCtrl (arXiv 2304.08465). `weights` as in
    /// [`beside`](Self::beside).
    ///
    /// # Errors
    /// As [`beside`](Self::beside); also if some, but not all, samples are left without any.
    pub fn instead(&self, weights: Option<&[f32]>) -> Result<Option<Feed>> {
        self.feed(weights, false)
    }

    fn feed(&self, weights: Option<&[f32]>, beside: bool) -> Result<Option<Feed>> {
        let Some(weights) = weights else {
            return Ok(Some(Feed {
                keys: self.keys.clone(),
                values: self.values.clone(),
                log_weights: None,
                beside,
            }));
        };
        let places = self.height * self.width;
        if weights.is_empty() || !weights.len().is_multiple_of(places) {
            return Err(Error::caller(format!(
                "{} weights of reference tokens for {}×{} places",
                weights.len(),
                self.height,
                self.width
            )));
        }
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) {
            return Err(Error::caller(
                "a weight of a reference token is negative or not finite; expected 0 or more",
            ));
        }
        let rows = weights.chunks_exact(places);
        let kept: Vec<u32> = (0..places as u32)
            .filter(|i| rows.clone().any(|row| row[*i as usize] > 0.0))
            .collect();
        if kept.is_empty() {
            return Ok(None);
        }
        if !beside && rows.clone().any(|row| row.iter().all(|w| *w == 0.0)) {
            return Err(Error::caller(
                "reference tokens in place of an attention's own, but none for one of the samples",
            ));
        }
        let samples = rows.len();
        let logs: Vec<f32> = rows
            .flat_map(|row| kept.iter().map(|i| row[*i as usize].ln()))
            .collect();
        let device = self.keys.device();
        let logs = Tensor::from_vec(logs, (samples, kept.len()), &Device::Cpu)?;
        let kept = Tensor::new(kept, device)?;
        Ok(Some(Feed {
            keys: self.keys.contiguous()?.index_select(&kept, 2)?,
            values: self.values.contiguous()?.index_select(&kept, 2)?,
            log_weights: Some(logs.to_device(device)?),
            beside,
        }))
    }
}

impl Feed {
    /// Both, to be fed together: these first.
    ///
    /// # Errors
    /// `Bug` if they are not for one attention and as many samples, or only one has weights.
    pub fn and(&self, other: &Self) -> Result<Self> {
        let log_weights = match (&self.log_weights, &other.log_weights) {
            (Some(own), Some(more)) => Some(Tensor::cat(&[own, more], 1)?),
            (None, None) => None,
            _ => return Err(Error::bug("keys with and without weights are fed together")),
        };
        Ok(Self {
            keys: Tensor::cat(&[&self.keys, &other.keys], 2)?,
            values: Tensor::cat(&[&self.values, &other.values], 2)?,
            log_weights,
            beside: self.beside,
        })
    }

    /// Keys, values and mask of an attention that has these of its own.
    pub(super) fn join(&self, k: Tensor, v: Tensor) -> Result<(Tensor, Tensor, Option<Tensor>)> {
        let (batch, heads, own, d) = k.dims4()?;
        let m = self.keys.dims().get(2).copied().unwrap_or(0);
        let fits = |t: &Tensor| t.dims() == [1, heads, m, d] || t.dims() == [batch, heads, m, d];
        let masked = match &self.log_weights {
            Some(t) => t.dims() == [1, m] || t.dims() == [batch, m],
            None => true,
        };
        if m == 0 || !fits(&self.keys) || !fits(&self.values) || !masked {
            return Err(Error::caller(format!(
                "keys {:?} and values {:?} fed to an attention of keys {:?}: they are of another model, size or batch",
                self.keys.dims(),
                self.values.dims(),
                k.dims()
            )));
        }
        let spread = |t: &Tensor| t.to_dtype(k.dtype())?.broadcast_as((batch, heads, m, d));
        let (keys, values) = (spread(&self.keys)?, spread(&self.values)?);
        if !self.beside {
            return Ok((
                keys.contiguous()?,
                values.contiguous()?,
                self.log_weights.clone(),
            ));
        }
        let mask = match &self.log_weights {
            Some(logs) => {
                let unchanged = Tensor::zeros((logs.dim(0)?, own), logs.dtype(), logs.device())?;
                Some(Tensor::cat(&[&unchanged, logs], 1)?)
            }
            None => None,
        };
        let k = Tensor::cat(&[&k, &keys], 2)?;
        let v = Tensor::cat(&[&v, &values], 2)?;
        Ok((k, v, mask))
    }
}

/// A pass under way.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) controls: &'a Controls,
    pub(super) seen: Seen,
}

impl Controls {
    /// Whether this names any of the layers whose names begin so.
    pub(super) fn touch(&self, prefix: &str) -> bool {
        let begins = |name: &String| name.starts_with(prefix);
        self.maps.iter().any(begins)
            || self.record.iter().any(begins)
            || self.feed.keys().any(begins)
    }

    /// That all names are those of such layers.
    pub(super) fn check(&self, layers: &[Layer]) -> Result<()> {
        let find = |name: &String| layers.iter().find(|layer| layer.name == *name);
        if let Some(name) = self.maps.iter().find(|name| find(name).is_none()) {
            return Err(Error::caller(format!("the U-Net has no attention {name}")));
        }
        for name in self.record.iter().chain(self.feed.keys()) {
            if find(name).is_none_or(|layer| layer.cross) {
                return Err(Error::caller(format!(
                    "the U-Net has no self-attention {name}"
                )));
            }
        }
        Ok(())
    }
}
