//! TIFF with the picture's own precision, its profile, its history and its EXIF.

use std::borrow::Cow;
use std::io::{self, Seek, Write};

use bytemuck::Pod;
use tiff::encoder::colortype::ColorType;
use tiff::encoder::{
    Compression, DeflateLevel, ImageEncoder, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard,
    TiffValue,
};
use tiff::tags::{ExtraSamples, PhotometricInterpretation, SampleFormat, Tag};

use super::About;
use super::tiff_read::XMP;
use crate::picture::{Depth, Picture};

/// Above this many bytes of samples the file gets 64-bit offsets (BigTIFF).
const BIG: usize = 3 << 30;

/// Kinds of pixels, told to the encoder; half floats travel as their bits.
macro_rules! kinds {
    ($($name:ident: $inner:ty, $photometric:ident, $count:literal, $bits:literal, $format:ident;)*) => {$(
        struct $name;
        impl ColorType for $name {
            type Inner = $inner;
            const TIFF_VALUE: PhotometricInterpretation = PhotometricInterpretation::$photometric;
            const BITS_PER_SAMPLE: &'static [u16] = &[$bits; $count];
            const SAMPLE_FORMAT: &'static [SampleFormat] = &[SampleFormat::$format; $count];
            fn horizontal_predict(row: &[$inner], result: &mut Vec<$inner>) {
                // Files are written without a predictor, so samples go out as they are.
                result.extend_from_slice(row);
            }
        }
    )*};
}

kinds! {
    Grey8: u8, BlackIsZero, 1, 8, Uint;
    Grey16: u16, BlackIsZero, 1, 16, Uint;
    GreyF16: u16, BlackIsZero, 1, 16, IEEEFP;
    GreyF32: f32, BlackIsZero, 1, 32, IEEEFP;
    Rgb8: u8, RGB, 3, 8, Uint;
    Rgb16: u16, RGB, 3, 16, Uint;
    RgbF16: u16, RGB, 3, 16, IEEEFP;
    RgbF32: f32, RGB, 3, 32, IEEEFP;
}

/// Writes `picture` with its profile and what is known about it.
pub fn write(file: impl Write + Seek, picture: &Picture, about: About<'_>) -> io::Result<()> {
    let compression = Compression::Deflate(DeflateLevel::Fast);
    if picture.bytes.len() > BIG {
        let encoder = TiffEncoder::<_, TiffKindBig>::new_big(file)
            .map_err(io::Error::other)?
            .with_compression(compression);
        write_kind(encoder, picture, about)
    } else {
        let encoder = TiffEncoder::<_, TiffKindStandard>::new(file)
            .map_err(io::Error::other)?
            .with_compression(compression);
        write_kind(encoder, picture, about)
    }
}

fn write_kind<W: Write + Seek, K: TiffKind>(
    encoder: TiffEncoder<W, K>,
    picture: &Picture,
    about: About<'_>,
) -> io::Result<()> {
    let grey = picture.channels.colours() == 1;
    match (picture.depth, grey) {
        (Depth::U8, true) => write_pixels::<W, K, Grey8>(encoder, picture, about),
        (Depth::U16, true) => write_pixels::<W, K, Grey16>(encoder, picture, about),
        (Depth::F16, true) => write_pixels::<W, K, GreyF16>(encoder, picture, about),
        (Depth::F32, true) => write_pixels::<W, K, GreyF32>(encoder, picture, about),
        (Depth::U8, false) => write_pixels::<W, K, Rgb8>(encoder, picture, about),
        (Depth::U16, false) => write_pixels::<W, K, Rgb16>(encoder, picture, about),
        (Depth::F16, false) => write_pixels::<W, K, RgbF16>(encoder, picture, about),
        (Depth::F32, false) => write_pixels::<W, K, RgbF32>(encoder, picture, about),
    }
}

fn write_pixels<W: Write + Seek, K: TiffKind, C: ColorType>(
    mut encoder: TiffEncoder<W, K>,
    picture: &Picture,
    about: About<'_>,
) -> io::Result<()>
where
    C::Inner: Pod,
    [C::Inner]: TiffValue,
{
    let parts = match about.exif {
        Some(exif) => exif.write_parts(&mut encoder).map_err(io::Error::other)?,
        None => Vec::new(),
    };
    let mut image: ImageEncoder<'_, W, C, K> = encoder
        .new_image(picture.width, picture.height)
        .map_err(io::Error::other)?;
    if picture.channels.has_alpha() {
        image
            .extra_samples(&[ExtraSamples::UnassociatedAlpha])
            .map_err(io::Error::other)?;
    }
    let tags = image.encoder();
    if let Some(icc) = &picture.icc {
        tags.write_tag(Tag::IccProfile, &icc[..])
            .map_err(io::Error::other)?;
    }
    if let Some(exif) = about.exif {
        exif.write_first(tags, &parts).map_err(io::Error::other)?;
    }
    if let Some(xmp) = about.xmp {
        tags.write_tag(XMP, xmp.as_bytes())
            .map_err(io::Error::other)?;
    }
    tags.write_tag(Tag::Software, "Repose")
        .map_err(io::Error::other)?;
    // A byte buffer need not be aligned for its samples.
    let samples: Cow<'_, [C::Inner]> = match bytemuck::try_cast_slice(&picture.bytes) {
        Ok(samples) => Cow::Borrowed(samples),
        Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(&picture.bytes)),
    };
    image.write_data(&samples).map_err(io::Error::other)
}
