//! Reads off a picture of the world what is in it, where its joints are, and who it is: the network of
//! `examples/world/pocket/probe.py`.

use std::collections::HashMap;
use std::path::Path;

use ::safetensors::SafeTensors;
use candle_core::{D, DType, Device, Tensor};
use serde::Deserialize;
use serde_json::from_str;

use crate::Result;

/// Pixels of a side of what it sees.
const SIDE: usize = 64;
/// Side of its maps of the joints.
const MAPS: usize = 16;

/// The network.
pub struct Probe {
    weights: HashMap<String, Tensor>,
    /// The words that it tells apart, the absence of an accessory and of a mark among them.
    lists: Vec<(String, Vec<Option<String>>)>,
    /// As measured on pictures that training never saw.
    pub held_out: HeldOut,
}

/// What the probe is worth.
#[derive(Debug, Clone, Deserialize)]
pub struct HeldOut {
    /// Shares that are told right.
    pub kind: f32,
    /// As above.
    pub colour: f32,
    /// As above.
    pub action: f32,
    /// Distance of the joints, as a share of the side.
    pub joint: f32,
    /// One in twenty pictures of the same subject is less alike than this.
    pub floor: f32,
}

/// What it says of a picture.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The most likely word of each list.
    words: HashMap<String, Option<String>>,
    /// Shares of the side, in the order of [`repose_world::JOINTS`].
    pub joints: Vec<[f32; 2]>,
    /// Who it is, a direction.
    pub identity: Vec<f32>,
}

impl Seen {
    /// The word of a list, such as `action`.
    pub fn word(&self, list: &str) -> Option<&str> {
        self.words.get(list)?.as_deref()
    }

    /// How much the same subject two pictures show, -1 to 1.
    pub fn alike(&self, other: &Self) -> f32 {
        let pairs = self.identity.iter().zip(&other.identity);
        pairs.map(|(a, b)| a * b).sum()
    }
}

impl Probe {
    /// Reads the file that training wrote.
    ///
    /// # Errors
    /// If there is none, or not of this network.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let told = header
            .metadata()
            .as_ref()
            .ok_or("the probe's file says nothing of itself")?;
        let part = |name: &str| {
            told.get(name)
                .ok_or(format!("the probe's file has no {name}"))
        };
        let lists = from_str(part("lists")?)?;
        let held_out = from_str(part("held_out")?)?;
        let weights = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
        let weights = weights
            .into_iter()
            .map(|(name, weight)| Ok((name, weight.to_dtype(DType::F32)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            weights,
            lists,
            held_out,
        })
    }

    /// What a picture shows: sRGB bytes, `side` a multiple of 64.
    ///
    /// # Errors
    /// If the file was of another network after all.
    pub fn see(&self, rgb: &[[u8; 3]], side: usize) -> Result<Seen> {
        let picture = shrunk(rgb, side / SIDE)?;
        let mut x = self.conv("begin", &picture, 2, 1)?.relu()?;
        let mut fine = None;
        for level in 0..3 {
            x = self.conv(&format!("down.{level}"), &x, 2, 1)?.relu()?;
            let inner = self.conv(&format!("blocks.{level}.first"), &x, 1, 1)?;
            let inner = self.conv(&format!("blocks.{level}.second"), &inner.relu()?, 1, 1)?;
            x = (x + inner)?.relu()?;
            fine.get_or_insert_with(|| x.clone());
        }
        let narrow = self.conv("narrow", &x, 1, 0)?.relu()?;
        let whole = self.linear("whole", &narrow.flatten_from(1)?)?.relu()?;
        let fine = fine.ok_or("a network without levels")?;
        let context = self.conv("context", &x, 1, 0)?;
        let context = context.upsample_nearest2d(MAPS, MAPS)?;
        let mixed = self.conv("mix", &(fine + context)?.relu()?, 1, 1)?;
        let maps = self.conv("maps", &mixed.relu()?, 1, 0)?;
        Ok(Seen {
            words: self.words(&self.linear("classes", &whole)?)?,
            joints: centres(&maps)?,
            identity: direction(&self.linear("identity", &whole)?)?,
        })
    }

    fn words(&self, logits: &Tensor) -> Result<HashMap<String, Option<String>>> {
        let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
        let mut rest = logits.as_slice();
        let mut words = HashMap::new();
        for (list, known) in &self.lists {
            let own = rest
                .split_off(..known.len())
                .ok_or("the probe's lists are longer than what it tells")?;
            let best = own.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            words.insert(list.clone(), best.and_then(|(n, _)| known[n].clone()));
        }
        Ok(words)
    }

    fn weight(&self, name: &str) -> Result<&Tensor> {
        Ok(self
            .weights
            .get(name)
            .ok_or(format!("the probe's file has no {name}"))?)
    }

    fn conv(&self, name: &str, x: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
        let bias = self
            .weight(&format!("{name}.bias"))?
            .reshape((1, (), 1, 1))?;
        let weight = self.weight(&format!("{name}.weight"))?;
        Ok(x.conv2d(weight, padding, stride, 1, 1)?
            .broadcast_add(&bias)?)
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight(&format!("{name}.weight"))?.t()?;
        Ok(x.matmul(&weight)?
            .broadcast_add(self.weight(&format!("{name}.bias"))?)?)
    }
}

/// Means of `step` × `step` pixels, -1 to 1, [1, 3, 64, 64].
fn shrunk(rgb: &[[u8; 3]], step: usize) -> Result<Tensor> {
    let fine = SIDE * step;
    let values: Vec<f32> = rgb
        .as_flattened()
        .iter()
        .map(|&v| f32::from(v) / 127.5 - 1.0)
        .collect();
    let picture = Tensor::from_vec(values, (1, fine, fine, 3), &Device::Cpu)?;
    Ok(picture
        .permute((0, 3, 1, 2))?
        .contiguous()?
        .avg_pool2d(step)?)
}

/// Centres of gravity of the maps' softmax.
fn centres(maps: &Tensor) -> Result<Vec<[f32; 2]>> {
    let maps = maps.squeeze(0)?.flatten_from(1)?;
    let maps = maps.broadcast_sub(&maps.max_keepdim(D::Minus1)?)?.exp()?;
    let rows: Vec<Vec<f32>> = maps.to_vec2()?;
    let centre = |row: &Vec<f32>| {
        let mut sums = [0.0; 3];
        for (n, share) in row.iter().enumerate() {
            let at = |v: usize| (v as f32 + 0.5) / MAPS as f32;
            for (sum, factor) in sums.iter_mut().zip([1.0, at(n % MAPS), at(n / MAPS)]) {
                *sum += share * factor;
            }
        }
        [sums[1] / sums[0], sums[2] / sums[0]]
    };
    Ok(rows.iter().map(centre).collect())
}

fn direction(values: &Tensor) -> Result<Vec<f32>> {
    let values: Vec<f32> = values.flatten_all()?.to_vec1()?;
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
    Ok(values.iter().map(|v| v / length).collect())
}
