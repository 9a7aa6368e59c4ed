//! EXIF: what a camera wrote about the picture travels from file to file, but for what an edit makes untrue.
//!
//! An EXIF block is a small TIFF, so it is read and written as one. Left out are the thumbnail, which shows the picture
//! as it was before the edit, and the maker's notes, which hold places in the camera's own file and often such a
//! thumbnail as well. Pixels come upright, so the orientation always says so.

use std::io::{self, Cursor, Read, Seek, Write};

use tiff::TiffResult;
use tiff::decoder::{Decoder, Limits};
use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKind, TiffKindStandard};
use tiff::tags::{ByteOrder, IfdPointer, Tag, Type, ValueBuffer};

/// What the first directory may carry along; the rest describes how its pixels were stored.
const ABOUT: [u16; 18] = [
    270, 271, 272, 282, 283, 296, 306, 315,
    316, // description, camera, resolution, date, artist, computer
    18246, 18249, // rating
    33432, 33723, // copyright, IPTC
    40091, 40092, 40093, 40094, 40095, // the words of Windows
];
const ORIENTATION: u16 = 274;
const CAMERA: u16 = 0x8769;
const PLACE: u16 = 0x8825;
const MAKER_NOTE: u16 = 0x927C;
const INTEROPERABILITY: u16 = 0xA005;
const SIZE: [u16; 2] = [0xA002, 0xA003];
/// The most bytes of all values together: four times what fits into a JPEG.
const MOST: usize = 256 << 10;

type Field = (u16, ValueBuffer);

/// What is known about a picture's making.
pub struct Exif {
    picture: Vec<Field>,
    camera: Vec<Field>,
    place: Vec<Field>,
}

impl std::fmt::Debug for Exif {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tags = |fields: &[Field]| fields.iter().map(|f| f.0).collect::<Vec<_>>();
        f.debug_struct("Exif")
            .field("picture", &tags(&self.picture))
            .field("camera", &tags(&self.camera))
            .field("place", &tags(&self.place))
            .finish()
    }
}

impl Exif {
    /// From the block of a PNG, JPEG or WebP, for upright pixels of this size. `None` if it is damaged or says nothing.
    pub fn from_block(block: &[u8], size: (u32, u32)) -> Option<Self> {
        let (first, whole) = with_picture(block)?;
        let mut limits = Limits::default();
        limits.ifd_value_size = MOST;
        let mut decoder = Decoder::new(Cursor::new(whole)).ok()?.with_limits(limits);
        Self::from_directory(&mut decoder, first, size)
    }

    /// From a directory of a TIFF and those it points to.
    pub fn from_directory(
        decoder: &mut Decoder<impl Read + Seek>,
        first: IfdPointer,
        size: (u32, u32),
    ) -> Option<Self> {
        let mut room = MOST;
        let (mut picture, parts) = fields(decoder, first, &mut room, |tag| ABOUT.contains(&tag))?;
        let mut part = |at: Option<IfdPointer>, skip: &[u16]| {
            let read = at.and_then(|at| fields(decoder, at, &mut room, |tag| !skip.contains(&tag)));
            read.map(|it| it.0).unwrap_or_default()
        };
        let mut camera = part(parts[0], &[MAKER_NOTE, INTEROPERABILITY]);
        let place = part(parts[1], &[]);
        if picture.is_empty() && camera.is_empty() && place.is_empty() {
            return None;
        }
        picture.push((ORIENTATION, ValueBuffer::from_value(&1u16)));
        for (tag, value) in &mut camera {
            match SIZE.iter().position(|s| s == tag) {
                Some(0) => *value = ValueBuffer::from_value(&size.0),
                Some(_) => *value = ValueBuffer::from_value(&size.1),
                None => {}
            }
        }
        Some(Self {
            picture,
            camera,
            place,
        })
    }

    /// As the block of a PNG.
    pub fn to_block(&self) -> io::Result<Vec<u8>> {
        let mut block = Cursor::new(Vec::new());
        let mut encoder =
            TiffEncoder::<_, TiffKindStandard>::new(&mut block).map_err(io::Error::other)?;
        let parts = self.write_parts(&mut encoder).map_err(io::Error::other)?;
        let mut first = encoder.image_directory().map_err(io::Error::other)?;
        self.write_first(&mut first, &parts)
            .and_then(|()| first.finish())
            .map_err(io::Error::other)?;
        Ok(block.into_inner())
    }

    /// Writes the directories that the first one points to; goes before it.
    pub fn write_parts<W: Write + Seek, K: TiffKind>(
        &self,
        encoder: &mut TiffEncoder<W, K>,
    ) -> TiffResult<Vec<(u16, K::OffsetType)>> {
        let mut parts = Vec::new();
        for (tag, fields) in [(CAMERA, &self.camera), (PLACE, &self.place)] {
            // A directory without entries cannot be written.
            if fields.is_empty() {
                continue;
            }
            let mut directory = encoder.extra_directory()?;
            for (tag, value) in fields {
                directory.write_tag_buf(Tag::from_u16_exhaustive(*tag), value)?;
            }
            parts.push((tag, directory.finish_with_offsets()?.offset));
        }
        Ok(parts)
    }

    /// Writes the rest into the first directory.
    pub fn write_first<W: Write + Seek, K: TiffKind>(
        &self,
        directory: &mut DirectoryEncoder<'_, W, K>,
        parts: &[(u16, K::OffsetType)],
    ) -> TiffResult<()> {
        for (tag, value) in &self.picture {
            directory.write_tag_buf(Tag::from_u16_exhaustive(*tag), value)?;
        }
        for (tag, offset) in parts {
            directory.write_tag(Tag::from_u16_exhaustive(*tag), offset)?;
        }
        Ok(())
    }
}

/// A block without the JPEG's introduction, which WebP files often repeat.
pub fn bare(block: &[u8]) -> &[u8] {
    block.strip_prefix(b"Exif\0\0").unwrap_or(block)
}

/// The wanted fields of a directory, as far as there is room, and where its parts of camera and place are.
fn fields(
    decoder: &mut Decoder<impl Read + Seek>,
    at: IfdPointer,
    room: &mut usize,
    wanted: impl Fn(u16) -> bool,
) -> Option<(Vec<Field>, [Option<IfdPointer>; 2])> {
    let directory = decoder.read_directory(at).ok()?;
    let tags: Vec<u16> = directory.iter().map(|(tag, _)| tag.to_u16()).collect();
    let mut reader = decoder.read_directory_tags(&directory);
    let parts = [CAMERA, PLACE].map(|tag| {
        let at = reader.find_tag_unsigned::<u64>(Tag::from_u16_exhaustive(tag));
        at.ok().flatten().map(IfdPointer)
    });
    let mut found = Vec::new();
    for tag in tags.into_iter().filter(|tag| wanted(*tag)) {
        let mut value = ValueBuffer::empty(Type::BYTE);
        // A field that cannot be read, or is too long, does not make the others worse.
        if let Ok(Some(_)) = reader.find_tag_buf(Tag::from_u16_exhaustive(tag), &mut value)
            && let Some(left) = room.checked_sub(value.as_bytes().len())
        {
            *room = left;
            value.set_byte_order(ByteOrder::native());
            found.push((tag, value));
        }
    }
    Some((found, parts))
}

/// The block with a directory of one pixel behind it, which the header then points to, since the decoder wants to see a
/// picture first; and where the block's own first directory is.
fn with_picture(block: &[u8]) -> Option<(IfdPointer, Vec<u8>)> {
    let little = match block.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |v: u16| {
        if little {
            v.to_le_bytes()
        } else {
            v.to_be_bytes()
        }
    };
    let long = |v: u32| {
        if little {
            v.to_le_bytes()
        } else {
            v.to_be_bytes()
        }
    };
    let first: [u8; 4] = block.get(4..8)?.try_into().ok()?;
    let first = if little {
        u32::from_le_bytes(first)
    } else {
        u32::from_be_bytes(first)
    };
    let mut whole = block.to_vec();
    whole.resize(whole.len().next_multiple_of(2), 0);
    let at = u32::try_from(whole.len()).ok()?;
    whole[4..8].copy_from_slice(&long(at));
    // Width, length, bits, no compression, black is zero, one strip of one byte at the start.
    let entries = [
        (256, 1),
        (257, 1),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 0),
        (278, 1),
        (279, 1),
    ];
    whole.extend(short(entries.len() as u16));
    for (tag, value) in entries {
        whole.extend(short(tag));
        whole.extend(short(4));
        whole.extend(long(1));
        whole.extend(long(value));
    }
    whole.extend(long(0));
    Some((IfdPointer(u64::from(first)), whole))
}
