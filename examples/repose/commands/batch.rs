//! `repose batch`: many pictures, one after the other, on one engine.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::journal::{Journal, Line};
use super::manifest::{self, Item};
use super::pose::{Wanted, layer_name, submit_erase, submit_pose};
use super::subjects::ask;
use crate::args::{Batch, BatchFormat, BatchInput, Output, Posing};
use crate::failure::{Failure, Kind, Result};
use crate::outputs::Plan;
use crate::select::Source;
use crate::session::{self, Pose, Session};
use crate::ui::{Report, stopped};

/// What is to be done with every picture.
struct Work<'a> {
    session: &'a Session,
    input: &'a BatchInput,
    pose: Option<PoseWork<'a>>,
    /// Newest versions of subjects, asked once.
    newest: HashMap<String, u32>,
    /// Results of this run and whose they are.
    taken: HashMap<PathBuf, PathBuf>,
}

struct PoseWork<'a> {
    subject: Option<&'a str>,
    version: Option<u32>,
    posing: &'a Posing,
}

/// One picture with all that is wanted of it.
struct Task {
    item: Item,
    source: Option<Source>,
    subject: Option<(String, u32)>,
    posing: Option<Posing>,
    seed: u64,
}

/// Works through a folder or a manifest.
pub fn run(session: &Session, args: &Batch) -> Result<Report> {
    let (input, pose) = match args {
        Batch::Pose(args) => (
            &args.input,
            Some(PoseWork {
                subject: args.subject.as_deref(),
                version: args.version,
                posing: &args.posing,
            }),
        ),
        Batch::Erase(args) => (&args.input, None),
    };
    let items = manifest::read(&input.input, &input.mask_suffix)?;
    std::fs::create_dir_all(&input.out)
        .map_err(|e| Failure::file(&input.out, format!("cannot be made: {e}")))?;
    let mut journal = Journal::open(&input.out)?;
    let mut work = Work {
        session,
        input,
        pose,
        newest: HashMap::new(),
        taken: HashMap::new(),
    };

    let count = items.len();
    let (mut made, mut skipped, mut failures) = (0, 0, Vec::new());
    for (i, item) in items.into_iter().enumerate() {
        if stopped() {
            break;
        }
        let photo = item.photo.clone();
        session
            .ui
            .note(&format!("[{}/{count}] {}", i + 1, photo.display()));
        match work.one(item, &mut journal) {
            Ok(true) => made += 1,
            Ok(false) => skipped += 1,
            Err(failure) if failure.kind == Kind::Cancelled => break,
            Err(failure) => {
                session.ui.note(&format!("  failed: {failure}"));
                failures.push((photo, failure));
            }
        }
    }
    Ok(summary(count, made, skipped, &failures))
}

fn summary(count: usize, made: usize, skipped: usize, failures: &[(PathBuf, Failure)]) -> Report {
    let left = count - made - skipped - failures.len();
    let mut lines = vec![format!(
        "{count} pictures: {made} made, {skipped} already there, {} failed",
        failures.len()
    )];
    for (photo, failure) in failures {
        lines.push(format!("  {}: {failure}", photo.display()));
    }
    let wrong = if left > 0 {
        lines.push(format!(
            "cancelled; {left} are left, the same command goes on with them"
        ));
        Some(Kind::Cancelled)
    } else {
        failures.first().map(|(_, failure)| failure.kind)
    };
    let failed: Vec<Value> = failures
        .iter()
        .map(|(photo, f)| json!({ "photo": photo, "kind": f.kind.name(), "message": f.message }))
        .collect();
    Report {
        json: json!({
            "ok": wrong.is_none(), "pictures": count, "made": made, "skipped": skipped, "left": left,
            "failed": failed,
        }),
        lines,
        wrong,
    }
}

impl Work<'_> {
    /// Does one picture and notes how it ended; false if it was finished before.
    fn one(&mut self, item: Item, journal: &mut Journal) -> Result<bool> {
        let photo = item.photo.clone();
        // Both a.jpg and a.png would be written as a.ora.
        if let Some(other) = self.taken.insert(self.out(&item, false)?, photo.clone()) {
            return Err(Failure::usage(format!(
                "its result would have the same name as that of {}; give \"out\" in a manifest",
                other.display()
            )));
        }
        let task = self.task(item)?;
        let key = self.key(&task)?;
        if journal.finished(&key).is_some() {
            self.session.ui.note("  already there");
            return Ok(false);
        }
        let ended = self.make(&task);
        if let Err(failure) = &ended
            && failure.kind == Kind::Cancelled
        {
            return Err(failure.clone());
        }
        let (outputs, error) = match &ended {
            Ok(files) => (files.clone(), None),
            Err(failure) => (Vec::new(), Some(failure.message.clone())),
        };
        journal.note(Line {
            key,
            photo,
            outputs,
            error,
        })?;
        ended.map(|_| true)
    }

    /// The item with the command line's settings behind its own.
    fn task(&mut self, item: Item) -> Result<Task> {
        let source = item.source()?;
        let seed = item.seed.unwrap_or(self.input.varying.seed);
        let Some(pose) = &self.pose else {
            return Ok(Task {
                item,
                source,
                subject: None,
                posing: None,
                seed,
            });
        };
        let mut posing = pose.posing.clone();
        if let Some(pins) = &item.pins {
            posing.pins = pins.clone();
            posing.pins_file = None;
        }
        posing.offset = item.offset.or(posing.offset);
        posing.scale = item.scale.or(posing.scale);
        posing.rotate = item.rotate.or(posing.rotate);
        posing.guide = item.guide.clone().or(posing.guide);
        posing.text.prompt = item.prompt.clone().or(posing.text.prompt);
        let (name, version) = match (&item.subject, pose.subject) {
            (Some(name), _) => (name.clone(), item.version),
            (None, Some(name)) => (name.to_owned(), item.version.or(pose.version)),
            (None, None) => {
                return Err(Failure::usage(
                    "no subject: give --subject NAME, or \"subject\" in the manifest",
                ));
            }
        };
        let version = match version {
            Some(version) => version,
            None => self.newest(&name)?,
        };
        Ok(Task {
            item,
            source,
            subject: Some((name, version)),
            posing: Some(posing),
            seed,
        })
    }

    /// The newest version of a subject. All pictures of a run use the same one, and a newer one makes them anew.
    fn newest(&mut self, name: &str) -> Result<u32> {
        if let Some(version) = self.newest.get(name) {
            return Ok(*version);
        }
        let answer = ask(self.session, &json!({ "command": "show", "name": name }))?;
        let version = answer["subject"]["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| u32::try_from(v["version"].as_u64()?).ok())
            .max()
            .ok_or_else(|| {
                Failure::usage(format!(
                    "the subject {name:?} has no version that can be used"
                ))
            })?;
        self.newest.insert(name.to_owned(), version);
        Ok(version)
    }

    /// SHA-256 of everything that decides the result.
    fn key(&self, task: &Task) -> Result<String> {
        let mut hash = Sha256::new();
        // Lengths and names keep neighbours apart.
        let mut add = |name: &str, bytes: &[u8]| {
            hash.update(format!("{name} {}\n", bytes.len()));
            hash.update(bytes);
        };
        add("photo", &file_hash(&task.item.photo)?);
        match &task.source {
            Some(Source::File(path)) => add("mask", &file_hash(path)?),
            other => add("selection", format!("{other:?}").as_bytes()),
        }
        if let Some(posing) = &task.posing {
            for path in posing.guide.iter().chain(&posing.pins_file) {
                add("file", &file_hash(path)?);
            }
            add("posing", format!("{posing:?}").as_bytes());
        }
        let input = self.input;
        let settings = format!(
            "{:?} {:?} {:?} {} {} {} {}",
            self.out(&task.item, false)?,
            task.subject,
            task.seed,
            input.varying.candidates,
            input.varying.grow,
            input.selection_alpha,
            env!("CARGO_PKG_VERSION"),
        );
        add("settings", settings.as_bytes());
        Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Makes and writes the result.
    fn make(&self, task: &Task) -> Result<Vec<PathBuf>> {
        let ui = self.session.ui;
        let photo = session::open_photo(ui, &task.item.photo)?;
        let picture = &photo.picture;
        let mask = task
            .source
            .as_ref()
            .map(|source| source.mask(picture, self.input.selection_alpha))
            .transpose()?;
        let output = Output {
            out: self.out(&task.item, picture.depth.is_float())?,
            before_after: None,
            save_request: None,
        };
        let mut inputs: Vec<&Path> = vec![&photo.path];
        if let Some(Source::File(path)) = &task.source {
            inputs.push(path);
        }
        let mut varying = self.input.varying.clone();
        varying.seed = task.seed;
        let plan = Plan::new(&output, varying.candidates, picture, &inputs)?;
        let job = match (&task.posing, &task.subject) {
            (Some(posing), Some((subject, version))) => {
                let pose = Pose::read(posing, picture)?;
                let wanted = Wanted {
                    subject,
                    version: Some(*version),
                    posing,
                    pose: &pose,
                    varying: &varying,
                };
                submit_pose(self.session, picture, mask.as_ref(), &wanted)?
            }
            _ => {
                let mask = mask.ok_or_else(|| {
                    Failure::usage("nothing is selected: give \"selection\" in the manifest")
                })?;
                submit_erase(self.session, picture, &mask, &varying)?
            }
        };
        ui.follow(&job, &layer_name(&photo.path))?;
        let name = layer_name(&photo.path);
        Ok(plan.save(&job, picture, photo.exif.as_ref(), &name)?.files)
    }

    /// The name of an item's result.
    fn out(&self, item: &Item, float: bool) -> Result<PathBuf> {
        if let Some(out) = &item.out {
            // A manifest from elsewhere must not write outside the output folder.
            let plain = out.components().count() == 1 && out.file_name() == Some(out.as_os_str());
            if !plain {
                return Err(Failure::usage(format!(
                    "{}: \"out\" is a file name in the output folder, without a folder of its own",
                    out.display()
                )));
            }
            return Ok(self.input.out.join(out));
        }
        let ending = match self.input.format {
            BatchFormat::Ora if float => "tif",
            BatchFormat::Ora => "ora",
            BatchFormat::Png => "png",
            BatchFormat::Tif => "tif",
        };
        let stem = item.photo.file_stem().unwrap_or_default().to_string_lossy();
        Ok(self.input.out.join(format!("{stem}.{ending}")))
    }
}

fn file_hash(path: &Path) -> Result<Vec<u8>> {
    let fail = |e: std::io::Error| Failure::file(path, format!("cannot be read: {e}"));
    let mut reader = BufReader::new(File::open(path).map_err(fail)?);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer).map_err(fail)? {
            0 => return Ok(hash.finalize().to_vec()),
            n => hash.update(&buffer[..n]),
        }
    }
}
