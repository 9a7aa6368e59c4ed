//! What is done where a device has no memory for a picture: the model sees it smaller.

use crate::error::ErrorKind;
use crate::{Error, Result};

use crate::engine::stable_diffusion::frame::GRID;

/// Pixels of a longer side below which models only paint noise.
const LEAST: usize = 256;

/// The result of `work` for a longer side of `side` pixels, or, as long as the device has no memory for that, of a quarter
/// less each time; and that side.
///
/// # Errors
/// What `work` gives, but for memory; `Device` with what to do if there is none even for the smallest.
pub(super) fn within<T>(
    side: usize,
    mut work: impl FnMut(usize) -> Result<T>,
) -> Result<(T, usize)> {
    let mut now = side;
    loop {
        match work(now) {
            Err(error) if error.kind == ErrorKind::Device => {
                now = smaller(now).ok_or_else(|| {
                    Error::device(format!(
                        "{}. Nor was there any at {now} pixels, the least that is tried",
                        error.message
                    ))
                })?;
            }
            other => return other.map(|made| (made, now)),
        }
    }
}

fn smaller(side: usize) -> Option<usize> {
    let next = (side * 3 / 4 / GRID * GRID).max(LEAST);
    (next < side).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What candle says when CUDA, cuBLAS and Metal are out of memory.
    const FULL: [&str; 4] = [
        r#"DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#,
        "CublasError(CUBLAS_STATUS_ALLOC_FAILED)",
        "Failed to create metal resource: Buffer",
        "Out of memory",
    ];

    fn full(said: &str) -> Error {
        candle_core::Error::Cuda(said.into()).into()
    }

    #[test]
    fn a_full_device_gets_less_and_less_until_it_fits() {
        for said in FULL {
            let mut tried = Vec::new();
            let made = within(1024, |side| {
                tried.push(side);
                if side > 400 {
                    Err(full(said))
                } else {
                    Ok("made")
                }
            });
            assert_eq!(made, Ok(("made", 384)), "{said}");
            assert_eq!(tried, [1024, 768, 576, 384]);
        }
    }

    #[test]
    fn what_fits_is_done_once_and_other_errors_are_final() {
        assert_eq!(within(512, Ok), Ok((512, 512)));
        let mut calls = 0;
        let failed = within::<()>(512, |_| {
            calls += 1;
            Err(Error::cancelled())
        });
        assert_eq!((failed, calls), (Err(Error::cancelled()), 1));
        let other = candle_core::Error::Cuda("CUDA_ERROR_ILLEGAL_ADDRESS".into());
        assert_eq!(Error::from(other).kind, ErrorKind::Bug);
    }

    #[test]
    fn a_device_without_any_memory_says_so() {
        for side in [64, 256, 320, 2048] {
            let mut calls = 0;
            let failed = within::<()>(side, |_| {
                calls += 1;
                assert!(calls < 20);
                Err(full(FULL[0]))
            });
            let error = failed.expect_err("there is no memory");
            assert_eq!(error.kind, ErrorKind::Device);
            assert!(error.message.contains("close other programs"), "{error}");
        }
    }
}
