//! TIFF with its own precision: 8 and 16 bits, half and single floats, grey or RGB, with or without alpha, in strips,
//! tiles or planes.

use std::io::{Read, Seek};
use std::sync::Arc;

use tiff::ColorType;
use tiff::decoder::{Decoder, Limits};
use tiff::tags::{ExtraSamples, SampleFormat, Tag};

use super::read::{DECODER_BYTES, Decoded, allocate, undecodable};
use super::{Exif, orient};
use crate::picture::{Channels, Depth, Picture};

/// The tag of an XMP packet (XMP specification part 3).
pub const XMP: Tag = Tag::Unknown(700);
/// No compression of TIFF makes samples of 8 bits or more smaller than this many times.
const MOST_COMPRESSION: u64 = 8192;

/// Decodes the first picture of a TIFF of `length` bytes. The error is the reason alone.
pub fn decode(reader: impl Read + Seek, length: u64) -> Result<Decoded, String> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = DECODER_BYTES as usize;
    limits.intermediate_buffer_size = DECODER_BYTES as usize;
    let mut decoder = Decoder::new(reader)
        .map_err(|e| e.to_string())?
        .with_limits(limits.clone());
    let (width, height) = decoder.dimensions().map_err(|e| e.to_string())?;
    let colour = decoder
        .colortype()
        .map_err(|e| format!("convert it to RGB or grey first: {e}"))?;
    let kind = Kind::of(colour, sample_format(&mut decoder)?)?;

    let extra = decoder
        .find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)
        .ok()
        .flatten();
    let premultiplied =
        extra.is_some_and(|e| e.first() == Some(&ExtraSamples::AssociatedAlpha.to_u16()));
    let mut notes = Vec::new();
    let icc = match decoder.find_tag(Tag::IccProfile) {
        Ok(None) => None,
        Ok(Some(value)) => value.into_u8_vec().ok(),
        Err(_) => {
            notes.push("its colour profile cannot be read and is left out".into());
            None
        }
    };
    let xmp = decoder.get_tag_u8_vec(XMP).ok();
    let orientation = decoder
        .find_tag_unsigned::<u16>(Tag::Orientation)
        .ok()
        .flatten()
        .map_or(orient::from_number(1), orient::from_number);

    let exif = decoder.ifd_pointer().and_then(|first| {
        Exif::from_directory(
            &mut decoder,
            first,
            orient::size(width, height, orientation),
        )
    });

    // Only now may as much be read as the pixels need: a hostile tag could claim just as much.
    limits.decoding_buffer_size = crate::picture::MAX_BYTES as usize;
    let mut decoder = decoder.with_limits(limits);
    let mut bytes = allocate(width, height, kind.depth.bytes() * kind.channels.count())?;
    if kind.bits >= 8 && bytes.len() as u64 / MOST_COMPRESSION > length {
        return Err(format!(
            "says {width}×{height} pixels, but {length} bytes cannot hold them: truncated or damaged"
        ));
    }
    if kind.bits < 8 {
        read_packed(&mut decoder, width, kind.bits, &mut bytes)?;
    } else {
        read_whole(&mut decoder, kind, &mut bytes)?;
    }

    if decoder.more_images() {
        notes.push("several pictures in one file: the first is used".into());
    }
    let picture = Picture {
        width,
        height,
        depth: kind.depth,
        channels: kind.channels,
        icc: icc.map(Arc::from),
        bytes,
    };
    // Dividing by alpha and multiplying again would change bytes that nobody asked to change.
    if premultiplied && !picture.is_opaque() {
        return Err(
            "its colours are multiplied with alpha (associated alpha); save it with straight alpha"
                .into(),
        );
    }
    Ok(Decoded {
        picture,
        xmp,
        exif,
        orientation,
        notes,
    })
}

fn sample_format(decoder: &mut Decoder<impl Read + Seek>) -> Result<SampleFormat, String> {
    let formats = decoder
        .find_tag_unsigned_vec::<u16>(Tag::SampleFormat)
        .map_err(|e| e.to_string())?
        .unwrap_or_default();
    let first = formats.first().copied().unwrap_or(1);
    if formats.iter().any(|f| *f != first) {
        return Err("its channels have different kinds of samples".into());
    }
    SampleFormat::from_u16(first).ok_or_else(|| format!("sample format {first} is not known"))
}

/// How the samples are stored and what they become.
#[derive(Clone, Copy)]
struct Kind {
    bits: u8,
    depth: Depth,
    channels: Channels,
}

impl Kind {
    fn of(colour: ColorType, format: SampleFormat) -> Result<Self, String> {
        let (bits, channels) = match colour {
            ColorType::Gray(bits) => (bits, Channels::Grey),
            ColorType::GrayA(bits) => (bits, Channels::GreyAlpha),
            // Grey with one extra sample, which is alpha by custom.
            ColorType::Multiband {
                bit_depth,
                num_samples: 2,
            } => (bit_depth, Channels::GreyAlpha),
            ColorType::RGB(bits) => (bits, Channels::Rgb),
            ColorType::RGBA(bits) => (bits, Channels::Rgba),
            other => {
                return Err(format!(
                    "a TIFF of kind {other:?}; convert it to RGB or grey first"
                ));
            }
        };
        let depth = match (format, bits) {
            (SampleFormat::Uint, 1 | 2 | 4) if channels == Channels::Grey => Depth::U8,
            (SampleFormat::Uint, 8) => Depth::U8,
            (SampleFormat::Uint, 16) => Depth::U16,
            (SampleFormat::IEEEFP, 16) => Depth::F16,
            (SampleFormat::IEEEFP, 32) => Depth::F32,
            _ => {
                return Err(format!(
                    "samples of {bits} bits of kind {format:?}; 8 and 16 bits, and floats of 16 and 32 bits are read"
                ));
            }
        };
        Ok(Self {
            bits,
            depth,
            channels,
        })
    }
}

fn read_whole(
    decoder: &mut Decoder<impl Read + Seek>,
    kind: Kind,
    bytes: &mut [u8],
) -> Result<(), String> {
    let layout = decoder.image_buffer_layout().map_err(|e| e.to_string())?;
    if layout.complete_len != bytes.len() {
        return Err(format!(
            "its tables speak of {} bytes of samples where {} belong",
            layout.complete_len,
            bytes.len()
        ));
    }
    if layout.planes <= 1 {
        return decoder.read_image_bytes(bytes).map_err(undecodable);
    }
    let mut planar = bytemuck::allocation::try_zeroed_vec(bytes.len())
        .map_err(|()| "there is no room to sort its planes".to_owned())?;
    decoder.read_image_bytes(&mut planar).map_err(undecodable)?;
    let sample = kind.depth.bytes();
    let pixel = sample * kind.channels.count();
    let stride = layout.plane_stride.map_or(bytes.len(), |s| s.get());
    for (c, plane) in planar.chunks_exact(stride).enumerate() {
        for (to, from) in bytes
            .chunks_exact_mut(pixel)
            .zip(plane.chunks_exact(sample))
        {
            to[c * sample..(c + 1) * sample].copy_from_slice(from);
        }
    }
    Ok(())
}

/// Rows of 1, 2 or 4 bits a sample, each row filled up to a whole byte, as 0 to 255.
fn read_packed(
    decoder: &mut Decoder<impl Read + Seek>,
    width: u32,
    bits: u8,
    bytes: &mut [u8],
) -> Result<(), String> {
    let width = width as usize;
    let stride = (width * usize::from(bits)).div_ceil(8);
    let mut packed = bytemuck::allocation::try_zeroed_vec(stride * (bytes.len() / width))
        .map_err(|()| "there is no room for its rows".to_owned())?;
    decoder.read_image_bytes(&mut packed).map_err(undecodable)?;
    let per_byte = usize::from(8 / bits);
    let top = (1u16 << bits) - 1;
    for (to, from) in bytes
        .chunks_exact_mut(width)
        .zip(packed.chunks_exact(stride))
    {
        for (x, value) in to.iter_mut().enumerate() {
            let shift = 8 - usize::from(bits) * (x % per_byte + 1);
            let raw = u16::from(from[x / per_byte] >> shift) & top;
            *value = (raw * 255 / top) as u8;
        }
    }
    Ok(())
}
