//! Finding and loading the plugin. It is never unloaded: its threads may be alive until the process ends.
#![allow(
    unsafe_code,
    reason = "running another library's code is a promise that the compiler cannot check"
)]

use std::fmt;
use std::path::{Path, PathBuf};

use abi_stable::library::{LibraryError, lib_header_from_path};
use libloading::Library;

use crate::abi;
use crate::root::RootRef;

/// Names the plugin's file; read by [`find`].
pub const PLUGIN_VARIABLE: &str = "REPOSE_PLUGIN";

/// Why the plugin could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// There is no such file in any of the places tried, in this order.
    NotFound(Vec<PathBuf>),
    /// The system cannot load the file: not a library, another machine's, or one it needs is missing.
    CannotLoad(PathBuf, String),
    /// The file is a library, but not Repose.
    NoSymbol(PathBuf, String),
    /// The plugin does not know this version of the contract: it is too old for this host.
    Version(PathBuf, u32),
    /// The plugin's root module is laid out differently: it was built for another generation of Rust hosts.
    Layout(PathBuf, String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(tried) => {
                write!(f, "the Repose plugin was not found; looked for:")?;
                for path in tried {
                    write!(f, "\n  {}", path.display())?;
                }
                write!(f, "\nName its file in {PLUGIN_VARIABLE}.")
            }
            Self::CannotLoad(path, reason) => {
                write!(f, "cannot load {}: {reason}", path.display())
            }
            Self::NoSymbol(path, reason) => {
                write!(f, "{} is not the Repose plugin: {reason}", path.display())
            }
            Self::Version(path, version) => write!(
                f,
                "{} does not know version {version} of the contract: install a newer plugin",
                path.display()
            ),
            Self::Layout(path, reason) => write!(
                f,
                "{} was built for other Rust hosts than this one: {reason}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for LoadError {}

/// The plugin's file name on this system, such as `librepose.so`.
pub fn file_name() -> String {
    format!(
        "{}repose{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    )
}

/// Where the plugin is looked for, best first.
///
/// An explicit path is the only place if given, else the one in [`PLUGIN_VARIABLE`]; both may name the file or its
/// folder. Without them: next to the executable and next to its folder (each time first in `deps/`, where cargo keeps
/// the newest build), then `repose/lib` in the user's data folder.
pub fn places(explicit: Option<&Path>) -> Vec<PathBuf> {
    let named = explicit.map(Path::to_owned).or_else(|| {
        std::env::var_os(PLUGIN_VARIABLE)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    });
    let name = file_name();
    if let Some(path) = named {
        return vec![if path.is_dir() { path.join(name) } else { path }];
    }
    let mut places = Vec::new();
    if let Ok(executable) = std::env::current_exe() {
        for folder in executable.ancestors().skip(1).take(2) {
            places.push(folder.join("deps").join(&name));
            places.push(folder.join(&name));
        }
    }
    if let Some(user) = directories::BaseDirs::new() {
        places.push(user.data_dir().join("repose").join("lib").join(&name));
    }
    places
}

/// The plugin's file: the first of [`places`] that exists.
///
/// # Errors
/// [`LoadError::NotFound`] with all places tried.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf, LoadError> {
    let places = places(explicit);
    match places.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(LoadError::NotFound(places)),
    }
}

/// Loads the plugin through its C symbol, as hosts in other languages do.
///
/// # Errors
/// Any [`LoadError`] but `Layout`.
pub fn load_symbol(path: &Path) -> Result<&'static abi::Api, LoadError> {
    let path = existing(path)?;
    // SAFETY: loading runs the library's initialisers; the user chose this file as the plugin.
    let library = unsafe { Library::new(&path) }
        .map_err(|e| LoadError::CannotLoad(path.clone(), e.to_string()))?;
    // SAFETY: whatever exports `repose_api` promises that it has the type of repose.h.
    let symbol = unsafe { library.get::<abi::ApiFn>(b"repose_api\0") }
        .map(|symbol| *symbol)
        .map_err(|e| LoadError::NoSymbol(path.clone(), e.to_string()));
    // Not even a stranger is unloaded: its initialisers may have started threads.
    std::mem::forget(library);
    let symbol = symbol?;
    // SAFETY: any version may be asked for, from any thread.
    let table = unsafe { symbol(abi::VERSION) };
    check_table(table, path)
}

/// Loads the plugin through its `abi_stable` root module, after checking the module's layout.
///
/// # Errors
/// Any [`LoadError`].
pub fn load_root(path: &Path) -> Result<(&'static abi::Api, &'static str), LoadError> {
    let path = existing(path)?;
    let header = lib_header_from_path(&path).map_err(|e| root_error(&path, &e))?;
    let root: RootRef = header
        .init_root_module()
        .map_err(|e| root_error(&path, &e))?;
    let table = root.api()(abi::VERSION).cast::<abi::Api>();
    Ok((check_table(table, path)?, root.plugin_version().as_str()))
}

fn existing(path: &Path) -> Result<PathBuf, LoadError> {
    // Absolute, so that the system's own search path plays no part.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if path.is_file() {
        Ok(path)
    } else {
        Err(LoadError::NotFound(vec![path]))
    }
}

fn check_table(table: *const abi::Api, path: PathBuf) -> Result<&'static abi::Api, LoadError> {
    if table.is_null() {
        return Err(LoadError::Version(path, abi::VERSION));
    }
    // SAFETY: not null, and the contract says that the table lives as long as the process.
    let table: &'static abi::Api = unsafe { &*table };
    if table.version < abi::VERSION || (table.struct_size as usize) < size_of::<abi::Api>() {
        return Err(LoadError::Version(path, abi::VERSION));
    }
    Ok(table)
}

/// `abi_stable` can explain a layout on a thousand lines; the first ones say what differs.
fn root_error(path: &Path, error: &LibraryError) -> LoadError {
    let text = error.to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .take(6)
        .collect();
    let reason = lines.join(" ");
    let path = path.to_owned();
    match error {
        LibraryError::OpenError { .. } => LoadError::CannotLoad(path, reason),
        LibraryError::GetSymbolError { .. } => LoadError::NoSymbol(path, reason),
        _ => LoadError::Layout(path, reason),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_explicit_path_is_the_only_place() {
        let folder = std::env::temp_dir();
        assert_eq!(places(Some(&folder)), [folder.join(file_name())]);
        let file = folder.join("no such plugin.so");
        assert_eq!(places(Some(&file)), std::slice::from_ref(&file));
        let error = find(Some(&file)).unwrap_err();
        assert_eq!(error, LoadError::NotFound(vec![file]));
        assert!(error.to_string().contains("no such plugin.so"), "{error}");
    }

    #[test]
    fn beside_the_executable_comes_before_the_users_folder() {
        if std::env::var_os(PLUGIN_VARIABLE).is_some() {
            return;
        }
        let places = places(None);
        let executable = std::env::current_exe().unwrap();
        let beside = executable.parent().unwrap().join(file_name());
        let place = places.iter().position(|p| *p == beside).unwrap();
        assert!(place < places.len() - 1, "{places:?}");
        assert!(
            places
                .last()
                .unwrap()
                .ends_with(Path::new("repose/lib").join(file_name()))
        );
    }
}
