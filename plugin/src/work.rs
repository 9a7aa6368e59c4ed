//! What the job thread does with a request: the work itself, on the engine's own threads, and what belongs to its result.

use std::ffi::CString;
use std::path::PathBuf;

use rayon::{ThreadPool, ThreadPoolBuilder};
use sha2::{Digest, Sha256};

use crate::canvas::{Layer, Raster, Role, SelectionDepth, mask_to_bytes};
use crate::engine::stable_diffusion::Cache;
use crate::engine::stable_diffusion::weights::Options;
use crate::models::Models;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::request::Request;
use crate::subject::{Action, Library, hex, provenance};
use crate::{Error, Result, erase, learn, repose};

/// A job's result, ready to be handed over without further work.
#[derive(Debug)]
pub struct Finished {
    /// New layers, bottom first within each candidate.
    pub layers: Vec<FinishedLayer>,
    /// How it was made, as JSON.
    pub history: String,
    /// The same as an XMP packet.
    pub xmp: String,
}

/// A layer in a host's own formats.
#[derive(Debug)]
pub struct FinishedLayer {
    /// Name for the list of layers.
    pub name: CString,
    /// Candidate, from 0.
    pub candidate: u32,
    /// What it shows.
    pub role: Role,
    /// Left edge in the picture.
    pub x: u32,
    /// Top edge in the picture.
    pub y: u32,
    /// Pixels.
    pub raster: Raster,
    /// Type of one mask sample.
    pub mask_depth: SelectionDepth,
    /// Coverage, native endian, rows without gaps.
    pub mask: Vec<u8>,
}

/// Does one engine's work. Threads are made with the first job, so that opening an engine costs nothing.
#[derive(Debug)]
pub struct Worker {
    library: Option<PathBuf>,
    models: Cache,
    threads: usize,
    pool: Option<ThreadPool>,
}

impl Worker {
    /// `library`: folder of the subject library, `None` for the user's own. `models`: the user's text models. `threads`: 0
    /// for one per core. `options`: how text models are opened.
    pub fn new(library: Option<PathBuf>, models: Models, threads: usize, options: Options) -> Self {
        Self {
            library,
            models: Cache::new(models, options),
            threads,
            pool: None,
        }
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// As the work: see [`learn::run`], [`repose::run`], [`erase::run`].
    pub fn run(&mut self, request: &Request, progress: &Progress) -> Result<Finished> {
        progress.stage("preparing")?;
        let hash = hex(&Sha256::digest(request.to_bytes()?));
        let library = Library::open(self.library.clone())?.with_request(&hash);
        let models = &mut self.models;
        let pool = pool(&mut self.pool, self.threads)?;
        let outcome = pool.install(|| match request {
            Request::Learn(request) => learn::run(request, &library, models, progress),
            Request::Repose(request) => repose::run(request, &library, models, progress),
            Request::Erase(request) => erase::run(request, progress),
        })?;
        finish(request, &hash, outcome, &library)
    }
}

/// A pool of its own: the host may use rayon as well, and the user chose the number for this engine.
fn pool(kept: &mut Option<ThreadPool>, threads: usize) -> Result<&ThreadPool> {
    let pool = match kept.take() {
        Some(pool) => pool,
        None => ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("repose-work-{n}"))
            .build()
            .map_err(|e| Error::device(format!("cannot start threads: {e}")))?,
    };
    Ok(kept.insert(pool))
}

/// Notes the use, writes the history, brings the layers into the host's formats.
fn finish(request: &Request, hash: &str, outcome: Outcome, library: &Library) -> Result<Finished> {
    let subject = outcome.subject.as_ref();
    let (action, seed) = match request {
        Request::Learn(_) => (Action::Learn, 0),
        Request::Repose(r) => (Action::Repose, r.seed),
        Request::Erase(r) => (Action::Erase, r.seed),
    };
    if action != Action::Learn {
        // Saving a learned subject has noted that already.
        library.log_use(action, subject, hash)?;
    }
    let history = library.history(action, hash, subject, seed)?;
    let history = match &outcome.model {
        Some(model) => history.by_model(model),
        None => history,
    };
    let history = match request {
        Request::Repose(request) => history.by_words(request.prompt.as_deref()),
        Request::Learn(_) | Request::Erase(_) => history,
    };
    Ok(Finished {
        layers: outcome.layers.into_iter().map(finished).collect(),
        history: serde_json::to_string(&history)
            .map_err(|e| Error::bug(format!("cannot write the history: {e}")))?,
        xmp: provenance::xmp(&history),
    })
}

fn finished(layer: Layer) -> FinishedLayer {
    FinishedLayer {
        // A name comes from a user's text, which cannot hold NUL at the border; in a library file it might.
        name: CString::new(layer.name.replace('\0', " ")).unwrap_or_default(),
        candidate: layer.candidate,
        role: layer.role,
        x: layer.x,
        y: layer.y,
        raster: layer.raster,
        mask_depth: layer.mask_depth,
        mask: mask_to_bytes(&layer.mask, layer.mask_depth),
    }
}
