//! The border to hosts: the functions of `repose.h`, and the only folder of the plugin with unsafe code.
//!
//! Every function is one `door`: arguments are read and checked (`input`), then safe code does the work, then results
//! are written (`output`). A panic behind the door becomes the status `REPOSE_BUG`.
#![allow(
    unsafe_code,
    reason = "the border: pointers from hosts are read and written here, and nowhere else"
)]

mod input;
mod output;
mod table;

use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::sync::Arc;

use repose_host::abi;

use crate::engine::stable_diffusion::weights::Options;
use crate::job::{Job, Queue, guarded};
use crate::kernels::Precision;
use crate::learn;
use crate::models::{self, Models};
use crate::request::Request;
use crate::subject::Library;
use crate::work::{Finished, Worker};
use crate::{Error, Result};

/// Jobs that may wait if the host does not say.
const DEFAULT_QUEUE: u32 = 16;
/// More than this of threads or waiting jobs is a mistake.
const MAX_COUNT: u32 = 1024;

/// A picture of more bytes than this is not given back while the host waits.
const LARGE: usize = 1 << 18;

/// What stands behind a `ReposeEngine *`.
struct Engine {
    queue: Queue<Request, Finished>,
    library: Option<PathBuf>,
    models: Models,
}

/// What stands behind a `ReposeJob *`, held by an [`Arc`].
type SharedJob = Job<Request, Finished>;

/// Runs the body of an exported function. `error` is written only if it fails and the host wants the text.
fn door(error: *mut *mut abi::Bytes, body: impl FnOnce() -> Result<()>) -> i32 {
    let Err(failure) = guarded(body) else {
        return abi::OK;
    };
    if !error.is_null() && error.is_aligned() {
        let text = output::bytes(failure.message.into_bytes());
        // SAFETY: not null and aligned; the host promises that a pointer may be written there.
        unsafe { error.write(text) };
    }
    failure.kind as i32
}

unsafe extern "C" fn engine_open(
    options: *const abi::EngineOptions,
    engine: *mut *mut abi::Engine,
    error: *mut *mut abi::Bytes,
) -> i32 {
    door(error, || {
        output::check(engine, "engine")?;
        // SAFETY: null or a host's struct with its size in front.
        let options = unsafe { input::optional(options, "options") }?;
        let (threads, queue, precision, library, models) = match options {
            None => (0, 0, Precision::F32, None, None),
            Some(it) => {
                let precision = input::precision(it.precision)?;
                // SAFETY: null or a NUL-terminated path of the host's.
                let library = unsafe { input::path(it.library, "library") }?;
                // SAFETY: as above.
                let models = unsafe { input::path(it.models, "models") }?;
                (it.threads, it.queue, precision, library, models)
            }
        };
        if threads > MAX_COUNT || queue > MAX_COUNT {
            return Err(Error::caller(format!(
                "at most {MAX_COUNT} threads and waiting jobs were expected, {threads} and {queue} came"
            )));
        }
        let models = Models::of(models.as_deref());
        let queue = if queue == 0 { DEFAULT_QUEUE } else { queue };
        let options = Options {
            precision,
            ..Options::default()
        };
        let threads = threads as usize;
        let mut worker = Worker::new(library.clone(), models.clone(), threads, options);
        let queue = Queue::start(queue as usize, move |request, progress| {
            worker.run(request, progress)
        })?;
        let opened = Box::into_raw(Box::new(Engine {
            queue,
            library,
            models,
        }));
        // SAFETY: checked above; the host promises that a pointer may be written there.
        unsafe { engine.write(opened.cast()) };
        Ok(())
    })
}

unsafe extern "C" fn engine_close(engine: *mut abi::Engine) {
    if engine.is_null() {
        return;
    }
    let _closed = guarded(|| {
        // SAFETY: it came from engine_open, and the host promises that this is its last use.
        drop(unsafe { Box::from_raw(engine.cast::<Engine>()) });
        Ok(())
    });
}

/// Queues what `read` makes of a host's request.
fn submit(
    engine: *const abi::Engine,
    job: *mut *mut abi::Job,
    error: *mut *mut abi::Bytes,
    read: impl FnOnce() -> Result<Request>,
) -> i32 {
    door(error, || {
        output::check(job, "job")?;
        let engine = behind(engine)?;
        engine.queue.room()?;
        let request = read()?;
        request.check()?;
        let queued = Arc::into_raw(engine.queue.submit(request)?);
        // SAFETY: checked above; the host promises that a pointer may be written there.
        unsafe { job.write(queued.cast_mut().cast()) };
        Ok(())
    })
}

unsafe extern "C" fn job_learn(
    engine: *mut abi::Engine,
    request: *const abi::LearnRequest,
    job: *mut *mut abi::Job,
    error: *mut *mut abi::Bytes,
) -> i32 {
    submit(engine, job, error, || {
        // SAFETY: null or a host's request, good during this call.
        unsafe { input::learn(request) }.map(Request::Learn)
    })
}

unsafe extern "C" fn job_repose(
    engine: *mut abi::Engine,
    request: *const abi::PoseRequest,
    job: *mut *mut abi::Job,
    error: *mut *mut abi::Bytes,
) -> i32 {
    submit(engine, job, error, || {
        // SAFETY: null or a host's request, good during this call.
        unsafe { input::repose(request) }.map(Request::Repose)
    })
}

unsafe extern "C" fn job_erase(
    engine: *mut abi::Engine,
    request: *const abi::EraseRequest,
    job: *mut *mut abi::Job,
    error: *mut *mut abi::Bytes,
) -> i32 {
    submit(engine, job, error, || {
        // SAFETY: null or a host's request, good during this call.
        unsafe { input::erase(request) }.map(Request::Erase)
    })
}

unsafe extern "C" fn job_replay(
    engine: *mut abi::Engine,
    request: *const c_void,
    size: usize,
    job: *mut *mut abi::Job,
    error: *mut *mut abi::Bytes,
) -> i32 {
    submit(engine, job, error, || {
        // SAFETY: null or `size` bytes of the host's, good during this call.
        let bytes = unsafe { input::bytes(request, size, "request") }?;
        Request::from_bytes(bytes)
    })
}

unsafe extern "C" fn job_status(job: *const abi::Job, status: *mut abi::JobStatus) -> i32 {
    door(std::ptr::null_mut(), || {
        let value = output::status(shared(job)?);
        // SAFETY: null or a host's struct with its size in front.
        unsafe { output::write(status, value, "status") }
    })
}

unsafe extern "C" fn job_cancel(job: *mut abi::Job) -> i32 {
    door(std::ptr::null_mut(), || {
        shared(job)?.cancel();
        Ok(())
    })
}

unsafe extern "C" fn job_preview(
    job: *const abi::Job,
    width: *mut u32,
    height: *mut u32,
    pixels: *mut *mut abi::Bytes,
) -> i32 {
    door(std::ptr::null_mut(), || {
        output::check(width, "width")?;
        output::check(height, "height")?;
        output::check(pixels, "pixels")?;
        let preview = shared(job)?
            .progress()
            .latest_preview()
            .ok_or_else(|| Error::caller("there is no preview yet"))?;
        let shown = output::shared(Arc::clone(&preview.rgba));
        // SAFETY: checked above; the host promises that a number may be written there.
        unsafe { width.write(preview.width) };
        // SAFETY: as above.
        unsafe { height.write(preview.height) };
        // SAFETY: as above, a pointer.
        unsafe { pixels.write(shown) };
        Ok(())
    })
}

unsafe extern "C" fn job_layer(job: *const abi::Job, index: u32, layer: *mut abi::Layer) -> i32 {
    door(std::ptr::null_mut(), || {
        let layers = &done(shared(job)?)?.layers;
        let found = layers.get(index as usize).ok_or_else(|| {
            Error::caller(format!(
                "layer {index} was asked for, there are {}",
                layers.len()
            ))
        })?;
        // SAFETY: null or a host's struct with its size in front.
        unsafe { output::write(layer, output::layer(found), "layer") }
    })
}

unsafe extern "C" fn job_picture(job: *const abi::Job, picture: *mut abi::Picture) -> i32 {
    door(std::ptr::null_mut(), || {
        let value = output::picture(shared(job)?.request().picture());
        // SAFETY: null or a host's struct with its size in front.
        unsafe { output::write(picture, value, "picture") }
    })
}

unsafe extern "C" fn job_bytes(
    job: *const abi::Job,
    kind: u32,
    bytes: *mut *mut abi::Bytes,
) -> i32 {
    door(std::ptr::null_mut(), || {
        output::check(bytes, "bytes")?;
        let job = shared(job)?;
        let asked = match kind {
            abi::BYTES_MESSAGE => match job.end() {
                Some(Err(error)) => error.message.clone().into_bytes(),
                _ => Vec::new(),
            },
            abi::BYTES_HISTORY => done(job)?.history.clone().into_bytes(),
            abi::BYTES_XMP => done(job)?.xmp.clone().into_bytes(),
            abi::BYTES_REQUEST => job.request().to_bytes()?,
            other => {
                return Err(Error::caller(format!(
                    "bytes of kind {other} are not known"
                )));
            }
        };
        // SAFETY: checked above; the host promises that a pointer may be written there.
        unsafe { bytes.write(output::bytes(asked)) };
        Ok(())
    })
}

unsafe extern "C" fn job_free(job: *mut abi::Job) {
    if job.is_null() {
        return;
    }
    let _freed = guarded(|| {
        // SAFETY: it came from submit, and the host promises that this is its last use.
        let job = unsafe { Arc::from_raw(job.cast::<SharedJob>()) };
        job.cancel();
        forget(job);
        Ok(())
    });
}

/// Drops a job. The system takes milliseconds to take back a large picture and its layers: a thread waits for that, not
/// the host.
fn forget(job: Arc<SharedJob>) {
    if job.request().picture().bytes.len() > LARGE {
        // Where there is no thread to be had, the closure is dropped here, and the job with it.
        let _detached = std::thread::Builder::new()
            .name("repose-free".into())
            .spawn(move || drop(job));
    }
}

unsafe extern "C" fn library_command(
    engine: *mut abi::Engine,
    json: *const c_char,
    answer: *mut *mut abi::Bytes,
    error: *mut *mut abi::Bytes,
) -> i32 {
    door(error, || {
        output::check(answer, "answer")?;
        let engine = behind(engine)?;
        // SAFETY: null or a NUL-terminated text of the host's.
        let json = unsafe { input::text(json, "the command") }?;
        let library = || Library::open(engine.library.clone());
        let said = match command_name(&json).as_deref() {
            Some(name) if models::command::NAMES.contains(&name) => engine.models.command(&json)?,
            Some(name) if learn::command::NAMES.contains(&name) => {
                learn::command::answer(&library()?, &json)?
            }
            _ => library()?.command(&json)?,
        };
        // SAFETY: checked above; the host promises that a pointer may be written there.
        unsafe { answer.write(output::bytes(said.into_bytes())) };
        Ok(())
    })
}

/// The command that `json` asks for, if it is one at all.
fn command_name(json: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        command: String,
    }
    Some(serde_json::from_str::<Named>(json).ok()?.command)
}

unsafe extern "C" fn bytes_free(bytes: *mut abi::Bytes) {
    // SAFETY: null, or from output::bytes, and the host promises that this is its last use.
    unsafe { output::free(bytes) };
}

/// The engine behind a handle.
fn behind<'a>(engine: *const abi::Engine) -> Result<&'a Engine> {
    if engine.is_null() {
        return Err(Error::caller("the engine is NULL"));
    }
    // SAFETY: it came from engine_open, and the host promises not to close it during this call.
    Ok(unsafe { &*engine.cast::<Engine>() })
}

/// The job behind a handle.
fn shared<'a>(job: *const abi::Job) -> Result<&'a SharedJob> {
    if job.is_null() {
        return Err(Error::caller("the job is NULL"));
    }
    // SAFETY: it came from submit, and the host promises not to free it during this call.
    Ok(unsafe { &*job.cast::<SharedJob>() })
}

/// A job's result.
fn done(job: &SharedJob) -> Result<&Finished> {
    match job.end() {
        Some(Ok(finished)) => Ok(finished),
        _ => Err(Error::caller("the job is not done")),
    }
}
