//! OpenRaster 0.0.5 (openraster.org): a zip archive of PNG layers that Krita and GIMP open with their layers.

use std::fmt::Write as _;
use std::io::{self, Seek, Write};

use quick_xml::escape::escape;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{About, png};
use crate::picture::Picture;
use crate::shrink;

/// Longest side of the thumbnail, as the specification asks.
const THUMBNAIL: u32 = 256;

/// What goes into the file.
pub struct Document<'a> {
    /// The picture as it was: the bottom layer, untouched.
    pub original: &'a Picture,
    /// Its name in the layer list.
    pub original_name: &'a str,
    /// The results; the first is visible.
    pub groups: Vec<Group>,
    /// The original with the first group over it.
    pub merged: &'a Picture,
    /// What the pictures say beside their pixels.
    pub about: About<'a>,
    /// The history, as JSON for people and scripts.
    pub history: Option<&'a str>,
}

/// Layers that belong together: one candidate.
pub struct Group {
    /// Name in the layer list.
    pub name: String,
    /// Bottom first.
    pub sheets: Vec<Sheet>,
}

/// One layer with its mask in its alpha.
pub struct Sheet {
    /// Name in the layer list.
    pub name: String,
    /// Left edge on the canvas.
    pub x: u32,
    /// Top edge on the canvas.
    pub y: u32,
    /// Pixels with alpha.
    pub picture: Picture,
}

/// Writes the archive. `mimetype` comes first and is not compressed, so that the file is known by its first bytes.
pub fn write(file: impl Write + Seek, document: &Document<'_>) -> io::Result<()> {
    let mut zip = ZipWriter::new(file);
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("mimetype", stored)?;
    zip.write_all(b"image/openraster")?;
    zip.start_file("stack.xml", deflated)?;
    zip.write_all(stack_xml(document).as_bytes())?;

    let history = About {
        exif: None,
        ..document.about
    };
    let mut picture = |name: &str, picture: &Picture, about| -> io::Result<()> {
        // PNG is compressed already; sizes above 4 GiB need the larger headers.
        let large = picture.bytes.len() as u64 > u64::from(u32::MAX);
        zip.start_file(name, stored.large_file(large))?;
        png::write(&mut zip, picture, about)
    };
    picture("data/original.png", document.original, document.about)?;
    for (g, group) in document.groups.iter().enumerate() {
        for (s, sheet) in group.sheets.iter().enumerate() {
            picture(&source(g, s), &sheet.picture, history)?;
        }
    }
    picture("mergedimage.png", document.merged, document.about)?;
    picture(
        "Thumbnails/thumbnail.png",
        &shrink::to_eight_bit(&shrink::fit(document.merged, THUMBNAIL)),
        history,
    )?;
    if let Some(history) = document.history {
        zip.start_file("repose-history.json", deflated)?;
        zip.write_all(history.as_bytes())?;
    }
    zip.finish()?;
    Ok(())
}

fn source(group: usize, sheet: usize) -> String {
    format!("data/candidate{}-layer{}.png", group + 1, sheet + 1)
}

/// The layer list, top first.
fn stack_xml(document: &Document<'_>) -> String {
    let mut xml = String::from("<?xml version='1.0' encoding='UTF-8'?>\n");
    // Writing to a String cannot fail, so the results are not looked at.
    let _ = writeln!(
        xml,
        "<image version=\"0.0.5\" w=\"{}\" h=\"{}\" xres=\"72\" yres=\"72\">\n  <stack>",
        document.original.width, document.original.height
    );
    let grouped = document.groups.len() > 1;
    // The first candidate is on top; the others wait, hidden, below it.
    for (g, group) in document.groups.iter().enumerate() {
        let visibility = if g == 0 { "visible" } else { "hidden" };
        if grouped {
            let _ = writeln!(
                xml,
                "    <stack name=\"{}\" opacity=\"1.0\" visibility=\"{visibility}\" composite-op=\"svg:src-over\">",
                escape(group.name.as_str())
            );
        }
        for (s, sheet) in group.sheets.iter().enumerate().rev() {
            layer(&mut xml, &sheet.name, &source(g, s), sheet.x, sheet.y);
        }
        if grouped {
            xml.push_str("    </stack>\n");
        }
    }
    layer(&mut xml, document.original_name, "data/original.png", 0, 0);
    xml.push_str("  </stack>\n</image>\n");
    xml
}

fn layer(xml: &mut String, name: &str, source: &str, x: u32, y: u32) {
    let _ = writeln!(
        xml,
        "    <layer name=\"{}\" src=\"{source}\" x=\"{x}\" y=\"{y}\" opacity=\"1.0\" visibility=\"visible\" \
         composite-op=\"svg:src-over\"/>",
        escape(name)
    );
}
