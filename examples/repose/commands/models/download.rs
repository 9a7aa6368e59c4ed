//! Downloads from the Hugging Face hub into its cache.
//!
//! hf-hub speaks with the hub: it keeps what has come in a `.part` file and asks for the rest the next time. Here are the
//! choice of files, the hash of each, the end by Ctrl-C or silence, and the branch's name, which is written last: a model
//! appears when it is whole.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest, Sha256};

use super::choose::{self, Wanted};
use crate::failure::{Failure, Kind, Result};
use crate::ui::{Ui, stopped};

/// The hub, where `HF_ENDPOINT` names no other.
const HUB: &str = "https://huggingface.co";

/// How long the hub may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a broken download is taken up again before it fails.
const ATTEMPTS: usize = 5;

/// What was downloaded.
pub struct Done {
    /// The repository's folder in the cache, or the one file that was asked for.
    pub model: PathBuf,
    /// Files, those there before included.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Downloads what is wanted of a repository.
pub fn run(ui: Ui, cache: &Path, id: &str, revision: &str, wanted: &Wanted) -> Result<Done> {
    let parts: Vec<&str> = id.split('/').collect();
    let plain = |p: &&str| {
        !p.is_empty()
            && !p.starts_with('.')
            && p.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    if parts.len() != 2 || !parts.iter().all(plain) {
        return Err(Failure::usage(format!(
            "{id:?} is no name of a model on the hub; ORG/NAME was expected"
        )));
    }
    let cache = Cache::new(cache.to_owned());
    let api = connect(&cache).map_err(|e| failed(id, &e))?;
    let named = Repo::with_revision(id.to_owned(), RepoType::Model, revision.to_owned());
    let info = {
        let repo = api.repo(named.clone());
        watched(ui, id, 0, move |_| repo.info())?.map_err(|e| failed(id, &e))?
    };
    let names: Vec<String> = info.siblings.into_iter().map(|s| s.rfilename).collect();
    let files = choose::files(id, &names, wanted)?;
    if !is_name(&info.sha) {
        return Err(Failure {
            kind: Kind::Files,
            message: format!("{id}: the hub's answer names no commit"),
        });
    }
    // By the commit, so that all files are of one version even if the branch moves meanwhile.
    let pinned = Repo::with_revision(id.to_owned(), RepoType::Model, info.sha.clone());
    let (mut bytes, mut last) = (0, PathBuf::new());
    for (i, file) in files.iter().enumerate() {
        let what = format!("{file} ({} of {})", i + 1, files.len());
        last = fetch(ui, &api, &cache, &pinned, id, file, &what)?;
        bytes += fs::metadata(&last).map_or(0, |m| m.len());
    }
    let repo = cache.repo(named);
    repo.create_ref(&info.sha)
        .map_err(|e| Failure::file(cache.path(), e))?;
    let model = if wanted.file.is_some() || revision != "main" {
        match files.as_slice() {
            [_] => last,
            _ => repo.pointer_path(&info.sha),
        }
    } else {
        cache
            .path()
            .join(format!("models--{}", id.replace('/', "--")))
    };
    Ok(Done {
        model,
        files: files.len(),
        bytes,
    })
}

fn connect(cache: &Cache) -> std::result::Result<Api, ApiError> {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let mut builder = ApiBuilder::from_cache(cache.clone())
        .with_progress(false)
        .with_user_agent("repose", env!("CARGO_PKG_VERSION"))
        .with_endpoint(
            set("HF_ENDPOINT")
                .unwrap_or_else(|| HUB.into())
                .trim_end_matches('/')
                .to_owned(),
        );
    if let Some(token) = set("HF_TOKEN").or_else(|| set("HUGGING_FACE_HUB_TOKEN")) {
        builder = builder.with_token(Some(token.trim().to_owned()));
    }
    builder.build()
}

/// One file, checked; nothing is downloaded that is there and has its hash.
fn fetch(
    ui: Ui,
    api: &Api,
    cache: &Cache,
    repo: &Repo,
    id: &str,
    file: &str,
    what: &str,
) -> Result<PathBuf> {
    let remote = Arc::new(api.repo(repo.clone()));
    let about = {
        let (api, url) = (api.clone(), remote.url(file));
        watched(ui, what, 0, move |_| api.metadata(&url))?.map_err(|e| failed(id, &e))?
    };
    // It becomes the name of a file.
    if !is_name(about.etag()) || about.commit_hash() != repo.revision() {
        return Err(Failure {
            kind: Kind::Files,
            message: format!("{id}: the hub's answer about {file} makes no sense"),
        });
    }
    let local = cache.repo(repo.clone());
    let blob = local.blob_path(about.etag());
    let pointer = local.pointer_path(about.commit_hash()).join(file);
    if pointer.exists() {
        if whole(ui, &pointer, about.etag(), about.size() as u64)? {
            return Ok(pointer);
        }
        discard(&[&blob, &pointer])?;
    } else if pointer.is_symlink() {
        // A link to what is no more: hf-hub would not replace it.
        discard(&[&pointer])?;
    }
    // A part that is longer than the file is of another one.
    let part = blob.with_extension("part");
    if fs::metadata(&part).is_ok_and(|m| m.len() > about.size() as u64) {
        discard(&[&part])?;
    }
    let mut had = fs::metadata(&part).map_or(0, |m| m.len());
    let mut left = ATTEMPTS;
    let got = loop {
        let (remote, name) = (Arc::clone(&remote), file.to_owned());
        let tried = watched(ui, what, about.size() as u64, move |meter| {
            pull(&remote, &name, meter)
        })?;
        let has = fs::metadata(&part).map_or(0, |m| m.len());
        match tried {
            Ok(path) => break path,
            // The whole of it had come before: the hub has nothing more to send.
            Err(_) if has == about.size() as u64 && had == has && left > 0 => {
                left = 0;
                discard(&[&part])?;
            }
            Err(_) if has > had && left > 0 => {
                left -= 1;
                ui.note(&format!(
                    "{what}: the connection broke; going on at {}",
                    super::bytes(has)
                ));
            }
            Err(error) => {
                let mut failure = failed(id, &error);
                if has > 0 {
                    failure.message.push_str(&format!(
                        ". {} of {file} are kept: the same command goes on there",
                        super::bytes(has)
                    ));
                }
                return Err(failure);
            }
        }
        had = has;
    };
    if whole(ui, &got, about.etag(), about.size() as u64)? {
        return Ok(got);
    }
    discard(&[&blob, &pointer])?;
    Err(Failure {
        kind: Kind::Files,
        message: format!(
            "{id}: {file} arrived damaged (its hash is not the hub's) and was deleted; the same command downloads it again"
        ),
    })
}

fn pull(remote: &ApiRepo, file: &str, meter: Meter) -> std::result::Result<PathBuf, ApiError> {
    remote.download_with_progress(file, meter)
}

fn is_name(text: &str) -> bool {
    (7..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn discard(paths: &[&Path]) -> Result<()> {
    for path in paths {
        if path.exists() || path.is_symlink() {
            fs::remove_file(path).map_err(|e| Failure::file(path, e))?;
        }
    }
    Ok(())
}

/// Whether a file has its length, and its hash: large files' etags are SHA-256; small ones have git's, which tells no more
/// than a connection that ended well.
fn whole(ui: Ui, path: &Path, etag: &str, size: u64) -> Result<bool> {
    let wrong = |e| Failure::file(path, e);
    let mut file = fs::File::open(path).map_err(wrong)?;
    if file.metadata().map_err(wrong)?.len() != size {
        return Ok(false);
    }
    if etag.len() != 64 {
        return Ok(true);
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let etag = etag.to_ascii_lowercase();
    watched(ui, &format!("checking {name}"), size, move |meter| {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
                return Ok(hex == etag);
            }
            hash.update(&buffer[..read]);
            meter.0.fetch_add(read as u64, Ordering::Relaxed);
        }
    })?
    .map_err(wrong)
}

/// How many bytes have come.
#[derive(Clone)]
struct Meter(Arc<AtomicU64>);

impl Progress for Meter {
    fn init(&mut self, _size: usize, _filename: &str) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn update(&mut self, size: usize) {
        self.0.fetch_add(size as u64, Ordering::Relaxed);
    }

    fn finish(&mut self) {}
}

/// Does `work` on a thread of its own and shows how far it is; gives up on Ctrl-C, and when nothing comes for a while. The
/// thread that is given up ends with the program.
fn watched<T: Send + 'static>(
    ui: Ui,
    what: &str,
    total: u64,
    work: impl FnOnce(Meter) -> T + Send + 'static,
) -> Result<T> {
    let meter = Meter(Arc::default());
    let (send, receive) = mpsc::channel();
    let inner = meter.clone();
    std::thread::spawn(move || {
        // Nobody listens any more if the user pressed Ctrl-C.
        let _ = send.send(work(inner));
    });
    let bar = ui.bytes(what, total);
    let (mut seen, mut moved) = (0, Instant::now());
    loop {
        match receive.recv_timeout(Duration::from_millis(100)) {
            Ok(done) => {
                bar.end();
                return Ok(done);
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Failure::bug(format!(
                    "{what}: the work ended without a word"
                )));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = meter.0.load(Ordering::Relaxed);
        if now != seen {
            (seen, moved) = (now, Instant::now());
            bar.at(now);
        }
        if stopped() {
            return Err(Failure {
                kind: Kind::Cancelled,
                message: format!(
                    "{what}: stopped; what has come is kept, and the same command goes on there"
                ),
            });
        }
        if moved.elapsed() > PATIENCE {
            return Err(Failure {
                kind: Kind::Files,
                message: format!(
                    "{what}: nothing came for {} seconds. What has come is kept: the same command goes on there",
                    PATIENCE.as_secs()
                ),
            });
        }
    }
}

/// An error of the hub's or of the way to it, in words.
fn failed(id: &str, error: &ApiError) -> Failure {
    let request = match error {
        ApiError::RequestError(inner) => Some(&**inner),
        _ => None,
    };
    let (kind, message) = match request {
        Some(ureq::Error::StatusCode(401 | 403)) => (
            Kind::Refused,
            format!(
                "{id}: the hub wants a login. If the model is there, accept its terms on the hub's page for it, make a token \
                 in your settings there, and set HF_TOKEN to it"
            ),
        ),
        Some(ureq::Error::StatusCode(404)) => (
            Kind::Files,
            format!("{id}: the hub has no such model, revision or file; check the spelling"),
        ),
        Some(ureq::Error::StatusCode(429)) => (
            Kind::Files,
            format!(
                "{id}: the hub says that there were too many requests; try again in some minutes"
            ),
        ),
        Some(ureq::Error::StatusCode(code)) => (
            Kind::Files,
            format!("{id}: the hub answered with the status {code}"),
        ),
        Some(other) => (
            Kind::Files,
            format!(
                "{id}: the hub cannot be reached ({other}). Check the network, or HF_ENDPOINT if it is set"
            ),
        ),
        None => (Kind::Files, format!("{id}: the download failed ({error})")),
    };
    Failure { kind, message }
}
