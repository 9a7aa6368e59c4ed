//! What Linux tells of a process's memory.

use std::fs;

/// A field of /proc/self/status in KiB, such as `VmHWM`; `None` on other systems.
pub fn kib(field: &str) -> Option<f64> {
    kib_of("/proc/self/status", field)
}

/// The same of another process, by the path of its status.
pub fn kib_of(status: &str, field: &str) -> Option<f64> {
    let status = fs::read_to_string(status).ok()?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}
