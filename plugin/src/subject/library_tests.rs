#![allow(clippy::unwrap_used)]
use super::*;
use crate::ErrorKind;
use crate::canvas::Depth;
use crate::subject::card::CARD;
use crate::subject::testing::{consent, library, subject};
use std::fs;

#[test]
fn saved_subjects_come_back_and_versions_count_up() {
    let (_folder, library) = library();
    let first = subject("Bär 🐻", 20, 10, Depth::U16);
    let second = subject("Bär 🐻", 9, 9, Depth::F32);
    assert_eq!(library.save(&first, &consent()).unwrap().version, 1);
    assert_eq!(library.save(&second, &consent()).unwrap().version, 2);
    assert_eq!(library.load("Bär 🐻", Some(1)).unwrap().0, first);
    let (newest, reference) = library.load("Bär 🐻", None).unwrap();
    assert_eq!(newest, second);
    assert_eq!(reference.version, 2);
}

#[test]
fn a_megapixel_is_saved_fast() {
    let (_folder, library) = library();
    let large = subject("Large", 1000, 1000, Depth::U16);
    let start = std::time::Instant::now();
    library.save(&large, &consent()).unwrap();
    let saved = start.elapsed();
    assert_eq!(library.load("Large", None).unwrap().0, large);
    // The bar is 0.5 s on two free cores (measured: 0.13 s); here other tests run beside it.
    assert!(saved.as_secs_f32() < 2.0, "{saved:?}");
}

#[test]
fn opening_makes_nothing_and_an_unknown_subject_is_a_clear_error() {
    let (_folder, library) = library();
    let error = library.load("Nobody", None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Files);
    assert!(
        error.message.contains("Nobody") && error.message.contains("learn"),
        "{error}"
    );
    assert!(!library.root().exists());
    library
        .save(&subject("Bear", 4, 4, Depth::U8), &consent())
        .unwrap();
    let error = library.load("Bear", Some(7)).unwrap_err();
    assert!(
        error.message.contains("version 7") && error.message.contains("there are: 1"),
        "{error}"
    );
    assert_eq!(
        library.load("../Bear", None).unwrap_err().kind,
        ErrorKind::Caller
    );
}

#[test]
fn nothing_is_saved_without_a_usable_name_and_consent() {
    let (_folder, library) = library();
    let bear = subject("Bear", 4, 4, Depth::U8);
    for name in ["", "a/b", "..\\evil"] {
        let mut bad = bear.clone();
        bad.name = name.into();
        assert_eq!(
            library.save(&bad, &consent()).unwrap_err().kind,
            ErrorKind::Caller
        );
    }
    let mut person = consent();
    person.person = true;
    assert_eq!(
        library.save(&bear, &person).unwrap_err().kind,
        ErrorKind::Refused
    );
    let mut past = consent();
    past.expires = Some("2020-01-01".into());
    assert_eq!(
        library.save(&bear, &past).unwrap_err().kind,
        ErrorKind::Refused
    );
    assert!(!library.root().exists());
}

#[test]
fn names_that_mean_a_path_stay_inside_the_library() {
    let (folder, library) = library();
    for name in ["..", ".", ".hidden", "CON", "~", "$HOME", "-rf"] {
        library
            .save(&subject(name, 4, 4, Depth::U8), &consent())
            .unwrap();
        assert_eq!(library.load(name, None).unwrap().0.name, name);
    }
    let outside: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(outside, ["data"]);
    assert_eq!(library.keys().unwrap().len(), 7);
}

/// The folder of a subject that was just saved, with its card changed by `change` and sealed again.
fn with_card(library: &Library, name: &str, change: impl Fn(&mut Card)) {
    let folder = library.existing(name).unwrap().path.join("v0001");
    let mut card = Card::read(&folder).unwrap();
    change(&mut card);
    fs::remove_file(folder.join(CARD)).unwrap();
    card.write(&folder).unwrap();
}

#[test]
fn expired_consent_blocks_use_on_the_day_after() {
    let (_folder, library) = library();
    library
        .save(&subject("Bear", 4, 4, Depth::U8), &consent())
        .unwrap();
    with_card(&library, "Bear", |card| {
        card.consent.expires = Some(today().to_string())
    });
    library.load("Bear", None).unwrap();
    let yesterday = today().yesterday().unwrap().to_string();
    with_card(&library, "Bear", |card| {
        card.consent.expires = Some(yesterday.clone())
    });
    let error = library.load("Bear", None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(
        error.message.contains(&yesterday) && error.message.contains("renew"),
        "{error}"
    );
}

#[test]
fn a_flipped_or_missing_byte_on_disk_is_never_loaded() {
    let (_folder, library) = library();
    let bear = subject("Bear", 5, 4, Depth::U8);
    library.save(&bear, &consent()).unwrap();
    let folder = library.existing("Bear").unwrap().path;
    for file in [
        folder.join("v0001").join(CARD),
        folder.join("v0001").join(TENSORS),
        folder.join(RECORD),
    ] {
        let whole = fs::read(&file).unwrap();
        for i in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[i] ^= 1 << (i % 8);
            fs::write(&file, &bytes).unwrap();
            let error = library.load("Bear", None).unwrap_err();
            assert_eq!(
                error.kind,
                ErrorKind::Files,
                "byte {i} of {}",
                file.display()
            );
            fs::write(&file, &whole[..i]).unwrap();
            let error = library.load("Bear", None).unwrap_err();
            // Without a record and a readable card even the name is gone.
            let named = error.message.contains(&file.display().to_string());
            assert!(named, "{} cut at {i}: {error}", file.display());
        }
        fs::write(&file, &whole).unwrap();
        assert_eq!(library.load("Bear", None).unwrap().0, bear);
    }
}

#[test]
fn huge_and_odd_files_are_refused() {
    let (_folder, library) = library();
    library
        .save(&subject("Bear", 5, 4, Depth::U8), &consent())
        .unwrap();
    let version = library.existing("Bear").unwrap().path.join("v0001");
    let tensors = version.join(TENSORS);
    // A file that claims a terabyte (it is sparse).
    fs::OpenOptions::new()
        .write(true)
        .open(&tensors)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert_eq!(
        library.load("Bear", None).unwrap_err().kind,
        ErrorKind::Files
    );
    fs::remove_file(&tensors).unwrap();
    let error = library.load("Bear", None).unwrap_err();
    assert!(error.message.contains(TENSORS), "{error}");
    fs::create_dir(&tensors).unwrap();
    assert_eq!(
        library.load("Bear", None).unwrap_err().kind,
        ErrorKind::Files
    );
    fs::remove_file(version.join(CARD)).unwrap();
    fs::File::create(version.join(CARD))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let error = library.load("Bear", None).unwrap_err();
    assert!(error.message.contains(CARD), "{error}");
}

#[test]
fn a_version_under_another_number_is_not_taken_for_it() {
    let (_folder, library) = library();
    library
        .save(&subject("Bear", 5, 4, Depth::U8), &consent())
        .unwrap();
    let folder = library.existing("Bear").unwrap().path;
    fs::rename(folder.join("v0001"), folder.join("v0003")).unwrap();
    let error = library.load("Bear", None).unwrap_err();
    assert!(
        error.message.contains("its card is of version 1"),
        "{error}"
    );
    // And the next version does not reuse the number.
    let next = library
        .save(&subject("Bear", 5, 4, Depth::U8), &consent())
        .unwrap();
    assert_eq!(next.version, 4);
}

#[test]
fn the_history_names_subject_request_and_seed() {
    let (_folder, library) = library();
    let saved = library
        .save(&subject("Bear", 5, 4, Depth::U8), &consent())
        .unwrap();
    let history = library
        .history(Action::Repose, "abcd", Some(&saved), 42)
        .unwrap();
    assert_eq!((history.action.as_str(), history.seed), ("repose", 42));
    assert_eq!(history.request_sha256, "abcd");
    let used = history.subject.unwrap();
    let tensors = fs::read(
        library
            .existing("Bear")
            .unwrap()
            .path
            .join("v0001")
            .join(TENSORS),
    )
    .unwrap();
    assert_eq!(used.sha256, disk::sha256(&tensors));
    assert_eq!(used.consent, consent().statement);
    library.delete("Bear", None).unwrap();
    let used = library
        .history(Action::Repose, "", Some(&saved), 0)
        .unwrap()
        .subject
        .unwrap();
    assert!(used.consent.contains("deleted") && used.sha256.is_empty());
    assert!(
        library
            .history(Action::Erase, "", None, 0)
            .unwrap()
            .subject
            .is_none()
    );
}

#[test]
fn the_request_is_noted_on_the_card_and_in_the_log() {
    let (_folder, library) = library();
    library
        .with_request("feed")
        .save(&subject("Bear", 5, 4, Depth::U8), &consent())
        .unwrap();
    let card = Card::read(&library.existing("Bear").unwrap().path.join("v0001")).unwrap();
    assert_eq!(card.provenance.request_sha256, "feed");
    let rows = library.log().rows(None, 10).unwrap();
    assert_eq!(
        (rows[0].action.as_str(), rows[0].request.as_str()),
        ("learn", "feed")
    );
    assert!(rows[0].detail.contains(&card.tensors_sha256));
}

#[test]
fn what_a_crashed_writer_left_is_swept_but_not_a_living_ones_work() {
    let (_folder, library) = library();
    let alive = library.scratch().unwrap();
    fs::write(alive.path.join("half"), b"written").unwrap();
    let dead = library.subjects().join(".tmp-of-a-crash");
    fs::create_dir(&dead).unwrap();
    assert_eq!(library.sweep(), 0);
    assert!(alive.path.join("half").exists() && dead.exists());
    drop(alive);
    assert_eq!(library.sweep(), 1);
    assert!(!dead.exists());
}

#[cfg(unix)]
#[test]
fn a_library_that_cannot_be_written_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("file");
    fs::write(&blocked, b"in the way").unwrap();
    let library = Library::open(Some(blocked.clone())).unwrap();
    let error = library
        .save(&subject("Bear", 4, 4, Depth::U8), &consent())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Files);
    assert!(
        error.message.contains(&blocked.display().to_string()),
        "{error}"
    );
    assert_eq!(fs::read(&blocked).unwrap(), b"in the way");
}
