//! SingleInsert's image encoder (arXiv 2310.08094, §3): a picture in, the subject's word out. It begins with random weights, as in
//! the authors' code.

use candle_core::{Device, Tensor};

use crate::Result;
use crate::canvas::Image;
use crate::engine::stable_diffusion::config::ClipConfig;
use crate::engine::stable_diffusion::frame::scale_image;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::kernels::{self, Precision};
use crate::learn::train::{AdamW, Net, Parts};

/// Side of the picture that is looked at, and of its patches, in pixels.
const SIDE: usize = 224;
const PATCH: usize = 32;
/// Values of a patch, and how many there are, with the class token before them.
const VALUES: usize = PATCH * PATCH * 3;
const TOKENS: usize = (SIDE / PATCH) * (SIDE / PATCH) + 1;
/// The largest encoder, the paper's own, for each model that is as large: ViT-B/32 (arXiv 2010.11929, table 1).
const LARGEST: Body = Body {
    width: 768,
    inner: 3072,
    layers: 12,
    heads: 12,
};

/// A vision transformer of CLIP's form (arXiv 2103.00020): patches and a class token, positions, layers with norms before their
/// parts, the class token's state through a norm and a projection for each of the model's text encoders.
#[derive(Debug)]
pub struct ImageEncoder {
    net: Net,
    body: Body,
    /// What each projection's result is multiplied by.
    scales: Vec<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Body {
    width: usize,
    inner: usize,
    layers: usize,
    heads: usize,
}

impl Body {
    /// In proportion to a text encoder: for that of SD 1.x it is the paper's.
    fn beside(text: &ClipConfig) -> Self {
        if text.hidden_size > LARGEST.width {
            return LARGEST;
        }
        Self {
            width: text.hidden_size,
            inner: text.intermediate_size,
            layers: text.num_hidden_layers.min(LARGEST.layers),
            heads: text.num_attention_heads,
        }
    }
}

impl ImageEncoder {
    /// Random weights with the deviations that CLIP begins with. `text` is the model's first text encoder; the result has a
    /// vector for each of `words`, which are `[1, width]`, and on average their length.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new(
        text: &ClipConfig,
        words: &[Tensor],
        device: &Device,
        noise: &mut Noise,
    ) -> Result<Self> {
        let body = Body::beside(text);
        let Body { width, inner, .. } = body;
        let usual = (width as f64).powf(-0.5);
        let shallow = usual * (2.0 * body.layers as f64).powf(-0.5);
        let mut net = Net::new(device);
        net.draw("patches.weight", &[width, VALUES], 0.02, noise)?;
        net.draw("class", &[1, width], usual, noise)?;
        net.draw("positions", &[TOKENS, width], 0.02, noise)?;
        net.add_norm("norm.first", width)?;
        for layer in 0..body.layers {
            let mut linear = |part: &str, sizes, deviation| {
                net.add_linear(&format!("{layer}.{part}"), sizes, deviation, noise)
            };
            for part in ["query", "key", "value"] {
                linear(part, [width, width], shallow)?;
            }
            linear("out", [width, width], usual)?;
            linear("fc1", [width, inner], (2.0 * width as f64).powf(-0.5))?;
            linear("fc2", [inner, width], shallow)?;
            net.add_norm(&format!("{layer}.norm1"), width)?;
            net.add_norm(&format!("{layer}.norm2"), width)?;
        }
        net.add_norm("norm.last", width)?;
        let mut scales = Vec::with_capacity(words.len());
        for (index, word) in words.iter().enumerate() {
            let outputs = word.dim(1)?;
            let name = format!("projection.{index}.weight");
            net.draw(&name, &[outputs, width], usual, noise)?;
            let length = word.sqr()?.mean_all()?.sqrt()?.to_scalar::<f32>()?;
            scales.push(f64::from(length));
        }
        Ok(Self { net, body, scales })
    }

    /// A picture as the encoder takes it: `[49, 3072]`, -1 to 1. Its shape is lost, as in the authors' code.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn patches(image: &Image, device: &Device) -> Result<Tensor> {
        let small = scale_image(image, SIDE, SIDE);
        let side = SIDE / PATCH;
        let shape = (side, PATCH, side, PATCH, 3);
        let pixels = Tensor::from_slice(small.data().as_flattened(), shape, &Device::Cpu)?;
        let patches = pixels.permute((0, 2, 1, 3, 4))?.contiguous()?;
        let patches = patches.reshape((TOKENS - 1, VALUES))?.affine(2.0, -1.0)?;
        Ok(patches.to_device(device)?)
    }

    /// The word's vectors, `[1, width]` for each text encoder, for [`patches`](Self::patches) of a picture.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn forward(&self, patches: &Tensor) -> Result<Vec<Tensor>> {
        let net = &self.net;
        let tokens = [net.get("class")?.clone(), net.linear("patches", patches)?];
        let x = (Tensor::cat(&tokens, 0)? + net.get("positions")?)?.unsqueeze(0)?;
        let mut x = net.norm("norm.first", &x)?;
        for layer in 0..self.body.layers {
            x = self.layer(layer, &x)?;
        }
        let class = net.norm("norm.last", &x.narrow(1, 0, 1)?.squeeze(1)?)?;
        let word = |(index, scale): (usize, &f64)| {
            let word = net.linear(&format!("projection.{index}"), &class)?;
            Ok((word * *scale)?)
        };
        self.scales.iter().enumerate().map(word).collect()
    }

    /// Self-attention and a feed-forward part, each on a normed input and added to it.
    fn layer(&self, layer: usize, x: &Tensor) -> Result<Tensor> {
        let net = &self.net;
        let linear = |part: &str, x: &Tensor| net.linear(&format!("{layer}.{part}"), x);
        let normed = net.norm(&format!("{layer}.norm1"), x)?;
        let split = |part: &str| {
            let y = linear(part, &normed)?;
            Ok::<_, crate::Error>(kernels::split_heads(&y, self.body.heads)?)
        };
        let (q, k, v) = (split("query")?, split("key")?, split("value")?);
        let scale = 1.0 / (q.dim(3)? as f64).sqrt();
        let seen = kernels::attention(&q, &k, &v, scale, None, false, Precision::F32)?;
        let x = (x + linear("out", &kernels::merge_heads(&seen)?)?)?;
        let inner = linear("fc1", &net.norm(&format!("{layer}.norm2"), &x)?)?;
        Ok((&x + linear("fc2", &kernels::quick_gelu(&inner)?)?)?)
    }

    /// From here on it is learned.
    ///
    /// # Errors
    /// As [`Net::begin`].
    pub fn begin(&mut self, rate: f64, parts: &mut Parts) -> Result<()> {
        self.net.begin("encoder", AdamW::new(rate), parts)
    }

    /// No longer.
    pub fn end(&mut self) {
        self.net.end();
    }
}
