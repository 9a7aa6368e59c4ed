//! Reading what a host points to.
//!
//! The functions here are unsafe for one reason: a pointer that is neither null nor misaligned is believed, as `repose.h`
//! demands. Everything that can be checked is.

use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;
use std::path::PathBuf;

use repose_host::abi;

use crate::canvas::{Raster, Selection};
use crate::kernels::Precision;
use crate::request::{
    Erase, Learn, Pin, Pixels, Placement, Refine, Repose, Samples, Training, Words,
};
use crate::subject::Consent;
use crate::{Error, Result};

/// More pins than any request may have; nothing beyond is read.
const MAX_PINS: u32 = 1000;

/// A struct of `repose.h` that begins with its size.
///
/// # Safety
/// Any bytes must be a good value, and the first field must be `struct_size: u32`.
pub(super) unsafe trait Sized1: Copy {
    /// Its size in version 1, which no host may go below.
    const VERSION_1: usize;
}

macro_rules! sized {
    ($($name:ident $size:literal)+) => {
        $(
            // SAFETY: numbers and raw pointers only, the size first (repose_host::abi).
            unsafe impl Sized1 for abi::$name {
                const VERSION_1: usize = if cfg!(target_pointer_width = "64") {
                    $size
                } else {
                    size_of::<abi::$name>()
                };
            }
        )+
    };
}

sized! {
    EngineOptions 24 Picture 64 Selection 48 LearnRequest 56 Training 40 Text 72 PoseRequest 96 EraseRequest 40
    JobStatus 72 Layer 104
}

/// What can be known about a pointer.
pub(super) fn check<T>(raw: *const T, what: &str) -> Result<()> {
    if raw.is_null() {
        return Err(Error::caller(format!("{what} is NULL")));
    }
    if !raw.is_aligned() {
        return Err(Error::caller(format!(
            "{what} is not aligned to {} bytes",
            align_of::<T>()
        )));
    }
    Ok(())
}

/// The size that a host wrote into its struct.
///
/// # Safety
/// `raw` is null or misaligned, or points to a struct of a host's.
pub(super) unsafe fn struct_size<T: Sized1>(raw: *const T, what: &str) -> Result<usize> {
    check(raw, what)?;
    // SAFETY: the caller's promise; every such struct begins with its size.
    let size = unsafe { raw.cast::<u32>().read() } as usize;
    if size < T::VERSION_1 {
        return Err(Error::caller(format!(
            "{what} has struct_size {size}: at least {} was expected; set it to the size of the struct",
            T::VERSION_1
        )));
    }
    Ok(size)
}

/// A copy of a host's struct. A newer host's larger one is cut; what an older host's smaller one lacks is 0.
///
/// # Safety
/// `raw` is null or misaligned, or points to a struct of a host's, as large as it says.
pub(super) unsafe fn sized<T: Sized1>(raw: *const T, what: &str) -> Result<T> {
    // SAFETY: the caller's promise.
    let size = unsafe { struct_size(raw, what) }?.min(size_of::<T>());
    let mut copy = MaybeUninit::<T>::zeroed();
    // SAFETY: `size` bytes may be read by the caller's promise, and fit into `copy`.
    unsafe {
        raw.cast::<u8>()
            .copy_to_nonoverlapping(copy.as_mut_ptr().cast(), size)
    };
    // SAFETY: any bytes are a good value (Sized1).
    Ok(unsafe { copy.assume_init() })
}

/// As [`sized`], but null is `None`.
///
/// # Safety
/// As [`sized`].
pub(super) unsafe fn optional<T: Sized1>(raw: *const T, what: &str) -> Result<Option<T>> {
    if raw.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { sized(raw, what) }.map(Some)
}

/// Reserved fields are 0, so that they can mean something one day.
pub(super) fn reserved(value: u32) -> Result<()> {
    if value == 0 {
        Ok(())
    } else {
        Err(Error::caller(format!("`reserved` must be 0, not {value}")))
    }
}

/// `size` bytes of a host's.
///
/// # Safety
/// `raw` is null or points to `size` bytes that stay and do not change for the lifetime.
pub(super) unsafe fn bytes<'a>(raw: *const c_void, size: usize, what: &str) -> Result<&'a [u8]> {
    if size == 0 {
        return Ok(&[]);
    }
    check(raw.cast::<u8>(), what)?;
    if isize::try_from(size).is_err() {
        return Err(Error::caller(format!("{what} cannot have {size} bytes")));
    }
    // SAFETY: the caller's promise; not null, and not too long for a slice.
    Ok(unsafe { std::slice::from_raw_parts(raw.cast(), size) })
}

/// A host's text.
///
/// # Safety
/// `raw` is null or NUL-terminated.
pub(super) unsafe fn text(raw: *const c_char, what: &str) -> Result<String> {
    check(raw, what)?;
    // SAFETY: the caller's promise; not null.
    let text = unsafe { CStr::from_ptr(raw) };
    text.to_str()
        .map(str::to_owned)
        .map_err(|_| Error::caller(format!("{what} is not UTF-8")))
}

/// As [`text`], but null is `None`.
///
/// # Safety
/// As [`text`].
unsafe fn optional_text(raw: *const c_char, what: &str) -> Result<Option<String>> {
    if raw.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { text(raw, what) }.map(Some)
}

/// A host's path, or `None` for null: any bytes on Unix, where paths are that; elsewhere UTF-8.
///
/// # Safety
/// As [`text`].
pub(super) unsafe fn path(raw: *const c_char, what: &str) -> Result<Option<PathBuf>> {
    if raw.is_null() {
        return Ok(None);
    }
    #[cfg(unix)]
    {
        let _ = what;
        // SAFETY: the caller's promise; not null.
        let path = unsafe { CStr::from_ptr(raw) };
        let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(path.to_bytes());
        Ok(Some(PathBuf::from(path)))
    }
    #[cfg(not(unix))]
    {
        // SAFETY: the caller's promise.
        unsafe { text(raw, what) }.map(|path| Some(PathBuf::from(path)))
    }
}

/// # Safety
/// `raw` is null or a host's request; all that it points to is good during this call. So for all below.
pub(super) unsafe fn learn(raw: *const abi::LearnRequest) -> Result<Learn> {
    // SAFETY: the caller's promise.
    let it = unsafe { sized(raw, "the request") }?;
    // SAFETY: the caller's promise.
    let picture = unsafe { picture(it.picture, "the picture") }?;
    // SAFETY: the caller's promise.
    let selection = unsafe { selection(it.selection, &picture) }?
        .ok_or_else(|| Error::caller("the selection is NULL: select something first"))?;
    let consent = Consent {
        // SAFETY: the caller's promise. No text at all is a consent that is missing, not a mistake of the program.
        statement: unsafe { optional_text(it.consent, "the consent") }?.unwrap_or_default(),
        person: flag(it.person, "person")?,
        person_agrees: flag(it.person_agrees, "person_agrees")?,
        // SAFETY: the caller's promise.
        expires: unsafe { optional_text(it.expires, "the last day") }?,
    };
    Ok(Learn {
        picture,
        selection,
        // SAFETY: the caller's promise.
        name: unsafe { text(it.name, "the name") }?,
        consent,
        refine: refine(it.refine)?,
        // SAFETY: the caller's promise.
        caption: unsafe { optional_text(it.caption, "the caption") }?,
        // SAFETY: the caller's promise.
        word: unsafe { optional_text(it.word, "the subject's word") }?,
        // SAFETY: the caller's promise.
        training: unsafe { training(it.training) }?,
    })
}

/// # Safety
/// As [`learn`].
unsafe fn training(raw: *const abi::Training) -> Result<Option<Training>> {
    if raw.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let it = unsafe { sized(raw, "the training") }?;
    Ok(Some(Training {
        // SAFETY: the caller's promise.
        recipe: unsafe { optional_text(it.recipe, "the recipe's name") }?,
        // SAFETY: the caller's promise.
        model: unsafe { optional_text(it.model, "the model's name") }?,
        steps: (it.steps != 0).then_some(it.steps),
        rank: (it.rank != 0).then_some(it.rank),
        earlier: it.earlier,
        seed: it.seed,
    }))
}

/// # Safety
/// As [`learn`].
pub(super) unsafe fn repose(raw: *const abi::PoseRequest) -> Result<Repose> {
    // SAFETY: the caller's promise.
    let it = unsafe { sized(raw, "the request") }?;
    // SAFETY: the caller's promise.
    let picture = unsafe { picture(it.picture, "the picture") }?;
    // SAFETY: the caller's promise.
    let selection = unsafe { selection(it.selection, &picture) }?;
    let guide = if it.guide.is_null() {
        None
    } else {
        // SAFETY: the caller's promise.
        Some(unsafe { self::picture(it.guide, "the guide") }?)
    };
    Ok(Repose {
        picture,
        selection,
        // SAFETY: the caller's promise.
        subject: unsafe { text(it.subject, "the subject") }?,
        version: (it.version != 0).then_some(it.version),
        // SAFETY: the caller's promise.
        pins: unsafe { pins(it.pins, it.pin_count) }?,
        guide,
        placement: Placement {
            offset: [it.offset_x, it.offset_y],
            scale: if it.scale == 0.0 { 1.0 } else { it.scale },
            angle: it.angle,
        },
        // SAFETY: the caller's promise.
        prompt: unsafe { optional_text(it.prompt, "the prompt") }?,
        // SAFETY: the caller's promise.
        words: unsafe { words(it.text) }?,
        candidates: it.candidates.max(1),
        seed: it.seed,
        grow: it.grow,
        refine: refine(it.refine)?,
    })
}

/// # Safety
/// As [`learn`].
unsafe fn words(raw: *const abi::Text) -> Result<Option<Box<Words>>> {
    // SAFETY: the caller's promise.
    let Some(it) = (unsafe { optional(raw, "the text options") })? else {
        return Ok(None);
    };
    let set = |value: f32| (value != 0.0).then_some(value);
    // 0 is the default, so a negative number stands for 0. What is no number stays so, for the checks to find.
    let below_is_none = |value: f32| if value < 0.0 { 0.0 } else { value };
    Ok(Some(Box::new(Words {
        // SAFETY: the caller's promise.
        model: unsafe { optional_text(it.model, "the model") }?,
        // SAFETY: the caller's promise.
        negative: unsafe { optional_text(it.negative, "the negative prompt") }?,
        // SAFETY: the caller's promise.
        source: unsafe { optional_text(it.source, "the source caption") }?,
        // SAFETY: the caller's promise.
        word: unsafe { optional_text(it.word, "the subject's word") }?,
        // SAFETY: the caller's promise.
        sampler: unsafe { optional_text(it.sampler, "the sampler") }?,
        steps: (it.steps != 0).then_some(it.steps),
        strength: set(it.strength),
        guidance: set(it.guidance),
        rescale: set(it.rescale),
        identity: set(it.identity).map(below_is_none),
        clip_skip: it.clip_skip,
        side: (it.side != 0).then_some(it.side),
        guided: set(it.guided).map(below_is_none),
        reuse: (it.reuse != 0).then_some(it.reuse),
        // SAFETY: the caller's promise.
        variant: unsafe { optional_text(it.variant, "the variant") }?,
    })))
}

/// # Safety
/// As [`learn`].
pub(super) unsafe fn erase(raw: *const abi::EraseRequest) -> Result<Erase> {
    // SAFETY: the caller's promise.
    let it = unsafe { sized(raw, "the request") }?;
    reserved(it.reserved)?;
    // SAFETY: the caller's promise.
    let picture = unsafe { picture(it.picture, "the picture") }?;
    // SAFETY: the caller's promise.
    let selection = unsafe { selection(it.selection, &picture) }?
        .ok_or_else(|| Error::caller("the selection is NULL: select something first"))?;
    Ok(Erase {
        picture,
        selection,
        candidates: it.candidates.max(1),
        seed: it.seed,
        grow: it.grow,
    })
}

/// # Safety
/// As [`learn`].
unsafe fn picture(raw: *const abi::Picture, what: &str) -> Result<Raster> {
    // SAFETY: the caller's promise.
    let it = unsafe { sized(raw, what) }?;
    let pixels = Pixels {
        width: it.width,
        height: it.height,
        depth: it.depth,
        channels: it.channels,
        space: it.space,
        stride: it.stride,
        size: it.pixels_size,
    };
    let needed = pixels.needed(what)?;
    // SAFETY: the caller's promise holds for all `pixels_size` bytes, and `needed` are no more.
    let samples = unsafe { bytes(it.pixels, needed, "the pixels") }?;
    let icc = if it.space == abi::SPACE_ICC {
        // SAFETY: the caller's promise.
        unsafe { bytes(it.icc, it.icc_size, "the colour profile") }?
    } else {
        &[]
    };
    pixels.copy(what, samples, icc)
}

/// # Safety
/// As [`learn`].
unsafe fn selection(raw: *const abi::Selection, picture: &Raster) -> Result<Option<Selection>> {
    // SAFETY: the caller's promise.
    let Some(it) = (unsafe { optional(raw, "the selection") })? else {
        return Ok(None);
    };
    let samples = Samples {
        depth: it.depth,
        x: it.x,
        y: it.y,
        width: it.width,
        height: it.height,
        stride: it.stride,
        size: it.samples_size,
    };
    let needed = samples.needed()?;
    // SAFETY: the caller's promise holds for all `samples_size` bytes, and `needed` are no more.
    let values = unsafe { bytes(it.samples, needed, "the selection's samples") }?;
    samples.copy(values, picture).map(Some)
}

/// # Safety
/// As [`learn`].
unsafe fn pins(raw: *const abi::Pin, count: u32) -> Result<Vec<Pin>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if count > MAX_PINS {
        return Err(Error::caller(format!(
            "at most {MAX_PINS} pins were expected, {count} came"
        )));
    }
    check(raw, "pins")?;
    // SAFETY: the caller's promise; not null, aligned, and not too many.
    let pins = unsafe { std::slice::from_raw_parts(raw, count as usize) };
    Ok(pins
        .iter()
        .map(|pin| Pin {
            from: [pin.from_x, pin.from_y],
            to: [pin.to_x, pin.to_y],
            angle: (!pin.angle.is_nan()).then_some(pin.angle),
            depth: pin.depth,
        })
        .collect())
}

fn flag(value: u32, what: &str) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::caller(format!("{what} is 0 or 1, not {other}"))),
    }
}

/// What text models' products are rounded to: a CPU without instructions for bfloat16 computes as before.
pub(super) fn precision(value: u32) -> Result<Precision> {
    match value {
        abi::PRECISION_F32 => Ok(Precision::F32),
        abi::PRECISION_BF16 => Ok(Precision::fastest()),
        other => Err(Error::caller(format!(
            "precision is 0 (f32) or 1 (bf16 where the CPU is faster at it), not {other}"
        ))),
    }
}

fn refine(value: u32) -> Result<Refine> {
    match value {
        abi::REFINE_AUTO => Ok(Refine::Auto),
        abi::REFINE_ALWAYS => Ok(Refine::Always),
        abi::REFINE_NEVER => Ok(Refine::Never),
        other => Err(Error::caller(format!(
            "refine is 0 (auto), 1 (always) or 2 (never), not {other}"
        ))),
    }
}
