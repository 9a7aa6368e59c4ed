//! Writing what a host asked for.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use repose_host::abi;

use super::SharedJob;
use super::input::{self, Sized1};
use crate::Result;
use crate::canvas::{Raster, Space};
use crate::job::State;
use crate::work::FinishedLayer;

/// What stands behind a `ReposeBytes *`: the public part first, then what it points to.
#[repr(C)]
struct Owned {
    head: abi::Bytes,
    store: Store,
}

/// Who keeps the bytes until they are given back.
#[expect(dead_code, reason = "held for what they own, and only dropped")]
enum Store {
    Own(Vec<u8>),
    Shared(Arc<[u8]>),
}

/// Hands bytes to a host, with a NUL behind them; [`free`] takes them back.
pub(super) fn bytes(mut store: Vec<u8>) -> *mut abi::Bytes {
    let size = store.len();
    store.push(0);
    let head = abi::Bytes {
        data: store.as_ptr().cast::<c_char>(),
        size,
    };
    handed(head, Store::Own(store))
}

/// Hands bytes to a host without a copy. Their last one is the NUL behind them; hosts promise never to write.
pub(super) fn shared(store: Arc<[u8]>) -> *mut abi::Bytes {
    let head = abi::Bytes {
        data: store.as_ptr().cast::<c_char>(),
        size: store.len().saturating_sub(1),
    };
    handed(head, Store::Shared(store))
}

fn handed(head: abi::Bytes, store: Store) -> *mut abi::Bytes {
    Box::into_raw(Box::new(Owned { head, store })).cast()
}

/// # Safety
/// `bytes` is null or came from [`bytes`] or [`shared`], and is not used again.
pub(super) unsafe fn free(bytes: *mut abi::Bytes) {
    if !bytes.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(bytes.cast::<Owned>()) });
    }
}

/// What can be known about the place for an output.
pub(super) fn check<T>(output: *mut T, what: &str) -> Result<()> {
    input::check(output.cast_const(), what)
}

/// Writes as much of `value` as the host's struct has room for, and leaves its `struct_size` as it is.
///
/// # Safety
/// `output` is null or misaligned, or points to a struct of a host's, as large as it says.
pub(super) unsafe fn write<T: Sized1>(output: *mut T, value: T, what: &str) -> Result<()> {
    // SAFETY: the caller's promise.
    let size = unsafe { input::struct_size(output.cast_const(), what) }?.min(size_of::<T>());
    let skip = size_of::<u32>();
    let from = (&raw const value).cast::<u8>().wrapping_add(skip);
    let to = output.cast::<u8>().wrapping_add(skip);
    // SAFETY: both sides have `size` bytes, of which the first four are left out.
    unsafe { from.copy_to_nonoverlapping(to, size - skip) };
    Ok(())
}

/// How far a job is.
pub(super) fn status(job: &SharedJob) -> abi::JobStatus {
    let at = job.progress().snapshot();
    let state = job.state();
    let (code, layers) = match job.end() {
        Some(Ok(finished)) => (abi::OK, finished.layers.len()),
        Some(Err(error)) => (error.kind as i32, 0),
        None => (abi::OK, 0),
    };
    let eta = match state {
        State::Running => at.eta.map_or(-1.0, |eta| eta.as_secs_f64()),
        State::Done => 0.0,
        State::Queued | State::Failed | State::Cancelled => -1.0,
    };
    let mut stage = [0; 32];
    let mut end = at.stage.len().min(stage.len() - 1);
    while !at.stage.is_char_boundary(end) {
        end -= 1;
    }
    for (to, from) in stage.iter_mut().zip(&at.stage.as_bytes()[..end]) {
        *to = c_char::from_ne_bytes([*from]);
    }
    abi::JobStatus {
        struct_size: 0,
        state: state as u32,
        code,
        layer_count: layers as u32,
        done: at.done,
        total: at.total,
        eta_seconds: eta,
        preview_serial: at.preview_serial,
        stage,
    }
}

/// A view of a layer; its memory is the job's.
pub(super) fn layer(layer: &FinishedLayer) -> abi::Layer {
    let raster = &layer.raster;
    let (space, icc, icc_size) = space(&raster.space);
    abi::Layer {
        struct_size: 0,
        candidate: layer.candidate,
        role: layer.role as u32,
        x: layer.x,
        y: layer.y,
        width: raster.width,
        height: raster.height,
        depth: raster.depth as u32,
        channels: raster.channels as u32,
        space,
        mask_depth: layer.mask_depth as u32,
        reserved: 0,
        name: layer.name.as_ptr(),
        pixels: raster.bytes.as_ptr().cast(),
        stride: raster.width as usize * raster.bytes_per_pixel(),
        mask: layer.mask.as_ptr().cast(),
        mask_stride: raster.width as usize * layer.mask_depth.bytes(),
        icc,
        icc_size,
    }
}

/// A view of a picture; its memory is the job's.
pub(super) fn picture(raster: &Raster) -> abi::Picture {
    let (space, icc, icc_size) = space(&raster.space);
    abi::Picture {
        struct_size: 0,
        width: raster.width,
        height: raster.height,
        depth: raster.depth as u32,
        channels: raster.channels as u32,
        space,
        pixels: raster.bytes.as_ptr().cast(),
        pixels_size: raster.bytes.len(),
        stride: raster.width as usize * raster.bytes_per_pixel(),
        icc,
        icc_size,
    }
}

fn space(space: &Space) -> (u32, *const c_void, usize) {
    match space {
        Space::Srgb => (abi::SPACE_SRGB, ptr::null(), 0),
        Space::LinearSrgb => (abi::SPACE_LINEAR_SRGB, ptr::null(), 0),
        Space::Icc(profile) => (abi::SPACE_ICC, profile.as_ptr().cast(), profile.len()),
    }
}
