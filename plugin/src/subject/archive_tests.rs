#![allow(clippy::unwrap_used)]
use super::*;
use crate::ErrorKind;
use crate::canvas::Depth;
use crate::subject::Subject;
use crate::subject::testing::{consent, library, subject};
use std::path::PathBuf;

/// A subject, its library and an export of it.
fn exported() -> (tempfile::TempDir, Library, Subject, PathBuf) {
    let (folder, library) = library();
    let bear = subject("Bär", 8, 6, Depth::F16);
    library.save(&bear, &consent()).unwrap();
    let path = folder.path().join("bear.repose");
    let (done, bytes) = library.export("Bär", None, &path, false).unwrap();
    assert_eq!(done.version, 1);
    assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
    (folder, library, bear, path)
}

/// A zip of `files`, written by the zip crate's own means.
fn zipped(path: &Path, files: &[(&str, &[u8])], method: CompressionMethod) {
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in files {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

fn parts(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let mut zip = ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut read = |name: &str| {
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    (read(CARD), read(TENSORS))
}

#[test]
fn an_export_comes_back_bit_for_bit_in_another_library() {
    let (_folder, here, bear, path) = exported();
    let (_other, there) = library();
    let first = there.import(&path, None).unwrap();
    assert_eq!((first.name.as_str(), first.version), ("Bär", 1));
    assert_eq!(there.load("Bär", None).unwrap().0, bear);
    // A name that is there already gets a new version, another name a new subject.
    assert_eq!(there.import(&path, None).unwrap().version, 2);
    assert_eq!(there.import(&path, Some("Teddy")).unwrap().version, 1);
    let renamed = there.load("Teddy", None).unwrap().0;
    assert_eq!(
        (renamed.name.as_str(), renamed.matte),
        ("Teddy", bear.matte)
    );
    assert!(there.verify(None).unwrap().whole);
    let card = Card::read(&there.existing("Teddy").unwrap().path.join("v0001")).unwrap();
    let original = Card::read(&here.existing("Bär").unwrap().path.join("v0001")).unwrap();
    assert_eq!(card.provenance.created, original.provenance.created);
    assert!(card.provenance.imported.is_some());
    assert_eq!(card.consent, consent());
    let actions: Vec<_> = there
        .log()
        .rows(None, 9)
        .unwrap()
        .into_iter()
        .map(|r| r.action)
        .collect();
    assert_eq!(actions, ["import"; 3]);
    assert_eq!(here.log().rows(None, 1).unwrap()[0].action, "export");
}

#[test]
fn a_renewed_consent_travels_and_a_revoked_one_stays_home() {
    let (folder, here, _, path) = exported();
    here.revoke("Bär", None, "asked").unwrap();
    let refused = here
        .export("Bär", None, &folder.path().join("no.repose"), false)
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Refused);
    assert!(!folder.path().join("no.repose").exists());
    let mut again = consent();
    again.statement = "once more".into();
    here.renew("Bär", None, &again).unwrap();
    here.export("Bär", None, &path, true).unwrap();
    let (_other, there) = library();
    let done = there.import(&path, None).unwrap();
    let history = there.history(Action::Repose, "", Some(&done), 0).unwrap();
    assert_eq!(history.subject.unwrap().consent, "once more");
}

#[test]
fn nothing_is_overwritten_unasked() {
    let (folder, here, _, path) = exported();
    std::fs::write(&path, b"mine").unwrap();
    assert_eq!(
        here.export("Bär", None, &path, false).unwrap_err().kind,
        ErrorKind::Caller
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    here.export("Bär", None, &path, true).unwrap();
    here.import(&path, None).unwrap();
    let nowhere = folder.path().join("no/such/folder/x.repose");
    assert_eq!(
        here.export("Bär", None, &nowhere, false).unwrap_err().kind,
        ErrorKind::Files
    );
    // No half-written file is left beside it.
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 2, "data and bear.repose");
}

#[test]
fn a_damaged_subject_is_not_exported() {
    let (folder, here, _, _) = exported();
    let tensors = here
        .existing("Bär")
        .unwrap()
        .path
        .join("v0001")
        .join(TENSORS);
    let mut bytes = std::fs::read(&tensors).unwrap();
    bytes[700] ^= 1;
    std::fs::write(&tensors, bytes).unwrap();
    let to = folder.path().join("broken.repose");
    let error = here.export("Bär", None, &to, false).unwrap_err();
    assert!(error.message.contains(TENSORS), "{error}");
    assert!(!to.exists());
}

#[test]
fn cut_and_flipped_exports_are_refused_or_still_the_same() {
    let (folder, _, bear, path) = exported();
    let (_other, there) = library();
    let whole = std::fs::read(&path).unwrap();
    let bad = folder.path().join("bad.repose");
    for end in (0..whole.len()).step_by(29) {
        std::fs::write(&bad, &whole[..end]).unwrap();
        let error = there.import(&bad, None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Files);
        assert!(
            error.message.contains("bad.repose"),
            "cut at {end}: {error}"
        );
    }
    for i in (0..whole.len()).step_by(23) {
        let mut bytes = whole.clone();
        bytes[i] ^= 1 << (i % 8);
        std::fs::write(&bad, &bytes).unwrap();
        match there.import(&bad, Some("Flipped")) {
            // Dates and the like inside the zip mean nothing here.
            Ok(done) => {
                let mut back = there.load("Flipped", Some(done.version)).unwrap().0;
                back.name.clone_from(&bear.name);
                assert_eq!(back, bear, "byte {i}");
            }
            Err(error) => assert!(error.message.contains("bad.repose"), "byte {i}: {error}"),
        }
    }
    assert!(there.verify(None).unwrap().whole);
    assert_eq!(there.sweep(), 0, "temporary folders were left");
}

#[test]
fn hostile_zips_are_refused_and_nothing_is_unpacked() {
    let (folder, _, _, path) = exported();
    let (card, tensors) = parts(&path);
    let (_other, there) = library();
    let bad = folder.path().join("bad.repose");
    let zeros = vec![0u8; 50_000_000];
    let stored = CompressionMethod::Stored;
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(&str, Files<'_>, CompressionMethod); 7] = [
        ("path", &[(CARD, &card), ("../../evil", &tensors)], stored),
        (
            "absolute",
            &[("/tmp/evil", &card), (TENSORS, &tensors)],
            stored,
        ),
        (
            "more",
            &[(CARD, &card), (TENSORS, &tensors), ("run.sh", b"#!/bin/sh")],
            stored,
        ),
        ("less", &[(CARD, &card)], stored),
        (
            "packed",
            &[(CARD, &card), (TENSORS, &tensors)],
            CompressionMethod::Deflated,
        ),
        (
            "bomb",
            &[(CARD, &card), (TENSORS, &zeros)],
            CompressionMethod::Deflated,
        ),
        (
            "large card",
            &[(CARD, &zeros[..2_000_000]), (TENSORS, &tensors)],
            stored,
        ),
    ];
    for (what, files, method) in cases {
        zipped(&bad, files, method);
        let error = there.import(&bad, None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Files, "{what}");
        assert!(error.message.contains("bad.repose"), "{what}: {error}");
    }
    assert!(there.keys().unwrap().is_empty());
    assert!(
        !folder.path().join("evil").exists()
            && !folder.path().parent().unwrap().join("evil").exists()
    );
    // The same parts in another order are fine.
    zipped(&bad, &[(TENSORS, &tensors), (CARD, &card)], stored);
    there.import(&bad, None).unwrap();
}

#[test]
fn an_import_keeps_the_laws_of_names_and_consent() {
    let (folder, _, _, path) = exported();
    let (card, tensors) = parts(&path);
    let told: Card = disk::unsealed(&path, &card).unwrap();
    let (_other, there) = library();
    let bad = folder.path().join("bad.repose");
    let with = |change: &dyn Fn(&mut Card)| {
        let mut card = told.clone();
        change(&mut card);
        zipped(
            &bad,
            &[(CARD, &disk::sealed(&card).unwrap()), (TENSORS, &tensors)],
            CompressionMethod::Stored,
        );
        there.import(&bad, None).map_err(|e| e.kind)
    };
    assert_eq!(with(&|c| c.name = "../x".into()), Err(ErrorKind::Caller));
    assert_eq!(
        with(&|c| c.consent.statement.clear()),
        Err(ErrorKind::Refused)
    );
    assert_eq!(with(&|c| c.consent.person = true), Err(ErrorKind::Refused));
    assert_eq!(
        with(&|c| c.consent.expires = Some("2001-01-01".into())),
        Err(ErrorKind::Refused)
    );
    assert_eq!(
        with(&|c| c.tensors_sha256 = "0".repeat(64)),
        Err(ErrorKind::Files)
    );
    assert_eq!(with(&|c| c.schema = 99), Err(ErrorKind::Files));
    assert!(there.keys().unwrap().is_empty());
    // What a card claims beyond the pixels is made anew.
    with(&|c| {
        c.thumbnail_png = "<script>".into();
        c.rect = [9, 9, 9, 9];
    })
    .unwrap();
    let card = Card::read(&there.existing("Bär").unwrap().path.join("v0001")).unwrap();
    assert_eq!(
        (card.thumbnail_png, card.rect),
        (told.thumbnail_png, told.rect)
    );
}
