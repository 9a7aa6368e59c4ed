//! A weight that never changes, as it lies in a mapped file or in memory.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Result, Tensor, bail};
use half::{bf16, f16};

use super::Precision;

/// Where the bytes of weights live: a mapped file, or memory.
pub type Bytes = Arc<dyn Source>;

/// Memory that holds weights and never changes.
pub trait Source: AsRef<[u8]> + Send + Sync {
    /// Tells that these bytes are not needed for a while. Their values stay; a mapped file leaves the process's memory until
    /// they are read again.
    fn rest(&self, _range: Range<usize>) {}
}

impl Source for Vec<u8> {}

/// A frozen weight in its storage type (`f32`, `f16` or `bf16`), stored once and shared by clones.
///
/// Half-precision weights stay half in memory; the kernels widen a tile at a time, so computing in `f32` costs no second
/// copy.
#[derive(Clone)]
pub struct Frozen {
    bytes: Bytes,
    range: Range<usize>,
    dtype: DType,
    shape: Arc<[usize]>,
    precision: Precision,
    placed: Arc<OnceLock<Tensor>>,
}

/// The values of a [`Frozen`], row-major.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// IEEE half.
    F16(&'a [f16]),
    /// bfloat16.
    BF16(&'a [bf16]),
}

impl Frozen {
    /// The weight whose bytes (native, that is little endian, row-major) are `range` of `bytes`. Bytes that are not aligned
    /// for their type are copied once.
    ///
    /// # Errors
    /// If the type is none of `F32`, `F16`, `BF16`, or the range does not lie in `bytes` or does not fit the shape.
    pub fn new(bytes: Bytes, range: Range<usize>, dtype: DType, shape: &[usize]) -> Result<Self> {
        let size = match dtype {
            DType::F32 => 4,
            DType::F16 | DType::BF16 => 2,
            other => bail!("a weight of type {other:?}; expected F32, F16 or BF16"),
        };
        let wanted = shape
            .iter()
            .try_fold(size, |all: usize, n| all.checked_mul(*n));
        let Some(view) = (*bytes).as_ref().get(range.clone()) else {
            bail!("a weight's bytes {range:?} lie beyond its file");
        };
        if wanted != Some(view.len()) {
            bail!("a weight of shape {shape:?} in {} bytes", view.len());
        }
        let aligned = view.as_ptr().align_offset(size) == 0;
        let (bytes, range) = if aligned {
            (bytes, range)
        } else {
            // One allocation of words, so that the copy is aligned for every type.
            let mut words = vec![0u32; view.len().div_ceil(4)];
            bytemuck::cast_slice_mut(&mut words)[..view.len()].copy_from_slice(view);
            let length = view.len();
            (Arc::new(Words(words)) as Bytes, 0..length)
        };
        Ok(Self {
            bytes,
            range,
            dtype,
            shape: shape.into(),
            precision: Precision::default(),
            placed: Arc::default(),
        })
    }

    /// A copy of a tensor's values in `dtype`.
    ///
    /// # Errors
    /// As [`Frozen::new`], or if the device cannot be read.
    pub fn of(tensor: &Tensor, dtype: DType) -> Result<Self> {
        let flat = tensor
            .to_device(&Device::Cpu)?
            .to_dtype(dtype)?
            .flatten_all()?;
        let bytes: Vec<u8> = match dtype {
            DType::F32 => bytemuck::cast_slice(&flat.to_vec1::<f32>()?).to_vec(),
            DType::F16 => bytemuck::cast_slice(&flat.to_vec1::<f16>()?).to_vec(),
            DType::BF16 => bytemuck::cast_slice(&flat.to_vec1::<bf16>()?).to_vec(),
            other => bail!("a weight of type {other:?}; expected F32, F16 or BF16"),
        };
        let length = bytes.len();
        Self::new(Arc::new(bytes), 0..length, dtype, tensor.dims())
    }

    /// The same values, seen in another shape.
    ///
    /// # Errors
    /// If it has another number of values.
    pub fn reshaped(&self, shape: &[usize]) -> Result<Self> {
        let (bytes, range) = (Arc::clone(&self.bytes), self.range.clone());
        Ok(Self::new(bytes, range, self.dtype, shape)?.in_precision(self.precision))
    }

    /// The same weight, whose products with many rows or pixels are computed to this precision. Gradients and products with
    /// few are always `f32`.
    pub fn in_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// See [`in_precision`](Self::in_precision).
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Tells that these values are not needed for a while.
    pub fn rest(&self) {
        self.bytes.rest(self.range.clone());
    }

    /// Sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The storage type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The values as they are stored.
    pub fn values(&self) -> Values<'_> {
        let view = &(*self.bytes).as_ref()[self.range.clone()];
        match self.dtype {
            DType::F16 => Values::F16(bytemuck::cast_slice(view)),
            DType::BF16 => Values::BF16(bytemuck::cast_slice(view)),
            // `new` lets no other type in.
            _ => Values::F32(bytemuck::cast_slice(view)),
        }
    }

    /// A tensor with a copy of the values.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn tensor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = &*self.shape;
        let cpu = &Device::Cpu;
        let tensor = match self.values() {
            Values::F32(values) => Tensor::from_slice(values, shape, cpu)?,
            Values::F16(values) => Tensor::from_slice(values, shape, cpu)?,
            Values::BF16(values) => Tensor::from_slice(values, shape, cpu)?,
        };
        tensor.to_dtype(dtype)?.to_device(device)
    }

    /// As [`Frozen::tensor`], but the copy on a device other than the CPU is kept and shared by clones: a network that runs
    /// there uploads each weight once.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn placed(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        if let Some(kept) = self.placed.get()
            && kept.dtype() == dtype
            && kept.device().same_device(device)
        {
            return Ok(kept.clone());
        }
        let tensor = self.tensor(dtype, device)?;
        if !device.is_cpu() {
            // Another device or type than the first gets a copy of its own each time.
            let _ = self.placed.set(tensor.clone());
        }
        Ok(tensor)
    }
}

impl Source for Words {}

impl fmt::Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frozen({:?} {:?})", self.dtype, self.shape)
    }
}

/// Memory aligned for every type a weight can have.
struct Words(Vec<u32>);

impl AsRef<[u8]> for Words {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl Values<'_> {
    /// Writes the values from `start` on into `out`, widened to `f32`.
    ///
    /// # Panics
    /// If `out` reaches beyond the values.
    pub fn widen(&self, start: usize, out: &mut [f32]) {
        use half::slice::HalfFloatSliceExt;
        let range = start..start + out.len();
        match self {
            Values::F32(values) => out.copy_from_slice(&values[range]),
            Values::F16(values) => values[range].convert_to_f32_slice(out),
            Values::BF16(values) => values[range].convert_to_f32_slice(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misaligned_bytes_are_the_same_weight() -> Result<()> {
        let numbers = [1.5f32, -2.0, 0.25, 8.0];
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let whole = Frozen::of(&Tensor::new(&numbers, &Device::Cpu)?, dtype)?;
            let mut shifted = vec![0u8];
            shifted.extend_from_slice(&(*whole.bytes).as_ref()[whole.range.clone()]);
            let end = shifted.len();
            let moved = Frozen::new(Arc::new(shifted), 1..end, dtype, &[2, 2])?;
            let mut out = [0.0; 3];
            moved.values().widen(1, &mut out);
            assert_eq!(out, numbers[1..]);
            let tensor = moved.tensor(DType::F32, &Device::Cpu)?;
            assert_eq!(tensor.to_vec2::<f32>()?, [[1.5, -2.0], [0.25, 8.0]]);
        }
        Ok(())
    }

    #[test]
    fn lying_sizes_are_refused() {
        let bytes: Bytes = Arc::new(vec![0u8; 16]);
        let new = |range, dtype, shape: &[usize]| Frozen::new(bytes.clone(), range, dtype, shape);
        assert!(new(0..16, DType::F32, &[4]).is_ok());
        assert!(new(0..16, DType::F32, &[5]).is_err());
        assert!(new(0..20, DType::F32, &[5]).is_err());
        assert!(new(0..16, DType::F32, &[usize::MAX, 8]).is_err());
        assert!(new(0..16, DType::I64, &[2]).is_err());
    }
}
