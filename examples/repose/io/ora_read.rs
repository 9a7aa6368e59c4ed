//! OpenRaster: the merged picture, or one layer on its canvas.

use std::io::{Cursor, Read, Seek};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::read::{Decoded, allocate, decode_png, read_bounded};
use crate::picture::Picture;

/// The largest picture inside the archive, packed as PNG.
const MAX_PNG: u64 = 2 << 30;
/// The largest stack.xml.
const MAX_STACK: u64 = 16 << 20;

/// Decodes the merged picture, or the layer called `layer`. The error is the reason alone.
pub fn decode(reader: impl Read + Seek, layer: Option<&str>) -> Result<Decoded, String> {
    let mut archive =
        ZipArchive::new(reader).map_err(|e| format!("not a whole zip archive: {e}"))?;
    let kind = entry(&mut archive, "mimetype", 64)?;
    if kind.trim_ascii_end() != b"image/openraster" {
        return Err("a zip archive, but not an OpenRaster file".into());
    }
    let Some(name) = layer else {
        return merged(&mut archive);
    };
    let stack = Stack::parse(&entry(&mut archive, "stack.xml", MAX_STACK)?)?;
    let found = stack
        .layers
        .iter()
        .find(|l| l.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = stack
                .layers
                .iter()
                .map(|l| format!("{:?}", l.name))
                .collect();
            format!("no layer {name:?}; it has {}", names.join(", "))
        })?;
    let png = entry(&mut archive, &found.source, MAX_PNG)?;
    let length = png.len() as u64;
    let mut decoded =
        decode_png(Cursor::new(png), length).map_err(|e| format!("{}: {e}", found.source))?;
    decoded.picture = on_canvas(decoded.picture, &stack, found)?;
    Ok(decoded)
}

fn merged(archive: &mut ZipArchive<impl Read + Seek>) -> Result<Decoded, String> {
    let png = entry(archive, "mergedimage.png", MAX_PNG)?;
    let length = png.len() as u64;
    decode_png(Cursor::new(png), length).map_err(|e| format!("mergedimage.png: {e}"))
}

fn entry(
    archive: &mut ZipArchive<impl Read + Seek>,
    name: &str,
    limit: u64,
) -> Result<Vec<u8>, String> {
    let file = archive
        .by_name(name)
        .map_err(|e| format!("its {name} cannot be read: {e}"))?;
    read_bounded(file, limit).map_err(|e| format!("its {name}: {e}"))
}

/// What stack.xml says.
struct Stack {
    width: u32,
    height: u32,
    layers: Vec<LayerEntry>,
}

struct LayerEntry {
    name: String,
    source: String,
    x: i64,
    y: i64,
}

impl Stack {
    fn parse(xml: &[u8]) -> Result<Self, String> {
        let fail = |e: &dyn std::fmt::Display| format!("its stack.xml cannot be read: {e}");
        let mut reader = quick_xml::Reader::from_reader(xml);
        let mut stack = Self {
            width: 0,
            height: 0,
            layers: Vec::new(),
        };
        // Offsets of a stack move what is inside it.
        let mut offsets = vec![(0i64, 0i64)];
        loop {
            match reader.read_event().map_err(|e| fail(&e))? {
                Event::Eof => break,
                Event::Start(tag) if tag.name().as_ref() == "stack" => {
                    let (x, y) = offsets.last().copied().unwrap_or_default();
                    offsets.push((
                        x.saturating_add(number(&tag, "x")?),
                        y.saturating_add(number(&tag, "y")?),
                    ));
                }
                Event::End(tag) if tag.name().as_ref() == "stack" => {
                    offsets.pop();
                }
                Event::Start(tag) | Event::Empty(tag) => match tag.name().as_ref() {
                    "image" => {
                        stack.width = u32::try_from(number(&tag, "w")?).unwrap_or(0);
                        stack.height = u32::try_from(number(&tag, "h")?).unwrap_or(0);
                    }
                    "layer" => {
                        let (x, y) = offsets.last().copied().unwrap_or_default();
                        stack.layers.push(LayerEntry {
                            name: text(&tag, "name")?.unwrap_or_default(),
                            source: text(&tag, "src")?.unwrap_or_default(),
                            x: x.saturating_add(number(&tag, "x")?),
                            y: y.saturating_add(number(&tag, "y")?),
                        });
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        Ok(stack)
    }
}

fn text(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let fail = |e: &dyn std::fmt::Display| format!("its stack.xml, attribute {name}: {e}");
    match tag.try_get_attribute(name).map_err(|e| fail(&e))? {
        None => Ok(None),
        Some(value) => value
            .normalized_value(XmlVersion::Implicit1_0)
            .map(|v| Some(v.into_owned()))
            .map_err(|e| fail(&e)),
    }
}

fn number(tag: &BytesStart<'_>, name: &str) -> Result<i64, String> {
    match text(tag, name)? {
        None => Ok(0),
        Some(value) => value
            .trim()
            .parse()
            .map_err(|_| format!("its stack.xml: {name}={value:?} is not a whole number")),
    }
}

/// The layer's pixels where they lie on the whole canvas, transparent elsewhere.
fn on_canvas(layer: Picture, stack: &Stack, place: &LayerEntry) -> Result<Picture, String> {
    let channels = layer.channels.with_alpha();
    let sample = layer.depth.bytes();
    let pixel = sample * channels.count();
    let mut canvas = Picture {
        width: stack.width,
        height: stack.height,
        depth: layer.depth,
        channels,
        icc: layer.icc.clone(),
        bytes: allocate(stack.width, stack.height, pixel)?,
    };
    let from_pixel = layer.bytes_per_pixel();
    for y in 0..i64::from(layer.height) {
        let to_y = y.saturating_add(place.y);
        if !(0..i64::from(stack.height)).contains(&to_y) {
            continue;
        }
        for x in 0..i64::from(layer.width) {
            let to_x = x.saturating_add(place.x);
            if !(0..i64::from(stack.width)).contains(&to_x) {
                continue;
            }
            let from = (y as usize * layer.width as usize + x as usize) * from_pixel;
            let to = (to_y as usize * stack.width as usize + to_x as usize) * pixel;
            canvas.bytes[to..to + from_pixel]
                .copy_from_slice(&layer.bytes[from..from + from_pixel]);
            if from_pixel < pixel {
                // Integer samples only (PNG): all ones is opaque.
                canvas.bytes[to + from_pixel..to + pixel].fill(0xFF);
            }
        }
    }
    Ok(canvas)
}
