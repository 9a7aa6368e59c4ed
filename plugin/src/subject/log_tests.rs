#![allow(clippy::unwrap_used)]
use super::*;

fn filled(rows: u32) -> (tempfile::TempDir, Log) {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::new(folder.path());
    for version in 1..=rows {
        let subject = SubjectRef {
            name: "Bear \"quoted\"".into(),
            version,
        };
        log.append(Action::Repose, Some(&subject), "feed", "detail")
            .unwrap();
    }
    (folder, log)
}

/// Changes the database behind the plugin's back.
fn tamper(log: &Log, sql: &str) -> rusqlite::Result<()> {
    Connection::open(&log.path)?.execute_batch(sql)
}

const NO_GUARDS: &str = "DROP TRIGGER usage_unchanged; DROP TRIGGER usage_kept;";
const GUARDS: &str = "
CREATE TRIGGER usage_unchanged BEFORE UPDATE ON usage BEGIN SELECT RAISE(ABORT, 'x'); END;
CREATE TRIGGER usage_kept BEFORE DELETE ON usage BEGIN SELECT RAISE(ABORT, 'x'); END;";

#[test]
fn rows_follow_each_other_and_are_found_by_subject() {
    let (_folder, log) = filled(3);
    log.append(Action::Erase, None, "beef", "").unwrap();
    assert_eq!(log.verify(), (4, Vec::new()));
    let rows = log.rows(None, 10).unwrap();
    assert_eq!(rows.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(rows.windows(2).all(|w| w[1].previous == w[0].hash));
    assert_eq!(log.rows(Some("Bear \"quoted\""), 2).unwrap().len(), 2);
    assert_eq!(log.rows(None, 1).unwrap()[0].action, "erase");
}

#[test]
fn a_log_that_was_never_used_is_whole_and_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::new(folder.path());
    assert_eq!(log.verify(), (0, Vec::new()));
    assert!(log.rows(None, 10).unwrap().is_empty());
    assert!(!log.path.exists());
}

#[test]
fn the_guards_forbid_changes() {
    let (_folder, log) = filled(3);
    for sql in [
        "UPDATE usage SET action = 'x'",
        "DELETE FROM usage WHERE seq = 3",
        "INSERT OR REPLACE INTO usage SELECT seq, at, 'x', subject, version, request, detail, previous, hash \
         FROM usage WHERE seq = 2",
    ] {
        // A REPLACE does not fire delete triggers unless recursive triggers are on, but then breaks the hash.
        if tamper(&log, sql).is_ok() {
            assert!(!log.verify().1.is_empty(), "{sql}");
        } else {
            assert_eq!(log.verify(), (3, Vec::new()), "{sql}");
        }
    }
}

#[test]
fn every_way_around_the_guards_is_found() {
    let columns = [
        "at", "action", "subject", "request", "detail", "previous", "hash",
    ];
    let mut ways: Vec<(String, &str)> = columns
        .iter()
        .map(|c| {
            (
                format!("UPDATE usage SET {c} = {c} || 'x' WHERE seq = 2"),
                "row 2",
            )
        })
        .collect();
    ways.extend([
        (
            "UPDATE usage SET version = 9 WHERE seq = 3".to_owned(),
            "row 3 was changed",
        ),
        (
            "DELETE FROM usage WHERE seq = 2".to_owned(),
            "rows 2 to 2 are missing",
        ),
        (
            "DELETE FROM usage WHERE seq = 1".to_owned(),
            "rows 1 to 1 are missing",
        ),
        (
            "DELETE FROM usage WHERE seq > 2".to_owned(),
            "the last one there is 2",
        ),
        ("DELETE FROM usage".to_owned(), "the last one there is 0"),
        (
            "DELETE FROM usage WHERE seq = 1; UPDATE usage SET seq = seq - 1".to_owned(),
            "row 1",
        ),
    ]);
    for (sql, found) in ways {
        for guards in [GUARDS, ""] {
            let (_folder, log) = filled(3);
            tamper(&log, &format!("{NO_GUARDS}{sql};{guards}")).unwrap();
            let (_, wrong) = log.verify();
            assert!(wrong.iter().any(|w| w.contains(found)), "{sql}: {wrong:?}");
        }
    }
}

#[test]
fn removed_guards_come_back() {
    let (_folder, log) = filled(1);
    tamper(&log, NO_GUARDS).unwrap();
    log.append(Action::Erase, None, "", "").unwrap();
    assert!(tamper(&log, "DELETE FROM usage").is_err());
}

#[test]
fn a_damaged_log_is_named_and_left_alone() {
    let (_folder, log) = filled(3);
    for garbage in [
        &b"not a database at all, but long enough to look like one maybe"[..],
        &[0xff; 8192],
    ] {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", log.path.display()));
        }
        std::fs::write(&log.path, garbage).unwrap();
        let error = log.append(Action::Erase, None, "", "").unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::Files);
        assert!(
            error.message.contains("usage.sqlite") && error.message.contains("move it away"),
            "{error}"
        );
        assert_eq!(log.verify().1.len(), 1);
        assert_eq!(std::fs::read(&log.path).unwrap(), garbage);
    }
}

#[test]
fn flipped_bytes_never_panic_and_never_pass_for_other_rows() {
    let (_folder, log) = filled(3);
    let rows = log.rows(None, 10).unwrap();
    // All connections are closed, so everything is in the one file.
    let whole = std::fs::read(&log.path).unwrap();
    for i in (0..whole.len()).step_by(61) {
        let mut bytes = whole.clone();
        bytes[i] ^= 0x10;
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", log.path.display()));
        }
        std::fs::write(&log.path, &bytes).unwrap();
        let (_, wrong) = log.verify();
        if wrong.is_empty() {
            assert_eq!(log.rows(None, 10).unwrap(), rows, "byte {i}");
        }
    }
}

#[test]
fn many_threads_make_one_chain() {
    let (_folder, log) = filled(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..10 {
                    log.append(Action::Repose, None, "", "").unwrap();
                }
            });
        }
    });
    assert_eq!(log.verify(), (60, Vec::new()));
}
