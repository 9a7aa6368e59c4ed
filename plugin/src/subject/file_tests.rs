#![allow(clippy::unwrap_used)]
use super::*;
use crate::subject::testing;
use proptest::prelude::*;

const DEPTHS: [Depth; 4] = [Depth::U8, Depth::U16, Depth::F16, Depth::F32];
const CHANNELS: [Channels; 5] = [
    Channels::Grey,
    Channels::GreyAlpha,
    Channels::Rgb,
    Channels::Rgba,
    Channels::Bgra,
];

fn spaces() -> [Space; 3] {
    [
        Space::Srgb,
        Space::LinearSrgb,
        Space::Icc(Arc::from(&b"not quite a profile"[..])),
    ]
}

fn bytes_of(subject: &Subject) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subject.safetensors");
    let written = write(&path, subject).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(written.sha256, crate::subject::disk::sha256(&bytes));
    bytes
}

fn parsed(bytes: &[u8]) -> Result<(Subject, Written)> {
    parse(Path::new("the-file"), bytes, bytes.len() as u64)
}

#[test]
fn every_format_comes_back_bit_for_bit() {
    for depth in DEPTHS {
        for channels in CHANNELS {
            for space in spaces() {
                let mut subject = testing::subject("", 7, 5, depth);
                subject.raster.channels = channels;
                subject.raster.space = space;
                subject
                    .raster
                    .bytes
                    .truncate(35 * subject.raster.bytes_per_pixel());
                // Colours may be outside the gamut or not numbers at all: kept as they are.
                subject.colours.set(2, 2, [f32::INFINITY, -0.0, 7.5]);
                let bytes = bytes_of(&subject);
                let (back, written) = parsed(&bytes).unwrap();
                assert_eq!(back, subject);
                assert!(back.colours.at(2, 2)[1].is_sign_negative());
                assert_eq!(written.bytes, bytes.len() as u64);
            }
        }
    }
}

#[test]
fn what_a_text_model_learned_comes_back() {
    let mut subject = testing::subject("", 4, 4, Depth::U8);
    for (lora, word, beside) in [
        (vec![1, 2, 3], vec![4; 9], Vec::new()),
        (Vec::new(), vec![5], vec![6, 7]),
    ] {
        let facts = TextFacts {
            recipe: "detex".into(),
            losses: [("subject".to_owned(), 0.25)].into(),
            beside: vec!["my-toy-pose-0".to_owned()],
            ..TextFacts::default()
        };
        subject.text = Some(TextPart {
            facts,
            lora,
            word,
            beside,
        });
        let bytes = bytes_of(&subject);
        assert_eq!(parsed(&bytes).unwrap().0, subject);
        assert!(parsed(&bytes[..bytes.len() - 1]).is_err());
    }
}

#[test]
fn an_empty_mesh_and_prior_come_back() {
    let mut subject = testing::subject("", 4, 4, Depth::U8);
    subject.mesh = Mesh::default();
    subject.prior.centres.clear();
    assert_eq!(parsed(&bytes_of(&subject)).unwrap().0, subject);
}

#[test]
fn other_readers_of_safetensors_can_read_it() {
    let subject = testing::subject("", 6, 4, Depth::U16);
    let bytes = bytes_of(&subject);
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let matte = tensors.tensor("matte").unwrap();
    assert_eq!(matte.shape(), [4, 6]);
    assert_eq!(
        matte.data(),
        bytemuck::cast_slice::<f32, u8>(subject.matte.data())
    );
    assert_eq!(
        tensors.tensor("raster").unwrap().data(),
        subject.raster.bytes
    );
}

#[test]
fn a_file_cut_anywhere_is_refused_by_name() {
    let bytes = bytes_of(&testing::subject("", 5, 4, Depth::F16));
    for end in 0..bytes.len() {
        let error = parsed(&bytes[..end]).unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::Files);
        assert!(error.message.contains("the-file"), "{error}");
    }
    // Also where the size was read before the file was cut.
    for end in (0..bytes.len()).step_by(13) {
        parse(Path::new("the-file"), &bytes[..end], bytes.len() as u64).unwrap_err();
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    let subject = testing::subject("", 5, 4, Depth::U8);
    let bytes = bytes_of(&subject);
    let (_, whole) = parsed(&bytes).unwrap();
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1 << bit;
            if let Ok((_, written)) = parsed(&flipped) {
                assert_ne!(written, whole, "bit {bit} of byte {i}");
            }
        }
    }
}

#[test]
fn hostile_headers_take_no_memory() {
    let huge = |facts: &str, tensors: &str| {
        let header = format!("{{\"__metadata__\":{{\"repose\":{facts:?}}},{tensors}}}");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes
    };
    let facts = |w: u64, h: u64| {
        format!(
            r#"{{"schema":1,"depth":"u8","channels":"grey","space":"srgb","rect":[0,0,{w},{h}],"source_size":[4294967295,4294967295],"source_hash":"","patch":7}}"#
        )
    };
    let cases = [
        (
            "header longer than the file",
            u64::MAX.to_le_bytes().to_vec(),
        ),
        ("header of a gigabyte", (1u64 << 30).to_le_bytes().to_vec()),
        ("not JSON", [&5u64.to_le_bytes()[..], b"hello"].concat()),
        (
            "data that is not there",
            huge(
                &facts(20_000, 20_000),
                r#""colours":{"dtype":"F32","shape":[20000,20000,3],"data_offsets":[0,4800000000]}"#,
            ),
        ),
        (
            "sizes that overflow",
            huge(
                &facts(u64::MAX, u64::MAX),
                r#""colours":{"dtype":"F32","shape":[18446744073709551615,18446744073709551615,3],"data_offsets":[0,0]}"#,
            ),
        ),
        (
            "no tensors",
            huge(
                &facts(1, 1),
                r#""colours":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#,
            ),
        ),
        (
            "another kind of file",
            huge(
                "{}",
                r#""weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#,
            ),
        ),
    ];
    for (what, bytes) in cases {
        let error = parsed(&bytes).unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::Files, "{what}: {error}");
    }
}

#[test]
fn a_subject_that_contradicts_itself_is_neither_written_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let whole = testing::subject("", 5, 4, Depth::U8);
    type Damage = fn(&mut Subject);
    let broken: [(&str, Damage); 8] = [
        ("raster bytes", |s| {
            s.raster.bytes.pop();
        }),
        ("raster size", |s| s.raster.width = 6),
        ("matte size", |s| s.matte = Grid::new(4, 4, 0.0)),
        ("matte value", |s| s.matte.set(0, 0, f32::NAN)),
        ("colours size", |s| s.colours = Grid::new(5, 5, [0.0; 3])),
        ("triangle", |s| s.mesh.triangles[0][1] = 3),
        ("patch", |s| s.prior.centres[0] = [5, 0]),
        ("place", |s| s.rect.x = usize::MAX),
    ];
    for (what, damage) in broken {
        let mut subject = whole.clone();
        damage(&mut subject);
        let path = folder.path().join(what);
        let error = write(&path, &subject).unwrap_err();
        assert_eq!(error.kind, crate::ErrorKind::Bug, "{what}");
        assert!(!path.exists(), "{what}");
    }
    // The same damage in a file: a triangle without corners.
    let bytes = bytes_of(&whole);
    let mut triangles = Vec::new();
    for i in whole.mesh.triangles[0] {
        triangles.extend(i.to_le_bytes());
    }
    let at = bytes.windows(12).position(|w| w == triangles).unwrap();
    let mut hostile = bytes.clone();
    hostile[at] = 200;
    let error = parsed(&hostile).unwrap_err();
    assert!(error.message.contains("triangle"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), small in any::<bool>()) {
        if small && bytes.len() >= 8 {
            let length = (bytes.len() as u64 - 8).to_le_bytes();
            bytes[..8].copy_from_slice(&length);
        }
        prop_assert!(parsed(&bytes).is_err());
    }

    #[test]
    fn damaged_files_never_panic(places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = bytes_of(&testing::subject("", 3, 3, Depth::U8));
        for (place, value) in places {
            let i = place.index(bytes.len());
            bytes[i] = value;
        }
        let _ = parsed(&bytes);
    }
}
