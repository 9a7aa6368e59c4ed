//! Files of weights in memory: the border to the system's memory mapping.
#![allow(unsafe_code, reason = "memory mapping is a promise about a file")]

use std::fs::File;
use std::io::{self, Read, Seek};
#[cfg(unix)]
use std::ops::Range;
use std::sync::Arc;

use memmap2::Mmap;

use crate::kernels::{Bytes, Source};

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
    Ok(Arc::new(Mapped(map)))
}

struct Mapped(Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Source for Mapped {
    #[cfg(unix)]
    fn rest(&self, range: Range<usize>) {
        let advice = memmap2::UncheckedAdvice::DontNeed;
        // SAFETY: nothing writes to the mapping, so the pages that the file gives back later are those that left.
        let result = unsafe {
            self.0
                .unchecked_advise_range(advice, range.start, range.len())
        };
        // A system that declines keeps the pages: nothing is lost but room.
        drop(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resting_pages_come_back_as_they_were() -> io::Result<()> {
        let numbers: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &numbers)?;
        let mapped = bytes(File::open(file.path())?, numbers.len() as u64)?;
        assert_eq!((*mapped).as_ref(), numbers);
        // Beyond the end, and not at a page's edge.
        mapped.rest(5..150_001);
        mapped.rest(199_999..200_000);
        assert_eq!((*mapped).as_ref(), numbers);
        Ok(())
    }
}
