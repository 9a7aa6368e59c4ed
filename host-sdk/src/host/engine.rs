//! Opening the plugin and handing it work.
#![allow(
    unsafe_code,
    reason = "calls through the plugin's table; repose.h states what each call needs"
)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::{self, NonNull};

use super::Job;
use super::types::{
    EraseRequest, LearnRequest, Picture, Precision, ReposeRequest, SelectionRef, Space, TextOptions,
};
use crate::library::{self, LoadError};
use crate::{Error, ErrorKind, abi};

/// The loaded plugin. It stays loaded until the process ends.
#[derive(Debug, Clone)]
pub struct Plugin {
    api: &'static abi::Api,
    path: PathBuf,
    version: String,
}

/// How to open an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Folder of the subject library; `None`: the user's own.
    pub library: Option<PathBuf>,
    /// Folder of text models, with their settings; `None`: the user's own.
    pub models: Option<PathBuf>,
    /// Threads that compute; 0: one per core.
    pub threads: u32,
    /// Jobs that may wait, at most 1024; 0: 16.
    pub queue: u32,
    /// How exactly text models compute on the CPU.
    pub precision: Precision,
}

/// One background thread with its queue. Dropping it cancels its jobs and waits for the step at work.
#[derive(Debug)]
pub struct Engine {
    api: &'static abi::Api,
    raw: NonNull<abi::Engine>,
}

// SAFETY: every function that takes an engine is [any-thread], but engine_close, which drop calls once.
unsafe impl Send for Engine {}
// SAFETY: as above.
unsafe impl Sync for Engine {}

impl Plugin {
    /// Finds the plugin (see [`library::places`]) and loads it.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn find(explicit: Option<&Path>) -> Result<Self, LoadError> {
        Self::load(&library::find(explicit)?)
    }

    /// Loads this file through its layout-checked root module.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let (api, version) = library::load_root(path)?;
        Ok(Self {
            api,
            path: path.to_owned(),
            version: version.to_owned(),
        })
    }

    /// Loads this file through its C symbol: for plugins whose root module [`Plugin::load`] cannot read.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load_symbol(path: &Path) -> Result<Self, LoadError> {
        let api = library::load_symbol(path)?;
        // SAFETY: the contract says: NUL-terminated, lives as long as the process.
        let version = unsafe { CStr::from_ptr(api.plugin_version) };
        Ok(Self {
            api,
            path: path.to_owned(),
            version: version.to_string_lossy().into_owned(),
        })
    }

    /// The table itself.
    pub fn api(&self) -> &'static abi::Api {
        self.api
    }

    /// The file it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plugin's version, such as `0.1.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Starts an engine.
    ///
    /// # Errors
    /// `Caller` if the options cannot be used, `Device` if no thread can be started.
    pub fn open(&self, options: &Options) -> Result<Engine, Error> {
        let folder = options.library.as_deref().map(path_text).transpose()?;
        let models = options.models.as_deref().map(path_text).transpose()?;
        let raw_options = abi::EngineOptions {
            struct_size: size_of::<abi::EngineOptions>() as u32,
            threads: options.threads,
            queue: options.queue,
            precision: options.precision.number(),
            library: text_pointer(folder.as_ref()),
            models: text_pointer(models.as_ref()),
        };
        let mut raw = ptr::null_mut();
        let mut error = ptr::null_mut();
        // SAFETY: the options and the text behind them live during the call; both outputs are ours.
        let code = unsafe { (self.api.engine_open)(&raw_options, &mut raw, &mut error) };
        check(self.api, code, error)?;
        Ok(Engine {
            api: self.api,
            raw: not_null(raw)?,
        })
    }
}

impl Engine {
    /// Queues a learn.
    ///
    /// # Errors
    /// `Caller` if the request cannot be used, `Busy` if the queue is full.
    pub fn learn(&self, request: &LearnRequest<'_>) -> Result<Job, Error> {
        let picture = raw_picture(&request.picture);
        let selection = raw_selection(&request.selection);
        let name = text(request.name, "the subject's name")?;
        let consent = text(request.consent, "the consent")?;
        let expires = request
            .expires
            .map(|t| text(t, "the last day"))
            .transpose()?;
        let caption = optional(request.caption, "the caption")?;
        let word = optional(request.word, "the subject's word")?;
        let asked = request.training.unwrap_or_default();
        let recipe = optional(asked.recipe, "the recipe's name")?;
        let model = optional(asked.model, "the model's name")?;
        let training = abi::Training {
            struct_size: size_of::<abi::Training>() as u32,
            steps: asked.steps.unwrap_or(0),
            recipe: text_pointer(recipe.as_ref()),
            model: text_pointer(model.as_ref()),
            rank: asked.rank.unwrap_or(0),
            earlier: asked.earlier,
            seed: asked.seed,
        };
        let raw = abi::LearnRequest {
            struct_size: size_of::<abi::LearnRequest>() as u32,
            refine: request.refine.number(),
            picture: &picture,
            selection: &selection,
            name: name.as_ptr(),
            consent: consent.as_ptr(),
            expires: text_pointer(expires.as_ref()),
            person: request.person.into(),
            person_agrees: request.person_agrees.into(),
            caption: text_pointer(caption.as_ref()),
            word: text_pointer(word.as_ref()),
            training: match request.training {
                Some(_) => &training,
                None => ptr::null(),
            },
        };
        self.submit(|engine, job, error| {
            // SAFETY: everything that the request points to lives during the call, which copies it.
            unsafe { (self.api.job_learn)(engine, &raw, job, error) }
        })
    }

    /// Queues a re-pose.
    ///
    /// # Errors
    /// `Caller` if the request cannot be used, `Busy` if the queue is full.
    pub fn repose(&self, request: &ReposeRequest<'_>) -> Result<Job, Error> {
        let picture = raw_picture(&request.picture);
        let selection = request.selection.as_ref().map(raw_selection);
        let guide = request.guide.as_ref().map(raw_picture);
        let subject = text(request.subject, "the subject's name")?;
        let prompt = optional(request.prompt, "the prompt")?;
        let words = request.text.as_ref().map(Words::new).transpose()?;
        let text_options = words.as_ref().map(Words::raw);
        let pins: Vec<abi::Pin> = request
            .pins
            .iter()
            .map(|pin| abi::Pin {
                from_x: pin.from[0],
                from_y: pin.from[1],
                to_x: pin.to[0],
                to_y: pin.to[1],
                angle: pin.angle.unwrap_or(f32::NAN),
                depth: pin.depth,
            })
            .collect();
        let raw = abi::PoseRequest {
            struct_size: size_of::<abi::PoseRequest>() as u32,
            candidates: request.candidates,
            picture: &picture,
            selection: selection.as_ref().map_or(ptr::null(), ptr::from_ref),
            subject: subject.as_ptr(),
            pins: pins.as_ptr(),
            pin_count: u32::try_from(pins.len()).unwrap_or(u32::MAX),
            version: request.version.unwrap_or(0),
            guide: guide.as_ref().map_or(ptr::null(), ptr::from_ref),
            prompt: text_pointer(prompt.as_ref()),
            offset_x: request.offset[0],
            offset_y: request.offset[1],
            scale: request.scale,
            angle: request.angle,
            seed: request.seed,
            grow: request.grow,
            refine: request.refine.number(),
            text: text_options.as_ref().map_or(ptr::null(), ptr::from_ref),
        };
        self.submit(|engine, job, error| {
            // SAFETY: everything that the request points to lives during the call, which copies it.
            unsafe { (self.api.job_repose)(engine, &raw, job, error) }
        })
    }

    /// Queues an erase.
    ///
    /// # Errors
    /// `Caller` if the request cannot be used, `Busy` if the queue is full.
    pub fn erase(&self, request: &EraseRequest<'_>) -> Result<Job, Error> {
        let picture = raw_picture(&request.picture);
        let selection = raw_selection(&request.selection);
        let raw = abi::EraseRequest {
            struct_size: size_of::<abi::EraseRequest>() as u32,
            candidates: request.candidates,
            picture: &picture,
            selection: &selection,
            seed: request.seed,
            grow: request.grow,
            reserved: 0,
        };
        self.submit(|engine, job, error| {
            // SAFETY: everything that the request points to lives during the call, which copies it.
            unsafe { (self.api.job_erase)(engine, &raw, job, error) }
        })
    }

    /// Queues a saved request ([`Job::request`]) again.
    ///
    /// # Errors
    /// `Caller` if the bytes are not a whole request, `Busy` if the queue is full.
    pub fn replay(&self, request: &[u8]) -> Result<Job, Error> {
        let (bytes, size) = (request.as_ptr().cast::<c_void>(), request.len());
        self.submit(|engine, job, error| {
            // SAFETY: the bytes live during the call, which copies them.
            unsafe { (self.api.job_replay)(engine, bytes, size, job, error) }
        })
    }

    /// Runs a command on the subject library, such as `{"command": "list"}`; the answer is JSON.
    ///
    /// # Errors
    /// As the command: mostly `Caller`, `Files` or `Refused`.
    pub fn library(&self, json: &str) -> Result<String, Error> {
        let json = text(json, "the command")?;
        let mut answer = ptr::null_mut();
        let mut error = ptr::null_mut();
        // SAFETY: the text lives during the call; both outputs are ours.
        let code = unsafe {
            (self.api.library_command)(self.raw.as_ptr(), json.as_ptr(), &mut answer, &mut error)
        };
        check(self.api, code, error)?;
        Ok(into_text(take_bytes(self.api, answer)))
    }

    fn submit(
        &self,
        call: impl FnOnce(*mut abi::Engine, *mut *mut abi::Job, *mut *mut abi::Bytes) -> i32,
    ) -> Result<Job, Error> {
        let mut job = ptr::null_mut();
        let mut error = ptr::null_mut();
        let code = call(self.raw.as_ptr(), &mut job, &mut error);
        check(self.api, code, error)?;
        Ok(Job::new(self.api, not_null(job)?))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the handle is ours, and this is its last use.
        unsafe { (self.api.engine_close)(self.raw.as_ptr()) }
    }
}

fn raw_picture(picture: &Picture<'_>) -> abi::Picture {
    let (space, icc) = match picture.space {
        Space::Srgb => (abi::SPACE_SRGB, None),
        Space::LinearSrgb => (abi::SPACE_LINEAR_SRGB, None),
        Space::Icc(profile) => (abi::SPACE_ICC, Some(profile)),
    };
    abi::Picture {
        struct_size: size_of::<abi::Picture>() as u32,
        width: picture.width,
        height: picture.height,
        depth: picture.depth.number(),
        channels: picture.channels.number(),
        space,
        pixels: picture.pixels.as_ptr().cast(),
        pixels_size: picture.pixels.len(),
        stride: picture.stride,
        icc: icc.map_or(ptr::null(), |bytes| bytes.as_ptr().cast()),
        icc_size: icc.map_or(0, <[u8]>::len),
    }
}

fn raw_selection(selection: &SelectionRef<'_>) -> abi::Selection {
    abi::Selection {
        struct_size: size_of::<abi::Selection>() as u32,
        depth: selection.depth.number(),
        x: selection.x,
        y: selection.y,
        width: selection.width,
        height: selection.height,
        samples: selection.samples.as_ptr().cast(),
        samples_size: selection.samples.len(),
        stride: selection.stride,
    }
}

/// Text options with their texts as the contract wants them.
struct Words<'a> {
    options: &'a TextOptions<'a>,
    model: Option<CString>,
    negative: Option<CString>,
    source: Option<CString>,
    word: Option<CString>,
    sampler: Option<CString>,
    variant: Option<CString>,
}

impl<'a> Words<'a> {
    fn new(options: &'a TextOptions<'a>) -> Result<Self, Error> {
        Ok(Self {
            options,
            model: optional(options.model, "the model")?,
            negative: optional(options.negative, "the negative prompt")?,
            source: optional(options.source, "the source caption")?,
            word: optional(options.word, "the subject's word")?,
            sampler: optional(options.sampler, "the sampler")?,
            variant: optional(options.variant, "the variant")?,
        })
    }

    /// Valid as long as `self`.
    fn raw(&self) -> abi::Text {
        let it = self.options;
        // 0 is the default at the border, so none is a negative number there.
        let share = |value: Option<f32>| value.map_or(0.0, |v| if v == 0.0 { -1.0 } else { v });
        abi::Text {
            struct_size: size_of::<abi::Text>() as u32,
            steps: it.steps.unwrap_or(0),
            model: text_pointer(self.model.as_ref()),
            negative: text_pointer(self.negative.as_ref()),
            source: text_pointer(self.source.as_ref()),
            word: text_pointer(self.word.as_ref()),
            sampler: text_pointer(self.sampler.as_ref()),
            strength: it.strength.unwrap_or(0.0),
            guidance: it.guidance.unwrap_or(0.0),
            rescale: it.rescale.unwrap_or(0.0),
            identity: share(it.identity),
            clip_skip: it.clip_skip,
            side: it.side.unwrap_or(0),
            guided: share(it.guided),
            reuse: it.reuse.unwrap_or(0),
            variant: text_pointer(self.variant.as_ref()),
        }
    }
}

fn optional(value: Option<&str>, what: &str) -> Result<Option<CString>, Error> {
    value.map(|t| text(t, what)).transpose()
}

fn text(text: &str, what: &str) -> Result<CString, Error> {
    CString::new(text)
        .map_err(|_| Error::new(ErrorKind::Caller, format!("{what} must not contain NUL")))
}

fn text_pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(ptr::null(), |t| t.as_ptr())
}

fn path_text(path: &Path) -> Result<CString, Error> {
    // Unix paths are bytes, and the plugin takes them as such; elsewhere they are UTF-8 at this border.
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec();
    #[cfg(not(unix))]
    let bytes = path.to_string_lossy().into_owned().into_bytes();
    CString::new(bytes).map_err(|_| Error::new(ErrorKind::Caller, "a path must not contain NUL"))
}

fn not_null<T>(raw: *mut T) -> Result<NonNull<T>, Error> {
    NonNull::new(raw).ok_or_else(|| {
        Error::new(
            ErrorKind::Bug,
            "the plugin reported success without a result",
        )
    })
}

/// Turns a code and the plugin's error text into an error.
fn check(api: &abi::Api, code: i32, error: *mut abi::Bytes) -> Result<(), Error> {
    match ErrorKind::from_code(code) {
        None => Ok(()),
        Some(kind) => Err(Error::new(kind, into_text(take_bytes(api, error)))),
    }
}

/// Copies the plugin's bytes and gives them back.
pub(super) fn take_bytes(api: &abi::Api, raw: *mut abi::Bytes) -> Vec<u8> {
    if raw.is_null() {
        return Vec::new();
    }
    // SAFETY: not null, and ours until bytes_free.
    let bytes = unsafe { &*raw };
    let copy = if bytes.data.is_null() {
        Vec::new()
    } else {
        // SAFETY: the contract says that `size` bytes may be read.
        unsafe { std::slice::from_raw_parts(bytes.data.cast::<u8>(), bytes.size) }.to_vec()
    };
    // SAFETY: ours, and this is its last use.
    unsafe { (api.bytes_free)(raw) };
    copy
}

pub(super) fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}
