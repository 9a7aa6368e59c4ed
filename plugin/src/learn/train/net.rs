//! Small networks that are learned from nothing, beside the model: their weights are parts, which the model's own, frozen ones
//! cannot be.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::adamw::AdamW;
use super::parts::Parts;
use crate::engine::stable_diffusion::sampler::Noise;
use crate::{Error, Result, kernels};

/// Added to the variance in norms.
const EPSILON: f64 = 1e-5;

/// The weights of a small network in f32, by name.
#[derive(Debug)]
pub struct Net {
    weights: BTreeMap<String, Tensor>,
    device: Device,
}

impl Net {
    /// One without weights, on this device.
    pub fn new(device: &Device) -> Self {
        Self {
            weights: BTreeMap::new(),
            device: device.clone(),
        }
    }

    /// A weight of normally distributed numbers.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn draw(
        &mut self,
        name: &str,
        shape: &[usize],
        deviation: f64,
        noise: &mut Noise,
    ) -> Result<()> {
        let drawn = (noise.tensor(shape, &self.device)? * deviation)?;
        self.weights.insert(name.to_owned(), drawn);
        Ok(())
    }

    /// A projection of `inputs` to `outputs`, and a bias of 0.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn add_linear(
        &mut self,
        name: &str,
        [inputs, outputs]: [usize; 2],
        deviation: f64,
        noise: &mut Noise,
    ) -> Result<()> {
        self.draw(
            &format!("{name}.weight"),
            &[outputs, inputs],
            deviation,
            noise,
        )?;
        let bias = Tensor::zeros(outputs, DType::F32, &self.device)?;
        self.weights.insert(format!("{name}.bias"), bias);
        Ok(())
    }

    /// A projection of `inputs` to `outputs` that gives 0, and a bias of 0.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn add_silent(&mut self, name: &str, [inputs, outputs]: [usize; 2]) -> Result<()> {
        for (part, shape) in [("weight", vec![outputs, inputs]), ("bias", vec![outputs])] {
            let zeros = Tensor::zeros(shape, DType::F32, &self.device)?;
            self.weights.insert(format!("{name}.{part}"), zeros);
        }
        Ok(())
    }

    /// A layer norm that changes nothing beyond the norm.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn add_norm(&mut self, name: &str, width: usize) -> Result<()> {
        let (one, zero) = (
            Tensor::ones(width, DType::F32, &self.device)?,
            Tensor::zeros(width, DType::F32, &self.device)?,
        );
        self.weights.insert(format!("{name}.weight"), one);
        self.weights.insert(format!("{name}.bias"), zero);
        Ok(())
    }

    /// A weight.
    ///
    /// # Errors
    /// `Bug` if there is none of this name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        let missing = || Error::bug(format!("the network has no weight {name}"));
        self.weights.get(name).ok_or_else(missing)
    }

    /// x Wᵀ, and b where the projection has one: `[.., inputs]` to `[.., outputs]`.
    ///
    /// # Errors
    /// `Bug` if there is no such projection; if shapes do not fit.
    pub fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let weight = self.get(&format!("{name}.weight"))?;
        let (outputs, inputs) = weight.dims2()?;
        let mut shape = x.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = outputs;
        }
        let rows = x.reshape(((), inputs))?;
        let y = rows.matmul(&weight.t()?)?.reshape(shape)?;
        match self.weights.get(&format!("{name}.bias")) {
            Some(bias) => Ok(y.broadcast_add(bias)?),
            None => Ok(y),
        }
    }

    /// Normalises `[.., width]`.
    ///
    /// # Errors
    /// As [`linear`](Self::linear).
    pub fn norm(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (
            self.get(&format!("{name}.weight"))?,
            self.get(&format!("{name}.bias"))?,
        );
        // The kernel's own factors get no gradient.
        let normed = kernels::layer_norm(x, &weight.ones_like()?, &bias.zeros_like()?, EPSILON)?;
        Ok(normed.broadcast_mul(weight)?.broadcast_add(bias)?)
    }

    /// From here on all weights are learned, as parts whose names begin with `name`.
    ///
    /// # Errors
    /// As [`Parts::add`].
    pub fn begin(&mut self, name: &str, optimiser: AdamW, parts: &mut Parts) -> Result<()> {
        for (own, weight) in &mut self.weights {
            *weight = parts.add(&format!("{name}.{own}"), weight, optimiser)?;
        }
        Ok(())
    }

    /// No longer.
    pub fn end(&mut self) {
        for weight in self.weights.values_mut() {
            *weight = weight.detach();
        }
    }
}
