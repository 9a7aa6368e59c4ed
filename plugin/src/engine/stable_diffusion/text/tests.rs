//! Prompt syntax, tokens and their layout. The tokens are transformers' (goldens made by tests/parity/tokens.py).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Deserialize;

use super::*;
use crate::{ErrorKind, Result};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parity/goldens/tokenizer")
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    small: Vec<u32>,
}

#[test]
fn tokens_equal_transformers() -> Result<()> {
    let path = std::env::var_os("REPOSE_TEXTS").map_or(goldens().join("texts.json"), PathBuf::from);
    let texts = fs::read_to_string(path).expect("the goldens are in the repository");
    let texts: Vec<Text> = serde_json::from_str(&texts).expect("the goldens have this form");
    assert!(texts.len() > 200);
    let whole = Tokenizer::built_in(Pad::End);
    let small = Tokenizer::open(&goldens(), Pad::End)?.expect("a vocabulary");
    assert_eq!((whole.begin, whole.end, whole.pad), (49406, 49407, 49407));
    assert_eq!((small.begin, small.end, small.pad), (812, 813, 0));
    let mut wrong = Vec::new();
    for case in &texts {
        for (tokenizer, expected) in [(&whole, &case.ids), (&small, &case.small)] {
            let found = tokenizer.encode(&case.text)?;
            if found != *expected {
                wrong.push(format!("{:?}: {found:?} not {expected:?}", case.text));
            }
        }
    }
    let count = wrong.len();
    assert!(wrong.is_empty(), "{count}:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_folder_may_hold_a_tokenizer() -> Result<()> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    assert!(Tokenizer::open(path, Pad::End)?.is_none());
    let read = |name: &str| fs::read_to_string(goldens().join(name)).expect("a golden");
    let write = |name: &str, text: &str| fs::write(path.join(name), text).expect("a file");
    let (vocab, merges) = (read("vocab.json"), read("merges.txt"));

    // In one file, as text and as pairs.
    let pairs: Vec<&str> = merges.lines().skip(1).collect();
    let texts = serde_json::to_string(&pairs).expect("JSON");
    let split: Vec<Vec<&str>> = pairs.iter().map(|p| p.split(' ').collect()).collect();
    let split = serde_json::to_string(&split).expect("JSON");
    let expected = Tokenizer::open(&goldens(), Pad::End)?.expect("a vocabulary");
    for merges in [texts, split] {
        let whole = format!(r#"{{"model": {{"vocab": {vocab}, "merges": {merges}}}}}"#);
        write("tokenizer.json", &whole);
        let found = Tokenizer::open(path, Pad::End)?.expect("a vocabulary");
        assert_eq!(found.pad, 813);
        let text = "a photo of a café, 4K";
        assert_eq!(found.encode(text)?, expected.encode(text)?);
    }
    write(
        "special_tokens_map.json",
        r#"{"pad_token": {"content": "!"}}"#,
    );
    let found = Tokenizer::open(path, Pad::End)?.expect("a vocabulary");
    assert_eq!(found.pad, 0);

    write("merges.txt", &merges);
    let broken = [
        "",
        "[]",
        "{}",
        "{\"a\": -1}",
        &vocab[..vocab.len() / 2],
        r#"{"<|startoftext|>": 0, "<|endoftext|>": 1}"#,
    ];
    for broken in broken {
        write("vocab.json", broken);
        let error = Tokenizer::open(path, Pad::End).expect_err("no vocabulary");
        assert_eq!(error.kind, ErrorKind::Files, "{broken}");
        assert!(error.message.contains("vocab.json"), "{error}");
    }
    fs::write(path.join("vocab.json"), [0xFF, 0xFE]).expect("a file");
    assert!(Tokenizer::open(path, Pad::End).is_err());
    Ok(())
}

/// Pieces, breaks as the text "BREAK" of weight −1.
fn parsed(text: &str) -> Vec<(String, f64)> {
    let prompt = Prompt::parse(text).expect("a sound prompt");
    let pieces = prompt.pieces.into_iter().map(|piece| match piece {
        Piece::Text { text, weight } => (text, weight),
        Piece::Break => ("BREAK".into(), -1.0),
    });
    pieces.collect()
}

#[test]
fn weights_as_in_a1111() {
    let all: &[(&str, &[(&str, f64)])] = &[
        // Examples that its source documents.
        ("normal text", &[("normal text", 1.0)]),
        (
            "an (important) word",
            &[("an ", 1.0), ("important", 1.1), (" word", 1.0)],
        ),
        ("(unbalanced", &[("unbalanced", 1.1)]),
        (r"\(literal\]", &[("(literal]", 1.0)]),
        ("(unnecessary)(parens)", &[("unnecessaryparens", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            &[
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
        // What follows from its rules.
        ("", &[]),
        (
            "[less] [[least",
            &[("less", 1.0 / 1.1), (" ", 1.0), ("least", 1.0 / 1.21)],
        ),
        ("a) b] c:1.2) d:e", &[("a) b] c:1.2) d:e", 1.0)]),
        ("(a: 1.5 )b", &[("a", 1.5), ("b", 1.0)]),
        (
            "(a:+.5)(b:-2)(c:0)d",
            &[("a", 0.5), ("b", -2.0), ("c", 0.0), ("d", 1.0)],
        ),
        ("((a:0)b)c", &[("a", 0.0), ("b", 1.1), ("c", 1.0)]),
        ("(a:1.2.3)", &[("a:1.2.3", 1.1)]),
        ("(a:inf)(b:1e3)(c:)", &[("a:infb:1e3c:", 1.1)]),
        ("(a [b) c]", &[("a ", 1.1), ("b", 1.0), (" c", 1.0 / 1.1)]),
        (r"\\(a\\)", &[("\\", 1.0), ("a\\", 1.1)]),
        (r"a\b\", &[("ab", 1.0)]),
        ("(a:1000000)", &[("a", 100.0)]),
        (
            "one BREAK two",
            &[("one", 1.0), ("BREAK", -1.0), ("two", 1.0)],
        ),
        ("BREAKER aBREAK", &[("BREAKER aBREAK", 1.0)]),
        (
            "(one BREAK two)",
            &[("one", 1.1), ("BREAK", -1.0), ("two", 1.1)],
        ),
        ("BREAK BREAK", &[("BREAK", -1.0), ("BREAK", -1.0)]),
    ];
    for (text, expected) in all {
        let found = parsed(text);
        assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
        for ((text, weight), (wanted, w)) in found.iter().zip(*expected) {
            assert_eq!(text, wanted);
            assert!((weight - w).abs() < 1e-9, "{text}: {weight} not {w}");
        }
    }
}

#[test]
fn loras_are_taken_out() {
    let prompt = Prompt::parse(
        "a <lora:add-detail:0.8>cat, <lora:x><lora:y:0.5:1>(<lora:z:te=0.1:unet=-0.2>hat)",
    );
    let prompt = prompt.expect("a sound prompt");
    let found: Vec<_> = prompt
        .loras
        .iter()
        .map(|l| (l.name.as_str(), l.text_encoder, l.unet))
        .collect();
    let expected = [
        ("add-detail", 0.8, 0.8),
        ("x", 1.0, 1.0),
        ("y", 0.5, 1.0),
        ("z", 0.1, -0.2),
    ];
    assert_eq!(found, expected);
    let texts = prompt.pieces.iter().map(|piece| match piece {
        Piece::Text { text, .. } => text.as_str(),
        Piece::Break => "BREAK",
    });
    assert_eq!(texts.collect::<String>(), "a cat, hat");
    for bad in [
        "<lora:>",
        "<lora:a:b>",
        "<lora:a:nan>",
        "<lora:a:1:1:1>",
        "<lora:a:1e9>",
    ] {
        let error = Prompt::parse(bad).expect_err(bad);
        assert_eq!(error.kind, ErrorKind::Caller);
    }
    assert!(Prompt::parse(&"<lora:a>".repeat(33)).is_err());
    // Not closed: text.
    assert_eq!(parsed("<lora:a"), [("<lora:a".into(), 1.0)]);
    assert_eq!(parsed("<loras:a>"), [("<loras:a>".into(), 1.0)]);
    let both = Prompt::parse("<subject:my dog:0.5> a <lora:a> dog").expect("a sound prompt");
    assert_eq!((both.loras.len(), both.subjects.len()), (1, 1));
    let dog = &both.subjects[0];
    assert_eq!((dog.name.as_str(), dog.unet), ("my dog", 0.5));
}

fn lay(text: &str, learned: &[Learned]) -> Chunks {
    let prompt = Prompt::parse(text).expect("a sound prompt");
    Chunks::new(&prompt, &Tokenizer::built_in(Pad::End), learned).expect("not too long")
}

#[test]
fn a_short_prompt_is_as_in_diffusers() -> Result<()> {
    let chunks = lay("a photo of a cat", &[]);
    assert_eq!(chunks.chunks.len(), 1);
    let chunk = &chunks.chunks[0];
    assert_eq!(chunk.ids[..7], [49406, 320, 1125, 539, 320, 2368, 49407]);
    assert_eq!((chunk.end, chunk.ids.len()), (6, SEQUENCE));
    assert!(chunk.ids[7..].iter().all(|id| *id == 49407));
    let prompt = Prompt::plain("a (cat)")?;
    let chunks = Chunks::new(&prompt, &Tokenizer::built_in(Pad::Zero), &[])?;
    assert_eq!(
        chunks.chunks[0].ids[..7],
        [49406, 320, 263, 2368, 264, 49407, 0]
    );
    let empty = lay("", &[]);
    assert_eq!(empty.chunks[0].ids[..3], [49406, 49407, 49407]);
    Ok(())
}

#[test]
fn long_prompts_break_at_commas() {
    // 60 words, a comma, 30 words: the comma is too far from the 75th to break there … and then near enough.
    let far = lay(
        &format!("{}, {}", "cat ".repeat(50), "dog ".repeat(30)),
        &[],
    );
    assert_eq!([far.chunks[0].end, far.chunks[1].end], [76, 7]);
    let near = lay(
        &format!("{}, {}", "cat ".repeat(60), "dog ".repeat(30)),
        &[],
    );
    assert_eq!([near.chunks[0].end, near.chunks[1].end], [62, 31]);
    let full = lay(&"cat ".repeat(75), &[]);
    assert_eq!(full.chunks.len(), 1);
    let mut broken = lay("a cat BREAK a dog", &[]);
    assert_eq!(broken.chunks.len(), 2);
    broken.pad_to(3);
    assert_eq!(broken.chunks[2].ids[..2], [49406, 49407]);
    assert_eq!(broken.places(), 3 * SEQUENCE);
    let prompt = Prompt::parse(&"cat ".repeat(1501)).expect("6 KB");
    assert!(Chunks::new(&prompt, &Tokenizer::built_in(Pad::End), &[]).is_err());
}

#[test]
fn phrases_are_found_where_they_went() -> Result<()> {
    let learned = [Learned {
        name: "<toy>".into(),
        vectors: 2,
    }];
    let tokenizer = Tokenizer::built_in(Pad::End);
    let chunks = lay(
        "a (red CAT:1.5) and a catfish BREAK cat <toy> cat",
        &learned,
    );
    let at = |phrase| chunks.places_of(phrase, &tokenizer, &learned);
    assert_eq!(at("cat")?, [3, 78, 81]);
    assert_eq!(at("red cat")?, [2, 3]);
    assert_eq!(at("<TOY>")?, [79, 80]);
    assert_eq!(at("cat <toy> cat")?, [78, 79, 80, 81]);
    assert!(at("dog")?.is_empty() && at("")?.is_empty() && at(" \0 ")?.is_empty());
    assert_eq!(chunks.chunks[0].weights[1..5], [1.0, 1.5, 1.5, 1.0]);
    let learned = &chunks.chunks[1].learned;
    assert_eq!(learned.len(), 2);
    assert_eq!(
        (learned[1].position, learned[1].word, learned[1].vector),
        (3, 0, 1)
    );
    assert_eq!(chunks.places_of_prompt().count(), 10);
    Ok(())
}

#[test]
fn learned_words_stand_alone() -> Result<()> {
    let word = |name: &str, vectors| Learned {
        name: name.into(),
        vectors,
    };
    let learned = [
        word("sks", 1),
        word("sks dog", 3),
        word("*", 1),
        word("", 1),
        word("İx", 1),
    ];
    let tokenizer = Tokenizer::built_in(Pad::End);
    let found = |text: &str| -> Result<Vec<Token>> {
        let tokens = tokenizer.encode_with(text, &learned)?;
        Ok(tokens
            .into_iter()
            .filter(|t| matches!(t, Token::Learned { .. }))
            .collect())
    };
    let at = |word, vector| Token::Learned { word, vector };
    assert_eq!(found("a sks, asks skss sks1")?, [at(0, 0)]);
    assert_eq!(found("SKS Dog")?, [at(1, 0), at(1, 1), at(1, 2)]);
    assert_eq!(found("sks dogs")?, [at(0, 0)]);
    assert_eq!(found("a*b **")?, [at(2, 0); 3]);
    assert_eq!(found("the İX")?, [at(4, 0)]);
    // Torn apart between sequences, its vectors would mean nothing.
    let long = format!("{} sks dog", "cat ".repeat(73));
    let chunks = lay(&long, &learned);
    assert_eq!([chunks.chunks[0].end, chunks.chunks[1].end], [74, 4]);
    let wide = [word("wide", 76)];
    let prompt = Prompt::parse("wide")?;
    assert!(Chunks::new(&prompt, &tokenizer, &wide).is_err());
    Ok(())
}

#[test]
fn hostile_text_is_read_in_little_time() {
    let tokenizer = Tokenizer::built_in(Pad::End);
    let learned: Vec<Learned> = (0..50)
        .map(|n| Learned {
            name: format!("{}{n}", "a".repeat(40)),
            vectors: 1,
        })
        .collect();
    let letters: String = (0u32..8000)
        .filter_map(|n| char::from_u32(u32::from(b'a') + n.wrapping_mul(2654435761) % 26))
        .collect();
    let fill = |part: &str| part.repeat(LONGEST_PROMPT / part.len());
    let mut texts: Vec<String> = [
        "(",
        "[",
        ")",
        "([",
        "(a",
        "(:1.3)",
        "\\",
        ":",
        "\0",
        "a\0",
        "<lora:",
        "<|endoftext|>",
        "<|",
        "BREAK ",
        "BREAK",
        "((a:9)",
        " ",
        "\u{300}",
        "😀",
        "é",
        "a",
        "你",
        "İ",
        "(a:-1)",
        "ﷺ",
    ]
    .map(fill)
    .to_vec();
    texts.push(format!("{0} {0} {0} {0}", letters));
    let begin = Instant::now();
    for text in &texts {
        let Ok(prompt) = Prompt::parse(text) else {
            continue;
        };
        let finite = |piece: &Piece| match piece {
            Piece::Text { weight, .. } => weight.is_finite(),
            Piece::Break => true,
        };
        assert!(prompt.pieces.iter().all(finite));
        if let Err(error) = Chunks::new(&prompt, &tokenizer, &learned) {
            assert_eq!(error.kind, ErrorKind::Caller);
            assert!(error.message.len() < 300);
        }
    }
    // Quadratic work would take minutes.
    let spent = begin.elapsed().as_secs();
    assert!(spent < 120, "{spent} s");
    let huge = "a ".repeat(4 << 20);
    assert!(Prompt::parse(&huge).is_err() && tokenizer.encode(&huge).is_err());
    assert!(tokenizer.encode(&"a".repeat(9000)).is_err());
}
