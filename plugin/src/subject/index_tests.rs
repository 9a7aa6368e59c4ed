#![allow(clippy::unwrap_used)]
use super::*;
use crate::canvas::Depth;
use crate::subject::testing::{consent, library, subject};
use std::fs;

fn filled() -> (tempfile::TempDir, Library, Vec<Entry>) {
    let (folder, library) = library();
    for name in ["Bear", "Cat", "Bear"] {
        library
            .save(&subject(name, 8, 6, Depth::U8), &consent())
            .unwrap();
    }
    let entries = library.entries().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].versions.len(), 2);
    (folder, library, entries)
}

/// Which rows the index holds, and when it was asked last it was right.
fn rows(library: &Library) -> Vec<String> {
    let index = Connection::open(library.index_path()).unwrap();
    let mut query = index
        .prepare("SELECT folder FROM subjects ORDER BY folder")
        .unwrap();
    query
        .query_map([], |r| r.get(0))
        .unwrap()
        .map(|r| r.unwrap())
        .collect()
}

#[test]
fn a_row_is_used_while_its_stamp_fits_and_only_then() {
    let (_folder, library, entries) = filled();
    let forge = |seal: bool| {
        let mut forged = entries[0].clone();
        forged.name = "Forged".into();
        let text = serde_json::to_string(&forged).unwrap();
        let seal = if seal {
            sha256(text.as_bytes())
        } else {
            "no".into()
        };
        Connection::open(library.index_path())
            .unwrap()
            .execute(
                "UPDATE subjects SET entry = ?1, seal = ?2 WHERE folder = ?3",
                params![text, seal, forged.folder],
            )
            .unwrap();
    };
    // This shows that the index is really read …
    forge(true);
    assert_eq!(library.entries().unwrap()[0].name, "Forged");
    // … but not where it is damaged …
    forge(false);
    assert_eq!(library.entries().unwrap(), entries);
    // … nor after a change in the folder.
    forge(true);
    library
        .save(&subject("Bear", 8, 6, Depth::U8), &consent())
        .unwrap();
    let now = library.entries().unwrap();
    assert_eq!((now[0].name.as_str(), now[0].versions.len()), ("Bear", 3));
}

#[test]
fn folders_that_come_and_go_behind_its_back_are_noticed() {
    let (_folder, library, entries) = filled();
    let bear = library.subjects().join(&entries[0].folder);
    fs::rename(bear.join("v0001"), bear.join("gone")).unwrap();
    assert_eq!(library.entries().unwrap()[0].versions.len(), 1);
    fs::rename(bear.join("gone"), bear.join("v0001")).unwrap();
    assert_eq!(library.entries().unwrap(), entries);
    fs::remove_dir_all(&bear).unwrap();
    assert_eq!(library.entries().unwrap(), entries[1..]);
    assert_eq!(rows(&library), [entries[1].folder.clone()]);
}

#[test]
fn a_missing_index_is_made_again() {
    let (_folder, library, entries) = filled();
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", library.index_path().display()));
    }
    assert_eq!(library.entries().unwrap(), entries);
    assert_eq!(rows(&library).len(), 2);
}

#[test]
fn an_index_that_cannot_be_used_is_moved_aside_and_made_again() {
    let (_folder, library, entries) = filled();
    let path = library.index_path();
    let whole = fs::read(&path).unwrap();
    let mut half = whole.clone();
    half.truncate(whole.len() / 2);
    let mut ruined = whole.clone();
    ruined[100..4000].fill(0xa5);
    let other_table = {
        let other = library.root().join("other.sqlite");
        let c = Connection::open(&other).unwrap();
        c.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE subjects (something TEXT); INSERT INTO subjects VALUES ('else')").unwrap();
        drop(c);
        fs::read(other).unwrap()
    };
    let cases = [
        b"hello, this is not a database".to_vec(),
        vec![7; 10_000],
        half,
        ruined,
        other_table,
    ];
    for (i, bytes) in cases.iter().enumerate() {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", path.display()));
        }
        fs::write(&path, bytes).unwrap();
        assert_eq!(library.entries().unwrap(), entries, "case {i}");
        assert_eq!(rows(&library).len(), 2, "case {i}");
        let kept = fs::read_dir(library.root()).unwrap().any(|e| {
            let e = e.unwrap();
            e.file_name()
                .to_string_lossy()
                .contains("index.sqlite.damaged-")
                && fs::read(e.path()).is_ok_and(|kept| kept == *bytes)
        });
        assert!(kept, "case {i} was not kept");
    }
}

#[test]
fn flipped_bytes_in_the_index_change_no_list() {
    let (_folder, library, entries) = filled();
    let path = library.index_path();
    let whole = fs::read(&path).unwrap();
    for i in (0..whole.len()).step_by(331) {
        let mut bytes = whole.clone();
        bytes[i] ^= 0x40;
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", path.display()));
        }
        fs::write(&path, &bytes).unwrap();
        assert_eq!(library.entries().unwrap(), entries, "byte {i}");
    }
}

#[test]
fn where_no_index_can_be_kept_the_folders_answer() {
    let (_folder, library, entries) = filled();
    let path = library.index_path();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("precious"), b"kept").unwrap();
    assert_eq!(library.entries().unwrap(), entries);
    let aside = fs::read_dir(library.root())
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.join("precious").exists());
    assert_eq!(fs::read(aside.unwrap().join("precious")).unwrap(), b"kept");
}

#[test]
fn rebuilding_reads_everything_again() {
    let (_folder, library, entries) = filled();
    Connection::open(library.index_path())
        .unwrap()
        .execute("UPDATE subjects SET stamp = stamp || 'x'", [])
        .unwrap();
    assert_eq!(library.rebuilt().unwrap(), (entries.clone(), None));
    fs::write(library.index_path(), vec![1; 5000]).unwrap();
    let (again, aside) = library.rebuilt().unwrap();
    assert_eq!(again, entries);
    assert!(aside.unwrap().exists());
}

#[test]
fn damaged_cards_and_records_are_listed_with_their_problem() {
    let (_folder, library, entries) = filled();
    let bear = library.subjects().join(&entries[0].folder);
    fs::write(bear.join("v0002").join(CARD), b"{}").unwrap();
    let now = library.entries().unwrap();
    assert!(now[0].versions[0].card.is_ok());
    assert!(
        now[0].versions[1]
            .card
            .as_ref()
            .unwrap_err()
            .contains("card.json")
    );
    fs::write(bear.join(RECORD), b"{}").unwrap();
    let now = library.entries().unwrap();
    assert_eq!(now[0].name, "Bear");
    assert!(now[0].problem.as_ref().unwrap().contains("record.json"));
    assert_eq!(now[1], entries[1]);
}
