//! DETEX's attribute mappers (arXiv 2312.11826, §3): what makes of a picture its words for pose and background.

use candle_core::{DType, Tensor};

use crate::Result;
use crate::engine::stable_diffusion::model::Model;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::kernels;
use crate::learn::train::{AdamW, Net, Parts};

/// Features are taken from so many places across, and down.
const PLACES: usize = 8;

/// What a mapper tells of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    /// What the subject does.
    Pose,
    /// What is around it.
    Place,
}

impl Attribute {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Pose, Self::Place];

    /// What stands for it in the names of learned words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pose => "pose",
            Self::Place => "place",
        }
    }

    /// The word of the vocabulary that its learned word begins as.
    pub fn like(self) -> &'static str {
        match self {
            Self::Pose => "pose",
            Self::Place => "background",
        }
    }
}

/// Two networks of two layers each, over a frozen encoder's features. What they give is added to the words that they begin as;
/// at first it is 0.
#[derive(Debug)]
pub struct Mappers {
    net: Net,
    /// For each attribute the vectors of [`Attribute::like`], `[1, width]` for each text encoder.
    starts: [Vec<Tensor>; 2],
}

impl Mappers {
    /// For pictures with features like `features`.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new(model: &Model, features: &Tensor, noise: &mut Noise) -> Result<Self> {
        let inputs = features.dim(1)?;
        let widths = model.text_widths();
        let hidden = widths.first().copied().unwrap_or(1);
        let mut net = Net::new(model.device());
        for attribute in Attribute::ALL.map(Attribute::name) {
            let deviation = (inputs as f64).powf(-0.5);
            net.add_linear(
                &format!("{attribute}.0"),
                [inputs, hidden],
                deviation,
                noise,
            )?;
            for (index, width) in widths.iter().enumerate() {
                net.add_silent(&format!("{attribute}.1.{index}"), [hidden, *width])?;
            }
        }
        let [pose, place] = Attribute::ALL.map(|attribute| model.vectors_of(attribute.like()));
        Ok(Self {
            net,
            starts: [pose?, place?],
        })
    }

    /// What is known of a picture, `[1, n]`: its latents `[1, channels, height, width]`, pooled to 8×8 places, with mean 0 and
    /// variance 1.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn features(latents: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = latents.dims4()?;
        // Frames are multiples of 8 latents.
        let window = ((height / PLACES).max(1), (width / PLACES).max(1));
        let pooled = latents.to_dtype(DType::F32)?.avg_pool2d(window)?;
        let flat = pooled.flatten_from(1)?;
        let (one, zero) = (
            flat.squeeze(0)?.ones_like()?,
            flat.squeeze(0)?.zeros_like()?,
        );
        Ok(kernels::layer_norm(&flat, &one, &zero, 1e-5)?)
    }

    /// The word for an attribute of a picture, `[1, width]` for each text encoder.
    ///
    /// # Errors
    /// If the features are of another size.
    pub fn forward(&self, attribute: Attribute, features: &Tensor) -> Result<Vec<Tensor>> {
        let name = attribute.name();
        let hidden = self.net.linear(&format!("{name}.0"), features)?;
        let hidden = kernels::gelu_erf(&hidden)?;
        let word = |(index, start): (usize, &Tensor)| {
            let away = self.net.linear(&format!("{name}.1.{index}"), &hidden)?;
            Ok((start + away)?)
        };
        let starts = &self.starts[attribute as usize];
        starts.iter().enumerate().map(word).collect()
    }

    /// From here on they are learned.
    ///
    /// # Errors
    /// As [`Net::begin`].
    pub fn begin(&mut self, rate: f64, parts: &mut Parts) -> Result<()> {
        self.net.begin("mappers", AdamW::new(rate), parts)
    }

    /// No longer.
    pub fn end(&mut self) {
        self.net.end();
    }
}
