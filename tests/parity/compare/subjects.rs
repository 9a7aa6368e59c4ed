//! Subjects that travel: what Repose exports of them is what diffusers read, and what others made is attached and put on.

use std::collections::BTreeMap;
use std::fs;

use candle_core::Tensor;
use repose::canvas::{Channels, Depth, Grid, Raster, Rect, Space};
use repose::engine::stable_diffusion::text::LoraUse;
use repose::engine::stable_diffusion::unet::Controls;
use repose::engine::stable_diffusion::weights::Options;
use repose::engine::stable_diffusion::{Cache, Taught};
use repose::models::Models;
use repose::subject::{Consent, Library, Mesh, Prior, Subject, SubjectWords, TextFacts, TextPart};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::golden::{Golden, Goldens, Outcome, Result};

/// What every subject here is called.
const NAME: &str = "toy";

/// Subjects that Repose learned: their files, exported once more, are those that diffusers read, and the model with them on
/// gives what it gave there.
pub fn exported(goldens: &Goldens) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("exported")? {
        let read =
            |part| -> Result<Vec<u8>> { Ok(fs::read(goldens.path.join(golden.text(part)?))?) };
        let facts: TextFacts = serde_json::from_value(golden.setting("facts")?.clone())?;
        let part = TextPart {
            facts,
            lora: read("lora")?,
            word: read("word")?,
            ..TextPart::default()
        };
        let shelf = Shelf::with(Some(part))?;
        for (form, digest) in golden.setting("sha256")?.as_object().ok_or("sha256")? {
            let path = shelf.folder.path().join(form);
            shelf.ask(json!({"command": "export", "name": NAME, "path": path, "part": form}))?;
            let bytes = fs::read(&path)?;
            let hex: String = Sha256::digest(&bytes)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect();
            if digest != hex.as_str() {
                let name = &golden.case.name;
                return Err(format!(
                    "{name}: as `{form}` Repose writes other bytes than diffusers read"
                )
                .into());
            }
        }
        outcomes.extend(golden.check(&shelf.results(&golden)?)?);
    }
    Ok(outcomes)
}

/// What diffusers and peft made, attached to a subject.
pub fn attached(goldens: &Goldens) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for golden in goldens.of("attached")? {
        let file =
            |part| Ok::<_, Box<dyn std::error::Error>>(goldens.path.join(golden.text(part)?));
        let shelf = Shelf::with(None)?;
        shelf.ask(json!({
            "command": "attach", "name": NAME, "lora": file("lora")?, "word": file("word")?, "is": "bear", "model": "pocket",
        }))?;
        outcomes.extend(golden.check(&shelf.results(&golden)?)?);
    }
    Ok(outcomes)
}

/// A library with one subject.
struct Shelf {
    folder: tempfile::TempDir,
    library: Library,
}

impl Shelf {
    fn with(text: Option<TextPart>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let library = Library::open(Some(folder.path().join("library")))?;
        let consent = Consent {
            statement: "made up".into(),
            person: false,
            person_agrees: false,
            expires: None,
        };
        library.save(&subject(text), &consent)?;
        Ok(Self { folder, library })
    }

    fn ask(&self, command: Value) -> Result<()> {
        self.library.command(&command.to_string())?;
        Ok(())
    }

    /// What the built-in model gives with what it learned of the subject, put on as for a pose in words.
    fn results(&self, golden: &Golden) -> Result<BTreeMap<String, Tensor>> {
        let (subject, _) = self.library.load(NAME, None)?;
        let taught = Taught {
            part: subject
                .text
                .as_ref()
                .ok_or("the library keeps nothing of a text model's")?,
            used: LoraUse::whole(NAME),
            named: false,
            delayed: false,
        };
        let models = Models::within(self.folder.path(), None);
        let mut cache = Cache::new(models, Options::default());
        let model = cache.open(Some("pocket"), &[], &[taught])?;
        let prompt = golden.text("prompt")?;
        let [text, ..] = model.texts([prompt, "", prompt], &[], 0)?;
        let kept: Vec<usize> = (0..golden.get("context")?.dim(1)?).collect();
        let sample = golden.get("sample")?;
        let timesteps = golden.numbers("timesteps")?;
        let (output, _) = model.predict(&sample, &timesteps, &[&text], &Controls::default())?;
        Ok(BTreeMap::from([
            ("context".to_owned(), text.at(&kept)?.unsqueeze(0)?),
            ("output".to_owned(), output),
        ]))
    }
}

/// A speck, of which a text model learned this.
fn subject(text: Option<TextPart>) -> Subject {
    const SIDE: usize = 8;
    let rect = Rect {
        x: 0,
        y: 0,
        width: SIDE,
        height: SIDE,
    };
    Subject {
        name: NAME.into(),
        rect,
        source_size: [SIDE as u32; 2],
        source_hash: "0".repeat(64),
        raster: Raster {
            width: SIDE as u32,
            height: SIDE as u32,
            depth: Depth::U8,
            channels: Channels::Grey,
            space: Space::Srgb,
            bytes: vec![128; SIDE * SIDE],
        },
        matte: Grid::from_fn(SIDE, SIDE, |_, _| 1.0),
        colours: Grid::from_fn(SIDE, SIDE, |_, _| [0.5; 3]),
        mesh: Mesh {
            vertices: vec![[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]],
            triangles: vec![[0, 1, 2]],
        },
        prior: Prior {
            patch: 7,
            centres: Vec::new(),
        },
        words: SubjectWords::default(),
        text,
    }
}
