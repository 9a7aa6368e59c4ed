//! A result appears under its name only when it is whole.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::failure::{Failure, Result};

/// Lets `write` fill a temporary file beside `path`, brings it to the disk and renames it to `path`. When anything
/// fails, what was there before is still there.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(Failure::file(path, "this is a folder, not a file name"));
    }
    if !folder.is_dir() {
        return Err(Failure::file(path, "its folder does not exist"));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".repose-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The user's umask applies to it, as for any file they make; the default would be readable by them alone.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder
        .tempfile_in(folder)
        .map_err(|e| Failure::file(path, format!("cannot write in its folder: {e}")))?;
    let failed = |e: io::Error| Failure::file(path, format!("cannot be written: {e}"));
    let mut file = BufWriter::with_capacity(1 << 20, temporary.reopen().map_err(failed)?);
    write(&mut file).map_err(failed)?;
    file.flush().map_err(failed)?;
    temporary.as_file_mut().sync_all().map_err(failed)?;
    temporary
        .persist(path)
        .map_err(|e| failed(e.error))
        .map(|_| ())
}
