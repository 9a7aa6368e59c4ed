//! What GPUs are quicker at than by [`reference`]: candle's fused softmax and norm, which have no gradients, with gradients.
//!
//! Values are in the input's type, sums inside the fused operations in `f32`. Everything here works on every device, so that the
//! CPU can test it.

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp3, D, DType, Layout, MetalStorage, Result, Shape,
    Tensor, Var,
};
use candle_nn::ops::softmax_last_dim;

use super::known::Known;
use super::reference;

#[cfg(test)]
mod tests;

/// Scores that are held at once; few in tests, so that they have several parts.
const SCORES: usize = if cfg!(test) { 1 << 16 } else { 1 << 25 };
/// Matrices of half precision are multiplied quickly where their rows are a multiple of so many.
const ALIGNED: usize = 8;

/// See [`super::attention`]; neither masked nor causal. Takes so many queries at a time that their scores stay below a fixed
/// number, and makes them again for the gradient, a part at a time (arXiv 2205.14135, §3.1 and appendix B.2).
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, scale: f64) -> Result<Tensor> {
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    let tracked = q.track_op() || k.track_op() || v.track_op();
    let (values, keys) = (v.detach(), k.detach().t()?.contiguous()?);
    let mut parts = Vec::new();
    for share in shares(&q, &k)? {
        let (_, p) = probabilities(&q.detach(), &keys, scale, share)?;
        parts.push(p.matmul(&values)?);
    }
    let y = Tensor::cat(&parts, 2)?;
    match tracked {
        true => q.apply_op3(
            &k,
            &v,
            Attention {
                known: Known::new(&y),
                scale,
            },
        ),
        false => Ok(y),
    }
}

/// Where parts of the queries begin, and how many they are.
fn shares(q: &Tensor, k: &Tensor) -> Result<impl Iterator<Item = (usize, usize)>> {
    let (batch, heads, n, _) = q.dims4()?;
    let step = (SCORES / (batch * heads * k.dim(2)?).max(1)).clamp(1, n.max(1));
    Ok((0..n)
        .step_by(step)
        .map(move |start| (start, step.min(n - start))))
}

/// A share of the queries times `scale`, and its probabilities for `keys`, which are transposed.
fn probabilities(
    q: &Tensor,
    keys: &Tensor,
    scale: f64,
    (start, count): (usize, usize),
) -> Result<(Tensor, Tensor)> {
    let part = (q.narrow(2, start, count)?.contiguous()? * scale)?;
    let p = softmax_last_dim(&part.matmul(keys)?)?;
    Ok((part, p))
}

struct Attention {
    known: Known,
    scale: f64,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.known.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.known.cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.known.metal()
    }

    /// With P the probabilities: dV = Pᵀ dY; dS = P ∘ (dY Vᵀ − δ), δ the row sums of dY ∘ Y; dQ = s dS K; dK = s dSᵀ Q.
    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [q, k, v, y] = [q, k, v, y].map(Tensor::detach);
        let dy = dy.detach().contiguous()?;
        let keys = k.t()?.contiguous()?;
        // δ is one column more of dY, and −1 one more of V, so that one product subtracts it.
        let widened =
            |of: &Tensor, by: &Tensor| Tensor::cat(&[of, by], 3)?.pad_with_zeros(3, 0, ALIGNED - 1);
        let minus = v.narrow(3, 0, 1)?.ones_like()?.neg()?;
        let values = widened(&v, &minus)?.t()?.contiguous()?;
        let sums = (&dy.to_dtype(DType::F32)? * y.to_dtype(DType::F32)?)?
            .sum_keepdim(D::Minus1)?
            .to_dtype(dy.dtype())?;
        let wide_dy = widened(&dy, &sums)?;
        let mut dq = Vec::new();
        let (mut dk, mut dv): (Option<Tensor>, Option<Tensor>) = (None, None);
        for (start, count) in shares(&q, &k)? {
            let (part, p) = probabilities(&q, &keys, self.scale, (start, count))?;
            let off = wide_dy
                .narrow(2, start, count)?
                .contiguous()?
                .matmul(&values)?;
            let ds = (&p * off)?;
            dq.push((ds.matmul(&k)? * self.scale)?);
            add(&mut dk, ds.t()?.matmul(&part)?)?;
            let dy = dy.narrow(2, start, count)?.contiguous()?;
            add(&mut dv, p.t()?.matmul(&dy)?)?;
        }
        let narrow = |sum: Option<Tensor>| sum.map(|sum| sum.to_dtype(q.dtype())).transpose();
        Ok((Some(Tensor::cat(&dq, 2)?), narrow(dk)?, narrow(dv)?))
    }
}

/// Adds one part to a sum in `f32` or wider.
fn add(sum: &mut Option<Tensor>, part: Tensor) -> Result<()> {
    let part = part.to_dtype(reference::wide(part.dtype()))?;
    *sum = Some(match sum.take() {
        Some(sum) => (sum + part)?,
        None => part,
    });
    Ok(())
}

/// See [`super::group_norm`].
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn group_norm(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    groups: usize,
    eps: f64,
    silu: bool,
) -> Result<Tensor> {
    let (batch, channels) = (x.dim(0)?, x.dim(1)?);
    let plain = x.detach().contiguous()?;
    let rows = plain.reshape((batch * groups, ()))?;
    let one = Tensor::ones(rows.dim(1)?, x.dtype(), x.device())?;
    let y = candle_nn::ops::layer_norm(&rows, &one, &one.zeros_like()?, eps as f32)?;
    let factor = |of: &Tensor| of.to_dtype(x.dtype())?.reshape((1, channels, 1));
    let y = y
        .reshape((batch, channels, ()))?
        .broadcast_mul(&factor(weight)?)?
        .broadcast_add(&factor(bias)?)?;
    let y = if silu { y.silu()? } else { y };
    let (weight, bias) = (weight.clone(), bias.clone());
    recomputed(x, y.reshape(x.shape())?, move |x| {
        reference::group_norm(x, &weight, &bias, groups, eps, silu)
    })
}

/// See [`super::layer_norm`].
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let plain = x.detach().contiguous()?;
    let [a, b] = [weight, bias].map(|of| of.to_dtype(x.dtype()));
    let y = candle_nn::ops::layer_norm(&plain, &a?, &b?, eps as f32)?;
    let (weight, bias) = (weight.clone(), bias.clone());
    recomputed(x, y, move |x| reference::layer_norm(x, &weight, &bias, eps))
}

/// `y`, with the gradient of `again`, which is computed for that alone.
fn recomputed(
    x: &Tensor,
    y: Tensor,
    again: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    match x.track_op() {
        true => x.apply_op1(Recomputed {
            known: Known::new(&y),
            again: Box::new(again),
        }),
        false => Ok(y),
    }
}

type Again = dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync;

struct Recomputed {
    known: Known,
    again: Box<Again>,
}

impl CustomOp1 for Recomputed {
    fn name(&self) -> &'static str {
        "recomputed"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.known.cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.known.cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.known.metal()
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let x = Var::from_tensor(&x.detach())?;
        let y = (self.again)(x.as_tensor())?;
        let mut gradients = (y * dy)?.sum_all()?.backward()?;
        Ok(gradients.remove(x.as_tensor()))
    }
}
