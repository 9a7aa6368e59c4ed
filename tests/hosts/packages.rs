//! The packages that users install, made once for all tests by the program that makes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with `repose-krita.zip`, `gimp-2.10/repose` and `gimp-3.0/repose` in it, as far as they can be built here.
pub fn packages() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        let mut command = Command::new(example("package"));
        command.arg("--out").arg(&out);
        let root = super::editor::Editor::Gimp30.root();
        if root.exists() {
            command.arg("--gimp-3-root").arg(root);
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        out
    })
}

/// A program that cargo built beside this test.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: cargo builds it for the whole test run only",
        program.display()
    );
    program
}
