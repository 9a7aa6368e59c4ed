//! A `.safetensors` file: its header checked, its tensors left where they lie.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::Pod;
use candle_core::DType;
use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::{Dtype, SafeTensors};

use super::map;
use crate::kernels::{Bytes, Frozen, Source, Values};
use crate::{Error, Result};

/// The longest header that is read. Published ones have at most a few hundred kilobytes, those of LoRAs with the words of
/// their training a few megabytes.
pub const MAX_HEADER: u64 = 16 << 20;

/// The most tensors a file may hold; SDXL has 2 500.
pub const MAX_TENSORS: usize = 50_000;

/// One file. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
    bytes: Bytes,
    tensors: Arc<BTreeMap<String, Entry>>,
    metadata: Arc<BTreeMap<String, String>>,
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How its numbers are stored.
    pub dtype: Dtype,
    /// Sizes, outermost first; empty for a single number.
    pub shape: Vec<usize>,
    range: Range<usize>,
}

impl Entry {
    /// How many numbers it has.
    pub fn count(&self) -> usize {
        // The header's check found that the product fits.
        self.shape.iter().product()
    }

    /// How many bytes it has.
    pub fn size(&self) -> usize {
        self.range.len()
    }

    /// Whether it can be a weight: a floating-point number of any kind.
    pub fn is_float(&self) -> bool {
        !matches!(
            self.dtype,
            Dtype::BOOL
                | Dtype::U8
                | Dtype::I8
                | Dtype::I16
                | Dtype::U16
                | Dtype::I32
                | Dtype::U32
                | Dtype::I64
                | Dtype::U64
                | Dtype::C64
        )
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Store({}, {} tensors)",
            self.path.display(),
            self.tensors.len()
        )
    }
}

impl Store {
    /// Opens a file and checks its header: no weight is read, no memory taken for it.
    ///
    /// # Errors
    /// `Files` if it cannot be read, is cut off, is damaged, or is of another kind (a pickle, for one): the message says
    /// which, and what to do.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::files(format!("cannot read the weights {}: {e}", path.display()))
        };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if !about.is_file() {
            return Err(Error::files(format!(
                "{} is not a file of weights: a .safetensors file was expected",
                path.display()
            )));
        }
        let bytes = map::bytes(file, about.len()).map_err(failed)?;
        Self::parse(path, bytes)
    }

    /// The same for bytes in memory; `path` is what errors call them.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(path: &Path, bytes: Bytes) -> Result<Self> {
        let view: &[u8] = (*bytes).as_ref();
        let damaged = |why: &str| {
            let name = path.display();
            Error::files(format!(
                "{name} is not a whole .safetensors file: {why}. Download or copy it again"
            ))
        };
        if let Some(kind) = foreign(view) {
            return Err(Error::files(format!("{}: {kind}", path.display())));
        }
        let Some((length, _)) = view.split_first_chunk::<8>() else {
            return Err(damaged("it has fewer than 8 bytes"));
        };
        let header = u64::from_le_bytes(*length);
        if header > MAX_HEADER {
            return Err(damaged(&format!(
                "its header claims {header} bytes, at most {MAX_HEADER} can be"
            )));
        }
        if header > view.len() as u64 - 8 {
            return Err(damaged(&format!(
                "its header claims {header} bytes, but only {} follow",
                view.len() - 8
            )));
        }
        let (header, metadata) = SafeTensors::read_metadata(view).map_err(|e| match e {
            safetensors::SafeTensorError::MetadataIncompleteBuffer => {
                damaged("it is cut off, or has bytes that belong to no tensor")
            }
            other => damaged(&format!("its header is wrong ({other})")),
        })?;
        let infos = metadata.tensors();
        if infos.len() > MAX_TENSORS {
            return Err(damaged(&format!(
                "it claims {} tensors, at most {MAX_TENSORS} can be",
                infos.len()
            )));
        }
        let start = 8 + header;
        let tensors = infos
            .into_iter()
            .map(|(name, info)| {
                let (first, end) = info.data_offsets;
                let entry = Entry {
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    range: start + first..start + end,
                };
                (name, entry)
            })
            .collect();
        let metadata = metadata.metadata().clone().unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            bytes,
            tensors: Arc::new(tensors),
            metadata: Arc::new(metadata.into_iter().collect()),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, Entry> {
        &self.tensors
    }

    /// What the header says beside the tensors.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// How many bytes the file has.
    pub fn size(&self) -> u64 {
        (*self.bytes).as_ref().len() as u64
    }

    /// The tensor of this name.
    ///
    /// # Errors
    /// `Files` if there is none.
    pub fn entry(&self, name: &str) -> Result<&Entry> {
        self.tensors
            .get(name)
            .ok_or_else(|| Error::files(format!("{} has no tensor {name}", self.path.display())))
    }

    /// The bytes of a tensor of this file.
    pub fn raw(&self, entry: &Entry) -> &[u8] {
        &(*self.bytes).as_ref()[entry.range.clone()]
    }

    /// A tensor as a weight, in place; one in `f64` becomes a copy in `f32`.
    ///
    /// # Errors
    /// `Files` if there is none, or its type is not read here.
    pub fn frozen(&self, name: &str) -> Result<Frozen> {
        let entry = self.entry(name)?;
        self.rows(name, 0, *entry.shape.first().unwrap_or(&1), &entry.shape)
    }

    /// `count` rows of a tensor, from row `first` on, as a weight of the given shape, in place.
    ///
    /// # Errors
    /// `Files` if there is no such tensor, its type is not read here, or the rows or the shape do not fit.
    pub fn rows(&self, name: &str, first: usize, count: usize, shape: &[usize]) -> Result<Frozen> {
        let entry = self.entry(name)?;
        let wrong = |why: String| Error::files(format!("{}: {name}: {why}", self.path.display()));
        let dtype = match entry.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F64 => DType::F64,
            other => {
                return Err(wrong(format!(
                    "its type is {other:?}; F32, F16 and BF16 are read. Use a half-precision (fp16) version of this model"
                )));
            }
        };
        let all = *entry.shape.first().unwrap_or(&1);
        let row = entry.size().checked_div(all).unwrap_or(0);
        let end = first.checked_add(count).filter(|end| *end <= all);
        let Some(end) = end else {
            return Err(wrong(format!(
                "it has {all} rows; {first} to {} were asked for",
                first + count
            )));
        };
        let range = entry.range.start + first * row..entry.range.start + end * row;
        let made = if dtype == DType::F64 {
            let numbers: Vec<f32> = (*self.bytes).as_ref()[range]
                .as_chunks::<8>()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b) as f32)
                .collect();
            owned(numbers, DType::F32, shape)
        } else {
            Frozen::new(Arc::clone(&self.bytes), range, dtype, shape)
        };
        made.map_err(|e| wrong(e.to_string()))
    }
}

/// Numbers of our own as a weight.
pub fn owned<T: Pod + Send + Sync>(
    numbers: Vec<T>,
    dtype: DType,
    shape: &[usize],
) -> candle_core::Result<Frozen> {
    let length = size_of_val(numbers.as_slice());
    Frozen::new(Arc::new(Numbers(numbers)), 0..length, dtype, shape)
}

struct Numbers<T>(Vec<T>);

impl<T: Pod> AsRef<[u8]> for Numbers<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl<T: Pod + Send + Sync> Source for Numbers<T> {}

/// A weight in half precision: a copy in `f16` of one in `f32`, unless that has numbers which `f16` cannot hold.
pub fn halved(weight: &Frozen) -> Frozen {
    let Values::F32(numbers) = weight.values() else {
        return weight.clone();
    };
    let mut half = vec![f16::ZERO; numbers.len()];
    half.convert_from_f32_slice(numbers);
    let fits = half
        .iter()
        .zip(numbers)
        .all(|(h, n)| h.is_finite() || !n.is_finite());
    let copy = owned(half, DType::F16, weight.shape());
    copy.ok().filter(|_| fits).unwrap_or_else(|| weight.clone())
}

/// What a file is that is certainly not safetensors, and what to do about it.
pub fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    // A header's length in eight bytes, then a brace: nothing below can be mistaken for that.
    if bytes.get(8) == Some(&b'{') {
        return None;
    }
    if starts(b"PK\x03\x04") || starts(b"\x80\x02") || starts(b"\x80\x03") || starts(b"\x80\x04") {
        Some(
            "this is a pickle (as .ckpt, .pt and .bin files are), which can run any program when it is read; Repose never \
             does. Use the .safetensors version of this model",
        )
    } else if starts(b"GGUF") {
        Some("this is a GGUF file; Repose reads .safetensors in half or single precision")
    } else if starts(b"version https://git-lfs") {
        Some(
            "this is a Git LFS pointer, not the weights themselves: run `git lfs pull`, or download the file",
        )
    } else if starts(b"<!") || starts(b"<html") {
        Some("this is a web page, not weights: the download failed, perhaps for want of a login")
    } else {
        None
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
