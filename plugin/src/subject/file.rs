//! `subject.safetensors`: a subject's pixels and geometry, bit for bit.
//!
//! The safetensors layout is: length of the header (u64), header (JSON: name, type, shape and place of every tensor), data.
//! Tensors here: `colours` f32 [h, w, 3], `matte` f32 [h, w], `mesh.vertices` f32 [n, 2], `mesh.triangles` u32 [n, 3],
//! `prior.centres` u32 [n, 2], `raster` u8 [h, w, bytes per pixel], `icc` u8 \[n\] where there is a profile; where a text model
//! learned the subject too, `text.lora` and `text.word` u8 \[n\], and
//! `text.beside` where it is not empty, which are safetensors files of their own. What is not a
//! tensor stands as JSON in the header's metadata under `repose`. Reading trusts nothing: shapes must agree with each
//! other and with the file's size before memory is taken, and the caller compares the SHA-256 of every byte read.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use bytemuck::Pod;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::disk::{SCHEMA, damaged, failed, hex};
use super::{Mesh, Prior, Subject, SubjectWords, TextFacts, TextPart};
use crate::canvas::{Channels, Depth, Grid, MAX_PIXELS, Raster, Rect, Space};
use crate::{Error, Result};

// Samples and tensors are written as they lie in memory.
const _: () = assert!(
    cfg!(target_endian = "little"),
    "safetensors files are little-endian"
);

/// Bytes handed to the hash and the disk at a time: fits the second-level cache.
const CHUNK: usize = 256 * 1024;
const MAX_HEADER: u64 = 64 * 1024;
const MAX_ICC: usize = 16 << 20;
/// The tensors of a text part.
const LORA: &str = "text.lora";
const WORD: &str = "text.word";
/// Only where there are such words.
const BESIDE: &str = "text.beside";

/// What is not a tensor.
#[derive(Serialize, Deserialize)]
struct Facts {
    schema: u32,
    depth: Depth,
    channels: Channels,
    space: SpaceWord,
    rect: [usize; 4],
    source_size: [u32; 2],
    source_hash: String,
    patch: u32,
    #[serde(flatten)]
    words: SubjectWords,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<TextFacts>,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum SpaceWord {
    Srgb,
    LinearSrgb,
    Icc,
}

/// Size and SHA-256 of a file that was written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes.
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
}

/// Whether the parts of a subject agree with each other; the error says which do not. Asked before writing and after reading:
/// what is not saved cannot come back wrong.
pub fn check(subject: &Subject) -> std::result::Result<(), String> {
    let (w, h) = (subject.rect.width, subject.rect.height);
    let raster = &subject.raster;
    let place = |right: usize, size: u32| right <= size as usize;
    let wrong = if w == 0 || h == 0 || (w as u64).saturating_mul(h as u64) > MAX_PIXELS {
        format!("its crop is {w}×{h} pixels")
    } else if !place(subject.rect.x.saturating_add(w), subject.source_size[0])
        || !place(subject.rect.y.saturating_add(h), subject.source_size[1])
    {
        "its crop lies outside the source picture".to_owned()
    } else if (raster.width as usize, raster.height as usize) != (w, h)
        || raster.bytes.len() != w * h * raster.bytes_per_pixel()
    {
        format!(
            "its raster has {}×{} pixels in {} bytes, the crop {w}×{h}",
            raster.width,
            raster.height,
            raster.bytes.len()
        )
    } else if (subject.matte.width(), subject.matte.height()) != (w, h) {
        "its matte has another size than its crop".to_owned()
    } else if (subject.colours.width(), subject.colours.height()) != (w, h) {
        "its colours have another size than its crop".to_owned()
    } else if !subject.matte.data().iter().all(|v| (0.0..=1.0).contains(v)) {
        "its matte has values outside 0 to 1".to_owned()
    } else if !subject
        .mesh
        .vertices
        .iter()
        .all(|v| v[0].is_finite() && v[1].is_finite())
    {
        "its mesh has a corner that is not a number".to_owned()
    } else if !subject
        .mesh
        .triangles
        .iter()
        .flatten()
        .all(|&i| (i as usize) < subject.mesh.vertices.len())
    {
        "its mesh has a triangle without corners".to_owned()
    } else if !subject
        .prior
        .centres
        .iter()
        .all(|c| (c[0] as usize) < w && (c[1] as usize) < h)
    {
        "its prior has a patch outside the crop".to_owned()
    } else if matches!(&raster.space, Space::Icc(icc) if icc.len() > MAX_ICC || icc.is_empty()) {
        format!("its colour profile is empty or larger than {MAX_ICC} bytes")
    } else {
        return Ok(());
    };
    Err(format!("this is not a whole subject: {wrong}"))
}

/// Writes a new file and waits until it is on the disk.
pub fn write(path: &Path, subject: &Subject) -> Result<Written> {
    // Whoever learned it made the mistake, not the user.
    check(subject).map_err(Error::bug)?;
    let (w, h) = (subject.rect.width, subject.rect.height);
    let raster = &subject.raster;
    let (space, icc): (_, &[u8]) = match &raster.space {
        Space::Srgb => (SpaceWord::Srgb, &[]),
        Space::LinearSrgb => (SpaceWord::LinearSrgb, &[]),
        Space::Icc(icc) => (SpaceWord::Icc, icc),
    };
    let facts = Facts {
        schema: SCHEMA,
        depth: raster.depth,
        channels: raster.channels,
        space,
        rect: [subject.rect.x, subject.rect.y, w, h],
        source_size: subject.source_size,
        source_hash: subject.source_hash.clone(),
        patch: subject.prior.patch,
        words: subject.words.clone(),
        text: subject.text.as_ref().map(|text| text.facts.clone()),
    };
    let (mesh, centres) = (&subject.mesh, &subject.prior.centres);
    // Widest type first, as safetensors asks for alignment.
    let mut tensors: Vec<(&str, Dtype, Vec<usize>, &[u8])> = vec![
        (
            "colours",
            Dtype::F32,
            vec![h, w, 3],
            bytemuck::cast_slice(subject.colours.data()),
        ),
        (
            "matte",
            Dtype::F32,
            vec![h, w],
            bytemuck::cast_slice(subject.matte.data()),
        ),
        (
            "mesh.vertices",
            Dtype::F32,
            vec![mesh.vertices.len(), 2],
            bytemuck::cast_slice(&mesh.vertices),
        ),
        (
            "mesh.triangles",
            Dtype::U32,
            vec![mesh.triangles.len(), 3],
            bytemuck::cast_slice(&mesh.triangles),
        ),
        (
            "prior.centres",
            Dtype::U32,
            vec![centres.len(), 2],
            bytemuck::cast_slice(centres),
        ),
        (
            "raster",
            Dtype::U8,
            vec![h, w, raster.bytes_per_pixel()],
            &raster.bytes,
        ),
        ("icc", Dtype::U8, vec![icc.len()], icc),
    ];
    if let Some(text) = &subject.text {
        tensors.push((LORA, Dtype::U8, vec![text.lora.len()], &text.lora));
        tensors.push((WORD, Dtype::U8, vec![text.word.len()], &text.word));
        if !text.beside.is_empty() {
            tensors.push((BESIDE, Dtype::U8, vec![text.beside.len()], &text.beside));
        }
    }
    let mut offset = 0;
    let infos = tensors
        .iter()
        .map(|(name, dtype, shape, data)| {
            let info = TensorInfo {
                dtype: *dtype,
                shape: shape.clone(),
                data_offsets: (offset, offset + data.len()),
            };
            offset += data.len();
            ((*name).to_owned(), info)
        })
        .collect();
    let facts = serde_json::to_string(&facts).map_err(|e| Error::bug(e.to_string()))?;
    let facts = HashMap::from([("repose".to_owned(), facts)]);
    let metadata = Metadata::new(Some(facts), infos).map_err(|e| Error::bug(e.to_string()))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|e| Error::bug(e.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');

    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|e| failed("create", path, e))?;
    let mut sink = Sink {
        file,
        hash: Sha256::new(),
        bytes: 0,
    };
    let mut put = |data: &[u8]| sink.put(data).map_err(|e| failed("write", path, e));
    put(&(header.len() as u64).to_le_bytes())?;
    put(&header)?;
    for (_, _, _, data) in &tensors {
        put(data)?;
    }
    sink.file.sync_all().map_err(|e| failed("write", path, e))?;
    Ok(Written {
        bytes: sink.bytes,
        sha256: hex(&sink.hash.finalize()),
    })
}

struct Sink {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Sink {
    fn put(&mut self, data: &[u8]) -> std::io::Result<()> {
        for chunk in data.chunks(CHUNK) {
            self.hash.update(chunk);
            self.file.write_all(chunk)?;
            self.bytes += chunk.len() as u64;
        }
        Ok(())
    }
}

struct Source<'a, R> {
    path: &'a Path,
    from: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Source<'_, R> {
    fn fill(&mut self, data: &mut [u8]) -> Result<()> {
        for chunk in data.chunks_mut(CHUNK) {
            self.from.read_exact(chunk).map_err(|e| match e.kind() {
                std::io::ErrorKind::UnexpectedEof => damaged(self.path, "it is cut off"),
                _ => failed("read", self.path, e),
            })?;
            self.hash.update(&*chunk);
            self.bytes += chunk.len() as u64;
        }
        Ok(())
    }

    /// `count` values; `count` was compared with the file's size before.
    fn values<T: Pod>(&mut self, count: usize) -> Result<Vec<T>> {
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| {
            Error::device(format!(
                "not enough memory to read {} ({} bytes)",
                self.path.display(),
                count.saturating_mul(size_of::<T>())
            ))
        })?;
        values.resize(count, T::zeroed());
        self.fill(bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }
}

/// Reads a subject (with an empty name), and the size and SHA-256 of the whole file.
pub fn read(path: &Path) -> Result<(Subject, Written)> {
    let file = File::open(path).map_err(|e| failed("open", path, e))?;
    let about = file.metadata().map_err(|e| failed("read", path, e))?;
    if !about.is_file() {
        return Err(damaged(path, "it is not a file"));
    }
    parse(path, file, about.len())
}

/// Reads a subject from `size` bytes; `path` is only named in errors. This is where fuzzers enter.
pub fn parse(path: &Path, from: impl Read, size: u64) -> Result<(Subject, Written)> {
    let mut source = Source {
        path,
        from,
        hash: Sha256::new(),
        bytes: 0,
    };
    let mut length = [0u8; 8];
    source.fill(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length.saturating_add(8) > size {
        return Err(damaged(
            path,
            format!(
                "its header claims {length} bytes, at most {MAX_HEADER} of {size} are possible"
            ),
        ));
    }
    let header = source.values::<u8>(length as usize)?;
    let layout = Layout::read(path, &header, size - 8 - length)?;

    let Layout {
        facts,
        vertices,
        triangles,
        centres,
        icc,
        text,
    } = layout;
    let [x, y, w, h] = facts.rect;
    let colours = Grid::from_vec(w, h, source.values::<[f32; 3]>(w * h)?)?;
    let matte = Grid::from_vec(w, h, source.values::<f32>(w * h)?)?;
    let mesh = Mesh {
        vertices: source.values(vertices)?,
        triangles: source.values(triangles)?,
    };
    let prior = Prior {
        patch: facts.patch,
        centres: source.values(centres)?,
    };
    let bytes = source.values(w * h * facts.depth.bytes() * facts.channels.count())?;
    let icc = source.values::<u8>(icc)?;
    let text = match (facts.text, text) {
        (Some(facts), Some([lora, word, beside])) => Some(TextPart {
            facts,
            lora: source.values(lora)?,
            word: source.values(word)?,
            beside: source.values(beside)?,
        }),
        _ => None,
    };
    let subject = Subject {
        name: String::new(),
        rect: Rect {
            x,
            y,
            width: w,
            height: h,
        },
        source_size: facts.source_size,
        source_hash: facts.source_hash,
        words: facts.words,
        raster: Raster {
            // Both fit: `Layout::read` allows at most MAX_PIXELS, below 2³².
            width: w as u32,
            height: h as u32,
            depth: facts.depth,
            channels: facts.channels,
            space: match facts.space {
                SpaceWord::Srgb => Space::Srgb,
                SpaceWord::LinearSrgb => Space::LinearSrgb,
                SpaceWord::Icc => Space::Icc(Arc::from(icc)),
            },
            bytes,
        },
        matte,
        colours,
        mesh,
        prior,
        text,
    };
    check(&subject).map_err(|e| damaged(path, e))?;
    let written = Written {
        bytes: source.bytes,
        sha256: hex(&source.hash.finalize()),
    };
    Ok((subject, written))
}

/// A header whose every number has been checked against the others and the size of the data.
struct Layout {
    facts: Facts,
    vertices: usize,
    triangles: usize,
    centres: usize,
    icc: usize,
    /// Bytes of the text part's files.
    text: Option<[usize; 3]>,
}

impl Layout {
    fn read(path: &Path, header: &[u8], data: u64) -> Result<Self> {
        // Deserializing validates that tensors follow each other without gaps and that shapes match their places.
        let metadata: Metadata = serde_json::from_slice(header).map_err(|e| damaged(path, e))?;
        if metadata.data_len() as u64 != data {
            return Err(damaged(
                path,
                format!(
                    "its header describes {} bytes of data, {data} are there",
                    metadata.data_len()
                ),
            ));
        }
        let facts = metadata.metadata().as_ref().and_then(|m| m.get("repose"));
        let facts = facts.ok_or_else(|| damaged(path, "it is not a Repose subject"))?;
        let facts: Facts = serde_json::from_str(facts).map_err(|e| damaged(path, e))?;
        if facts.schema > SCHEMA {
            return Err(Error::files(format!(
                "{} was written by a newer version of Repose; update the plugin",
                path.display()
            )));
        }
        let [_, _, w, h] = facts.rect;
        if w == 0 || h == 0 || (w as u64).saturating_mul(h as u64) > MAX_PIXELS {
            return Err(damaged(path, format!("its crop is {w}×{h} pixels")));
        }
        let rows = |name: &str| {
            metadata
                .info(name)
                .and_then(|i| i.shape.first().copied())
                .unwrap_or(0)
        };
        let [vertices, triangles, centres, icc] =
            ["mesh.vertices", "mesh.triangles", "prior.centres", "icc"].map(rows);
        let text = facts.text.is_some().then(|| [LORA, WORD, BESIDE].map(rows));
        let pixel = facts.depth.bytes() * facts.channels.count();
        let mut expected: Vec<(&str, Dtype, Vec<usize>)> = vec![
            ("colours", Dtype::F32, vec![h, w, 3]),
            ("matte", Dtype::F32, vec![h, w]),
            ("mesh.vertices", Dtype::F32, vec![vertices, 2]),
            ("mesh.triangles", Dtype::U32, vec![triangles, 3]),
            ("prior.centres", Dtype::U32, vec![centres, 2]),
            ("raster", Dtype::U8, vec![h, w, pixel]),
            ("icc", Dtype::U8, vec![icc]),
        ];
        if let Some([lora, word, beside]) = text {
            expected.push((LORA, Dtype::U8, vec![lora]));
            expected.push((WORD, Dtype::U8, vec![word]));
            if metadata.info(BESIDE).is_some() {
                expected.push((BESIDE, Dtype::U8, vec![beside]));
            }
        }
        if metadata.offset_keys().len() != expected.len() {
            return Err(damaged(path, "it has other tensors than a subject has"));
        }
        let mut place = 0;
        for (name, dtype, shape) in expected {
            let info = metadata
                .info(name)
                .ok_or_else(|| damaged(path, format!("the tensor {name} is missing")))?;
            if info.dtype != dtype || info.shape != shape || info.data_offsets.0 != place {
                return Err(damaged(
                    path,
                    format!("{name} should be {dtype:?} {shape:?} at {place}, it is {info:?}"),
                ));
            }
            place = info.data_offsets.1;
        }
        Ok(Self {
            facts,
            vertices,
            triangles,
            centres,
            icc,
            text,
        })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
