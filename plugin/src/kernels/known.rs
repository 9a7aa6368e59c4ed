//! A result that other operations gave, as that of one operation with a gradient of its own.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail,
};

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
        self.given(|storage, layout| match storage {
            Storage::Cpu(values) => Some(values.try_clone(layout)),
            _ => None,
        })
    }

    /// On an NVIDIA GPU.
    ///
    /// # Errors
    /// If it is elsewhere, or was taken.
    pub fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        self.given(|storage, layout| match storage {
            Storage::Cuda(values) => Some(values.try_clone(layout)),
            _ => None,
        })
    }

    /// On an Apple GPU.
    ///
    /// # Errors
    /// If it is elsewhere, or was taken.
    pub fn metal(&self) -> Result<(MetalStorage, Shape)> {
        self.given(|storage, layout| match storage {
            Storage::Metal(values) => Some(values.try_clone(layout)),
            _ => None,
        })
    }

    /// What `copy` makes of it; `None` where it lies elsewhere.
    fn given<S>(
        &self,
        copy: impl FnOnce(&Storage, &Layout) -> Option<Result<S>>,
    ) -> Result<(S, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match copy(&storage, layout) {
            Some(copied) => Ok((copied?, result.shape().clone())),
            None => bail!("a known result is not where its input is"),
        }
    }
}
