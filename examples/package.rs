//! Makes what users install in their editors:
//!
//! ```text
//! cargo run --release --example package
//!
//! dist/repose-krita.zip     for Krita: Tools > Scripts > Import Python Plugin from File…
//! dist/gimp-2.10/repose/    for GIMP 2.10: copy this folder into its folder of plug-ins
//! dist/gimp-3.0/repose/     for GIMP 3.0: the same
//! ```
//!
//! A GIMP whose development files are not installed is left out, and said so.
#![allow(clippy::print_stdout, reason = "it tells what it has made")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use repose_host::library;
use walkdir::WalkDir;
use zip::write::SimpleFileOptions;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes the packages for Krita and GIMP.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for the packages
    #[arg(long, default_value = "dist")]
    out: PathBuf,
    /// The plugin's file or its folder [default: the one built beside this program]
    #[arg(long)]
    plugin: Option<PathBuf>,
    /// Compile for GIMP 3.0 inside this root of another Debian, instead of here
    #[arg(long, value_name = "DIR")]
    gimp_3_root: Option<PathBuf>,
}

/// What each package carries beside the editor's own part.
struct Common {
    /// The plugin, without what only debuggers read.
    plugin: PathBuf,
    /// `locale/LANGUAGE/LC_MESSAGES/repose.mo` is below this folder.
    words: PathBuf,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = repository.join("host-sdk");
    fs::create_dir_all(&arguments.out)?;
    // On the disk of the results, so that they appear by a rename, and whole.
    let work = tempfile::Builder::new()
        .prefix(".making-")
        .tempdir_in(&arguments.out)?;
    let common = Common {
        plugin: stripped(&library::find(arguments.plugin.as_deref())?, work.path())?,
        words: translated(&sources.join("words"), work.path())?,
    };

    let krita = work.path().join("krita");
    copy(&sources.join("krita"), &krita)?;
    complete(&krita.join("repose"), &common, repository)?;
    let zip = work.path().join("krita.zip");
    compress(&krita, &zip)?;
    let place = arguments.out.join("repose-krita.zip");
    fs::rename(&zip, &place)?;
    println!("{}", place.display());

    for (version, series, root) in [
        ("2.10", "2.0", None),
        ("3.0", "3.0", arguments.gimp_3_root.as_deref()),
    ] {
        let folder = work.path().join(format!("gimp-{version}"));
        if let Some(missing) = missing(series, root) {
            println!("GIMP {version} is left out: {missing}");
            continue;
        }
        compile(&sources, series, root, &folder.join("repose"))?;
        complete(&folder.join("repose"), &common, repository)?;
        let place = arguments.out.join(format!("gimp-{version}"));
        if place.exists() {
            fs::rename(&place, work.path().join(format!("old-{version}")))?;
        }
        fs::rename(&folder, &place)?;
        println!("{}", place.join("repose").display());
    }
    Ok(())
}

/// Copies the plugin without its tables for debuggers, which are most of its size; as it is where nothing can strip it.
fn stripped(plugin: &Path, work: &Path) -> Result<PathBuf> {
    let copy = work.join(library::file_name());
    let strip = Command::new("strip")
        .args(["--strip-debug", "-o"])
        .args([&copy, plugin])
        .status();
    if !strip.is_ok_and(|status| status.success()) {
        fs::copy(plugin, &copy)?;
    }
    Ok(copy)
}

/// Compiles the catalogues of translated words; without gettext the plug-ins speak English.
fn translated(catalogues: &Path, work: &Path) -> Result<PathBuf> {
    let words = work.join("words");
    fs::create_dir_all(&words)?;
    for entry in fs::read_dir(catalogues)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "po") {
            let language = path.file_stem().ok_or("a catalogue without a name")?;
            let folder = words.join("locale").join(language).join("LC_MESSAGES");
            fs::create_dir_all(&folder)?;
            let status = Command::new("msgfmt")
                .arg("-o")
                .args([&folder.join("repose.mo"), &path])
                .status();
            match status {
                Ok(status) if status.success() => {}
                Ok(_) => return Err(format!("{} cannot be compiled", path.display()).into()),
                Err(e) => {
                    println!("translations are left out: msgfmt (gettext) cannot be run: {e}");
                    fs::remove_dir_all(words.join("locale"))?;
                    break;
                }
            }
        }
    }
    Ok(words)
}

/// Adds to an editor's part what it needs to run.
fn complete(folder: &Path, common: &Common, repository: &Path) -> Result<()> {
    fs::copy(&common.plugin, folder.join(library::file_name()))?;
    copy(&common.words, folder)?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(repository.join(licence), folder.join(licence))?;
    }
    Ok(())
}

/// A command for that root, or for this system.
fn inside(root: Option<&Path>, program: &str) -> Command {
    match root {
        Some(root) => {
            let mut command = Command::new("chroot");
            command.arg(root).args(["/usr/bin/env", "-i"]);
            command.args(["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", program]);
            command
        }
        None => Command::new(program),
    }
}

/// What has to be installed before the plug-in for this series of GIMP can be compiled.
fn missing(series: &str, root: Option<&Path>) -> Option<String> {
    let packages = [&format!("gimpui-{series}"), "json-glib-1.0"];
    let found = inside(root, "pkg-config")
        .arg("--exists")
        .args(packages)
        .status();
    match found {
        Ok(status) if status.success() => None,
        Ok(_) => Some(format!(
            "its development files are not installed (libgimp{}-dev and libjson-glib-dev on Debian)",
            if series == "3.0" { "-3.0" } else { "2.0" }
        )),
        Err(e) => Some(format!("pkg-config cannot be run: {e}")),
    }
}

/// Compiles the plug-in for one series of GIMP into `folder`.
fn compile(sources: &Path, series: &str, root: Option<&Path>, folder: &Path) -> Result<()> {
    // In the root the sources are copied to a folder that the compiler sees, and so is what it makes.
    let temporary = root.map_or_else(std::env::temp_dir, |root| root.join("tmp"));
    let desk = tempfile::tempdir_in(temporary)?;
    for part in ["gimp", "include"] {
        copy(&sources.join(part), &desk.path().join(part))?;
    }
    let seen = match root {
        Some(root) => Path::new("/").join(desk.path().strip_prefix(root)?),
        None => desk.path().to_owned(),
    };
    let status = inside(root, "make")
        .arg("-C")
        .arg(seen.join("gimp"))
        .arg(format!("GIMP={series}"))
        .arg(format!("OUT={}", seen.join("out").display()))
        .stdout(io::stderr())
        .status()?;
    if !status.success() {
        return Err(format!("the plug-in for GIMP {series} does not compile").into());
    }
    copy(&desk.path().join("out"), folder)
}

/// Whether a file belongs into a package: Python leaves compiled copies beside its sources.
fn wanted(entry: &walkdir::DirEntry) -> bool {
    entry.file_name() != "__pycache__"
}

/// Copies what is in a folder, with its rights, into another, which is made.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in WalkDir::new(from).into_iter().filter_entry(wanted) {
        let entry = entry?;
        let place = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&place)?;
        } else {
            fs::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}

/// Packs a folder. Krita's importer finds a module by the entry of its folder, so folders have entries too.
fn compress(folder: &Path, path: &Path) -> Result<()> {
    let mut zip = zip::ZipWriter::new(File::create(path)?);
    let options = SimpleFileOptions::default();
    for entry in WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let name = entry.path().strip_prefix(folder)?.to_string_lossy();
        if entry.file_type().is_dir() {
            zip.add_directory(name, options)?;
        } else {
            zip.start_file(name, options)?;
            io::copy(&mut File::open(entry.path())?, &mut zip)?;
        }
    }
    zip.finish()?.flush()?;
    Ok(())
}
