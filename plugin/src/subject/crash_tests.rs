//! Programs that are killed, and programs that work at once: this test's own executable, started again.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::library::Library;
use super::testing::{consent, library, subject};
use super::{Action, SubjectRef};
use crate::ErrorKind;
use crate::canvas::Depth;

const FOLDER: &str = "REPOSE_TEST_LIBRARY";
const SECONDS: &str = "REPOSE_TEST_SECONDS";
const NAMES: [&str; 3] = ["Bear", "Cat", "Bär 🐻"];

/// Starts the program below on `library`.
fn start(library: &Library, seconds: f32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "subject::crash_tests::busy_program",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, library.root())
        .env(SECONDS, seconds.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Saves, renames, deletes, revokes, loads and lists until its time is over or it is killed.
#[test]
#[ignore = "the other tests of this file run it as a program of its own"]
fn busy_program() {
    let library = Library::open(Some(std::env::var_os(FOLDER).unwrap().into())).unwrap();
    let end =
        Instant::now() + Duration::from_secs_f32(std::env::var(SECONDS).unwrap().parse().unwrap());
    let mut rng = Pcg64Mcg::seed_from_u64(u64::from(std::process::id()));
    while Instant::now() < end {
        let name = NAMES[rng.random_range(0..NAMES.len())];
        let other = NAMES[rng.random_range(0..NAMES.len())];
        let result = match rng.random_range(0..12) {
            0..6 => {
                let side = rng.random_range(8..200);
                library
                    .save(&subject(name, side, 60, Depth::U8), &consent())
                    .map(drop)
            }
            6 => library.rename(name, other),
            7 => library
                .delete(name, rng.random_bool(0.7).then(|| rng.random_range(1..9)))
                .map(drop),
            8 => library
                .revoke(name, None, "test")
                .and_then(|()| library.renew(name, None, &consent())),
            9 => {
                let used = SubjectRef {
                    name: name.into(),
                    version: 1,
                };
                library.log_use(Action::Repose, Some(&used), "feed")
            }
            10 => library.entries().map(drop),
            _ => library.load(name, None).map(drop),
        };
        if let Err(error) = result {
            // What the other program has just renamed, deleted or revoked.
            let expected = [ErrorKind::Files, ErrorKind::Caller, ErrorKind::Refused];
            assert!(expected.contains(&error.kind), "{error:?}");
            assert!(!error.message.contains("damaged"), "{error}");
            assert!(!error.message.contains("usage log"), "{error}");
        }
    }
}

/// Every version there is loads, everything verifies, and the list tells what is there.
fn assert_whole(library: &Library, when: &str) {
    let report = library.verify(None).unwrap();
    assert!(report.whole, "{when}: {report:?}");
    let entries = library.entries().unwrap();
    assert_eq!(entries.len(), report.subjects, "{when}");
    for entry in &entries {
        for version in &entry.versions {
            match library.load(&entry.name, Some(version.version)) {
                Ok((subject, _)) => assert_eq!(subject.name, entry.name),
                // Killed between revoking and renewing.
                Err(error) => assert_eq!(error.kind, ErrorKind::Refused, "{when}: {error}"),
            }
        }
    }
    // What the index says is what reading every folder says.
    let (again, aside) = library.rebuilt().unwrap();
    assert_eq!((again, aside), (entries, None), "{when}");
}

/// How many rows the usage log has.
fn uses(library: &Library) -> i64 {
    let newest = library.log().rows(None, 1).unwrap().pop();
    newest.map_or(0, |row| row.seq)
}

#[test]
fn killed_programs_leave_every_subject_whole() {
    let (_folder, library) = library();
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let mut left = 0;
    for round in 0..40 {
        let before = uses(&library);
        let mut children: Vec<_> = (0..1 + round % 2).map(|_| start(&library, 60.0)).collect();
        // It is at work when the log has grown; on a busy machine that may take a while.
        let begun = Instant::now();
        while uses(&library) == before && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(rng.random_range(0..120)));
        for child in &mut children {
            // SIGKILL on Unix.
            child.kill().unwrap();
            assert!(!child.wait().unwrap().success());
        }
        left += super::disk::folders(&library.subjects())
            .unwrap()
            .iter()
            .filter(|(name, _)| name.starts_with(".tmp-"))
            .count();
        assert_whole(&library, &format!("round {round}"));
    }
    // The kills did hit writers, and verifying has swept what they left.
    assert!(left > 0, "no kill came while something was written");
    let folders = super::disk::folders(&library.subjects()).unwrap();
    assert!(
        folders.iter().all(|(name, _)| !name.starts_with('.')),
        "{folders:?}"
    );
    assert!(uses(&library) >= 40, "{} uses", uses(&library));
}

#[test]
fn programs_at_once_lose_nothing() {
    let (_folder, library) = library();
    let mut children: Vec<_> = (0..3).map(|_| start(&library, 2.0)).collect();
    // This one reads and lists meanwhile.
    while children.iter_mut().any(|c| c.try_wait().unwrap().is_none()) {
        library.entries().unwrap();
        library.log().rows(None, 5).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_whole(&library, "afterwards");
    // Nobody crashed, so replaying the log gives exactly the versions that are there.
    let mut expected: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for row in library.log().rows(None, u32::MAX).unwrap() {
        let versions = expected.entry(row.subject.clone()).or_default();
        match row.action.as_str() {
            "learn" => versions.push(row.version),
            "delete" if row.version == 0 => versions.clear(),
            "delete" => versions.retain(|&v| v != row.version),
            "rename" => {
                let moved = std::mem::take(versions);
                expected.insert(row.detail.strip_prefix("to ").unwrap().to_owned(), moved);
            }
            _ => {}
        }
    }
    expected.retain(|_, versions| !versions.is_empty());
    let there: BTreeMap<String, Vec<u32>> = library
        .entries()
        .unwrap()
        .into_iter()
        .map(|e| (e.name, e.versions.iter().map(|v| v.version).collect()))
        .collect();
    assert_eq!(there, expected);
    assert!(there.values().map(Vec::len).sum::<usize>() > 5, "{there:?}");
}
