//! A reader of GIMP's own files, written from their specification (devel-docs/xcf.txt in GIMP's sources), so that what
//! GIMP saved is not judged by GIMP. Knows what the tests save: no groups, run-length coding.

use std::path::Path;

/// A picture as it lies in the file.
#[derive(Debug)]
pub struct Xcf {
    pub width: usize,
    pub height: usize,
    /// Top first.
    pub layers: Vec<Layer>,
    /// The parasite `repose-history`.
    pub history: Option<String>,
}

#[derive(Debug)]
pub struct Layer {
    pub name: String,
    pub x: i32,
    pub y: i32,
    pub visible: bool,
    pub pixels: Pixels,
    pub mask: Option<Pixels>,
}

/// Rows without gaps.
#[derive(Debug, PartialEq, Eq)]
pub struct Pixels {
    pub width: usize,
    pub height: usize,
    /// Bytes of one pixel.
    pub size: usize,
    pub bytes: Vec<u8>,
}

impl Pixels {
    pub fn at(&self, x: usize, y: usize) -> &[u8] {
        &self.bytes[(y * self.width + x) * self.size..][..self.size]
    }
}

impl Layer {
    /// The mask's sample at a point of the picture; `None` outside the layer.
    pub fn mask_at(&self, x: usize, y: usize) -> Option<&[u8]> {
        let x = usize::try_from(x as i64 - i64::from(self.x)).ok()?;
        let y = usize::try_from(y as i64 - i64::from(self.y)).ok()?;
        (x < self.pixels.width && y < self.pixels.height)
            .then(|| self.mask.as_ref().unwrap().at(x, y))
    }
}

impl Xcf {
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let file = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Reader::new(&file).picture()
    }

    pub fn names(&self) -> Vec<&str> {
        self.layers.iter().map(|l| l.name.as_str()).collect()
    }
}

struct Reader<'a> {
    file: &'a [u8],
    at: usize,
    wide: bool,
}

/// A property: its number and where its payload begins.
struct Property<'a> {
    kind: u32,
    payload: Reader<'a>,
    size: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a [u8]) -> Self {
        assert!(file.starts_with(b"gimp xcf v"));
        let version: u32 = std::str::from_utf8(&file[10..13]).unwrap().parse().unwrap();
        let (at, wide) = (14, version >= 11);
        assert!((4..=23).contains(&version), "version {version}");
        Self { file, at, wide }
    }

    fn to(&self, at: usize) -> Self {
        Self { at, ..*self }
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        self.at += count;
        &self.file[self.at - count..self.at]
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes(4).try_into().unwrap())
    }

    fn length(&mut self) -> usize {
        self.number() as usize
    }

    fn pointer(&mut self) -> usize {
        if self.wide {
            u64::from_be_bytes(self.bytes(8).try_into().unwrap()) as usize
        } else {
            self.length()
        }
    }

    /// Places up to the 0 that ends their list.
    fn pointers(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| Some(self.pointer()).filter(|p| *p != 0)).collect()
    }

    fn text(&mut self) -> String {
        let size = self.length();
        let text = self.bytes(size);
        String::from_utf8(text[..size.max(1) - 1].to_vec()).unwrap()
    }

    fn properties(&mut self) -> Vec<Property<'a>> {
        let mut all = Vec::new();
        loop {
            let (kind, size) = (self.number(), self.length());
            let payload = self.to(self.at);
            self.at += size;
            if kind == 0 {
                return all;
            }
            all.push(Property {
                kind,
                payload,
                size,
            });
        }
    }

    fn picture(mut self) -> Xcf {
        let (width, height) = (self.length(), self.length());
        let _colours = (self.number(), self.number());
        let mut history = None;
        for mut property in self.properties() {
            match property.kind {
                17 => assert_eq!(property.payload.bytes(1), [1], "run-length coding"),
                21 => {
                    let end = property.payload.at + property.size;
                    while property.payload.at < end {
                        let name = property.payload.text();
                        let (_flags, size) = (property.payload.number(), property.payload.length());
                        let data = property.payload.bytes(size);
                        if name == "repose-history" {
                            let text = data.strip_suffix(b"\0").unwrap_or(data);
                            history = Some(String::from_utf8(text.to_vec()).unwrap());
                        }
                    }
                }
                _ => {}
            }
        }
        let layers = self.pointers();
        Xcf {
            width,
            height,
            layers: layers.into_iter().map(|p| self.to(p).layer()).collect(),
            history,
        }
    }

    fn layer(mut self) -> Layer {
        let _size_and_kind = (self.number(), self.number(), self.number());
        let name = self.text();
        let (mut x, mut y, mut visible) = (0, 0, true);
        for mut property in self.properties() {
            match property.kind {
                8 => visible = property.payload.number() != 0,
                15 => {
                    (x, y) = (
                        property.payload.number() as i32,
                        property.payload.number() as i32,
                    )
                }
                _ => {}
            }
        }
        let (pixels, mask) = (self.pointer(), self.pointer());
        Layer {
            name,
            x,
            y,
            visible,
            pixels: self.to(pixels).pixels(),
            mask: (mask != 0).then(|| self.to(mask).channel()),
        }
    }

    fn channel(mut self) -> Pixels {
        let _size = (self.number(), self.number());
        let _name = self.text();
        self.properties();
        let pixels = self.pointer();
        self.to(pixels).pixels()
    }

    fn pixels(mut self) -> Pixels {
        let (width, height, size) = (self.length(), self.length(), self.length());
        let level = self.pointer();
        let mut level = self.to(level);
        let _size = (level.number(), level.number());
        let mut bytes = vec![0; width * height * size];
        let mut tiles = level.pointers().into_iter();
        for top in (0..height).step_by(64) {
            for left in (0..width).step_by(64) {
                let (w, h) = ((width - left).min(64), (height - top).min(64));
                let tile = self.to(tiles.next().unwrap()).tile(w * h, size);
                for y in 0..h {
                    let to = ((top + y) * width + left) * size;
                    bytes[to..to + w * size].copy_from_slice(&tile[y * w * size..][..w * size]);
                }
            }
        }
        assert_eq!(tiles.next(), None);
        Pixels {
            width,
            height,
            size,
            bytes,
        }
    }

    /// The first bytes of all pixels, then the second ones, and so on, each in runs.
    fn tile(mut self, pixels: usize, size: usize) -> Vec<u8> {
        let mut tile = vec![0; pixels * size];
        for plane in 0..size {
            let mut at = 0;
            while at < pixels {
                let code = self.bytes(1)[0];
                let short = usize::from(if code < 128 { code } else { 255 - code }) + 1;
                let long = if code < 128 { code == 127 } else { code == 128 };
                let count = if long {
                    usize::from(u16::from_be_bytes(self.bytes(2).try_into().unwrap()))
                } else {
                    short
                };
                let run = (code < 128).then(|| self.bytes(1)[0]);
                for _ in 0..count {
                    tile[at * size + plane] = run.unwrap_or_else(|| self.bytes(1)[0]);
                    at += 1;
                }
            }
        }
        tile
    }
}
