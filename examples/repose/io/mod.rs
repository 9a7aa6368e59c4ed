//! Picture files: what comes in keeps its precision, its alpha and its colour profile, and so does what goes out.

mod atomic;
mod exif;
mod jpeg;
mod ora_read;
mod ora_write;
mod orient;
mod png;
mod read;
mod tiff_read;
mod tiff_write;

pub use atomic::write_atomically;
pub use exif::Exif;
pub use ora_write::{Document, Group, Sheet};
pub use read::{Opened, read};

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::picture::Picture;

/// A kind of picture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG: read only, since writing it would change every pixel.
    Jpeg,
    /// Tagged Image File Format.
    Tiff,
    /// WebP: read only.
    WebP,
    /// OpenRaster: layers in a zip archive.
    OpenRaster,
}

impl Format {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
            Self::WebP => "WebP",
            Self::OpenRaster => "OpenRaster",
        }
    }

    /// The format a result's file name asks for, if it can be written without changing pixels that were not asked to
    /// change.
    pub fn for_output(path: &Path) -> Result<Self> {
        let ending = path
            .extension()
            .map(|e| e.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        match ending.as_str() {
            "png" => Ok(Self::Png),
            "tif" | "tiff" => Ok(Self::Tiff),
            "ora" => Ok(Self::OpenRaster),
            "jpg" | "jpeg" | "webp" => Err(Failure::usage(format!(
                "{}: .{ending} would change every pixel of the picture, also those that were not asked to change; \
                 use .ora (layers), .png or .tif",
                path.display()
            ))),
            _ => Err(Failure::usage(format!(
                "{}: the ending says how to write a result: .ora (layers), .png or .tif",
                path.display()
            ))),
        }
    }

    /// Whether this format can hold `picture`'s samples exactly.
    pub fn check_holds(self, picture: &Picture, path: &Path) -> Result<()> {
        if picture.depth.is_float() && self != Self::Tiff {
            return Err(Failure::usage(format!(
                "{}: {} cannot hold {} samples; use .tif for this picture",
                path.display(),
                self.name(),
                picture.depth.name()
            )));
        }
        Ok(())
    }
}

/// What a file says beside its pixels and their profile.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The history, as an XMP packet.
    pub xmp: Option<&'a str>,
    /// What the camera said.
    pub exif: Option<&'a Exif>,
}

/// Writes a flat picture, with its profile and what is known about it, as PNG or TIFF.
pub fn write_flat(path: &Path, format: Format, picture: &Picture, about: About<'_>) -> Result<()> {
    format.check_holds(picture, path)?;
    write_atomically(path, |file| match format {
        Format::Tiff => tiff_write::write(file, picture, about),
        Format::Png => png::write(file, picture, about),
        other => Err(std::io::Error::other(format!(
            "a flat {} is not written here",
            other.name()
        ))),
    })
}

/// Writes a layered document as OpenRaster.
pub fn write_layers(path: &Path, document: &Document<'_>) -> Result<()> {
    Format::OpenRaster.check_holds(document.original, path)?;
    write_atomically(path, |file| ora_write::write(file, document))
}
