//! A result that other operations gave, as that of one operation with a gradient of its own.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, MetalStorage, Result, Shape, Storage, Tensor, bail};

/// What an operation's forward pass gives, once: that must not hold it twice.
#[derive(Debug)]
pub struct Known(Mutex<Option<Tensor>>);

impl Known {
    /// Without what it was computed from.
    pub fn new(result: &Tensor) -> Self {
        Self(Mutex::new(Some(result.detach())))
    }

    fn take(&self) -> Result<Tensor> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(result) = taken else {
            bail!("a known result was asked for twice");
        };
        // Storages are cloned whole, from their beginning.
        match result.is_contiguous() && result.layout().start_offset() == 0 {
            true => Ok(result),
            false => result.force_contiguous(),
        }
    }

    /// On the CPU.
    ///
    /// # Errors
    /// If it is elsewhere, or was taken.
    pub fn cpu(&self) -> Result<(CpuStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Cpu(values) => Ok((values.try_clone(layout)?, result.shape().clone())),
            _ => elsewhere(),
        }
    }

    /// On an NVIDIA GPU.
    ///
    /// # Errors
    /// If it is elsewhere, or was taken.
    pub fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Cuda(values) => Ok((values.try_clone(layout)?, result.shape().clone())),
            _ => elsewhere(),
        }
    }

    /// On an Apple GPU.
    ///
    /// # Errors
    /// If it is elsewhere, or was taken.
    pub fn metal(&self) -> Result<(MetalStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Metal(values) => Ok((values.try_clone(layout)?, result.shape().clone())),
            _ => elsewhere(),
        }
    }
}

fn elsewhere<T>() -> Result<T> {
    bail!("a known result is not where its input is")
}
