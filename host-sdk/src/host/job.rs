//! Following a job and taking its results.
#![allow(
    unsafe_code,
    reason = "calls through the plugin's table; repose.h states what each call needs"
)]

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::engine::{into_text, take_bytes};
use super::types::{Channels, Depth, Layer, Picture, Preview, Role, Space, State, Status};
use crate::{Error, ErrorKind, abi};

/// How often [`Job::wait`] looks.
const POLL: Duration = Duration::from_millis(20);

/// One piece of work and its result. It may outlive its engine. Dropping it before its end cancels it.
#[derive(Debug)]
pub struct Job {
    api: &'static abi::Api,
    raw: NonNull<abi::Job>,
}

// SAFETY: every function that takes a job is [any-thread], but job_free, which drop calls once.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

impl Job {
    pub(super) fn new(api: &'static abi::Api, raw: NonNull<abi::Job>) -> Self {
        Self { api, raw }
    }

    /// Where the job is now; meant to be polled.
    ///
    /// # Errors
    /// Only if the plugin breaks the contract.
    pub fn status(&self) -> Result<Status, Error> {
        let mut raw = zeroed::<abi::JobStatus>();
        raw.struct_size = size_of::<abi::JobStatus>() as u32;
        // SAFETY: the handle is ours; the output is a whole struct with its size set.
        let code = unsafe { (self.api.job_status)(self.raw.as_ptr(), &mut raw) };
        expect(code, "job_status")?;
        let stage: Vec<u8> = raw
            .stage
            .iter()
            .map(|&c| c.to_ne_bytes()[0])
            .take_while(|&c| c != 0)
            .collect();
        Ok(Status {
            state: State::from_number(raw.state)?,
            error: ErrorKind::from_code(raw.code),
            stage: into_text(stage),
            done: raw.done,
            total: raw.total,
            eta: Duration::try_from_secs_f64(raw.eta_seconds).ok(),
            preview_serial: raw.preview_serial,
            layer_count: raw.layer_count,
        })
    }

    /// Waits for the end, calling `look` with every status, about 50 times a second and once at the end.
    ///
    /// # Errors
    /// Why the job failed, or `Cancelled`.
    pub fn wait(&self, mut look: impl FnMut(&Status)) -> Result<(), Error> {
        loop {
            let status = self.status()?;
            look(&status);
            match status.state {
                State::Done => return Ok(()),
                State::Failed | State::Cancelled => {
                    let kind = status.error.unwrap_or(ErrorKind::Bug);
                    return Err(Error::new(kind, self.text(abi::BYTES_MESSAGE)?));
                }
                State::Queued | State::Running => std::thread::sleep(POLL),
            }
        }
    }

    /// Asks the job to stop; it does so within one step.
    pub fn cancel(&self) {
        // SAFETY: the handle is ours. The call cannot fail with a good handle.
        unsafe { (self.api.job_cancel)(self.raw.as_ptr()) };
    }

    /// The newest preview, if there is one yet.
    pub fn preview(&self) -> Option<Preview> {
        let (mut width, mut height, mut pixels) = (0, 0, ptr::null_mut());
        // SAFETY: the handle and the outputs are ours.
        let code = unsafe {
            (self.api.job_preview)(self.raw.as_ptr(), &mut width, &mut height, &mut pixels)
        };
        (code == abi::OK).then(|| Preview {
            width,
            height,
            rgba: take_bytes(self.api, pixels),
        })
    }

    /// The results, once done, in the order in which they go above the picture. Empty for a learn.
    ///
    /// # Errors
    /// `Caller` before the end.
    pub fn layers(&self) -> Result<Vec<Layer<'_>>, Error> {
        let status = self.status()?;
        if status.state != State::Done {
            return Err(Error::new(
                ErrorKind::Caller,
                format!(
                    "a job has layers once it is done; this one is {:?}",
                    status.state
                ),
            ));
        }
        (0..status.layer_count).map(|i| self.layer(i)).collect()
    }

    fn layer(&self, index: u32) -> Result<Layer<'_>, Error> {
        let mut raw = zeroed::<abi::Layer>();
        raw.struct_size = size_of::<abi::Layer>() as u32;
        // SAFETY: the handle is ours; the output is a whole struct with its size set.
        let code = unsafe { (self.api.job_layer)(self.raw.as_ptr(), index, &mut raw) };
        expect(code, "job_layer")?;
        let depth = Depth::from_number(raw.depth)?;
        let channels = Channels::from_number(raw.channels)?;
        let mask_depth = Depth::from_number(raw.mask_depth)?;
        let row = raw.width as usize * channels.count() * depth.bytes();
        let mask_row = raw.width as usize * mask_depth.bytes();
        Ok(Layer {
            name: borrowed_text(self, raw.name)?,
            candidate: raw.candidate,
            role: Role::from_number(raw.role)?,
            x: raw.x,
            y: raw.y,
            picture: Picture {
                width: raw.width,
                height: raw.height,
                depth,
                channels,
                space: space(self, raw.space, raw.icc, raw.icc_size)?,
                pixels: rows(self, raw.pixels, raw.stride, row, raw.height),
                stride: raw.stride,
            },
            mask_depth,
            mask: rows(self, raw.mask, raw.mask_stride, mask_row, raw.height),
            mask_stride: raw.mask_stride,
        })
    }

    /// The picture that the job works on, as it was copied.
    ///
    /// # Errors
    /// Only if the plugin breaks the contract.
    pub fn picture(&self) -> Result<Picture<'_>, Error> {
        let mut raw = zeroed::<abi::Picture>();
        raw.struct_size = size_of::<abi::Picture>() as u32;
        // SAFETY: the handle is ours; the output is a whole struct with its size set.
        let code = unsafe { (self.api.job_picture)(self.raw.as_ptr(), &mut raw) };
        expect(code, "job_picture")?;
        let depth = Depth::from_number(raw.depth)?;
        let channels = Channels::from_number(raw.channels)?;
        let row = raw.width as usize * channels.count() * depth.bytes();
        Ok(Picture {
            width: raw.width,
            height: raw.height,
            depth,
            channels,
            space: space(self, raw.space, raw.icc, raw.icc_size)?,
            pixels: rows(self, raw.pixels, raw.stride, row, raw.height),
            stride: raw.stride,
        })
    }

    /// What was done, as JSON: kind of request, its hash, subject and version, seed; once done.
    ///
    /// # Errors
    /// `Caller` before the end.
    pub fn history(&self) -> Result<String, Error> {
        self.text(abi::BYTES_HISTORY)
    }

    /// An XMP packet for exported pictures, once done.
    ///
    /// # Errors
    /// `Caller` before the end.
    pub fn xmp(&self) -> Result<String, Error> {
        self.text(abi::BYTES_XMP)
    }

    /// The whole request, for [`Engine::replay`](super::Engine::replay).
    ///
    /// # Errors
    /// `Device` if there is no memory for the copy.
    pub fn request(&self) -> Result<Vec<u8>, Error> {
        self.bytes(abi::BYTES_REQUEST)
    }

    fn text(&self, kind: u32) -> Result<String, Error> {
        self.bytes(kind).map(into_text)
    }

    fn bytes(&self, kind: u32) -> Result<Vec<u8>, Error> {
        let mut bytes = ptr::null_mut();
        // SAFETY: the handle and the output are ours.
        let code = unsafe { (self.api.job_bytes)(self.raw.as_ptr(), kind, &mut bytes) };
        expect(code, "job_bytes")?;
        Ok(take_bytes(self.api, bytes))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and this is its last use; layers borrow the job, so none is left.
        unsafe { (self.api.job_free)(self.raw.as_ptr()) }
    }
}

/// An output struct of the table, all zero.
fn zeroed<T: Copy>() -> T {
    // SAFETY: only called for the output structs of `abi`, which hold numbers and raw pointers; zero is good for both.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn expect(code: i32, call: &str) -> Result<(), Error> {
    match ErrorKind::from_code(code) {
        None => Ok(()),
        Some(ErrorKind::Caller) => Err(Error::new(
            ErrorKind::Caller,
            format!("{call}: not available in this state of the job"),
        )),
        Some(kind) => Err(Error::new(kind, format!("{call} returned {code}"))),
    }
}

/// Rows of pixels that belong to `_job`.
fn rows(_job: &Job, data: *const c_void, stride: usize, row: usize, height: u32) -> &[u8] {
    if data.is_null() || height == 0 {
        return &[];
    }
    let size = (height as usize - 1) * stride + row;
    // SAFETY: the contract gives `height` rows, `stride` bytes apart, until job_free; the lifetime is the job's.
    unsafe { std::slice::from_raw_parts(data.cast(), size) }
}

fn space(job: &Job, number: u32, icc: *const c_void, size: usize) -> Result<Space<'_>, Error> {
    match number {
        abi::SPACE_SRGB => Ok(Space::Srgb),
        abi::SPACE_LINEAR_SRGB => Ok(Space::LinearSrgb),
        abi::SPACE_ICC => Ok(Space::Icc(rows(job, icc, size, size, 1))),
        other => Err(Error::new(
            ErrorKind::Bug,
            format!("the plugin sent an unknown Space: {other}"),
        )),
    }
}

fn borrowed_text(_job: &Job, text: *const c_char) -> Result<&str, Error> {
    if text.is_null() {
        return Ok("");
    }
    // SAFETY: the contract says: NUL-terminated, until job_free; the lifetime is the job's.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|_| Error::new(ErrorKind::Bug, "the plugin sent a name that is not UTF-8"))
}
