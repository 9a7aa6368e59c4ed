//! The Rust twin of `repose.h`: the same names without the `Repose` prefix, the same numbers, the same layout.
//!
//! The header holds the explanations; here are only the types. [`CONSTANTS`] and [`LAYOUT`] list everything, so that a
//! test can compare header, Rust and Python.

use std::ffi::{c_char, c_void};

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $value:literal, $c:literal;)+) => {
        $($(#[$doc])* pub const $name: $type = $value;)+
        /// Every number of the header: its name there and its value.
        pub const CONSTANTS: &[(&str, i64)] = &[$(($c, $name as i64)),+];
    };
}

constants! {
    /// The version of the contract described here.
    VERSION: u32 = 2, "REPOSE_VERSION";
    /// Success.
    OK: i32 = 0, "REPOSE_OK";
    /// The request cannot be used as it is.
    CALLER: i32 = 1, "REPOSE_CALLER";
    /// A file or the subject library cannot be read or written.
    FILES: i32 = 2, "REPOSE_FILES";
    /// Consent is missing, expired or revoked, or the engine does not do this by design.
    REFUSED: i32 = 3, "REPOSE_REFUSED";
    /// Not enough memory, or another limit of this machine.
    DEVICE: i32 = 4, "REPOSE_DEVICE";
    /// The host cancelled the job.
    CANCELLED: i32 = 5, "REPOSE_CANCELLED";
    /// A mistake in the plugin.
    BUG: i32 = 6, "REPOSE_BUG";
    /// The queue is full.
    BUSY: i32 = 7, "REPOSE_BUSY";
    /// The job waits.
    STATE_QUEUED: u32 = 1, "REPOSE_STATE_QUEUED";
    /// The job is at work.
    STATE_RUNNING: u32 = 2, "REPOSE_STATE_RUNNING";
    /// The job has its result.
    STATE_DONE: u32 = 3, "REPOSE_STATE_DONE";
    /// The job ended with an error.
    STATE_FAILED: u32 = 4, "REPOSE_STATE_FAILED";
    /// The job was cancelled.
    STATE_CANCELLED: u32 = 5, "REPOSE_STATE_CANCELLED";
    /// 8-bit unsigned samples.
    DEPTH_U8: u32 = 1, "REPOSE_DEPTH_U8";
    /// 16-bit unsigned samples.
    DEPTH_U16: u32 = 2, "REPOSE_DEPTH_U16";
    /// IEEE half samples.
    DEPTH_F16: u32 = 3, "REPOSE_DEPTH_F16";
    /// IEEE single samples.
    DEPTH_F32: u32 = 4, "REPOSE_DEPTH_F32";
    /// Grey.
    CHANNELS_GREY: u32 = 1, "REPOSE_CHANNELS_GREY";
    /// Grey, alpha.
    CHANNELS_GREY_ALPHA: u32 = 2, "REPOSE_CHANNELS_GREY_ALPHA";
    /// Red, green, blue.
    CHANNELS_RGB: u32 = 3, "REPOSE_CHANNELS_RGB";
    /// Red, green, blue, alpha.
    CHANNELS_RGBA: u32 = 4, "REPOSE_CHANNELS_RGBA";
    /// Blue, green, red, alpha.
    CHANNELS_BGRA: u32 = 5, "REPOSE_CHANNELS_BGRA";
    /// sRGB with its own curve.
    SPACE_SRGB: u32 = 1, "REPOSE_SPACE_SRGB";
    /// sRGB primaries, linear light.
    SPACE_LINEAR_SRGB: u32 = 2, "REPOSE_SPACE_LINEAR_SRGB";
    /// An ICC profile.
    SPACE_ICC: u32 = 3, "REPOSE_SPACE_ICC";
    /// Refine hard-edged selections only.
    REFINE_AUTO: u32 = 0, "REPOSE_REFINE_AUTO";
    /// Always refine.
    REFINE_ALWAYS: u32 = 1, "REPOSE_REFINE_ALWAYS";
    /// Never refine.
    REFINE_NEVER: u32 = 2, "REPOSE_REFINE_NEVER";
    /// Text models compute in single precision.
    PRECISION_F32: u32 = 0, "REPOSE_PRECISION_F32";
    /// Their products are rounded to bfloat16 where the CPU is faster at it.
    PRECISION_BF16: u32 = 1, "REPOSE_PRECISION_BF16";
    /// The restored background.
    ROLE_BACKGROUND: u32 = 1, "REPOSE_ROLE_BACKGROUND";
    /// The subject in its new pose.
    ROLE_SUBJECT: u32 = 2, "REPOSE_ROLE_SUBJECT";
    /// Why the job failed.
    BYTES_MESSAGE: u32 = 1, "REPOSE_BYTES_MESSAGE";
    /// What was done, as JSON.
    BYTES_HISTORY: u32 = 2, "REPOSE_BYTES_HISTORY";
    /// An XMP packet.
    BYTES_XMP: u32 = 3, "REPOSE_BYTES_XMP";
    /// The request, for a replay.
    BYTES_REQUEST: u32 = 4, "REPOSE_BYTES_REQUEST";
}

/// An engine; only ever behind a pointer.
#[repr(C)]
pub struct Engine {
    _opaque: [u8; 0],
}

/// A job; only ever behind a pointer.
#[repr(C)]
pub struct Job {
    _opaque: [u8; 0],
}

/// Text or bytes with an owner.
#[derive(Debug)]
#[repr(C)]
pub struct Bytes {
    /// `size` bytes and one NUL.
    pub data: *const c_char,
    /// Without the NUL.
    pub size: usize,
}

/// How to open an engine.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct EngineOptions {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// Threads that compute; 0: one per core.
    pub threads: u32,
    /// Jobs that may wait; 0: 16.
    pub queue: u32,
    /// `ReposePrecision`.
    pub precision: u32,
    /// Folder of the subject library; null: the user's own.
    pub library: *const c_char,
    /// Folder of text models, with their settings; null: the user's own.
    pub models: *const c_char,
}

/// A picture.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Picture {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `DEPTH_…`.
    pub depth: u32,
    /// `CHANNELS_…`.
    pub channels: u32,
    /// `SPACE_…`.
    pub space: u32,
    /// Top left pixel.
    pub pixels: *const c_void,
    /// Bytes that may be read.
    pub pixels_size: usize,
    /// Bytes from row to row.
    pub stride: usize,
    /// With `SPACE_ICC` only.
    pub icc: *const c_void,
    /// Its size.
    pub icc_size: usize,
}

/// A selection.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Selection {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// `DEPTH_U8`, `DEPTH_U16` or `DEPTH_F32`.
    pub depth: u32,
    /// Left edge in the picture.
    pub x: i32,
    /// Top edge in the picture.
    pub y: i32,
    /// Samples per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Top left sample.
    pub samples: *const c_void,
    /// Bytes that may be read.
    pub samples_size: usize,
    /// Bytes from row to row.
    pub stride: usize,
}

/// A point of a pose.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Pin {
    /// Where it is.
    pub from_x: f32,
    /// Where it is.
    pub from_y: f32,
    /// Where it goes.
    pub to_x: f32,
    /// Where it goes.
    pub to_y: f32,
    /// Degrees, clockwise on screen; NaN: free.
    pub angle: f32,
    /// The larger is in front.
    pub depth: f32,
}

/// How a text model learns a subject; 0 and null: the recipe's own.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Training {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// In all.
    pub steps: u32,
    /// Its name.
    pub recipe: *const c_char,
    /// Name, path or Hugging Face id.
    pub model: *const c_char,
    /// Of changes of projections.
    pub rank: u32,
    /// How many earlier versions it is learned from as well.
    pub earlier: u32,
    /// Same seed, same outcome.
    pub seed: u64,
}

/// Learn a subject.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct LearnRequest {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// `REFINE_…`.
    pub refine: u32,
    /// The picture.
    pub picture: *const Picture,
    /// What to learn.
    pub selection: *const Selection,
    /// Name in the library.
    pub name: *const c_char,
    /// Who allows it, for what.
    pub consent: *const c_char,
    /// Last day of use; null: no end.
    pub expires: *const c_char,
    /// 1: a real person's likeness.
    pub person: u32,
    /// 1: that person has said yes.
    pub person_agrees: u32,
    /// What the picture shows; null: nothing is said.
    pub caption: *const c_char,
    /// What the subject is; null: its name.
    pub word: *const c_char,
    /// A text model learns the subject as well; null: none does.
    pub training: *const Training,
}

/// How a text model re-poses; 0 and null: a good default.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Text {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// Of the sampler.
    pub steps: u32,
    /// Name, path or Hugging Face id.
    pub model: *const c_char,
    /// What must not be seen.
    pub negative: *const c_char,
    /// What the picture shows now.
    pub source: *const c_char,
    /// The words of the prompt that mean the subject.
    pub word: *const c_char,
    /// Its name.
    pub sampler: *const c_char,
    /// Above 0, up to 1.
    pub strength: f32,
    /// Classifier-free guidance.
    pub guidance: f32,
    /// Guidance rescale.
    pub rescale: f32,
    /// Weight of the subject's own look; below 0: none.
    pub identity: f32,
    /// Last layers of the text encoder to leave out.
    pub clip_skip: u32,
    /// Longer side of the part that is diffused, in pixels.
    pub side: u32,
    /// Share of the steps, from the start, that are guided; below 0: none.
    pub guided: f32,
    /// Of so many steps one computes all of the network.
    pub reuse: u32,
    /// Names of what is left out or put in, joined by commas.
    pub variant: *const c_char,
}

/// Re-pose a subject.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct PoseRequest {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// Results to make; 0: 1.
    pub candidates: u32,
    /// The picture.
    pub picture: *const Picture,
    /// Where the subject is now; null: nowhere.
    pub selection: *const Selection,
    /// Its name in the library.
    pub subject: *const c_char,
    /// The pins.
    pub pins: *const Pin,
    /// How many.
    pub pin_count: u32,
    /// Version of the subject; 0: the newest.
    pub version: u32,
    /// A rough edit; null: none.
    pub guide: *const Picture,
    /// A pose in words; null: none.
    pub prompt: *const c_char,
    /// Pixels to the right.
    pub offset_x: f32,
    /// Pixels down.
    pub offset_y: f32,
    /// Factor of size; 0: 1.
    pub scale: f32,
    /// Degrees, clockwise on screen.
    pub angle: f32,
    /// Seed.
    pub seed: u64,
    /// Pixels by which the selection grows.
    pub grow: u32,
    /// `REFINE_…`.
    pub refine: u32,
    /// A text model makes the pose; null: as the prompt says.
    pub text: *const Text,
}

/// Remove what is selected.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct EraseRequest {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// Results to make; 0: 1.
    pub candidates: u32,
    /// The picture.
    pub picture: *const Picture,
    /// What to remove.
    pub selection: *const Selection,
    /// Seed.
    pub seed: u64,
    /// Pixels by which the selection grows.
    pub grow: u32,
    /// 0.
    pub reserved: u32,
}

/// Where a job is.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct JobStatus {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// `STATE_…`.
    pub state: u32,
    /// Why it failed.
    pub code: i32,
    /// Layers, once done.
    pub layer_count: u32,
    /// Steps done.
    pub done: u32,
    /// All steps; 0: not known.
    pub total: u32,
    /// Seconds to the end; below 0: not known.
    pub eta_seconds: f64,
    /// Grows with every preview.
    pub preview_serial: u64,
    /// What is being done, NUL-terminated.
    pub stage: [c_char; 32],
}

/// A result.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Layer {
    /// `size_of::<Self>()`.
    pub struct_size: u32,
    /// Candidate, from 0.
    pub candidate: u32,
    /// `ROLE_…`.
    pub role: u32,
    /// Left edge in the picture.
    pub x: u32,
    /// Top edge in the picture.
    pub y: u32,
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `DEPTH_…`.
    pub depth: u32,
    /// `CHANNELS_…`.
    pub channels: u32,
    /// `SPACE_…`.
    pub space: u32,
    /// `DEPTH_…` of the mask.
    pub mask_depth: u32,
    /// 0.
    pub reserved: u32,
    /// For the list of layers.
    pub name: *const c_char,
    /// Top left pixel.
    pub pixels: *const c_void,
    /// Bytes from row to row of pixels.
    pub stride: usize,
    /// Top left mask sample.
    pub mask: *const c_void,
    /// Bytes from row to row of the mask.
    pub mask_stride: usize,
    /// With `SPACE_ICC` only.
    pub icc: *const c_void,
    /// Its size.
    pub icc_size: usize,
}

/// The table of functions.
#[derive(Debug)]
#[repr(C)]
#[allow(missing_docs, reason = "the functions are explained in repose.h, once")]
pub struct Api {
    pub version: u32,
    pub struct_size: u32,
    pub plugin_version: *const c_char,
    pub engine_open:
        unsafe extern "C" fn(*const EngineOptions, *mut *mut Engine, *mut *mut Bytes) -> i32,
    pub engine_close: unsafe extern "C" fn(*mut Engine),
    pub job_learn: unsafe extern "C" fn(
        *mut Engine,
        *const LearnRequest,
        *mut *mut Job,
        *mut *mut Bytes,
    ) -> i32,
    pub job_repose: unsafe extern "C" fn(
        *mut Engine,
        *const PoseRequest,
        *mut *mut Job,
        *mut *mut Bytes,
    ) -> i32,
    pub job_erase: unsafe extern "C" fn(
        *mut Engine,
        *const EraseRequest,
        *mut *mut Job,
        *mut *mut Bytes,
    ) -> i32,
    pub job_replay: unsafe extern "C" fn(
        *mut Engine,
        *const c_void,
        usize,
        *mut *mut Job,
        *mut *mut Bytes,
    ) -> i32,
    pub job_status: unsafe extern "C" fn(*const Job, *mut JobStatus) -> i32,
    pub job_cancel: unsafe extern "C" fn(*mut Job) -> i32,
    pub job_preview: unsafe extern "C" fn(*const Job, *mut u32, *mut u32, *mut *mut Bytes) -> i32,
    pub job_layer: unsafe extern "C" fn(*const Job, u32, *mut Layer) -> i32,
    pub job_picture: unsafe extern "C" fn(*const Job, *mut Picture) -> i32,
    pub job_bytes: unsafe extern "C" fn(*const Job, u32, *mut *mut Bytes) -> i32,
    pub job_free: unsafe extern "C" fn(*mut Job),
    pub library_command:
        unsafe extern "C" fn(*mut Engine, *const c_char, *mut *mut Bytes, *mut *mut Bytes) -> i32,
    pub bytes_free: unsafe extern "C" fn(*mut Bytes),
}

#[allow(
    unsafe_code,
    reason = "the text pointer keeps the compiler from deriving these"
)]
mod threads {
    // SAFETY: the table is immutable, and all its functions may be called from any thread (repose.h).
    unsafe impl Sync for super::Api {}
    // SAFETY: as above.
    unsafe impl Send for super::Api {}
}

/// Type of `repose_api`.
pub type ApiFn = unsafe extern "C" fn(version: u32) -> *const Api;

/// One struct of the header.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Its name in the header.
    pub name: &'static str,
    /// Its size in bytes.
    pub size: usize,
    /// Name, offset and size of each field, in bytes.
    pub fields: &'static [(&'static str, usize, usize)],
}

/// Size of the field that a projection leads to.
const fn size_behind<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! frozen {
    ($($c:literal $name:ident $size:literal { $($field:ident $offset:literal)+ })+) => {
        // What was published once never moves; 32-bit machines have narrower pointers, and so other offsets.
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            $(
                assert!(size_of::<$name>() == $size);
                $(assert!(std::mem::offset_of!($name, $field) == $offset);)+
            )+
        };
        /// Every struct of the header.
        pub const LAYOUT: &[Shape] = &[$(Shape {
            name: $c,
            size: size_of::<$name>(),
            fields: &[$((
                stringify!($field),
                std::mem::offset_of!($name, $field),
                size_behind::<$name, _>(|s| &s.$field),
            )),+],
        }),+];
    };
}

frozen! {
    "ReposeBytes" Bytes 16 { data 0 size 8 }
    "ReposeEngineOptions" EngineOptions 32 { struct_size 0 threads 4 queue 8 precision 12 library 16 models 24 }
    "ReposePicture" Picture 64 {
        struct_size 0 width 4 height 8 depth 12 channels 16 space 20
        pixels 24 pixels_size 32 stride 40 icc 48 icc_size 56
    }
    "ReposeSelection" Selection 48 {
        struct_size 0 depth 4 x 8 y 12 width 16 height 20 samples 24 samples_size 32 stride 40
    }
    "ReposePin" Pin 24 { from_x 0 from_y 4 to_x 8 to_y 12 angle 16 depth 20 }
    "ReposeTraining" Training 40 { struct_size 0 steps 4 recipe 8 model 16 rank 24 earlier 28 seed 32 }
    "ReposeLearnRequest" LearnRequest 80 {
        struct_size 0 refine 4 picture 8 selection 16 name 24 consent 32 expires 40
        person 48 person_agrees 52 caption 56 word 64 training 72
    }
    "ReposeText" Text 88 {
        struct_size 0 steps 4 model 8 negative 16 source 24 word 32 sampler 40 strength 48 guidance 52
        rescale 56 identity 60 clip_skip 64 side 68 guided 72 reuse 76
        variant 80
    }
    "ReposePoseRequest" PoseRequest 104 {
        struct_size 0 candidates 4 picture 8 selection 16 subject 24 pins 32 pin_count 40 version 44
        guide 48 prompt 56 offset_x 64 offset_y 68 scale 72 angle 76 seed 80 grow 88 refine 92
        text 96
    }
    "ReposeEraseRequest" EraseRequest 40 {
        struct_size 0 candidates 4 picture 8 selection 16 seed 24 grow 32 reserved 36
    }
    "ReposeJobStatus" JobStatus 72 {
        struct_size 0 state 4 code 8 layer_count 12 done 16 total 20 eta_seconds 24 preview_serial 32
        stage 40
    }
    "ReposeLayer" Layer 104 {
        struct_size 0 candidate 4 role 8 x 12 y 16 width 20 height 24 depth 28 channels 32 space 36
        mask_depth 40 reserved 44 name 48 pixels 56 stride 64 mask 72 mask_stride 80 icc 88 icc_size 96
    }
    "ReposeApi" Api 136 {
        version 0 struct_size 4 plugin_version 8 engine_open 16 engine_close 24 job_learn 32
        job_repose 40 job_erase 48 job_replay 56 job_status 64 job_cancel 72 job_preview 80
        job_layer 88 job_picture 96 job_bytes 104 job_free 112 library_command 120 bytes_free 128
    }
}
