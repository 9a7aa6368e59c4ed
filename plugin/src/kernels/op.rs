//! A kernel of one activation as a differentiable operation of candle.

use std::ops::Deref;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};

/// One input, one output, everything else held inside.
pub trait Kernel: Send + Sync + 'static {
    /// For messages.
    const NAME: &'static str;

    /// The output's shape.
    fn shape(&self, input: &[usize]) -> Vec<usize>;

    /// Writes the output, `y`, of an input of shape `dims`. `y` holds zeros.
    fn forward(&self, dims: &[usize], x: &[f32], y: &mut [f32]);

    /// Writes the gradient of the input, `dx`, which holds zeros, from that of the output.
    fn backward(&self, dims: &[usize], x: &[f32], dy: &[f32], dx: &mut [f32]);
}

/// Runs a kernel on contiguous `f32` on the CPU.
///
/// # Errors
/// If `x` is anything else.
pub fn apply(kernel: impl Kernel, x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Forward(Arc::new(kernel)))
}

/// The values of a contiguous tensor in `f32`.
///
/// # Errors
/// If it is anything else.
pub fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("a kernel for contiguous f32 was given something else"),
    }
}

/// The values of a tensor whose storage is held, for gradients.
///
/// # Errors
/// If they are not contiguous `f32` on the CPU.
pub fn held<'a>(
    (storage, layout): &'a (impl Deref<Target = Storage>, &'a Layout),
) -> Result<&'a [f32]> {
    match &**storage {
        Storage::Cpu(storage) => values(storage, layout),
        _ => bail!("a gradient on the CPU was given another device's tensor"),
    }
}

struct Forward<K>(Arc<K>);
struct Backward<K>(Arc<K>);

impl<K: Kernel> CustomOp1 for Forward<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = values(storage, layout)?;
        let shape = Shape::from(self.0.shape(layout.dims()));
        let mut y = vec![0.0; shape.elem_count()];
        self.0.forward(layout.dims(), x, &mut y);
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let backward = Backward(Arc::clone(&self.0));
        x.apply_op2_no_bwd(&dy.contiguous()?, &backward).map(Some)
    }
}

impl<K: Kernel> CustomOp2 for Backward<K> {
    fn name(&self) -> &'static str {
        K::NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        dy: &CpuStorage,
        dy_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, dy) = (values(x, layout)?, values(dy, dy_layout)?);
        let mut dx = vec![0.0; x.len()];
        self.0.backward(layout.dims(), x, dy, &mut dx);
        Ok((CpuStorage::F32(dx), layout.shape().clone()))
    }
}
