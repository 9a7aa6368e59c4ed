//! What a host hands over and gets back, in Rust's words. Pixels are borrowed.

use crate::abi;
use crate::{Error, ErrorKind};

macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $number:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$item_doc])* $item,)+ }

        impl $name {
            /// The number in `repose.h`.
            pub fn number(self) -> u32 {
                match self { $(Self::$item => abi::$number,)+ }
            }

            /// The meaning of a number from the plugin.
            ///
            /// # Errors
            /// `Bug` for a number that this host does not know; a newer plugin may send one.
            pub fn from_number(number: u32) -> Result<Self, Error> {
                $(if number == abi::$number {
                    return Ok(Self::$item);
                })+
                Err(Error::new(
                    ErrorKind::Bug,
                    format!(concat!("the plugin sent an unknown ", stringify!($name), ": {}"), number),
                ))
            }
        }
    };
}

numbers! {
    /// Type of one sample, native byte order.
    Depth {
        /// 8-bit unsigned.
        U8 = DEPTH_U8,
        /// 16-bit unsigned.
        U16 = DEPTH_U16,
        /// IEEE half.
        F16 = DEPTH_F16,
        /// IEEE single.
        F32 = DEPTH_F32,
    }
}

numbers! {
    /// Samples of one pixel in memory order; alpha is straight.
    Channels {
        /// Grey.
        Grey = CHANNELS_GREY,
        /// Grey, alpha.
        GreyAlpha = CHANNELS_GREY_ALPHA,
        /// Red, green, blue.
        Rgb = CHANNELS_RGB,
        /// Red, green, blue, alpha.
        Rgba = CHANNELS_RGBA,
        /// Blue, green, red, alpha.
        Bgra = CHANNELS_BGRA,
    }
}

numbers! {
    /// What a layer shows.
    Role {
        /// The restored background; below the subject.
        Background = ROLE_BACKGROUND,
        /// The subject in its new pose.
        Subject = ROLE_SUBJECT,
    }
}

numbers! {
    /// Whether a selection's edge is refined to follow hair and fur.
    Refine {
        /// Hard-edged selections are refined, soft ones kept.
        Auto = REFINE_AUTO,
        /// Always.
        Always = REFINE_ALWAYS,
        /// Never.
        Never = REFINE_NEVER,
    }
}

numbers! {
    /// How exactly text models compute on the CPU.
    #[derive(Default)]
    Precision {
        /// In single precision.
        #[default]
        F32 = PRECISION_F32,
        /// Their products are rounded to bfloat16 where the CPU has instructions for it (AMX, AVX512-BF16), which is faster;
        /// elsewhere as `F32`.
        Bf16 = PRECISION_BF16,
    }
}

numbers! {
    /// Where a job is.
    State {
        /// It waits for its turn.
        Queued = STATE_QUEUED,
        /// It is at work.
        Running = STATE_RUNNING,
        /// It has its result.
        Done = STATE_DONE,
        /// It ended with an error.
        Failed = STATE_FAILED,
        /// It was cancelled.
        Cancelled = STATE_CANCELLED,
    }
}

impl Depth {
    /// Bytes of one sample.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl Channels {
    /// Samples of one pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Bgra => 4,
        }
    }
}

impl State {
    /// Whether nothing will change any more.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What the samples of a picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space<'a> {
    /// sRGB with its own curve (grey: the same curve).
    Srgb,
    /// sRGB primaries, linear light.
    LinearSrgb,
    /// This ICC profile, of the picture's own kind (RGB or grey).
    Icc(&'a [u8]),
}

/// A host's pixels, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture<'a> {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Type of one sample.
    pub depth: Depth,
    /// Samples of one pixel.
    pub channels: Channels,
    /// What the samples mean.
    pub space: Space<'a>,
    /// From the top left pixel on, native byte order.
    pub pixels: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

impl Picture<'_> {
    /// Bytes of the pixels of one row, without padding.
    pub fn row_bytes(&self) -> usize {
        self.width as usize * self.channels.count() * self.depth.bytes()
    }
}

/// A host's selection, borrowed. What it does not cover is not selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelectionRef<'a> {
    /// Type of one sample: `U8`, `U16` or `F32`.
    pub depth: Depth,
    /// Where its left edge lies in the picture.
    pub x: i32,
    /// Where its top edge lies in the picture.
    pub y: i32,
    /// Samples per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// From the top left sample on, native byte order.
    pub samples: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// One point of a pose, in picture pixels; 0, 0 is the outer corner of the top left pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pin {
    /// Where the point of the subject is now.
    pub from: [f32; 2],
    /// Where it goes; the same place keeps it where it is.
    pub to: [f32; 2],
    /// Rotation at this point in degrees, clockwise on screen; `None` leaves it free.
    pub angle: Option<f32>,
    /// Where parts overlap, the larger depth is in front.
    pub depth: f32,
}

/// How a text model learns a subject. `None`: the recipe's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Training<'a> {
    /// `repose`, `textual-inversion`, `dreambooth-lora`, `custom-diffusion`, `single-insert`, `detex`, `lipe`, `dream-tuner` or
    /// `reference`, which trains nothing; `-no-` and the name of a part leave that out.
    pub recipe: Option<&'a str>,
    /// Name, path, or Hugging Face id such as `org/name`; `None`: the only model there is.
    pub model: Option<&'a str>,
    /// Steps in all, 1 to 100 000.
    pub steps: Option<u32>,
    /// Rank of changes of projections, 1 to 256.
    pub rank: Option<u32>,
    /// How many earlier versions of the subject, newest first, it is learned from as well, at most 32.
    pub earlier: u32,
    /// The same request and seed learn the same.
    pub seed: u64,
}

/// Learn what is selected.
#[derive(Debug, Clone, Copy)]
pub struct LearnRequest<'a> {
    /// The picture.
    pub picture: Picture<'a>,
    /// What to learn; may be rough.
    pub selection: SelectionRef<'a>,
    /// Its name in the library: 1 to 80 characters, none of `/`, `\` or control characters.
    pub name: &'a str,
    /// Who allows it, and for what, in the user's words.
    pub consent: &'a str,
    /// Last day of use, `YYYY-MM-DD` (UTC).
    pub expires: Option<&'a str>,
    /// Whether it is a real person's likeness …
    pub person: bool,
    /// … and that person has said yes.
    pub person_agrees: bool,
    /// Whether the selection's edge is refined.
    pub refine: Refine,
    /// What the picture shows, for text models.
    pub caption: Option<&'a str>,
    /// What the subject is, such as `teddy bear`; `None`: its name.
    pub word: Option<&'a str>,
    /// A text model learns the subject as well; `None`: none does.
    pub training: Option<Training<'a>>,
}

/// How a text model re-poses. `None`: a good default.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TextOptions<'a> {
    /// Name, path, or Hugging Face id such as `org/name`; `None`: the only model there is.
    pub model: Option<&'a str>,
    /// What must not be seen.
    pub negative: Option<&'a str>,
    /// What the picture shows now; `None`: the subject's caption.
    pub source: Option<&'a str>,
    /// The words of the prompt that mean the subject; `None`: the subject's own, or its name.
    pub word: Option<&'a str>,
    /// `ddim`, `dpm++2m`, `dpm++2m-karras`, `euler-a`, `unipc` or `lcm`.
    pub sampler: Option<&'a str>,
    /// Steps of the sampler, 1 to 1000.
    pub steps: Option<u32>,
    /// How far the picture may change, above 0, up to 1.
    pub strength: Option<f32>,
    /// How closely the prompt is followed (classifier-free guidance), 1 to 50.
    pub guidance: Option<f32>,
    /// Guidance rescale, 0 to 1 (arXiv 2305.08891).
    pub rescale: Option<f32>,
    /// Weight of the subject's own look (arXiv 2312.13691, ω), 0 (none) to 20.
    pub identity: Option<f32>,
    /// Last layers of the text encoder to leave out, at most 11.
    pub clip_skip: u32,
    /// Longer side of the part that is diffused, in pixels, 64 to 4096; `None`: the model's own.
    pub side: Option<u32>,
    /// Share of the steps, from the start, that are guided, 0 (none) to 1 (as arXiv 2404.07724); the others look at the prompt
    /// alone, and take half the time. `None`: all.
    pub guided: Option<f32>,
    /// Of so many steps, 1 to 10, one computes all of the network; the others reuse its deep features (arXiv 2312.00858).
    /// `None`: all steps compute it.
    pub reuse: Option<u32>,
    /// Parts of the papers' methods left out or put in, by names joined by commas: `no-blend` (arXiv 2406.17236, NIMA),
    /// `mask` (arXiv 2312.13691, §3.2), `interleaved` (the same, §3.3) and `no-delay` (arXiv 2305.10431).
    pub variant: Option<&'a str>,
}

/// Give a subject a new pose.
#[derive(Debug, Clone, Copy)]
pub struct ReposeRequest<'a> {
    /// The picture.
    pub picture: Picture<'a>,
    /// Where the subject is now; `None`: nowhere, place it from the library.
    pub selection: Option<SelectionRef<'a>>,
    /// Its name in the library.
    pub subject: &'a str,
    /// Its version; `None`: the newest.
    pub version: Option<u32>,
    /// Points that move or stay, at most 1000.
    pub pins: &'a [Pin],
    /// A rough edit with alpha, same size as the picture.
    pub guide: Option<Picture<'a>>,
    /// A pose in words: asks for a text model.
    pub prompt: Option<&'a str>,
    /// A text model makes the pose, also without a prompt of its own: then the subject's caption is the prompt.
    pub text: Option<TextOptions<'a>>,
    /// Moves the whole subject, in pixels.
    pub offset: [f32; 2],
    /// Scales it about its centre, 0.05 to 20.
    pub scale: f32,
    /// Rotates it about its centre, degrees clockwise on screen.
    pub angle: f32,
    /// Results to choose from, 1 to 16.
    pub candidates: u32,
    /// The same request and seed give the same pixels.
    pub seed: u64,
    /// The selection is grown by this many pixels first, 0 to 256.
    pub grow: u32,
    /// Whether the selection's edge is refined.
    pub refine: Refine,
}

/// Remove what is selected.
#[derive(Debug, Clone, Copy)]
pub struct EraseRequest<'a> {
    /// The picture.
    pub picture: Picture<'a>,
    /// What to remove; soft values fade.
    pub selection: SelectionRef<'a>,
    /// Results to choose from, 1 to 16.
    pub candidates: u32,
    /// The same request and seed give the same pixels.
    pub seed: u64,
    /// The selection is grown by this many pixels first, 0 to 256.
    pub grow: u32,
}

impl<'a> LearnRequest<'a> {
    /// A thing, not a person; no end; edge refined where the selection is hard.
    pub fn new(
        picture: Picture<'a>,
        selection: SelectionRef<'a>,
        name: &'a str,
        consent: &'a str,
    ) -> Self {
        Self {
            picture,
            selection,
            name,
            consent,
            expires: None,
            person: false,
            person_agrees: false,
            refine: Refine::Auto,
            caption: None,
            word: None,
            training: None,
        }
    }
}

impl<'a> ReposeRequest<'a> {
    /// No pins, no move, one candidate, seed 0.
    pub fn new(
        picture: Picture<'a>,
        selection: Option<SelectionRef<'a>>,
        subject: &'a str,
    ) -> Self {
        Self {
            picture,
            selection,
            subject,
            version: None,
            pins: &[],
            guide: None,
            prompt: None,
            text: None,
            offset: [0.0, 0.0],
            scale: 1.0,
            angle: 0.0,
            candidates: 1,
            seed: 0,
            grow: 0,
            refine: Refine::Auto,
        }
    }
}

impl<'a> EraseRequest<'a> {
    /// One candidate, seed 0.
    pub fn new(picture: Picture<'a>, selection: SelectionRef<'a>) -> Self {
        Self {
            picture,
            selection,
            candidates: 1,
            seed: 0,
            grow: 0,
        }
    }
}

/// A job's state, as polled.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Where it is.
    pub state: State,
    /// Why it failed, if it did.
    pub error: Option<ErrorKind>,
    /// What is being done, in an English word or two.
    pub stage: String,
    /// Steps done.
    pub done: u32,
    /// All steps; 0: not known yet.
    pub total: u32,
    /// Time to the end, at the pace so far.
    pub eta: Option<std::time::Duration>,
    /// Grows with every new preview; 0: none yet.
    pub preview_serial: u64,
    /// Number of layers, once done.
    pub layer_count: u32,
}

/// A small picture of the work so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// RGBA in sRGB, four bytes a pixel, rows without gaps.
    pub rgba: Vec<u8>,
}

/// A result; its memory belongs to the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer<'a> {
    /// For the list of layers.
    pub name: &'a str,
    /// Layers of one candidate go together, bottom first.
    pub candidate: u32,
    /// What it shows.
    pub role: Role,
    /// Where its left edge lies in the picture.
    pub x: u32,
    /// Where its top edge lies in the picture.
    pub y: u32,
    /// Its pixels, in exactly the picture's own format.
    pub picture: Picture<'a>,
    /// Type of one mask sample: the selection's.
    pub mask_depth: Depth,
    /// Coverage, one sample for each pixel.
    pub mask: &'a [u8],
    /// Bytes from one row of the mask to the next.
    pub mask_stride: usize,
}
