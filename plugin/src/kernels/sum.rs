//! Sums, value by value, on the threads that everything else here runs on: candle's own wake a pool that spins on all cores.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::op;
use super::path::fits;

/// Values that one task takes.
const PIECE: usize = 1 << 15;

/// a + b, of one shape.
///
/// # Errors
/// If the shapes or the types differ, or the device has no room.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !(fits(a) && fits(b) && a.dims() == b.dims()) {
        return a + b;
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, Add)
}

/// `x` `[batch, channels, ..]` plus `shift` `[batch, channels]` at each place.
///
/// # Errors
/// If the shapes do not fit, the types differ, or the device has no room.
pub fn add_channels(x: &Tensor, shift: &Tensor) -> Result<Tensor> {
    if x.rank() < 2 || x.dims()[..2] != *shift.dims() {
        bail!(
            "add_channels: input of shape {:?} and a shift of {:?}; expected [batch, channels, ..] and [batch, channels]",
            x.dims(),
            shift.dims()
        );
    }
    if !(fits(x) && fits(shift)) {
        let mut shape = vec![1; x.rank()];
        shape[..2].copy_from_slice(shift.dims());
        return x.broadcast_add(&shift.reshape(shape)?);
    }
    x.contiguous()?.apply_op2(&shift.contiguous()?, AddChannels)
}

struct Add;

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        layout: &Layout,
        b: &CpuStorage,
        other: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (a, b) = (op::values(a, layout)?, op::values(b, other)?);
        let values = a.par_iter().with_min_len(PIECE).zip(b);
        let sum = values.map(|(a, b)| a + b).collect();
        Ok((CpuStorage::F32(sum), layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(dy.clone()), Some(dy.clone())))
    }
}

struct AddChannels;

impl CustomOp2 for AddChannels {
    fn name(&self) -> &'static str {
        "add_channels"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        shift: &CpuStorage,
        other: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, shift) = (op::values(x, layout)?, op::values(shift, other)?);
        let plane = (x.len() / shift.len().max(1)).max(1);
        let mut y = vec![0.0; x.len()];
        let planes = y.par_chunks_mut(plane).zip(x.par_chunks(plane)).zip(shift);
        planes
            .with_min_len((PIECE / plane).max(1))
            .for_each(|((y, x), shift)| {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = x + shift);
            });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let pull = dy.reshape((shift.dim(0)?, shift.dim(1)?, ()))?.sum(2)?;
        Ok((Some(dy.clone()), Some(pull)))
    }
}
