//! A LoRA's matrices in the shapes that an adapter takes.

use candle_core::Tensor;

use crate::Result;

/// How a file's matrices become an adapter's: worked out from shapes alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The rank.
    pub rank: usize,
    down: Vec<usize>,
    up: Vec<usize>,
}

/// A matrix's rows, columns and window; 1×1 for one of two dimensions.
fn window(shape: &[usize]) -> Option<[usize; 4]> {
    match *shape {
        [rows, columns] => Some([rows, columns, 1, 1]),
        [rows, columns, height, width] => Some([rows, columns, height, width]),
        _ => None,
    }
}

impl Plan {
    /// For a projection whose weight has the shape `weight`. The error says what the file has.
    pub fn new(
        weight: &[usize],
        down: &[usize],
        up: &[usize],
        mid: Option<&[usize]>,
    ) -> std::result::Result<Self, String> {
        let came = || match mid {
            Some(mid) => format!("its matrices have the shapes {down:?}, {mid:?} and {up:?}"),
            None => format!("its matrices have the shapes {down:?} and {up:?}"),
        };
        let [n, k, height, width] = window(weight).ok_or_else(came)?;
        let [rank, inputs, h, w] = window(down).ok_or_else(came)?;
        // With a matrix between them the outer two are 1×1, and the one between has the window.
        let seen = match mid {
            Some(mid) => match window(mid) {
                Some([a, b, h2, w2]) if (h, w) == (1, 1) && a == rank && b == rank => (h2, w2),
                _ => return Err(came()),
            },
            None => (h, w),
        };
        let fits = rank > 0 && inputs == k && seen == (height, width);
        if !fits || window(up) != Some([n, rank, 1, 1]) {
            return Err(came());
        }
        let (down, up) = if weight.len() == 2 {
            (vec![rank, k], vec![n, rank])
        } else {
            (vec![rank, k, height, width], vec![n, rank, 1, 1])
        };
        Ok(Self { rank, down, up })
    }

    /// The matrices. `mid` (LoCon's Tucker form: y = up ∗ mid ∗ down x) is merged into the first, which then has its window.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn matrices(
        &self,
        down: &Tensor,
        up: &Tensor,
        mid: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let down = match mid {
            None => down.reshape(self.down.as_slice())?,
            Some(mid) => {
                let (rank, _, height, width) = mid.dims4()?;
                // [rank, h, w, rank] · [rank, k]: each place of the window is a matrix product.
                let places = mid
                    .permute((0, 2, 3, 1))?
                    .reshape((rank * height * width, rank))?;
                places
                    .matmul(&down.reshape((rank, ()))?)?
                    .reshape((rank, height, width, ()))?
                    .permute((0, 3, 1, 2))?
                    .contiguous()?
            }
        };
        Ok((down, up.reshape(self.up.as_slice())?))
    }
}
