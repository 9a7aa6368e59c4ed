use std::fs;
use std::io::Write;

use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::testing::{counting, file, golden};
use super::*;

fn read(path: &str) -> Embedding {
    Embedding::open(&golden(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn numbers(embedding: &Embedding, encoder: usize) -> Vec<f32> {
    let flat = embedding.vectors[encoder].flatten_all().expect("a tensor");
    flat.to_vec1().expect("single precision")
}

fn parse(name: &str, bytes: Vec<u8>) -> Result<Embedding> {
    Embedding::parse(Path::new(name), bytes)
}

#[test]
fn one_embedding_in_all_formats_of_a1111() -> Result<()> {
    let new = read("sd15/embedding_a1111.pt");
    let old = read("sd15/embedding_a1111_old.pt");
    let safe = read("sd15/embedding_a1111.safetensors");
    assert_eq!(new.tokens, ["embedding_a1111"]);
    assert_eq!(new.vectors[0].dims(), [3, 32]);
    assert_eq!(numbers(&new, 0), numbers(&safe, 0));
    assert_eq!(numbers(&old, 0), numbers(&safe, 0));
    assert!(numbers(&new, 0).iter().any(|v| v.abs() > 0.01));
    assert_eq!(new.count(), 3);
    Ok(())
}

#[test]
fn diffusers_files_bring_their_token() -> Result<()> {
    let one = read("sd15/learned_embeds.safetensors");
    assert_eq!(one.tokens, ["<puppet>"]);
    assert_eq!(one.vectors[0].dims(), [1, 32]);
    let bytes = fs::read(golden("sd15/learned_embeds.safetensors")).expect("a golden");
    assert_eq!(
        parse("dir/puppet.safetensors", bytes)?.tokens,
        ["<puppet>", "puppet"]
    );
    Ok(())
}

#[test]
fn sdxl_has_a_tensor_for_each_encoder() -> Result<()> {
    let both = read("sdxl/embedding_sdxl.safetensors");
    assert_eq!(both.tokens, ["embedding_sdxl"]);
    let dims: Vec<_> = both.vectors.iter().map(|v| v.dims().to_vec()).collect();
    assert_eq!(dims, [[3, 24], [3, 32]]);
    assert!(both.for_encoders(&[24, 32]).is_ok());
    let error = both.for_encoders(&[32]).expect_err("another model");
    assert!(
        error.message.contains("[24, 32]") && error.message.contains("[32]"),
        "{error}"
    );
    Ok(())
}

/// A torch archive with this pickle and one storage of zeros.
fn archive(program: &[u8], storage: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zip = ZipWriter::new(std::io::Cursor::new(&mut bytes));
    for (name, content) in [("a/data.pkl", program), ("a/data/0", &vec![0; storage])] {
        zip.start_file(name, SimpleFileOptions::default())
            .expect("an entry");
        zip.write_all(content).expect("an entry");
    }
    zip.finish().expect("an archive");
    bytes
}

/// `{"string_to_param": {"*": tensor of these sizes}}` by protocol 2.
fn program(offset: u8, rows: u8, columns: u8, stride: u8) -> Vec<u8> {
    let mut p = b"\x80\x02}X\x0f\0\0\0string_to_param}X\x01\0\0\0*".to_vec();
    p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ");
    p.extend([
        b'K', offset, b'K', rows, b'K', columns, 0x86, b'K', stride, b'K', 1, 0x86, 0x89,
    ]);
    p.extend(b"ccollections\nOrderedDict\n)RtRss.");
    p
}

#[test]
fn a_tensor_reaches_no_further_than_its_numbers() {
    assert!(parse("e.pt", archive(&program(0, 2, 3, 3), 24)).is_ok());
    for (offset, rows, columns, stride) in [
        (1, 2, 3, 3),
        (255, 1, 1, 1),
        (0, 255, 255, 255),
        (0, 2, 3, 1),
        (0, 2, 3, 2),
    ] {
        let error = parse("e.pt", archive(&program(offset, rows, columns, stride), 24))
            .expect_err("beyond");
        assert!(error.message.contains("not a whole embedding"), "{error}");
    }
    assert!(parse("e.pt", archive(&program(0, 2, 3, 3), 20)).is_err());
    assert!(parse("e.pt", archive(&program(0, 0, 3, 3), 24)).is_err());
}

#[test]
fn a_pickle_that_wants_more_is_refused_and_nothing_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("ran");
    let command = format!("touch {}", mark.display());
    let call = |head: &str| {
        let mut p = b"\x80\x02".to_vec();
        p.extend(format!("{head}X").as_bytes());
        p.extend((command.len() as u32).to_le_bytes());
        p.extend(command.as_bytes());
        p.extend(b"\x85R.");
        p
    };
    for (head, word) in [
        ("cos\nsystem\n", "os.system"),
        ("c__builtin__\neval\n", "__builtin__.eval"),
        ("cbuiltins\nexec\n", "builtins.exec"),
        ("ctorch\nload\n", "torch.load"),
        ("ccollections\nUserDict\n", "collections.UserDict"),
    ] {
        for bytes in [archive(&call(head), 0), call(head)] {
            let error = parse("e.pt", bytes).expect_err("a program");
            assert_eq!(error.kind, crate::ErrorKind::Refused);
            assert!(
                error.message.contains(word) && error.message.contains(".safetensors"),
                "{error}"
            );
        }
    }
    // The same by protocol 4, and by instructions that only programs need.
    for p in [
        &b"\x80\x04\x8c\x02os\x8c\x06system\x93."[..],
        b"\x80\x02ios\nsystem\n.",
        b"\x80\x02(cos\nsystem\no.",
        b"\x80\x02P0\n.",
    ] {
        let error = parse("e.pt", archive(p, 0)).expect_err("a program");
        assert_eq!(error.kind, crate::ErrorKind::Refused, "{error}");
    }
    assert!(!mark.exists());
}

#[test]
fn bombs_are_refused_in_bounded_memory() {
    // A list that is appended to itself, twice as long each time.
    let mut doubling = b"\x80\x02}q\x00".to_vec();
    doubling.extend(b"K\x01K\x02s".iter());
    for _ in 0..60 {
        doubling.extend(b"h\x00b");
    }
    doubling.push(b'.');
    // Deep nesting, endless marks, more instructions than allowed.
    let nested = [b"\x80\x02)".to_vec(), vec![0x85; 150_000], b".".to_vec()].concat();
    let marks = [b"\x80\x02".to_vec(), vec![b'('; 900_000], b".".to_vec()].concat();
    let numbers = [
        b"\x80\x02".to_vec(),
        b"K\x01".repeat(400_000),
        b".".to_vec(),
    ]
    .concat();
    for p in [
        doubling,
        nested,
        marks,
        numbers,
        b"\x80\x02X\xff\xff\xff\xffa.".to_vec(),
        b"\x80\x02)R.".to_vec(),
    ] {
        assert!(parse("e.pt", archive(&p, 0)).is_err());
        assert!(parse("e.pt", p).is_err());
    }
    // An archive that unpacks to far more than it has.
    let huge = archive(&program(0, 2, 3, 3), 200 << 20);
    assert!(huge.len() < 1 << 20);
    let error = parse("e.pt", huge).expect_err("a bomb");
    assert!(error.message.contains("unpacks"), "{error}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.safetensors");
    fs::File::create(&path)
        .expect("a file")
        .set_len(1 << 40)
        .expect("a hole");
    assert!(Embedding::open(&path).is_err());
}

#[test]
fn what_is_no_embedding_says_so() {
    for tensors in [
        vec![counting("a", &[3], 0.0), counting("b", &[3], 0.0)],
        vec![counting("emb_params", &[2, 3, 4], 0.0)],
        vec![counting("emb_params", &[0, 4], 0.0)],
        vec![counting("emb_params", &[5000, 1], 0.0)],
        vec![
            counting("clip_l", &[2, 4], 0.0),
            counting("clip_g", &[3, 4], 0.0),
        ],
        vec![],
    ] {
        let error = parse("e.safetensors", file(&tensors, &[])).expect_err("no embedding");
        assert!(error.message.contains("e.safetensors"), "{error}");
    }
    assert!(parse("e.pt", b"<!doctype html>".to_vec()).is_err());
    assert!(parse("e.pt", Vec::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_is_refused_or_harmless(at in any::<usize>(), to in any::<u8>(), which in 0usize..3, cut in any::<bool>()) {
        let name = ["embedding_a1111.pt", "embedding_a1111_old.pt", "embedding_a1111.safetensors"][which];
        let mut bytes = fs::read(golden(&format!("sd15/{name}"))).expect("a golden");
        let at = at % bytes.len();
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = to;
        }
        if let Ok(read) = parse(name, bytes) {
            prop_assert!(read.count() <= MAX_VECTORS);
        }
    }
}
