//! `repose doctor` on home folders in which something is right or wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tool::{Desk, Ran};

/// Where cargo put the plugin.
fn plugin() -> PathBuf {
    repose_host::library::find(None).unwrap()
}

fn doctor(desk: &Desk, arguments: &[&str]) -> Ran {
    let output = desk
        .command()
        .arg("doctor")
        .args(arguments)
        .env("HOME", desk.path("home"))
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME")
        .output()
        .unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The problems of the only finding, joined.
fn problems(ran: Ran) -> String {
    let json = ran.expect(3).json();
    let found = json["found"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{json}");
    let sentences = found[0]["problems"].as_array().unwrap();
    let texts: Vec<_> = sentences.iter().filter_map(Value::as_str).collect();
    texts.join("\n")
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A folder as the package for GIMP has it, with a script in the place of its program.
fn gimp(desk: &Desk, version: &str, program: &str) -> PathBuf {
    let folder = desk.path(&format!("home/.config/GIMP/{version}/plug-ins/repose"));
    write(&folder.join("repose"), program);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.join("repose"), mode).unwrap();
    fs::copy(plugin(), folder.join("librepose.so")).unwrap();
    folder
}

fn krita(desk: &Desk, enabled: bool) -> PathBuf {
    let resources = desk.path("home/.local/share/krita");
    write(
        &resources.join("pykrita/repose.desktop"),
        "[Desktop Entry]\n",
    );
    write(&resources.join("pykrita/repose/__init__.py"), "");
    write(
        &resources.join("actions/repose.action"),
        "<ActionCollection/>\n",
    );
    fs::copy(plugin(), resources.join("pykrita/repose/librepose.so")).unwrap();
    write(
        &desk.path("home/.config/kritarc"),
        &format!("[General]\nx=1\n\n[python]\nenable_other=true\nenable_repose={enabled}\n"),
    );
    resources
}

const GOOD: &str = "#!/bin/sh\necho 'repose is a GIMP plug-in' >&2\nexit 1\n";

#[test]
fn nothing_installed_is_fine_unless_it_is_asked_for() {
    let desk = Desk::new();
    let ran = doctor(&desk, &[]).expect(0);
    assert!(
        ran.out.contains("neither in Krita nor in GIMP"),
        "{}",
        ran.out
    );
    for editor in ["krita", "gimp"] {
        let ran = doctor(&desk, &[editor]).expect(3);
        assert!(ran.out.contains("not installed in"), "{}", ran.out);
    }
}

#[test]
fn whole_installations_are_good() {
    let desk = Desk::new();
    gimp(&desk, "2.10", GOOD);
    gimp(&desk, "3.0", GOOD);
    krita(&desk, true);
    let json = doctor(&desk, &["--json"]).expect(0).json();
    assert_eq!(json["ok"], true);
    let editors: Vec<_> = json["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["editor"])
        .collect();
    assert_eq!(editors, ["GIMP 2.10", "GIMP 3.0", "Krita"]);
    assert!(json["found"][0]["version"].is_string());
}

#[test]
fn gimp_that_cannot_start_the_program() {
    let desk = Desk::new();
    let folder = gimp(&desk, "3.0", GOOD);
    let check = |words: &str| {
        let problems = problems(doctor(&desk, &["gimp", "--json"]));
        assert!(problems.contains(words), "{problems}");
    };
    fs::set_permissions(folder.join("repose"), fs::Permissions::from_mode(0o644)).unwrap();
    check("chmod +x");
    gimp(
        &desk,
        "3.0",
        "#!/bin/sh\necho \"$0: error while loading shared libraries: libgimp-2.0.so.0: none\" >&2\nexit 127\n",
    );
    check("another version of GIMP");
    fs::remove_file(folder.join("repose")).unwrap();
    check("repose is missing");
}

#[test]
fn gimp_with_the_plugin_in_the_wrong_place() {
    let desk = Desk::new();
    let folder = gimp(&desk, "2.10", GOOD);
    fs::rename(folder.join("librepose.so"), folder.join("../librepose.so")).unwrap();
    let problems = problems(doctor(&desk, &["gimp", "--json"]));
    assert!(problems.contains("lies outside"), "{problems}");
    assert!(problems.contains("librepose.so is missing"), "{problems}");
}

#[test]
fn krita_that_does_not_load_the_plug_in() {
    let desk = Desk::new();
    let resources = krita(&desk, false);
    let seen = problems(doctor(&desk, &["krita", "--json"]));
    assert!(seen.contains("switched off"), "{seen}");
    krita(&desk, true);
    fs::write(
        resources.join("pykrita/repose/librepose.so"),
        "not a library",
    )
    .unwrap();
    fs::remove_file(resources.join("pykrita/repose.desktop")).unwrap();
    fs::remove_file(resources.join("actions/repose.action")).unwrap();
    let seen = problems(doctor(&desk, &["krita", "--json"]));
    for words in ["cannot load", "repose.desktop is missing", "no shortcuts"] {
        assert!(seen.contains(words), "{words}: {seen}");
    }
}
