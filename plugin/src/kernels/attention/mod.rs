//! Softmax attention, tile by tile: no scores of all queries and keys are ever in memory. The backward pass makes them
//! again (Dao et al., arXiv 2205.14135).

mod backward;
mod forward;
mod half;

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, bail};

use super::path::choose;
use super::{Precision, gpu, op, reference};

/// softmax(scale · q kᵀ + log_mask) v, for `q` `[batch, heads, n, d]`, `k` and `v` `[batch, heads, m, d]`.
///
/// `log_mask`, `[batch, m]` or `[1, m]`, is added to the scores of every head and query: 0 leaves a key as it is, ln w
/// weighs it by w, −∞ hides it (DreamTuner, arXiv 2312.13691, eq. 6). It gets no gradient. With `causal` (n = m), query i
/// sees the keys up to i. A query that sees no key at all gets zeros. With `precision` below `f32`, what is multiplied is
/// rounded, but not where attention is causal, and not for the gradient.
///
/// # Errors
/// If the shapes do not fit, or the device has no room.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    scale: f64,
    log_mask: Option<&Tensor>,
    causal: bool,
    precision: Precision,
) -> Result<Tensor> {
    let &[batch, heads, n, d] = q.dims() else {
        bail!(
            "attention: queries of shape {:?}; expected [batch, heads, n, d]",
            q.dims()
        );
    };
    let m = k.dims().get(2).copied().unwrap_or(0);
    let expected = [batch, heads, m, d];
    if k.dims() != expected || v.dims() != expected {
        bail!(
            "attention: keys {:?} and values {:?} for queries {:?}; expected [{batch}, {heads}, m, {d}] twice",
            k.dims(),
            v.dims(),
            q.dims()
        );
    }
    if k.dtype() != q.dtype() || v.dtype() != q.dtype() {
        bail!(
            "attention: queries of type {:?}, keys {:?}, values {:?}; expected one type",
            q.dtype(),
            k.dtype(),
            v.dtype()
        );
    }
    if batch * heads * n * m * d == 0 {
        bail!("attention: nothing to do for queries {:?}", q.dims());
    }
    if let Some(mask) = log_mask
        && mask.dims() != [batch, m]
        && mask.dims() != [1, m]
    {
        bail!(
            "attention: a mask of shape {:?}; expected [{batch}, {m}] or [1, {m}]",
            mask.dims()
        );
    }
    if causal && n != m {
        bail!("attention: {n} queries and {m} keys; causal attention has as many of both");
    }
    choose(
        q,
        |q| {
            let k = k.to_dtype(DType::F32)?.contiguous()?;
            let v = v.to_dtype(DType::F32)?.contiguous()?;
            let mask = match log_mask {
                Some(mask) => Some(mask.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?),
                None => None,
            };
            let problem = Problem {
                heads,
                n,
                m,
                d,
                scale: scale as f32,
                mask,
                causal,
                precision: match causal {
                    true => Precision::F32,
                    false => precision,
                },
            };
            let sums = Mutex::default();
            q.apply_op3(&k, &v, Attention { problem, sums })
        },
        |q| match q.device().is_cpu() || log_mask.is_some() || causal {
            true => reference::attention(q, k, v, scale, log_mask, causal),
            false => gpu::attention(q, k, v, scale),
        },
    )
}

/// Sizes and what is added to the scores.
#[derive(Debug, Clone)]
struct Problem {
    heads: usize,
    n: usize,
    m: usize,
    d: usize,
    scale: f32,
    mask: Option<Vec<f32>>,
    causal: bool,
    precision: Precision,
}

impl Problem {
    /// What is added to the scores of head `index` of all heads of the batch.
    fn mask(&self, index: usize) -> Option<&[f32]> {
        let mask = self.mask.as_deref()?;
        let row = if mask.len() == self.m {
            0
        } else {
            index / self.heads
        };
        mask.get(row * self.m..(row + 1) * self.m)
    }

    /// How many of the `count` keys from `start` on query `query` sees.
    fn seen(&self, query: usize, start: usize, count: usize) -> usize {
        if self.causal {
            (query + 1).saturating_sub(start).min(count)
        } else {
            count
        }
    }
}

struct Attention {
    problem: Problem,
    /// ln Σ exp(score) of each query, kept for the backward pass, which makes the scores again.
    sums: Mutex<Vec<f32>>,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        q_layout: &Layout,
        k: &CpuStorage,
        k_layout: &Layout,
        v: &CpuStorage,
        v_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let inputs = Inputs {
            q: op::values(q, q_layout)?,
            k: op::values(k, k_layout)?,
            v: op::values(v, v_layout)?,
        };
        let mut y = vec![0.0; inputs.q.len()];
        let mut sums = vec![0.0; inputs.q.len() / self.problem.d];
        forward::run(&self.problem, inputs, &mut y, &mut sums);
        *self.sums.lock().unwrap_or_else(PoisonError::into_inner) = sums;
        Ok((CpuStorage::F32(y), q_layout.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let all = [q.clone(), k.clone(), v.clone(), y.clone(), dy.contiguous()?];
        let held = all.each_ref().map(Tensor::storage_and_layout);
        let [q, k, v, y, dy] = held.each_ref().map(op::held);
        let inputs = Inputs {
            q: q?,
            k: k?,
            v: v?,
        };
        let sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let known = backward::Known {
            y: y?,
            dy: dy?,
            sums: &sums,
        };
        let [mut dq, mut dk, mut dv] = [inputs.q, inputs.k, inputs.v].map(|x| vec![0.0; x.len()]);
        backward::run(&self.problem, inputs, known, [&mut dq, &mut dk, &mut dv]);
        let cpu = &Device::Cpu;
        Ok((
            Some(Tensor::from_vec(dq, all[0].shape(), cpu)?),
            Some(Tensor::from_vec(dk, all[1].shape(), cpu)?),
            Some(Tensor::from_vec(dv, all[2].shape(), cpu)?),
        ))
    }
}

/// `[batch · heads, tokens, d]` each.
#[derive(Debug, Clone, Copy)]
struct Inputs<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
}

impl<'a> Inputs<'a> {
    /// Those of one head.
    fn head(self, index: usize, p: &Problem) -> Self {
        let (queries, keys) = (p.n * p.d, p.m * p.d);
        Self {
            q: &self.q[index * queries..][..queries],
            k: &self.k[index * keys..][..keys],
            v: &self.v[index * keys..][..keys],
        }
    }
}

/// Scores below the largest by more than this weigh nothing: the smallest normal `f32`.
const FAINT: f32 = -87.0;
