//! `repose doctor`: looks at an installation in Krita and GIMP as a helpful colleague would, and says what is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use directories::BaseDirs;
use repose_host::{Plugin, library};
use serde_json::{Value, json};

use crate::args::{Doctor, Editor};
use crate::failure::{Failure, Kind, Result};
use crate::session::Session;
use crate::ui::Report;

/// What was found in one place.
#[derive(Debug)]
struct Finding {
    /// Such as `GIMP 3.0`.
    editor: String,
    /// The plug-in's folder there.
    place: PathBuf,
    /// Its version, if it loads.
    version: Option<String>,
    /// What is wrong and what to do, a sentence each.
    problems: Vec<String>,
}

/// Looks everywhere, or at the editor that was asked for.
pub fn run(session: &Session, args: &Doctor) -> Result<Report> {
    let dirs = BaseDirs::new().ok_or_else(|| {
        Failure::usage("there is no home folder, so there is nowhere to look: set HOME")
    })?;
    let mut findings = Vec::new();
    if args.editor != Some(Editor::Krita) {
        findings.extend(gimp(&dirs));
    }
    if args.editor != Some(Editor::Gimp) {
        findings.extend(krita(&dirs));
    }
    let own = session.plugin.version();
    for finding in &mut findings {
        let other = finding.version.clone().filter(|version| version != own);
        if let Some(version) = other {
            finding.problems.push(format!(
                "it is version {version}, this program's is {own}: install the newer one in both places"
            ));
        }
    }
    // Asked for by name, an editor without the plug-in is a problem; else it is simply not used.
    let missing = match args.editor {
        Some(editor) if findings.is_empty() => Some(format!(
            "the plug-in is not installed in {}: see \"Install in Krita and GIMP\" in the README",
            editor.name()
        )),
        _ => None,
    };
    let wrong = missing.is_some() || findings.iter().any(|f| !f.problems.is_empty());
    Ok(Report {
        wrong: wrong.then_some(Kind::Files),
        lines: lines(&findings, missing.as_deref()),
        json: json!({
            "ok": !wrong,
            "version": own,
            "missing": missing,
            "found": findings.iter().map(Finding::json).collect::<Vec<_>>(),
        }),
    })
}

fn lines(findings: &[Finding], missing: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings {
        let state = match (&finding.version, finding.problems.is_empty()) {
            (Some(version), true) => format!("good, version {version}"),
            _ => "not good".to_owned(),
        };
        lines.push(format!(
            "{:<10} {state}: {}",
            finding.editor,
            finding.place.display()
        ));
        for problem in &finding.problems {
            lines.push(format!("           - {problem}"));
        }
    }
    match missing {
        Some(missing) => lines.push(missing.to_owned()),
        None if findings.is_empty() => lines.push(
            "the plug-in is installed neither in Krita nor in GIMP: see \"Install in Krita and GIMP\" in the README"
                .into(),
        ),
        None => {}
    }
    lines
}

impl Finding {
    fn new(editor: String, place: PathBuf) -> Self {
        Self {
            editor,
            place,
            version: None,
            problems: Vec::new(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "editor": self.editor,
            "place": self.place,
            "version": self.version,
            "problems": self.problems,
        })
    }

    fn wrong(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// The shared library beside the editor's own part loads and speaks this contract.
    fn check_library(&mut self, folder: &Path) {
        let path = folder.join(library::file_name());
        if !path.is_file() {
            self.wrong(format!(
                "{} is missing: install the whole package again",
                path.display()
            ));
            return;
        }
        match Plugin::find(Some(&path)) {
            Ok(plugin) => self.version = Some(plugin.version().to_owned()),
            Err(e) => self.wrong(e.to_string()),
        }
    }
}

/// All GIMP versions of this user that the plug-in was put into, also where it was put wrongly.
fn gimp(dirs: &BaseDirs) -> Vec<Finding> {
    let mut findings = Vec::new();
    let bases = [
        dirs.config_dir().join("GIMP"),
        dirs.home_dir().join(".var/app/org.gimp.GIMP/config/GIMP"),
    ];
    for (version, folder) in bases.iter().flat_map(|base| folders(base)) {
        let plug_ins = folder.join("plug-ins");
        let place = plug_ins.join("repose");
        let stray = plug_ins.join(library::file_name());
        if !place.exists() && !stray.exists() {
            continue;
        }
        let mut finding = Finding::new(format!("GIMP {version}"), place.clone());
        if stray.exists() {
            finding.wrong(format!(
                "{} lies outside the plug-in's folder: remove it, and copy the folder repose as a whole",
                stray.display()
            ));
        }
        if place.is_dir() {
            check_program(&mut finding, &place);
            finding.check_library(&place);
        } else {
            finding.wrong(
                "it must be a folder of this name: copy the folder repose of the package as a whole",
            );
        }
        findings.push(finding);
    }
    findings
}

/// The plug-in's program can be started by GIMP.
fn check_program(finding: &mut Finding, folder: &Path) {
    let program = folder.join(format!("repose{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        finding.wrong(format!(
            "{} is missing: GIMP runs the program that has its folder's name; install the whole package again",
            program.display()
        ));
        return;
    }
    // Without GIMP's own arguments it says so and ends; what the system's loader cannot do shows before that.
    let run = Command::new(&program).stdin(Stdio::null()).output();
    match run {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => finding.wrong(format!(
            "{0} may not be run, so GIMP ignores it: chmod +x {0}",
            program.display()
        )),
        Err(e) => finding.wrong(format!("{} cannot be run: {e}", program.display())),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            if let Some(line) = said
                .lines()
                .find(|l| l.contains("error while loading shared libraries"))
            {
                finding.wrong(format!(
                    "{line}: this package is for another version of GIMP, or GIMP comes from a Flatpak, which has its own"
                ));
            }
        }
    }
}

/// Krita's resource folders of this user that the plug-in was put into.
fn krita(dirs: &BaseDirs) -> Vec<Finding> {
    let flatpak = dirs.home_dir().join(".var/app/org.kde.krita");
    let places = [
        (dirs.data_dir().join("krita"), settings(dirs)),
        (flatpak.join("data/krita"), flatpak.join("config/kritarc")),
    ];
    let mut findings = Vec::new();
    for (resources, settings) in places {
        let pykrita = resources.join("pykrita");
        let (folder, desktop) = (pykrita.join("repose"), pykrita.join("repose.desktop"));
        if !folder.exists() && !desktop.exists() {
            continue;
        }
        let mut finding = Finding::new("Krita".into(), folder.clone());
        for file in [&desktop, &folder.join("__init__.py")] {
            if !file.is_file() {
                finding.wrong(format!(
                    "{} is missing: import the zip again (Tools > Scripts > Import Python Plugin from File…)",
                    file.display()
                ));
            }
        }
        let actions = resources.join("actions").join("repose.action");
        if !actions.is_file() {
            finding.wrong(format!(
                "{} is missing, so its actions have no shortcuts: import the zip again",
                actions.display()
            ));
        }
        if !enabled(&settings) {
            finding.wrong(
                "it is switched off: tick Repose under Settings > Configure Krita… > Python Plugin Manager, and start Krita again",
            );
        }
        finding.check_library(&folder);
        findings.push(finding);
    }
    findings
}

/// Krita's settings file.
fn settings(dirs: &BaseDirs) -> PathBuf {
    if cfg!(windows) {
        dirs.data_local_dir().join("kritarc")
    } else {
        dirs.preference_dir().join("kritarc")
    }
}

/// Whether Krita loads the plug-in when it starts.
fn enabled(settings: &Path) -> bool {
    let mut ini = configparser::ini::Ini::new_cs();
    ini.load(settings).is_ok()
        && ini
            .get("python", "enable_repose")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// The folders in a folder, by name.
fn folders(base: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
        .filter(|(_, path)| path.is_dir())
        .collect();
    found.sort();
    found
}
