//! Seeded noise, the same on every machine.

use candle_core::{Device, Tensor};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

use crate::Result;

/// Normally distributed numbers from a seed.
///
/// PCG XSL RR 128/64 (`rand_pcg::Pcg64`, state = seed, stream as given) gives 64-bit words; each pair of words gives two
/// numbers by the Box–Muller transform in `f64`, rounded to `f32`: with u = (word₁ >> 11 + 1) · 2⁻⁵³ in (0, 1] and
/// v = (word₂ >> 11) · 2⁻⁵³, they are √(−2 ln u) · cos 2πv and √(−2 ln u) · sin 2πv, in that order. They are made on the CPU,
/// so that a GPU gets the same. They are not PyTorch's: a seed gives another picture there.
#[derive(Debug, Clone)]
pub struct Noise {
    generator: Pcg64,
    spare: Option<f32>,
}

impl Noise {
    /// The noise of a seed. Streams of one seed are independent of each other: one for each candidate, say.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self {
            generator: Pcg64::new(u128::from(seed), u128::from(stream)),
            spare: None,
        }
    }

    /// The next number: mean 0, variance 1.
    pub fn number(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let unit = (1u64 << 53) as f64;
        let mut word = || (self.generator.next_u64() >> 11) as f64;
        let u = (word() + 1.0) / unit;
        let v = word() / unit;
        let radius = (-2.0 * u.ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * v).sin_cos();
        self.spare = Some((radius * sin) as f32);
        (radius * cos) as f32
    }

    /// A whole number below `count`, all as likely: the upper half of word · `count`. 0 if there is none.
    pub fn below(&mut self, count: usize) -> usize {
        let product = u128::from(self.generator.next_u64()) * count as u128;
        (product >> 64) as usize
    }

    /// The next numbers as a tensor, the last dimension running fastest.
    ///
    /// # Errors
    /// `Device` if the device has no room for them.
    pub fn tensor(&mut self, shape: &[usize], device: &Device) -> Result<Tensor> {
        let count = shape.iter().product();
        let numbers: Vec<f32> = (0..count).map(|_| self.number()).collect();
        Ok(Tensor::from_vec(numbers, shape, device)?)
    }
}
