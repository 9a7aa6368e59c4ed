//! Where a kernel runs.

use candle_core::{DType, Result, Tensor};

/// Whether the kernels for `f32` on the CPU take it as it is.
pub fn fits(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// `fast` for `f32` on the CPU, with `x` contiguous; the same in `f32` for half precision there, where candle lacks some
/// operations; elsewhere `plain`.
pub fn choose(
    x: &Tensor,
    fast: impl Fn(&Tensor) -> Result<Tensor>,
    plain: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    match x.dtype() {
        _ if fits(x) => fast(&x.contiguous()?),
        DType::F16 | DType::BF16 if x.device().is_cpu() => {
            fast(&x.to_dtype(DType::F32)?.contiguous()?)?.to_dtype(x.dtype())
        }
        _ => plain(x),
    }
}
