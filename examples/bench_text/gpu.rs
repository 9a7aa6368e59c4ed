//! How much memory of a GPU is taken.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::Result;

const LOOK: Duration = Duration::from_millis(100);

/// What `work` gives, and the MB that were taken meanwhile at most, less those before.
///
/// # Errors
/// If nvidia-smi is not there.
pub fn watched<T>(work: impl FnOnce() -> T) -> Result<(T, f64)> {
    let before = taken()?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut most = before;
            while !over.load(Ordering::Relaxed) {
                // One look that fails is one less.
                most = most.max(taken().unwrap_or(before));
                thread::sleep(LOOK);
            }
            most
        });
        let made = work();
        over.store(true, Ordering::Relaxed);
        let most = looking.join().map_err(|_| "a look at the GPU panicked")?;
        Ok((made, most - before))
    })
}

/// MB that all programs hold on the first GPU.
fn taken() -> Result<f64> {
    let output = Command::new("nvidia-smi")
        .args([
            "--query-gpu=memory.used",
            "--format=csv,noheader,nounits",
            "--id=0",
        ])
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let mebibytes: f64 = text.trim().parse()?;
    Ok(mebibytes * 1.048576)
}
