//! Working memory that threads keep between calls, so that it is not asked from the system for every layer.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut, Range};

/// Buffers that one thread keeps: as many as kernels use at once.
const KEPT: usize = 4;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// `f32`s with any values, the first at the start of a cache line, given back to the thread at the end.
#[derive(Debug)]
pub struct Scratch {
    buffer: Vec<f32>,
    place: Range<usize>,
}

/// Bytes of a cache line, and of the widest vectors: those that lie across two lines are loaded at half the speed.
const LINE: usize = 64;

impl Scratch {
    /// A buffer of this length.
    pub fn of(length: usize) -> Self {
        let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
        // A larger one stays as large: making it smaller and larger again would fill it each time.
        let room = length + LINE / size_of::<f32>();
        if buffer.len() < room {
            buffer = vec![0.0; room];
        }
        // 0 where the place of memory cannot be told, as in interpreters.
        let start = Some(buffer.as_ptr().align_offset(LINE)).filter(|start| start + length <= room);
        let start = start.unwrap_or(0);
        let place = start..start + length;
        Self { buffer, place }
    }
}

impl Scratch {
    /// The same memory as pairs of bfloat16.
    pub fn pairs(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(self)
    }

    /// The same memory as twice as many values of 16 bits.
    pub fn halves(&mut self) -> &mut [u16] {
        bytemuck::cast_slice_mut(self)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        // A thread that is ending keeps nothing.
        let _ = BUFFERS.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < KEPT {
                kept.push(buffer);
            }
        });
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[self.place.clone()]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[self.place.clone()]
    }
}
