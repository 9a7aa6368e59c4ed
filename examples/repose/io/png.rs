//! PNG with 8 or 16 bits, its profile, its history and its EXIF.

use std::borrow::Cow;
use std::io::{self, Write};

use png::text_metadata::ITXtChunk;
use png::{BitDepth, ColorType, Compression, Encoder, Info};

use super::About;
use crate::picture::{Channels, Depth, Picture};

/// The keyword of an XMP packet in a PNG (XMP specification part 3).
const XMP: &str = "XML:com.adobe.xmp";

/// Writes `picture` with its profile and what is known about it. Floats are refused: a PNG cannot hold them.
pub fn write(file: impl Write, picture: &Picture, about: About<'_>) -> io::Result<()> {
    let bit_depth = match picture.depth {
        Depth::U8 => BitDepth::Eight,
        Depth::U16 => BitDepth::Sixteen,
        Depth::F16 | Depth::F32 => return Err(io::Error::other("a PNG cannot hold floats")),
    };
    let mut info = Info::with_size(picture.width, picture.height);
    info.bit_depth = bit_depth;
    info.color_type = match picture.channels {
        Channels::Grey => ColorType::Grayscale,
        Channels::GreyAlpha => ColorType::GrayscaleAlpha,
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
    };
    info.icc_profile = picture.icc.as_deref().map(Cow::Borrowed);
    if let Some(xmp) = about.xmp {
        info.utf8_text.push(ITXtChunk::new(XMP, xmp));
    }
    if let Some(exif) = about.exif {
        info.exif_metadata = Some(exif.to_block()?.into());
    }
    let mut encoder = Encoder::with_info(file, info)?;
    encoder.set_compression(Compression::Balanced);
    let mut writer = encoder.write_header()?;
    match picture.depth {
        Depth::U16 if cfg!(target_endian = "little") => {
            // PNG is big endian. Rows are swapped in pieces, so that no second copy of a large picture is made.
            let row = picture.width as usize * picture.bytes_per_pixel();
            let mut stream = writer.stream_writer_with_size(1 << 16)?;
            let mut swapped = vec![0; row];
            for from in picture.bytes.chunks_exact(row) {
                for (to, from) in swapped.chunks_exact_mut(2).zip(from.chunks_exact(2)) {
                    to.copy_from_slice(&[from[1], from[0]]);
                }
                stream.write_all(&swapped)?;
            }
            stream.finish()?;
        }
        _ => writer.write_image_data(&picture.bytes)?,
    }
    writer.finish()?;
    Ok(())
}
