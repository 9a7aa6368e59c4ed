//! What can be written on the command line.

mod batch;
mod models;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use batch::{Batch, BatchFormat, BatchInput};
pub use models::{Folders, Models};

use crate::pins::Pin;
use crate::select;
use crate::text_args::{TextArgs, TrainingArgs};

const EXIT_CODES: &str = "\
Exit codes, by who can act:
  0   done
  2   the command line or a picture's content (you)
  3   a file, the library or the plugin's file
  4   refused: consent is missing, expired or revoked, or the engine does not do this
  5   memory or another limit of this machine
  6   cancelled with Ctrl-C
  70  a mistake in Repose: please report it

Example:
  repose pose cat.jpg --selection cat_mask.png --learn cat --consent \"my own cat\" \\
      --pin 120,80:150,60 --pin 40,200 --out cat.ora --before-after cat.png";

/// Learn a subject from a selection in a picture, re-pose it, and leave every other pixel exactly as it was.
#[derive(Debug, Parser)]
#[command(name = "repose", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// For every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// For every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "For every command")]
pub struct Global {
    /// The plugin's file or its folder [default: REPOSE_PLUGIN, else beside this program, else the user's data folder]
    #[arg(long, global = true, value_name = "PATH")]
    pub plugin: Option<PathBuf>,
    /// Folder of the subject library [default: the user's own]
    #[arg(long, global = true, value_name = "DIR")]
    pub library: Option<PathBuf>,
    /// Folder of text models and their settings [default: the user's own]
    #[arg(long, global = true, value_name = "DIR")]
    pub models: Option<PathBuf>,
    /// Threads that compute; 0: one per core
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub threads: u32,
    /// Text models multiply in bfloat16 where the CPU has instructions for it (AMX, AVX512-BF16): faster, and a little less
    /// exact
    #[arg(long, global = true)]
    pub bf16: bool,
    /// Print the result as JSON on stdout and progress as JSON lines on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but errors, and the result if --json asks for it
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Learn what is selected as a subject of the library
    #[command(
        after_help = "Example:\n  repose learn cat.jpg --selection cat_mask.png --name cat --consent \"my own cat\""
    )]
    Learn(Learn),
    /// Give a subject a new pose
    #[command(after_help = POSE_EXAMPLES)]
    Pose(Box<Pose>),
    /// Remove what is selected and restore the background
    #[command(
        after_help = "Example:\n  repose erase street.png --selection rect:40,30,200,120 --out clean.png"
    )]
    Erase(Erase),
    /// The subject library
    #[command(subcommand)]
    Subjects(Subjects),
    /// What poses can be made with
    #[command(subcommand)]
    Models(Models),
    /// How text models learn a subject, and how long it takes here
    Recipes(Recipes),
    /// Do a saved request again: the same request makes the same pixels
    Replay(Replay),
    /// About this installation, or about a picture
    Info(Info),
    /// Check the plug-ins in Krita and GIMP, and say what is wrong
    Doctor(Doctor),
    /// Many pictures with the same settings; goes on where it stopped
    #[command(subcommand)]
    Batch(Batch),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  repose completions bash > ~/.local/share/bash-completion/completions/repose"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

const POSE_EXAMPLES: &str = "\
A pin is FROM_X,FROM_Y[:TO_X,TO_Y][@ANGLE][^DEPTH], in pixels from the top left corner:
  120,80:150,60   this point of the subject moves there
  40,200          this point stays where it is
  40,200@30       this point stays and the subject turns around it, 30 degrees clockwise
  90,50:95,60^1   where parts overlap, the larger depth is in front

Examples:
  repose pose cat.jpg --subject cat --selection cat_mask.png --pin 120,80:150,60 --pin 40,200 --out cat.ora
  repose pose cat.jpg --learn cat --consent \"my own cat\" --selection cat_mask.png --rotate 15 --out cat.png";

/// `repose recipes`
#[derive(Debug, Clone, Args)]
pub struct Recipes {
    /// The text model whose times are told [default: the last one that learned something here]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
}

/// What is selected.
#[derive(Debug, Clone, Args)]
pub struct SelectionArgs {
    /// What is selected: a mask FILE (white is selected), `alpha` (the picture's own), rect:X,Y,W,H or
    /// polygon:X,Y;X,Y;X,Y
    #[arg(long, short, value_name = "SELECTION", value_parser = select::parse, allow_hyphen_values = true)]
    pub selection: Option<select::Source>,
    /// Use the mask file's alpha channel instead of its brightness
    #[arg(long, requires = "selection")]
    pub selection_alpha: bool,
}

/// Who allows it.
#[derive(Debug, Clone, Args)]
pub struct ConsentArgs {
    /// Who allows the subject to be learned, and for what, in your own words
    #[arg(long, value_name = "WORDS")]
    pub consent: Option<String>,
    /// It is a real person's likeness
    #[arg(long, requires = "consent")]
    pub person: bool,
    /// That person has said yes
    #[arg(long, requires = "person")]
    pub person_agrees: bool,
    /// Last day on which the subject may be used (UTC)
    #[arg(long, value_name = "YYYY-MM-DD", requires = "consent")]
    pub expires: Option<String>,
}

/// When to refine a selection's edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Refine {
    /// Hard-edged selections are refined, soft ones kept
    #[default]
    Auto,
    /// Always
    Always,
    /// Never: the selection is the matte
    Never,
}

/// What a text model learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The LoRA, as diffusers and PEFT have it
    Lora,
    /// The LoRA, as kohya's scripts, A1111 and ComfyUI have it
    Kohya,
    /// The word, as diffusers' textual inversion has it
    Word,
    /// The word, as A1111 has it
    A1111,
}

impl Part {
    /// What the library calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lora => "lora",
            Self::Kohya => "kohya",
            Self::Word => "word",
            Self::A1111 => "a1111",
        }
    }
}

/// `repose learn`
#[derive(Debug, Args)]
pub struct Learn {
    /// The picture: PNG, JPEG, TIFF, WebP or OpenRaster (FILE.ora#LAYER for one layer)
    pub photo: PathBuf,
    /// What to learn; may be rough.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The subject's name in the library; an existing subject gets a new version
    #[arg(long)]
    pub name: String,
    /// Who allows it.
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// Whether the selection's edge is refined to follow hair and fur
    #[arg(long, value_enum, default_value_t)]
    pub refine: Refine,
    /// For text models.
    #[command(flatten)]
    pub words: SubjectWords,
    /// By a text model.
    #[command(flatten)]
    pub training: TrainingArgs,
}

/// What text models are told about a subject.
#[derive(Debug, Clone, Default, Args)]
pub struct SubjectWords {
    /// For text models: what the picture shows, such as "a teddy bear on a rock" [default: from --action and --is; in a picture
    /// that Repose posed by a prompt, that prompt]
    #[arg(long, value_name = "WORDS")]
    pub caption: Option<String>,
    /// For text models: what the subject does in the picture, such as sitting, for a caption "a photo of a teddy bear sitting";
    /// without, poses are learned as a part of the subject
    #[arg(long, value_name = "WORDS", conflicts_with = "caption")]
    pub action: Option<String>,
    /// For text models: what the subject is, such as "teddy bear" [default: its name]
    #[arg(long = "is", value_name = "WORDS")]
    pub word: Option<String>,
}

/// How a subject is to be posed.
#[derive(Debug, Clone, Args)]
pub struct Posing {
    /// A point that moves or stays (see below); may be given often
    #[arg(long = "pin", value_name = "PIN", allow_hyphen_values = true)]
    pub pins: Vec<Pin>,
    /// More pins: a JSON list such as [{"from": [120, 80], "to": [150, 60]}, "40,200"]
    #[arg(long = "pins", value_name = "FILE")]
    pub pins_file: Option<PathBuf>,
    /// Move the whole subject, in pixels, right and down
    #[arg(long = "move", value_name = "DX,DY", value_parser = pair, allow_hyphen_values = true)]
    pub offset: Option<[f32; 2]>,
    /// Scale the subject about its centre, 0.05 to 20
    #[arg(long, value_name = "FACTOR")]
    pub scale: Option<f32>,
    /// Rotate the subject about its centre, in degrees, clockwise
    #[arg(long, value_name = "DEGREES", allow_hyphen_values = true)]
    pub rotate: Option<f32>,
    /// A rough edit as a picture with alpha, same size as the photo
    #[arg(long, value_name = "FILE")]
    pub guide: Option<PathBuf>,
    /// Whether the selection's edge is refined to follow hair and fur
    #[arg(long, value_enum, default_value_t)]
    pub refine: Refine,
    /// In words.
    #[command(flatten)]
    pub text: TextArgs,
}

/// How results vary.
#[derive(Debug, Clone, Args)]
pub struct Varying {
    /// Results to choose from, 1 to 16
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub candidates: u32,
    /// The same request and seed give the same pixels
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Grow the selection by this many pixels first, 0 to 256
    #[arg(long, value_name = "PX", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=256))]
    pub grow: u32,
}

/// Where results go.
#[derive(Debug, Clone, Args)]
pub struct Output {
    /// The result: .ora (layers), .png or .tif, with the picture's precision and profile and the edit's history; several
    /// candidates are layers, or files with -1, -2 …; camera data (EXIF) is not copied
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Before and after, side by side, as a PNG
    #[arg(long, value_name = "PNG")]
    pub before_after: Option<PathBuf>,
    /// Save the whole request, pixels included, for `repose replay`
    #[arg(long, value_name = "FILE")]
    pub save_request: Option<PathBuf>,
}

/// `repose pose`
#[derive(Debug, Args)]
pub struct Pose {
    /// The picture: PNG, JPEG, TIFF, WebP or OpenRaster (FILE.ora#LAYER for one layer)
    pub photo: PathBuf,
    /// The subject's name in the library
    #[arg(
        long,
        value_name = "NAME",
        required_unless_present = "learn",
        conflicts_with = "learn"
    )]
    pub subject: Option<String>,
    /// Its version [default: the newest]
    #[arg(long, value_name = "N", requires = "subject")]
    pub version: Option<u32>,
    /// Learn what is selected under this name first
    #[arg(
        long,
        value_name = "NAME",
        requires = "consent",
        requires = "selection"
    )]
    pub learn: Option<String>,
    /// For --learn.
    #[command(flatten)]
    pub consent: ConsentArgs,
    /// For --learn.
    #[command(flatten)]
    pub words: SubjectWords,
    /// Where the subject is now.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// How.
    #[command(flatten)]
    pub posing: Posing,
    /// Seeds.
    #[command(flatten)]
    pub varying: Varying,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
}

/// `repose erase`
#[derive(Debug, Args)]
pub struct Erase {
    /// The picture: PNG, JPEG, TIFF, WebP or OpenRaster (FILE.ora#LAYER for one layer)
    pub photo: PathBuf,
    /// What to remove.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Seeds.
    #[command(flatten)]
    pub varying: Varying,
    /// Where to.
    #[command(flatten)]
    pub output: Output,
}

/// `repose subjects`
#[derive(Debug, Subcommand)]
pub enum Subjects {
    /// All subjects
    List,
    /// Everything about one subject: versions, consent, where it came from
    Show {
        /// Its name
        name: String,
    },
    /// Give a subject another name
    Rename {
        /// Its name now
        name: String,
        /// Its new name
        to: String,
    },
    /// Delete a subject, or one version of it, for good
    Delete {
        /// Its name
        name: String,
        /// Only this version
        #[arg(long)]
        version: Option<u32>,
        /// Really: there is no way back
        #[arg(long)]
        yes: bool,
    },
    /// Write a subject to one file, to take it to another machine
    Export {
        /// Its name
        name: String,
        /// Its version [default: the newest]
        #[arg(long)]
        version: Option<u32>,
        /// The file to write
        #[arg(long, short)]
        out: PathBuf,
        /// Replace the file if it is there
        #[arg(long)]
        overwrite: bool,
        /// Not the subject, but what a text model learned of it, as safetensors for other programs: its LoRA or its word
        #[arg(long, value_enum)]
        part: Option<Part>,
    },
    /// Read a subject from an exported file
    Import {
        /// The file
        file: PathBuf,
        /// Under another name
        #[arg(long)]
        name: Option<String>,
    },
    /// Give a subject what another program has learned of it: a new version with its LoRA, its word, or both
    Attach {
        /// Its name
        name: String,
        /// A LoRA (safetensors of kohya's, PEFT's or diffusers' kind)
        #[arg(long, value_name = "FILE", required_unless_present = "word")]
        lora: Option<PathBuf>,
        /// A learned word (A1111's or diffusers' embedding)
        #[arg(long, value_name = "FILE")]
        word: Option<PathBuf>,
        /// The word that the LoRA was trained with before what the subject is, such as sks
        #[arg(long, value_name = "WORD")]
        token: Option<String>,
        /// What the subject is, such as `teddy bear` [default: as it was learned]
        #[arg(long, value_name = "WORDS")]
        is: Option<String>,
        /// The text model that it is posed with [default: the one that a pose asks for]
        #[arg(long, value_name = "MODEL")]
        model: Option<String>,
    },
    /// Check every file of the library, or of one subject, against its checksum
    Verify {
        /// Its name [default: all]
        name: Option<String>,
    },
    /// Make the index again from the subjects' folders
    RebuildIndex,
    /// Withdraw a subject's consent: it can no longer be used
    Revoke {
        /// Its name
        name: String,
        /// Only this version
        #[arg(long)]
        version: Option<u32>,
        /// Why, for the log
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Record a new consent for a subject whose consent ended
    Renew {
        /// Its name
        name: String,
        /// Only this version
        #[arg(long)]
        version: Option<u32>,
        /// Who allows it.
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// What was done with the subjects (`verify` checks that nothing was changed in it)
    Log {
        /// Only this subject
        name: Option<String>,
        /// Only the last entries
        #[arg(long, value_name = "N", default_value_t = 100)]
        last: u32,
    },
}

/// `repose replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// A file that --save-request wrote
    pub request: PathBuf,
    /// The result: .ora (layers), .png or .tif; not needed for a learn
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Before and after, side by side, as a PNG
    #[arg(long, value_name = "PNG")]
    pub before_after: Option<PathBuf>,
}

/// `repose info`
#[derive(Debug, Args)]
pub struct Info {
    /// A picture: its size, precision, profile and history
    pub photo: Option<PathBuf>,
}

/// `repose doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Look at this one only, where the plug-in has to be
    #[arg(value_enum)]
    pub editor: Option<Editor>,
}

/// An editor with a plug-in of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Editor {
    /// Krita 5.1 and newer
    Krita,
    /// GIMP 2.10 and 3
    Gimp,
}

impl Editor {
    /// As its makers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Krita => "Krita",
            Self::Gimp => "GIMP",
        }
    }
}

fn pair(text: &str) -> Result<[f32; 2], String> {
    match select::numbers(text)?.as_slice() {
        [x, y] => Ok([*x as f32, *y as f32]),
        _ => Err("two numbers are expected, as in 12,-5".into()),
    }
}
