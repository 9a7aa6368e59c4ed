//! Where results go: checked before the work begins, written when it is done.

use std::fs;
use std::path::{Path, PathBuf};

use repose_host::Job;
use serde_json::{Value, json};

use crate::args::Output;
use crate::failure::{Failure, Result};
use crate::flatten::{Layer, bake, flatten};
use crate::io::{self, About, Document, Exif, Format, Group, Sheet};
use crate::picture::Picture;
use crate::{shrink, wire};

/// Longest side of each half of a before/after picture.
const HALF: u32 = 1600;

/// Where the results of one job go.
#[derive(Debug)]
pub struct Plan {
    out: PathBuf,
    format: Format,
    before_after: Option<PathBuf>,
    save_request: Option<PathBuf>,
}

/// What was written.
#[derive(Debug)]
pub struct Saved {
    /// The results, one for each candidate, or one `.ora` with all.
    pub files: Vec<PathBuf>,
    /// What was done, as the plugin tells it.
    pub history: Value,
}

impl Plan {
    /// Checks that `output` can hold the results for `picture` and does not overwrite an input; makes missing folders.
    pub fn new(
        output: &Output,
        candidates: u32,
        picture: &Picture,
        inputs: &[&Path],
    ) -> Result<Self> {
        let format = Format::for_output(&output.out)?;
        format.check_holds(picture, &output.out)?;
        let plan = Self {
            out: output.out.clone(),
            format,
            before_after: output.before_after.clone(),
            save_request: output.save_request.clone(),
        };
        if let Some(path) = &plan.before_after
            && Format::for_output(path) != Ok(Format::Png)
        {
            return Err(Failure::usage(format!(
                "{}: before and after are written as a .png",
                path.display()
            )));
        }
        let mut written = plan.files(candidates);
        written.extend(plan.before_after.clone());
        written.extend(plan.save_request.clone());
        // Before the work, so that a folder which cannot be made costs nobody the wait; names are compared below
        // by the folders they are really in.
        for path in &written {
            if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                fs::create_dir_all(folder).map_err(|e| {
                    Failure::file(
                        path,
                        format!("its folder does not exist and cannot be made: {e}"),
                    )
                })?;
            }
        }
        for (i, path) in written.iter().enumerate() {
            if let Some(input) = inputs.iter().find(|input| same(input, path)) {
                return Err(Failure::usage(format!(
                    "{}: this is an input ({}); a result never overwrites it, choose another name",
                    path.display(),
                    input.display()
                )));
            }
            if written[..i].iter().any(|other| same(other, path)) {
                return Err(Failure::usage(format!(
                    "{}: two results cannot have one name",
                    path.display()
                )));
            }
        }
        Ok(plan)
    }

    /// The names of the results.
    fn files(&self, candidates: u32) -> Vec<PathBuf> {
        if candidates <= 1 || self.format == Format::OpenRaster {
            return vec![self.out.clone()];
        }
        let stem = self.out.file_stem().unwrap_or_default().to_string_lossy();
        let ending = self.out.extension().unwrap_or_default().to_string_lossy();
        (1..=candidates)
            .map(|n| self.out.with_file_name(format!("{stem}-{n}.{ending}")))
            .collect()
    }

    /// Writes the results of a job that is done. `name` is the original's, for the layer list; `exif` its camera's words.
    pub fn save(
        &self,
        job: &Job,
        original: &Picture,
        exif: Option<&Exif>,
        name: &str,
    ) -> Result<Saved> {
        let xmp = job.xmp()?;
        let about = About {
            xmp: Some(&xmp),
            exif,
        };
        let history = job.history()?;
        let layers: Vec<Layer> = job.layers()?.iter().map(wire::take_layer).collect();
        let count = layers.iter().map(|l| l.candidate + 1).max().unwrap_or(1);
        let candidate = |n: u32| layers.iter().filter(move |l| l.candidate == n);
        let first = flatten(original, candidate(0));

        let files = self.files(count);
        if self.format == Format::OpenRaster {
            let groups = (0..count)
                .map(|n| Group {
                    name: format!("Candidate {}", n + 1),
                    sheets: candidate(n)
                        .map(|layer| Sheet {
                            name: layer.name.clone(),
                            x: layer.x,
                            y: layer.y,
                            picture: bake(layer),
                        })
                        .collect(),
                })
                .collect();
            let document = Document {
                original,
                original_name: name,
                groups,
                merged: &first,
                about,
                history: Some(&history),
            };
            io::write_layers(&self.out, &document)?;
        } else {
            io::write_flat(&files[0], self.format, &first, about)?;
            for (file, n) in files.iter().zip(0..).skip(1) {
                let flat = flatten(original, candidate(n));
                io::write_flat(file, self.format, &flat, about)?;
            }
        }
        if let Some(path) = &self.before_after {
            let both = shrink::side_by_side(original, &first, HALF);
            // Two pictures side by side are no camera's.
            let about = About {
                exif: None,
                ..about
            };
            io::write_flat(path, Format::Png, &both, about)?;
        }
        if let Some(path) = &self.save_request {
            let request = job.request()?;
            io::write_atomically(path, |file| std::io::Write::write_all(file, &request))?;
        }
        Ok(Saved {
            files,
            history: serde_json::from_str(&history).unwrap_or(Value::Null),
        })
    }

    /// The rest of what was written, for `--json`.
    pub fn json(&self, saved: &Saved) -> Value {
        json!({
            "ok": true,
            "outputs": saved.files,
            "before_after": self.before_after,
            "request": self.save_request,
            "history": saved.history,
        })
    }

    /// What was written, for people.
    pub fn lines(&self, saved: &Saved) -> Vec<String> {
        saved
            .files
            .iter()
            .chain(&self.before_after)
            .chain(&self.save_request)
            .map(|path| format!("wrote {}", path.display()))
            .collect()
    }
}

/// Whether both name one file, also by way of links and `..`.
fn same(a: &Path, b: &Path) -> bool {
    // A result does not exist yet, but its folder does.
    let real = |path: &Path| {
        path.canonicalize().ok().or_else(|| {
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(folder.join(path.file_name()?))
        })
    };
    match (real(a), real(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
