//! A request as a file: safetensors with the pixels as tensors and everything else as JSON in its header.
//!
//! The same request always gives the same bytes, so that their hash names it. Numbers in tensors are little-endian.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorInfo, TensorView};
use serde::{Deserialize, Serialize};

use super::{Erase, Learn, Pin, Placement, Refine, Repose, Request, Training, Words, check};
use crate::canvas::{Channels, Depth, Grid, Raster, Rect, Selection, SelectionDepth, Space};
use crate::subject::Consent;
use crate::{Error, Result};

/// The key of the JSON text among the header's metadata.
const KEY: &str = "repose-request";
/// The newest format; one number for the whole file. 1 knew no text models; it is read as one that asks for none.
const FORMAT: u32 = 2;
/// A header holds a thousand pins and two texts; more than this is not ours.
const MAX_HEADER: usize = 4 << 20;

/// What the JSON says.
#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    picture: Picture,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selection: Option<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guide: Option<Picture>,
    request: Kind,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Kind {
    Learn {
        name: String,
        consent: Consent,
        refine: Refine,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        word: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        training: Option<Training>,
    },
    Repose {
        subject: String,
        version: Option<u32>,
        pins: Vec<Pin>,
        placement: Placement,
        prompt: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        words: Option<Box<Words>>,
        candidates: u32,
        seed: u64,
        grow: u32,
        refine: Refine,
    },
    Erase {
        candidates: u32,
        seed: u64,
        grow: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct Picture {
    width: u32,
    height: u32,
    depth: Depth,
    channels: Channels,
    space: Named,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Named {
    Srgb,
    LinearSrgb,
    /// The profile is a tensor beside the pixels.
    Icc,
}

#[derive(Serialize, Deserialize)]
struct Place {
    depth: SelectionDepth,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// Name, type, shape, bytes.
type Tensor<'a> = (String, Dtype, Vec<usize>, Cow<'a, [u8]>);

impl Request {
    /// The whole request, for a file or a bug report.
    ///
    /// # Errors
    /// `Bug` only: a checked request can always be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let (picture, selection, guide) = match self {
            Self::Learn(r) => (&r.picture, Some(&r.selection), None),
            Self::Repose(r) => (&r.picture, r.selection.as_ref(), r.guide.as_ref()),
            Self::Erase(r) => (&r.picture, Some(&r.selection), None),
        };
        let saved = Saved {
            format: FORMAT,
            picture: described(picture),
            selection: selection.map(|s| Place {
                depth: s.depth,
                x: s.rect.x,
                y: s.rect.y,
                width: s.rect.width,
                height: s.rect.height,
            }),
            guide: guide.map(described),
            request: self.kind(),
        };
        let mut tensors: Vec<Tensor<'_>> = Vec::new();
        for (name, raster) in [("picture", Some(picture)), ("guide", guide)] {
            let Some(raster) = raster else { continue };
            let (dtype, size) = (dtype(raster.depth), raster.depth.bytes());
            let shape = shape(raster.width, raster.height, raster.channels);
            tensors.push((
                name.into(),
                dtype,
                shape,
                little_endian(&raster.bytes, size),
            ));
            if let Space::Icc(profile) = &raster.space {
                let name = format!("{name}.icc");
                tensors.push((name, Dtype::U8, vec![profile.len()], profile[..].into()));
            }
        }
        if let Some(selection) = selection {
            let mask = &selection.mask;
            let values = bytemuck::cast_slice(mask.data());
            let shape = vec![mask.height(), mask.width()];
            tensors.push((
                "selection".into(),
                Dtype::F32,
                shape,
                little_endian(values, 4),
            ));
        }
        let bug = |e: &dyn std::fmt::Display| Error::bug(format!("cannot write the request: {e}"));
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| {
                TensorView::new(*dtype, shape.clone(), data).map(|view| (name, view))
            })
            .collect::<std::result::Result<Vec<_>, _>>()
            .map_err(|e| bug(&e))?;
        let text = serde_json::to_string(&saved).map_err(|e| bug(&e))?;
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), text)])))
            .map_err(|e| bug(&e))
    }

    /// Reads what [`Request::to_bytes`] wrote, and checks it like any other request.
    ///
    /// # Errors
    /// `Caller` for bytes that are not a whole request, or not a good one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let file = File::open(bytes)?;
        let text = file
            .header
            .metadata
            .get(KEY)
            .ok_or_else(|| damaged("it holds something else"))?;
        let version: Format = serde_json::from_str(text).map_err(|e| damaged(&e.to_string()))?;
        if !(1..=FORMAT).contains(&version.format) {
            return Err(Error::caller(format!(
                "the saved request has format {}, this plugin reads 1 to {FORMAT}: use the plugin that wrote it",
                version.format
            )));
        }
        let saved: Saved = serde_json::from_str(text).map_err(|e| damaged(&e.to_string()))?;
        let picture = file.raster("picture", &saved.picture)?;
        let selection = saved.selection.map(|s| file.selection(&s)).transpose()?;
        let guide = saved.guide.map(|g| file.raster("guide", &g)).transpose()?;
        let needed = || damaged("the selection is missing");
        let request = match saved.request {
            Kind::Learn {
                name,
                consent,
                refine,
                caption,
                word,
                training,
            } => Self::Learn(Learn {
                picture,
                selection: selection.ok_or_else(needed)?,
                name,
                consent,
                refine,
                caption,
                word,
                training,
            }),
            Kind::Repose {
                subject,
                version,
                pins,
                placement,
                prompt,
                words,
                candidates,
                seed,
                grow,
                refine,
            } => Self::Repose(Repose {
                picture,
                selection,
                subject,
                version,
                pins,
                guide,
                placement,
                prompt,
                words,
                candidates,
                seed,
                grow,
                refine,
            }),
            Kind::Erase {
                candidates,
                seed,
                grow,
            } => Self::Erase(Erase {
                picture,
                selection: selection.ok_or_else(needed)?,
                candidates,
                seed,
                grow,
            }),
        };
        request.check()?;
        Ok(request)
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Learn(r) => Kind::Learn {
                name: r.name.clone(),
                consent: r.consent.clone(),
                refine: r.refine,
                caption: r.caption.clone(),
                word: r.word.clone(),
                training: r.training.clone(),
            },
            Self::Repose(r) => Kind::Repose {
                subject: r.subject.clone(),
                version: r.version,
                pins: r.pins.clone(),
                placement: r.placement,
                prompt: r.prompt.clone(),
                words: r.words.clone(),
                candidates: r.candidates,
                seed: r.seed,
                grow: r.grow,
                refine: r.refine,
            },
            Self::Erase(r) => Kind::Erase {
                candidates: r.candidates,
                seed: r.seed,
                grow: r.grow,
            },
        }
    }
}

/// Read before the rest, which may look different in another format.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__", default)]
    metadata: BTreeMap<String, String>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

/// A safetensors file in memory. Every offset is checked when it is used: the safetensors crate adds them up without
/// a check for overflow, and then trusts the sum.
struct File<'a> {
    header: Header,
    data: &'a [u8],
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self> {
        let (size, rest) = bytes
            .split_first_chunk::<8>()
            .ok_or_else(|| damaged("it is too short"))?;
        let size = usize::try_from(u64::from_le_bytes(*size))
            .ok()
            .filter(|size| *size <= MAX_HEADER && *size <= rest.len())
            .ok_or_else(|| damaged("its header does not fit"))?;
        let (header, data) = rest.split_at(size);
        let header = serde_json::from_slice(header).map_err(|e| damaged(&e.to_string()))?;
        Ok(Self { header, data })
    }

    /// The bytes of a tensor that must have this type and shape.
    fn tensor(&self, name: &str, dtype: Dtype, shape: &[usize], sample: usize) -> Result<&'a [u8]> {
        let wrong = || damaged(&format!("tensor {name} is missing or has another shape"));
        let info = self.header.tensors.get(name).ok_or_else(wrong)?;
        let (start, end) = info.data_offsets;
        let size = shape
            .iter()
            .try_fold(sample, |product, n| product.checked_mul(*n));
        let bytes = self.data.get(start..end).ok_or_else(wrong)?;
        if info.dtype != dtype || info.shape != shape || Some(bytes.len()) != size {
            return Err(wrong());
        }
        Ok(bytes)
    }

    fn raster(&self, name: &str, picture: &Picture) -> Result<Raster> {
        let shape = shape(picture.width, picture.height, picture.channels);
        let sample = picture.depth.bytes();
        let bytes = self.tensor(name, dtype(picture.depth), &shape, sample)?;
        let space = match picture.space {
            Named::Srgb => Space::Srgb,
            Named::LinearSrgb => Space::LinearSrgb,
            Named::Icc => {
                let name = format!("{name}.icc");
                let info = self.header.tensors.get(&name);
                let length = info.and_then(|i| i.shape.first().copied()).unwrap_or(0);
                Space::Icc(Arc::from(self.tensor(&name, Dtype::U8, &[length], 1)?))
            }
        };
        Ok(Raster {
            width: picture.width,
            height: picture.height,
            depth: picture.depth,
            channels: picture.channels,
            space,
            bytes: little_endian(bytes, sample).into_owned(),
        })
    }

    fn selection(&self, place: &Place) -> Result<Selection> {
        let bytes = self.tensor("selection", Dtype::F32, &[place.height, place.width], 4)?;
        let values = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|sample| f32::from_le_bytes(*sample))
            .collect();
        let mask = Grid::from_vec(place.width, place.height, values)?;
        check::values(&mask)?;
        Ok(Selection {
            depth: place.depth,
            rect: Rect {
                x: place.x,
                y: place.y,
                width: place.width,
                height: place.height,
            },
            mask,
        })
    }
}

fn damaged(why: &str) -> Error {
    Error::caller(format!(
        "these bytes are not a saved request, or not a whole one: {why}"
    ))
}

fn described(raster: &Raster) -> Picture {
    Picture {
        width: raster.width,
        height: raster.height,
        depth: raster.depth,
        channels: raster.channels,
        space: match raster.space {
            Space::Srgb => Named::Srgb,
            Space::LinearSrgb => Named::LinearSrgb,
            Space::Icc(_) => Named::Icc,
        },
    }
}

fn shape(width: u32, height: u32, channels: Channels) -> Vec<usize> {
    vec![height as usize, width as usize, channels.count()]
}

fn dtype(depth: Depth) -> Dtype {
    match depth {
        Depth::U8 => Dtype::U8,
        Depth::U16 => Dtype::U16,
        Depth::F16 => Dtype::F16,
        Depth::F32 => Dtype::F32,
    }
}

/// Samples of `size` bytes from this machine's order to the file's, or back.
fn little_endian(bytes: &[u8], size: usize) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") || size == 1 {
        return Cow::Borrowed(bytes);
    }
    let mut swapped = bytes.to_vec();
    swapped.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    Cow::Owned(swapped)
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
