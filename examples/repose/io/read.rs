//! Opening a picture of any kind.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, Limits};

use super::{Exif, Format, exif, jpeg, ora_read, orient, tiff_read};
use crate::failure::{Failure, Result};
use crate::picture::{Channels, Depth, MAX_BYTES, MAX_PIXELS, Picture};

/// What decoders may allocate for their own tables, text and profiles.
pub const DECODER_BYTES: u64 = 256 << 20;
/// The largest file that is read as a whole (JPEG, WebP, parts of OpenRaster).
const MAX_FILE: u64 = 4 << 30;

/// A picture and what its file said about it.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub path: PathBuf,
    /// What kind of file it is, judged by its content.
    pub format: Format,
    /// Its pixels, upright.
    pub picture: Picture,
    /// Its XMP packet, if it has one.
    pub xmp: Option<String>,
    /// What its camera said, if it says anything.
    pub exif: Option<Exif>,
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
}

/// What a decoder hands over; the rest is the same for all formats.
pub struct Decoded {
    /// Pixels as stored.
    pub picture: Picture,
    /// The file's XMP packet.
    pub xmp: Option<Vec<u8>>,
    /// The file's EXIF.
    pub exif: Option<Exif>,
    /// How the camera was held.
    pub orientation: Orientation,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Opens a picture file. `name.ora#Layer name` opens one layer of an OpenRaster file on its whole canvas.
///
/// Errors name the file and the reason; a damaged or hostile file never panics and never takes more memory than
/// its pixels ([`MAX_PIXELS`], [`MAX_BYTES`]) and the decoder's own [`DECODER_BYTES`].
pub fn read(path: &Path) -> Result<Opened> {
    let (path, layer) = split_layer(path);
    let fail = |reason: String| Failure::file(&path, reason);
    let meta = std::fs::metadata(&path).map_err(|e| fail(format!("cannot be read: {e}")))?;
    if !meta.is_file() {
        return Err(fail("this is not a file".into()));
    }
    if meta.len() == 0 {
        return Err(fail("the file is empty".into()));
    }
    let file = File::open(&path).map_err(|e| fail(format!("cannot be read: {e}")))?;
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let start = reader
        .fill_buf()
        .map_err(|e| fail(format!("cannot be read: {e}")))?;
    let format = sniff(start).ok_or_else(|| {
        fail("not a picture that can be read here: PNG, JPEG, TIFF, WebP and OpenRaster can".into())
    })?;
    if layer.is_some() && format != Format::OpenRaster {
        return Err(fail(
            "only an OpenRaster file (.ora) has layers to name after #".into(),
        ));
    }
    // The decoders are well kept, but a picture comes from anywhere: a mistake of theirs must not end the program
    // without a word about the file.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        decode(format, reader, meta.len(), layer.as_deref())
    }))
    .unwrap_or_else(|_| Err("the decoder of this format failed on it".into()))
    .map_err(fail)?;
    finish(path, format, decoded)
}

/// Decodes `reader`, `length` bytes long. The error is the reason alone.
fn decode(
    format: Format,
    reader: impl BufRead + Seek,
    length: u64,
    layer: Option<&str>,
) -> std::result::Result<Decoded, String> {
    if length > MAX_FILE && !matches!(format, Format::Tiff | Format::Png | Format::OpenRaster) {
        return Err(format!(
            "a {} of {length} bytes is too large",
            format.name()
        ));
    }
    match format {
        Format::Png => decode_png(reader, length),
        Format::Jpeg => decode_jpeg(reader),
        Format::WebP => {
            let mut decoder = WebPDecoder::new(reader).map_err(|e| e.to_string())?;
            let _ = decoder.set_limits(limits());
            let notes = if decoder.has_animation() {
                vec!["an animation: its first frame is used".into()]
            } else {
                Vec::new()
            };
            with_decoder(decoder, notes)
        }
        Format::Tiff => tiff_read::decode(reader, length),
        Format::OpenRaster => ora_read::decode(reader, layer),
    }
}

/// Decodes a PNG of `length` bytes.
pub fn decode_png(
    reader: impl BufRead + Seek,
    length: u64,
) -> std::result::Result<Decoded, String> {
    let decoder = PngDecoder::with_limits(reader, limits()).map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    // Deflate makes data at most 1032 times smaller; the row filters add one byte a row, and rows of low bit depth
    // grow at most 8-fold, palettes 4-fold, when they are expanded.
    let least = decoder.total_bytes() / (1032 * 32);
    if least > length {
        return Err(format!(
            "says {width}×{height} pixels, but {length} bytes cannot hold them: truncated or damaged"
        ));
    }
    with_decoder(decoder, Vec::new())
}

fn decode_jpeg(mut reader: impl BufRead) -> std::result::Result<Decoded, String> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    let markers = jpeg::markers(&bytes);
    if markers.components == 4 {
        return Err(
            "a CMYK JPEG; convert it to RGB first, with the profile of your printer".into(),
        );
    }
    if !markers.complete {
        return Err("the JPEG ends in the middle: truncated or damaged".into());
    }
    let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    with_decoder(decoder, Vec::new())
}

/// The part that is the same for every decoder of the image crate.
fn with_decoder(
    mut decoder: impl ImageDecoder,
    notes: Vec<String>,
) -> std::result::Result<Decoded, String> {
    let (width, height) = decoder.dimensions();
    let (depth, channels) = match decoder.color_type() {
        ColorType::L8 => (Depth::U8, Channels::Grey),
        ColorType::La8 => (Depth::U8, Channels::GreyAlpha),
        ColorType::Rgb8 => (Depth::U8, Channels::Rgb),
        ColorType::Rgba8 => (Depth::U8, Channels::Rgba),
        ColorType::L16 => (Depth::U16, Channels::Grey),
        ColorType::La16 => (Depth::U16, Channels::GreyAlpha),
        ColorType::Rgb16 => (Depth::U16, Channels::Rgb),
        ColorType::Rgba16 => (Depth::U16, Channels::Rgba),
        ColorType::Rgb32F => (Depth::F32, Channels::Rgb),
        ColorType::Rgba32F => (Depth::F32, Channels::Rgba),
        other => return Err(format!("samples of kind {other:?} are not read here")),
    };
    let mut bytes = allocate(width, height, depth.bytes() * channels.count())?;
    let icc = decoder.icc_profile().map_err(|e| e.to_string())?;
    // Text that cannot be read does not make the pixels worse.
    let xmp = decoder.xmp_metadata().ok().flatten();
    // Pixels are turned by the very block that then says they are upright.
    let block = decoder.exif_metadata().ok().flatten();
    let block = block.as_deref().map(exif::bare);
    let orientation = block
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms);
    let exif = block.and_then(|b| Exif::from_block(b, orient::size(width, height, orientation)));
    decoder.read_image(&mut bytes).map_err(undecodable)?;
    Ok(Decoded {
        picture: Picture {
            width,
            height,
            depth,
            channels,
            icc: icc.map(Arc::from),
            bytes,
        },
        xmp,
        exif,
        orientation,
        notes,
    })
}

/// Zeroed room for `width × height` pixels of `pixel` bytes, within the limits.
pub fn allocate(width: u32, height: u32, pixel: usize) -> std::result::Result<Vec<u8>, String> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(format!("{width}×{height} pixels: there is nothing in it"));
    }
    if pixels > MAX_PIXELS {
        return Err(format!(
            "{width}×{height} pixels are more than the {MAX_PIXELS} that can be worked on"
        ));
    }
    let bytes = pixels * pixel as u64;
    let too_much =
        || format!("{width}×{height} pixels need {bytes} bytes, more than there is room for");
    if bytes > MAX_BYTES {
        return Err(too_much());
    }
    let length = usize::try_from(bytes).map_err(|_| too_much())?;
    bytemuck::allocation::try_zeroed_vec(length).map_err(|()| too_much())
}

/// The reason for pixels that a decoder gave up on.
pub fn undecodable(error: impl std::fmt::Display) -> String {
    format!("its pixels cannot be decoded, it may be truncated or damaged: {error}")
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(DECODER_BYTES);
    limits
}

/// Turns the picture upright, and checks that its profile belongs to it.
fn finish(path: PathBuf, format: Format, decoded: Decoded) -> Result<Opened> {
    let Decoded {
        mut picture,
        xmp,
        exif,
        orientation,
        mut notes,
    } = decoded;
    if orientation != Orientation::NoTransforms {
        notes.push(
            "turned upright, as its camera asked; coordinates are those of the upright picture"
                .into(),
        );
    }
    picture = orient::apply(picture, orientation);
    if let Some(icc) = &picture.icc {
        // Bytes 16 to 19 of an ICC profile name the colours it is for (ICC.1:2022, 7.2.8).
        let expected: &[u8] = if picture.channels.colours() == 1 {
            b"GRAY"
        } else {
            b"RGB "
        };
        match icc.get(16..20) {
            Some(space) if space == expected => {}
            Some(space) if [&b"GRAY"[..], b"RGB "].contains(&space) => {
                notes.push(format!(
                    "its colour profile is for {} but its pixels are {}: the profile is left out",
                    String::from_utf8_lossy(space).trim_end(),
                    picture.channels.name()
                ));
                picture.icc = None;
            }
            Some(space) if space.is_ascii() => {
                return Err(Failure::file(
                    &path,
                    format!(
                        "its colour profile is for {:?}; convert it to RGB or grey first",
                        String::from_utf8_lossy(space)
                    ),
                ));
            }
            _ => {
                notes.push("its colour profile is damaged and is left out".into());
                picture.icc = None;
            }
        }
    }
    Ok(Opened {
        path,
        format,
        picture,
        xmp: xmp.map(|x| String::from_utf8_lossy(&x).into_owned()),
        exif,
        notes,
    })
}

/// What the first bytes of a file say about its kind.
fn sniff(start: &[u8]) -> Option<Format> {
    if start.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(Format::Png)
    } else if start.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Some(Format::Jpeg)
    } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"]
        .iter()
        .any(|magic| start.starts_with(magic))
    {
        Some(Format::Tiff)
    } else if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") {
        Some(Format::WebP)
    } else if start.starts_with(b"PK\x03\x04") {
        Some(Format::OpenRaster)
    } else {
        None
    }
}

/// Splits `file.ora#Layer`; a file whose own name has a `#` is taken as it is.
fn split_layer(path: &Path) -> (PathBuf, Option<String>) {
    if !path.exists()
        && let Some((file, layer)) = path.to_str().and_then(|text| text.rsplit_once('#'))
        && !layer.is_empty()
        && Path::new(file).is_file()
    {
        return (file.into(), Some(layer.to_owned()));
    }
    (path.to_owned(), None)
}

/// Reads at most [`MAX_FILE`] bytes of something inside an archive.
pub fn read_bounded(mut reader: impl Read, limit: u64) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    (&mut reader)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > limit {
        return Err(format!("larger than {limit} bytes when unpacked"));
    }
    Ok(bytes)
}
