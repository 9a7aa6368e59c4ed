//! A hub on this machine: what the real one answers, as far as downloads go, and its accidents.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};

/// The commit of every repository here.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accident {
    #[default]
    None,
    /// The first transfer of each large file ends in the middle.
    Breaks,
    /// As `Breaks`, and from then on nobody answers.
    Dies,
    /// A bit of each large file flips on the way.
    Damages,
    /// Who sends no token `secret` is turned away.
    Gated,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub path: String,
    pub range: Option<String>,
    pub token: Option<String>,
}

#[derive(Default)]
struct State {
    accident: Accident,
    broken: HashSet<String>,
    dead: bool,
    asked: Vec<Asked>,
}

/// A hub with one repository, `org/small`.
pub struct Hub {
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    /// Serves these files until the test ends. Those above a kilobyte are large, and kept elsewhere by their hash.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let files: Arc<HashMap<String, Vec<u8>>> = Arc::new(files.into_iter().collect());
        let shared = (endpoint.clone(), Arc::clone(&state));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (endpoint, state) = shared.clone();
                let files = Arc::clone(&files);
                // A client that goes away is no concern of the hub's.
                thread::spawn(move || drop(serve(stream, &endpoint, &files, &state)));
            }
        });
        Self { endpoint, state }
    }

    /// From now on this goes wrong.
    pub fn suffer(&self, accident: Accident) {
        let mut state = self.state.lock().unwrap();
        state.accident = accident;
        state.dead = false;
        state.broken.clear();
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn serve(
    mut stream: TcpStream,
    endpoint: &str,
    files: &HashMap<String, Vec<u8>>,
    state: &Mutex<State>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let path = line
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        let mut headers = HashMap::new();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        line.clear();
        let asked = Asked {
            path: path.clone(),
            range: headers.get("range").cloned(),
            token: headers.get("authorization").cloned(),
        };
        let (accident, dead) = {
            let mut state = state.lock().unwrap();
            state.asked.push(asked.clone());
            (state.accident, state.dead)
        };
        if dead {
            return Ok(());
        }
        if accident == Accident::Gated && asked.token.as_deref() != Some("Bearer secret") {
            write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
            )?;
            continue;
        }
        if path == "/api/models/org/small/revision/main" {
            let names: Vec<_> = files
                .keys()
                .map(|name| serde_json::json!({ "rfilename": name }))
                .collect();
            let body = serde_json::json!({ "sha": COMMIT, "siblings": names }).to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
        } else if let Some(file) = path
            .strip_prefix(&format!("/org/small/resolve/{COMMIT}/"))
            .and_then(|n| files.get(n))
        {
            let about = format!("X-Repo-Commit: {COMMIT}\r\n");
            if file.len() > 1024 {
                let hash = sha256(file);
                write!(
                    stream,
                    "HTTP/1.1 302 Found\r\n{about}X-Linked-Etag: \"{hash}\"\r\nX-Linked-Size: {}\r\nETag: \"other\"\r\n\
                     Location: {endpoint}/blobs/{hash}\r\nContent-Length: 0\r\n\r\n",
                    file.len()
                )?;
            } else {
                let etag = &sha256(file)[..40];
                send(
                    &mut stream,
                    file,
                    &asked,
                    &format!("{about}ETag: \"{etag}\"\r\n"),
                    file.len(),
                )?;
            }
        } else if let Some(file) = path
            .strip_prefix("/blobs/")
            .and_then(|hash| files.values().find(|f| sha256(f) == hash))
        {
            let probe = asked.range.as_deref() == Some("bytes=0-0");
            let breaks = matches!(accident, Accident::Breaks | Accident::Dies)
                && !probe
                && state.lock().unwrap().broken.insert(path);
            if breaks {
                send(&mut stream, file, &asked, "", file.len() / 2)?;
                state.lock().unwrap().dead = accident == Accident::Dies;
                return Ok(());
            }
            let mut file = file.clone();
            if accident == Accident::Damages {
                *file.last_mut().unwrap() ^= 1;
            }
            let all = file.len();
            send(
                &mut stream,
                &file,
                &asked,
                "ETag: \"of the store\"\r\n",
                all,
            )?;
        } else {
            write!(
                stream,
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            )?;
        }
    }
    Ok(())
}

/// The range that was asked for; the connection's user stops after `limit` bytes of it.
fn send(
    stream: &mut TcpStream,
    file: &[u8],
    asked: &Asked,
    headers: &str,
    limit: usize,
) -> std::io::Result<()> {
    let range = asked
        .range
        .as_deref()
        .and_then(|r| r.strip_prefix("bytes=")?.split_once('-'));
    let (first, last) = match range {
        Some((first, last)) => (
            first.parse().unwrap(),
            last.parse().unwrap_or(file.len() - 1),
        ),
        None => (0, file.len() - 1),
    };
    if first >= file.len() {
        return write!(
            stream,
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n"
        );
    }
    let body = &file[first..=last];
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\n{headers}Content-Range: bytes {first}-{last}/{}\r\nContent-Length: {}\r\n\r\n",
        file.len(),
        body.len()
    )?;
    stream.write_all(&body[..body.len().min(limit)])?;
    stream.flush()
}
