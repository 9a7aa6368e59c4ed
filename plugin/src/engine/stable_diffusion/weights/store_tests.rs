use std::sync::Arc;

use proptest::prelude::*;
use safetensors::Dtype;

use super::super::testing::{self, counting, first, numbers};
use super::*;

fn parse(bytes: Vec<u8>) -> Result<Store> {
    Store::parse(Path::new("model.safetensors"), Arc::new(bytes))
}

fn refused(bytes: Vec<u8>) -> String {
    let error = parse(bytes).expect_err("this file must be refused");
    assert!(error.message.contains("model.safetensors"), "{error}");
    error.message
}

fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn a_large_file_is_mapped_and_its_weights_stay_in_it() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.safetensors");
    let tensors = [counting("a", &[200, 150], 0.5), counting("b", &[3], -7.0)];
    testing::write(&path, &tensors);
    let store = Store::open(&path)?;
    let weight = store.frozen("a")?;
    assert_eq!(weight.shape(), [200, 150]);
    let entry = store.entry("a")?;
    let Values::F32(values) = weight.values() else {
        panic!("another type");
    };
    assert_eq!(
        values.as_ptr().cast::<u8>(),
        store.raw(entry).as_ptr(),
        "it was copied"
    );
    assert_eq!((values[0], values[29_999]), (0.5, 29_999.5));
    assert_eq!(numbers(&store.frozen("b")?), [-7.0, -6.0, -5.0]);
    Ok(())
}

#[test]
fn rows_are_a_range_of_the_same_bytes() -> Result<()> {
    let store = parse(testing::file(&[counting("w", &[6, 4], 0.0)], &[]))?;
    let rows = store.rows("w", 2, 2, &[2, 4])?;
    assert_eq!(
        numbers(&rows),
        [8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0]
    );
    assert!(store.rows("w", 5, 2, &[2, 4]).is_err());
    assert!(store.rows("w", usize::MAX, 2, &[2, 4]).is_err());
    assert!(store.rows("w", 0, 2, &[2, 5]).is_err());
    Ok(())
}

#[test]
fn doubles_become_singles_and_integers_are_no_weights() -> Result<()> {
    let double = (
        "d".into(),
        Dtype::F64,
        vec![2],
        [2.5f64, -1.0].map(f64::to_le_bytes).concat(),
    );
    let int = ("i".into(), Dtype::I64, vec![1], 7i64.to_le_bytes().to_vec());
    let small = ("e".into(), Dtype::F8_E4M3, vec![3], vec![1, 2, 3]);
    let store = parse(testing::file(&[double, int, small], &[]))?;
    assert_eq!(numbers(&store.frozen("d")?), [2.5, -1.0]);
    assert!(!store.entry("i")?.is_float());
    let error = store.frozen("e").expect_err("eight bits are not read");
    assert!(error.message.contains("fp16"), "{error}");
    assert!(error.message.contains("F8_E4M3"), "{error}");
    Ok(())
}

#[test]
fn halving_keeps_what_half_precision_cannot_hold() -> Result<()> {
    let store = parse(testing::file(
        &[counting("a", &[4], 1.0), counting("b", &[1], 1e6)],
        &[],
    ))?;
    let (a, b) = (halved(&store.frozen("a")?), halved(&store.frozen("b")?));
    assert_eq!(
        (a.dtype(), numbers(&a)),
        (DType::F16, vec![1.0, 2.0, 3.0, 4.0])
    );
    assert_eq!((b.dtype(), first(&b)), (DType::F32, 1e6));
    Ok(())
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = testing::file(
        &[counting("a", &[3], 0.0), counting("b", &[2, 2], 0.0)],
        &[],
    );
    assert!(parse(whole.clone()).is_ok());
    for length in 0..whole.len() {
        refused(whole[..length].to_vec());
    }
    let mut longer = whole;
    longer.push(0);
    refused(longer);
}

#[test]
fn lying_headers_are_refused() {
    assert!(refused(u64::MAX.to_le_bytes().to_vec()).contains("claims"));
    let mut huge = (MAX_HEADER + 1).to_le_bytes().to_vec();
    huge.resize(100, b' ');
    assert!(refused(huge).contains("at most"));
    let tensor = |offsets: &str, shape: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    assert!(parse(with_header(&tensor("[0,8]", "[2]"), 8)).is_ok());
    for (offsets, shape) in [
        ("[0,8]", "[3]"),
        ("[8,0]", "[2]"),
        ("[4,12]", "[2]"),
        ("[0,18446744073709551615]", "[2]"),
        ("[0,8]", "[4294967296,4294967296,2]"),
        ("[-1,8]", "[2]"),
        ("[0,8]", "[-2]"),
    ] {
        refused(with_header(&tensor(offsets, shape), 8));
    }
    let twice = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    refused(with_header(twice, 12));
    refused(with_header("{\"a\":", 0));
    refused(with_header("[]", 0));
}

#[test]
fn other_kinds_of_files_are_named() {
    for (bytes, word) in [
        (&b"PK\x03\x04 and the rest of an archive"[..], "pickle"),
        (b"\x80\x02}q\x00.", "pickle"),
        (b"GGUF\x03\0\0\0\0\0\0\0", "GGUF"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "git lfs pull",
        ),
        (b"<!doctype html><html>", "web page"),
    ] {
        let said = refused(bytes.to_vec());
        assert!(said.contains(word), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damage_is_refused_or_harmless(at in 0usize..200, to in any::<u8>()) {
        let mut bytes = testing::file(&[counting("a", &[3], 0.0), counting("b", &[2, 2], 0.0)], &[("k", "v")]);
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(store) = parse(bytes) {
            for (name, entry) in store.tensors() {
                prop_assert_eq!(store.raw(entry).len(), entry.size());
                let _ = store.frozen(name);
            }
        }
    }
}
