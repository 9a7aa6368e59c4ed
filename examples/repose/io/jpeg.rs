//! What the JPEG decoder does not tell: whether the file is whole, and whether it is CMYK.

/// What a JPEG's markers say.
#[derive(Debug, PartialEq, Eq)]
pub struct Markers {
    /// Colour components of the frame, 0 where no frame header was found.
    pub components: u8,
    /// Whether an end-of-image marker follows the first scan.
    pub complete: bool,
}

/// Walks the segments up to the first scan, then looks for the end marker: in entropy-coded data every 0xFF is
/// followed by 0x00 or a restart marker, so 0xFF 0xD9 there is the end of the picture.
pub fn markers(bytes: &[u8]) -> Markers {
    let mut found = Markers {
        components: 0,
        complete: false,
    };
    let mut at = 2;
    while at + 4 <= bytes.len() {
        if bytes[at] != 0xFF {
            at += 1;
            continue;
        }
        let marker = bytes[at + 1];
        match marker {
            // Fill bytes and markers without a length.
            0xFF => {
                at += 1;
                continue;
            }
            0x00 | 0x01 | 0xD0..=0xD8 => {
                at += 2;
                continue;
            }
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        // Start of frame: every 0xC0 to 0xCF but the tables DHT, JPG and DAC.
        if (0xC0..=0xCF).contains(&marker) && !matches!(marker, 0xC4 | 0xC8 | 0xCC) {
            found.components = bytes.get(at + 9).copied().unwrap_or(0);
        }
        at += 2 + length;
        if marker == 0xDA {
            found.complete = bytes
                .get(at..)
                .is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xFF, 0xD9]));
            return found;
        }
    }
    found
}
