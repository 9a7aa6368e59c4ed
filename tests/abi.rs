//! One contract in three languages: every number, size and offset of `repose.h` is the same in Rust and in Python; and the
//! plugin exports nothing else.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use repose_host::abi;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> String {
    std::fs::read_to_string(root().join("host-sdk/include/repose.h")).unwrap()
}

/// One line for each number and each field: what all three languages must say.
fn rust_lines() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (name, value) in abi::CONSTANTS {
        lines.insert(format!("{name} {value}"));
    }
    for shape in abi::LAYOUT {
        lines.insert(format!("{} {}", shape.name, shape.size));
        for (field, offset, size) in shape.fields {
            lines.insert(format!("{}.{field} {offset} {size}", shape.name));
        }
    }
    lines
}

fn lines(text: &[u8]) -> BTreeSet<String> {
    String::from_utf8_lossy(text)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Runs a command that must succeed.
fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    output.stdout
}

fn c_program() -> String {
    let mut program = String::from("#include <stdio.h>\n#include \"repose.h\"\nint main(void) {\n");
    for (name, _) in abi::CONSTANTS {
        writeln!(program, "printf(\"{name} %lld\\n\", (long long){name});").unwrap();
    }
    for shape in abi::LAYOUT {
        let name = shape.name;
        writeln!(program, "printf(\"{name} %zu\\n\", sizeof({name}));").unwrap();
        for (field, ..) in shape.fields {
            writeln!(
                program,
                "printf(\"{name}.{field} %zu %zu\\n\", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));"
            )
            .unwrap();
        }
    }
    program + "return 0;\n}\n"
}

fn compiled_twin(compiler: &str, language: &str, standard: &str) {
    if !support::has(compiler) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("twin.c"), folder.path().join("twin"));
    std::fs::write(&source, c_program()).unwrap();
    output(
        Command::new(compiler)
            .args([
                standard,
                "-Wall",
                "-Wextra",
                "-pedantic",
                "-Werror",
                "-x",
                language,
            ])
            .arg("-I")
            .arg(root().join("host-sdk/include"))
            .arg(&source)
            .arg("-o")
            .arg(&program),
    );
    assert_eq!(lines(&output(&mut Command::new(&program))), rust_lines());
}

#[test]
fn c11_twin() {
    compiled_twin("cc", "c", "-std=c11");
}

#[test]
fn cpp17_twin() {
    compiled_twin("c++", "c++", "-std=c++17");
}

#[test]
fn python_twin() {
    if !support::has("python3") {
        return;
    }
    let script = r#"
import ctypes, importlib, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
twin = importlib.import_module(sys.argv[2])
for name, value in vars(twin).items():
    if name.startswith("REPOSE_"):
        print(name, value)
    elif name.startswith("Repose"):
        print(name, ctypes.sizeof(value))
        for field, *_ in value._fields_:
            place = getattr(value, field)
            print(f"{name}.{field} {place.offset} {place.size}")
"#;
    for (folder, module) in [("examples", "host"), ("host-sdk/krita/repose", "abi")] {
        let said = output(
            Command::new("python3")
                .args(["-c", script])
                .arg(root().join(folder))
                .arg(module),
        );
        assert_eq!(lines(&said), rust_lines(), "{folder}/{module}.py");
    }
}

/// A field or number that only the header has would escape the twins above.
#[test]
fn nothing_in_the_header_is_missing_elsewhere() {
    for shape in abi::LAYOUT {
        let mut end = 0;
        for (field, offset, size) in shape.fields {
            assert_eq!(*offset, end, "a gap before {}.{field}", shape.name);
            end = offset + size;
        }
        assert_eq!(end, shape.size, "a gap at the end of {}", shape.name);
    }
    let header = header();
    let known: BTreeSet<&str> = abi::CONSTANTS.iter().map(|(name, _)| *name).collect();
    let numbers: BTreeSet<&str> = header
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("REPOSE_"))
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
        .chain(["REPOSE_VERSION"])
        .collect();
    assert_eq!(numbers, known);
    let shapes: BTreeSet<&str> = abi::LAYOUT.iter().map(|shape| shape.name).collect();
    let structs: BTreeSet<&str> = header
        .lines()
        .filter_map(|line| line.strip_prefix("typedef struct ")?.strip_suffix(" {"))
        .collect();
    assert_eq!(structs, shapes);
}

#[test]
fn every_function_says_who_may_call_it_when() {
    let header = header();
    let table = &header[header.find("typedef struct ReposeApi {").unwrap()..];
    let mut tag = false;
    for line in table.lines().take_while(|line| !line.starts_with('}')) {
        tag |= line.contains("[any-thread] */") || line.contains("[last-call] */");
        if line.trim().is_empty() {
            tag = false;
        }
        assert!(!line.contains("(*") || tag, "no thread tag above {line}");
    }
}

#[test]
fn only_two_symbols_are_exported() {
    if !cfg!(target_os = "linux") || !support::has("nm") {
        return;
    }
    let path: PathBuf = support::plugin().path().to_owned();
    let listed = output(Command::new("nm").args(["-D", "--defined-only"]).arg(path));
    let symbols: BTreeSet<String> = lines(&listed)
        .iter()
        .filter_map(|line| line.split_whitespace().last().map(str::to_owned))
        .collect();
    let loader = "_1as_0lib_1header_0root_bmodule_bloader".to_owned();
    assert_eq!(symbols, BTreeSet::from([loader, "repose_api".to_owned()]));
}
