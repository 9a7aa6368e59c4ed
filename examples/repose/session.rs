//! What every command that works needs: the engine, and pictures with their selections.

use std::path::{Path, PathBuf};

use repose_host::{Engine, Options, Plugin, Precision, Refine};

use crate::args::{self, Global, Posing, SelectionArgs};
use crate::failure::{Failure, Result};
use crate::io::{self, Opened};
use crate::picture::Picture;
use crate::pins::{self, Pin};
use crate::select::{Mask, Source};
use crate::ui::Ui;

/// The plugin with an open engine.
pub struct Session {
    /// For progress and notes.
    pub ui: Ui,
    /// Where the plugin is.
    pub plugin: Plugin,
    /// Does the work.
    pub engine: Engine,
}

impl Session {
    /// Finds and loads the plugin and opens its engine.
    pub fn open(global: &Global, ui: Ui) -> Result<Self> {
        let plugin = Plugin::find(global.plugin.as_deref())?;
        let engine = plugin.open(&Options {
            library: global.library.clone(),
            models: global.models.clone(),
            threads: global.threads,
            queue: 0,
            precision: match global.bf16 {
                true => Precision::Bf16,
                false => Precision::F32,
            },
        })?;
        Ok(Self { ui, plugin, engine })
    }
}

/// Opens a picture and tells what is to be known about it.
pub fn open_photo(ui: Ui, path: &Path) -> Result<Opened> {
    let opened = io::read(path)?;
    for note in &opened.notes {
        ui.note(&format!("{}: {note}", opened.path.display()));
    }
    Ok(opened)
}

/// The selection that was asked for, if one was.
pub fn select(args: &SelectionArgs, picture: &Picture) -> Result<Option<Mask>> {
    args.selection
        .as_ref()
        .map(|source| source.mask(picture, args.selection_alpha))
        .transpose()
}

/// The same, where there is no doing without.
pub fn must_select(args: &SelectionArgs, picture: &Picture) -> Result<Mask> {
    select(args, picture)?.ok_or_else(|| {
        Failure::usage(
            "nothing is selected: give --selection with a mask FILE, alpha, rect:X,Y,W,H or polygon:X,Y;X,Y;X,Y",
        )
    })
}

/// The file behind a selection, if it is one.
pub fn selection_file(args: &SelectionArgs) -> Option<&Path> {
    match &args.selection {
        Some(Source::File(path)) => Some(path),
        _ => None,
    }
}

/// How a subject is posed, with all files read.
pub struct Pose {
    /// Pins from the command line and from the file.
    pub pins: Vec<Pin>,
    /// The guide.
    pub guide: Option<Picture>,
    /// Files that were read.
    pub files: Vec<PathBuf>,
}

impl Pose {
    /// Reads the files of `posing`; `picture` is what the guide must fit.
    pub fn read(posing: &Posing, picture: &Picture) -> Result<Self> {
        let mut pins = posing.pins.clone();
        let mut files = Vec::new();
        if let Some(path) = &posing.pins_file {
            pins.extend(pins::read(path)?);
            files.push(path.clone());
        }
        let guide = match &posing.guide {
            None => None,
            Some(path) => {
                let opened = io::read(path)?;
                let guide = opened.picture;
                if (guide.width, guide.height) != (picture.width, picture.height) {
                    return Err(Failure::usage(format!(
                        "{}: the guide is {}×{} pixels, the picture {}×{}; a guide has the size of its picture",
                        path.display(),
                        guide.width,
                        guide.height,
                        picture.width,
                        picture.height
                    )));
                }
                files.push(opened.path);
                Some(guide)
            }
        };
        Ok(Self { pins, guide, files })
    }
}

/// When edges are refined, in the host's words.
pub fn refine(refine: args::Refine) -> Refine {
    match refine {
        args::Refine::Auto => Refine::Auto,
        args::Refine::Always => Refine::Always,
        args::Refine::Never => Refine::Never,
    }
}
