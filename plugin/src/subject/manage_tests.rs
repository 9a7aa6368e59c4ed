#![allow(clippy::unwrap_used)]
use super::*;
use crate::ErrorKind;
use crate::canvas::Depth;
use crate::subject::testing::{consent, library, subject};

fn filled() -> (tempfile::TempDir, Library) {
    let (folder, library) = library();
    for _ in 0..3 {
        library
            .save(&subject("Bear", 8, 6, Depth::U8), &consent())
            .unwrap();
    }
    (folder, library)
}

fn words(library: &Library) -> Vec<String> {
    let rows = library.log().rows(None, 100).unwrap();
    rows.into_iter()
        .map(|r| format!("{} {} {}", r.action, r.subject, r.version))
        .collect()
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind
}

#[test]
fn a_rename_keeps_versions_history_and_consent() {
    let (_folder, library) = filled();
    library.revoke("Bear", Some(1), "asked").unwrap();
    library.rename("Bear", "Teddy").unwrap();
    assert_eq!(kind(library.load("Bear", None)), ErrorKind::Files);
    let (loaded, reference) = library.load("Teddy", Some(2)).unwrap();
    assert_eq!(
        (loaded.name.as_str(), reference.name.as_str()),
        ("Teddy", "Teddy")
    );
    assert_eq!(kind(library.load("Teddy", Some(1))), ErrorKind::Refused);
    // The old name is free again; both live side by side, and the next version of each goes to its own.
    assert_eq!(
        library
            .save(&subject("Bear", 8, 6, Depth::U8), &consent())
            .unwrap()
            .version,
        1
    );
    assert_eq!(
        library
            .save(&subject("Teddy", 8, 6, Depth::U8), &consent())
            .unwrap()
            .version,
        4
    );
    assert_eq!(library.keys().unwrap().len(), 2);
    let record = library.existing("Teddy").unwrap().record.unwrap();
    assert_eq!(record.earlier_names, ["Bear"]);
    assert!(library.verify(None).unwrap().whole);
}

#[test]
fn a_rename_takes_no_name_that_is_used_or_cannot_be() {
    let (_folder, library) = filled();
    library
        .save(&subject("Cat", 8, 6, Depth::U8), &consent())
        .unwrap();
    assert_eq!(kind(library.rename("Bear", "Cat")), ErrorKind::Caller);
    assert_eq!(kind(library.rename("Bear", "a/b")), ErrorKind::Caller);
    assert_eq!(kind(library.rename("Nobody", "Dog")), ErrorKind::Files);
    library.rename("Bear", "Bear").unwrap();
    library.load("Bear", None).unwrap();
    library.load("Cat", None).unwrap();
}

#[test]
fn a_deleted_versions_number_is_not_given_out_again() {
    let (_folder, library) = filled();
    assert_eq!(library.delete("Bear", Some(3)).unwrap(), [3]);
    assert_eq!(library.load("Bear", None).unwrap().1.version, 2);
    assert_eq!(kind(library.delete("Bear", Some(3))), ErrorKind::Files);
    assert_eq!(
        library
            .save(&subject("Bear", 8, 6, Depth::U8), &consent())
            .unwrap()
            .version,
        4
    );
    assert_eq!(library.delete("Bear", None).unwrap(), [1, 2, 4]);
    assert_eq!(kind(library.load("Bear", None)), ErrorKind::Files);
    // Nothing is left over, neither the subject nor what was moved to be removed.
    assert!(
        super::super::disk::folders(&library.subjects())
            .unwrap()
            .is_empty()
    );
    assert!(library.verify(None).unwrap().whole);
    assert_eq!(
        words(&library)[3..],
        ["delete Bear 3", "learn Bear 4", "delete Bear 0"]
    );
}

#[test]
fn deleting_the_only_version_deletes_the_subject() {
    let (_folder, library) = library();
    library
        .save(&subject("Bear", 8, 6, Depth::U8), &consent())
        .unwrap();
    assert_eq!(library.delete("Bear", Some(1)).unwrap(), [1]);
    assert!(library.keys().unwrap().is_empty());
}

#[test]
fn revoked_consent_blocks_use_until_it_is_renewed() {
    let (_folder, library) = filled();
    library.revoke("Bear", None, "changed her mind").unwrap();
    for version in [None, Some(1), Some(2)] {
        let error = library.load("Bear", version).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused);
        assert!(
            error.message.contains("changed her mind") && error.message.contains("renew"),
            "{error}"
        );
    }
    // A version learned afterwards brings its own consent; the old ones stay blocked.
    library
        .save(&subject("Bear", 8, 6, Depth::U8), &consent())
        .unwrap();
    library.load("Bear", None).unwrap();
    assert_eq!(kind(library.load("Bear", Some(2))), ErrorKind::Refused);
    let mut again = consent();
    again.statement = "yes, once more".into();
    library.renew("Bear", Some(2), &again).unwrap();
    library.load("Bear", Some(2)).unwrap();
    assert_eq!(kind(library.load("Bear", Some(1))), ErrorKind::Refused);
    let saved = SubjectRef {
        name: "Bear".into(),
        version: 2,
    };
    let history = library
        .history(Action::Repose, "", Some(&saved), 0)
        .unwrap();
    assert_eq!(history.subject.unwrap().consent, "yes, once more");
    assert_eq!(
        words(&library)[3..],
        ["revoke Bear 0", "learn Bear 4", "renew Bear 2"]
    );
}

#[test]
fn a_renewed_consent_keeps_the_law_of_persons() {
    let (_folder, library) = library();
    let person = Consent {
        statement: "Ada, for the poster".into(),
        person: true,
        person_agrees: true,
        expires: None,
    };
    library
        .save(&subject("Ada", 8, 6, Depth::U8), &person)
        .unwrap();
    library.revoke("Ada", None, "").unwrap();
    // Neither without her yes, nor by calling her a thing.
    let no_yes = Consent {
        person_agrees: false,
        ..person.clone()
    };
    assert_eq!(
        kind(library.renew("Ada", None, &no_yes)),
        ErrorKind::Refused
    );
    assert_eq!(
        kind(library.renew("Ada", None, &consent())),
        ErrorKind::Refused
    );
    assert_eq!(kind(library.load("Ada", None)), ErrorKind::Refused);
    library.renew("Ada", None, &person).unwrap();
    library.load("Ada", None).unwrap();
}

#[test]
fn a_damaged_record_blocks_use_until_consent_is_recorded_again() {
    let (_folder, library) = filled();
    library.revoke("Bear", Some(1), "").unwrap();
    let folder = library.existing("Bear").unwrap().path;
    let damage = std::fs::read(folder.join(RECORD)).unwrap()[..40].to_vec();
    std::fs::write(folder.join(RECORD), &damage).unwrap();
    for result in [
        library.load("Bear", None).map(|_| ()),
        library.rename("Bear", "Teddy"),
        library.revoke("Bear", None, ""),
    ] {
        let error = result.unwrap_err();
        assert!(
            error.message.contains(RECORD) && error.message.contains("renew"),
            "{error}"
        );
    }
    library.renew("Bear", Some(2), &consent()).unwrap();
    library.load("Bear", Some(2)).unwrap();
    // What the damaged file said of the others is unknown, so they stay blocked.
    for version in [1, 3] {
        assert_eq!(
            kind(library.load("Bear", Some(version))),
            ErrorKind::Refused
        );
    }
    let kept = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.to_string_lossy().contains("record.json.damaged-"));
    assert_eq!(std::fs::read(kept.unwrap()).unwrap(), damage);
    // The same where the file is missing.
    std::fs::remove_file(folder.join(RECORD)).unwrap();
    assert_eq!(kind(library.load("Bear", Some(2))), ErrorKind::Files);
    library.renew("Bear", None, &consent()).unwrap();
    library.load("Bear", Some(1)).unwrap();
}

#[test]
fn verify_names_what_is_wrong() {
    let (_folder, library) = filled();
    library
        .save(&subject("Cat", 8, 6, Depth::U8), &consent())
        .unwrap();
    let report = library.verify(None).unwrap();
    assert_eq!(
        (
            report.whole,
            report.subjects,
            report.versions,
            report.log_rows
        ),
        (true, 2, 4, 4)
    );
    let version = library.existing("Bear").unwrap().path.join("v0002");
    let tensors = version.join("subject.safetensors");
    let mut bytes = std::fs::read(&tensors).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&tensors, bytes).unwrap();
    let report = library.verify(None).unwrap();
    assert!(!report.whole);
    let problem = &report.problems[0];
    assert_eq!(
        (
            report.problems.len(),
            problem.subject.as_str(),
            problem.version
        ),
        (1, "Bear", Some(2))
    );
    assert!(
        problem.problem.contains("v0002") && problem.problem.contains("checksum"),
        "{problem:?}"
    );
    assert!(library.verify(Some("Cat")).unwrap().whole);
    assert!(!library.verify(Some("Bear")).unwrap().whole);
    // A copied folder, an empty one, and a log with a hole.
    let copy = library.subjects().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(
        library.existing("Cat").unwrap().path.join(RECORD),
        copy.join(RECORD),
    )
    .unwrap();
    rusqlite::Connection::open(library.root().join("usage.sqlite"))
        .unwrap()
        .execute_batch("DROP TRIGGER usage_kept; DELETE FROM usage WHERE seq = 2")
        .unwrap();
    let report = library.verify(None).unwrap();
    for expected in ["second folder", "no versions", "rows 2 to 2 are missing"] {
        assert!(
            report.problems.iter().any(|p| p.problem.contains(expected)),
            "{expected}: {report:?}"
        );
    }
}
