//! Files of weights in memory: the border to the system's memory mapping.
#![allow(unsafe_code, reason = "memory mapping is a promise about a file")]

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::Arc;

use memmap2::Mmap;

use crate::kernels::Bytes;

/// What is not larger than this is read, not mapped: it costs less than the system's bookkeeping, and no change of the
/// file can reach it.
const READ: u64 = 64 * 1024;

/// The bytes of an open file of `length` bytes.
pub fn bytes(mut file: File, length: u64) -> io::Result<Bytes> {
    if length <= READ {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.take(READ).read_to_end(&mut bytes)?;
        return Ok(Arc::new(bytes));
    }
    // SAFETY: the mapping is private and read-only, and this program never writes to a file of weights: downloads are
    // written under another name and renamed. Against another program that rewrites such a file in place there is no
    // defence but a copy of gigabytes; every reader of safetensors makes this promise on the user's behalf.
    let map = unsafe { Mmap::map(&file) }?;
    Ok(Arc::new(map))
}
