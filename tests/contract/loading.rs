//! Files that are not the plugin, or not this version of it, and the plugin itself through both doors.

use std::ptr;

use crate::support::{self, plugin};

#[test]
fn not_a_plugin() {
    use repose_host::{LoadError, Plugin};
    use std::path::Path;
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.so");
    assert!(
        matches!(Plugin::load(&missing), Err(LoadError::NotFound(tried)) if tried == [missing])
    );
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    assert!(matches!(
        Plugin::load(&text),
        Err(LoadError::CannotLoad(..))
    ));
    assert!(matches!(
        Plugin::load_symbol(&text),
        Err(LoadError::CannotLoad(..))
    ));
    // A library, but a stranger: the system's own maths library.
    let stranger = [
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib/aarch64-linux-gnu/libm.so.6",
    ]
    .map(Path::new)
    .into_iter()
    .find(|p| p.exists());
    if let Some(stranger) = stranger {
        assert!(matches!(
            Plugin::load(stranger),
            Err(LoadError::NoSymbol(..))
        ));
        assert!(matches!(
            Plugin::load_symbol(stranger),
            Err(LoadError::NoSymbol(..))
        ));
    }
}

#[test]
fn a_plugin_that_knows_no_such_version() {
    use repose_host::{LoadError, Plugin};
    if !support::has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("old.c"), folder.path().join("old.so"));
    let code = "#include <stddef.h>\n#include <stdint.h>\nconst void *repose_api(uint32_t version);\n\
                const void *repose_api(uint32_t version) { return version == 0 ? \"\" : NULL; }\n";
    std::fs::write(&source, code).unwrap();
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status()
        .unwrap();
    assert!(built.success());
    assert!(matches!(
        Plugin::load_symbol(&library),
        Err(LoadError::Version(_, repose_host::abi::VERSION))
    ));
    assert!(matches!(
        Plugin::load(&library),
        Err(LoadError::NoSymbol(..))
    ));
}

#[test]
fn both_doors_lead_to_one_table() {
    let root = plugin();
    let symbol = repose_host::Plugin::load_symbol(root.path()).unwrap();
    assert!(ptr::eq(root.api(), symbol.api()));
    assert_eq!(root.version(), symbol.version());
    assert_eq!(root.version(), env!("CARGO_PKG_VERSION"));
}
