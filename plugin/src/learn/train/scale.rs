//! By what a loss is multiplied, so that half precision holds its gradients.

use candle_core::DType;

/// Steps after which the factor doubles.
const PATIENCE: u32 = 2000;

/// A factor that adapts (arXiv 1710.03740, §3.2), with the numbers of PyTorch's `torch.amp.GradScaler`. A power of two, so that
/// it changes no gradient that is held with and without it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    factor: f64,
    /// Steps since it last changed; `None`: it never does.
    steps: Option<u32>,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            factor: 1.0,
            steps: None,
        }
    }
}

impl Scale {
    /// For networks in this precision: 1, always, where it holds what single precision holds.
    pub fn new(precision: DType) -> Self {
        match precision {
            DType::F16 => Self {
                factor: 65536.0,
                steps: Some(0),
            },
            _ => Self::default(),
        }
    }

    /// The factor of the loss.
    pub fn factor(self) -> f64 {
        self.factor
    }

    /// Adapts to whether all gradients were numbers. Returns false where they were not and that is not for the factor.
    #[must_use]
    pub(super) fn fits(&mut self, numbers: bool) -> bool {
        let Some(steps) = &mut self.steps else {
            return numbers;
        };
        *steps += 1;
        if !numbers {
            self.factor /= 2.0;
        } else if *steps == PATIENCE {
            self.factor *= 2.0;
        } else {
            return true;
        }
        self.steps = Some(0);
        // Below 1 it would lose what it is there to hold.
        self.factor >= 1.0
    }
}
