//! Wrong calls and damaged or hostile files: a message that names the file and the reason, the right exit code, and
//! nothing lost.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use super::tool::{Desk, leftovers, mask, photo8};

#[test]
fn exit_codes_say_who_can_act() {
    let desk = Desk::new();
    desk.learned();
    let code = |arguments: &[&str]| {
        let ran = desk.repose(arguments);
        assert!(!ran.err.is_empty(), "{arguments:?} says nothing");
        ran.code
    };
    // The caller.
    assert_eq!(code(&["erase"]), 2);
    assert_eq!(code(&["erase", "photo.png", "-o", "out.png"]), 2);
    assert_eq!(
        code(&[
            "erase",
            "photo.png",
            "-s",
            "rect:500,500,9,9",
            "-o",
            "out.png"
        ]),
        2
    );
    assert_eq!(
        code(&["erase", "photo.png", "-s", "alpha", "-o", "out.png"]),
        2
    );
    assert_eq!(
        code(&[
            "erase",
            "photo.png",
            "-s",
            "photo_mask.png",
            "-o",
            "out.jpg"
        ]),
        2
    );
    assert_eq!(
        code(&[
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "--pin",
            "1,2,3",
            "-o",
            "out.png"
        ]),
        2
    );
    assert_eq!(code(&["subjects", "delete", "disc"]), 2);
    // Files.
    assert_eq!(
        code(&[
            "erase",
            "missing.png",
            "-s",
            "rect:1,1,9,9",
            "-o",
            "out.png"
        ]),
        3
    );
    assert_eq!(
        code(&["erase", "photo.png", "-s", "missing.png", "-o", "out.png"]),
        3
    );
    assert_eq!(
        code(&[
            "erase",
            "photo.png",
            "-s",
            "photo_mask.png",
            "-o",
            "photo.png/out.png"
        ]),
        3
    );
    assert_eq!(code(&["--plugin", "photo.png", "info"]), 3);
    // Refused.
    assert_eq!(
        code(&[
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "-s",
            "photo_mask.png",
            "--prompt",
            "waving",
            "-o",
            "out.png",
        ]),
        4
    );
    assert!(!desk.path("out.png").exists());
    assert_eq!(leftovers(&desk), [""; 0]);
}

#[test]
fn consent_is_kept() {
    let desk = Desk::new();
    desk.photo();
    let learn = |more: &[&str]| {
        let mut arguments = vec![
            "learn",
            "photo.png",
            "-s",
            "photo_mask.png",
            "--name",
            "disc",
        ];
        arguments.extend(more);
        desk.repose(&arguments)
    };
    assert!(learn(&[]).expect(2).err.contains("--consent"));
    assert_ne!(learn(&["--consent", "a friend", "--person"]).code, 0);
    learn(&[
        "--consent",
        "a friend, for this test",
        "--person",
        "--person-agrees",
    ])
    .expect(0);
    desk.repose(&[
        "subjects",
        "revoke",
        "disc",
        "--reason",
        "changed their mind",
    ])
    .expect(0);
    let pose = [
        "pose",
        "photo.png",
        "--subject",
        "disc",
        "-s",
        "photo_mask.png",
        "--move",
        "5,0",
        "-o",
        "out.png",
    ];
    let ran = desk.repose(&pose).expect(4);
    assert!(ran.err.contains("revoked"), "{}", ran.err);
    desk.repose(&[
        "subjects",
        "renew",
        "disc",
        "--consent",
        "yes after all",
        "--person",
        "--person-agrees",
    ])
    .expect(0);
    desk.repose(&pose).expect(0);
    desk.repose(&["subjects", "verify"]).expect(0);
    let log = desk.repose(&["subjects", "log"]).expect(0).out;
    for word in ["learn", "revoke", "renew"] {
        assert!(log.contains(word), "{log}");
    }
}

#[test]
fn a_subject_travels_in_a_file() {
    let desk = Desk::new();
    desk.learned();
    desk.repose(&["subjects", "rename", "disc", "ball"])
        .expect(0);
    desk.repose(&["subjects", "export", "ball", "-o", "ball.repose"])
        .expect(0);
    desk.repose(&["subjects", "delete", "ball", "--yes"])
        .expect(0);
    desk.repose(&["subjects", "import", "ball.repose", "--name", "moon"])
        .expect(0);
    desk.repose(&["subjects", "rebuild-index"]).expect(0);
    assert!(
        desk.repose(&["subjects", "show", "moon"])
            .expect(0)
            .out
            .contains("a drawn disc")
    );
    assert_eq!(desk.repose(&["subjects", "import", "photo.png"]).code, 3);
}

#[test]
fn an_input_is_never_overwritten() {
    let desk = Desk::new();
    desk.photo();
    fs::create_dir(desk.path("sub")).unwrap();
    let before = fs::read(desk.path("photo.png")).unwrap();
    for out in [
        "photo.png",
        "./photo.png",
        "sub/../photo.png",
        "photo_mask.png",
    ] {
        let ran = desk
            .repose(&["erase", "photo.png", "-s", "photo_mask.png", "-o", out])
            .expect(2);
        assert!(ran.err.contains("input"), "{}", ran.err);
    }
    desk.repose(&[
        "erase",
        "photo.png",
        "-s",
        "photo_mask.png",
        "-o",
        "out.png",
        "--before-after",
        "./out.png",
    ])
    .expect(2);
    assert_eq!(fs::read(desk.path("photo.png")).unwrap(), before);
}

#[test]
fn a_mask_of_another_size_is_explained() {
    let desk = Desk::new();
    desk.photo();
    image::imageops::crop_imm(&mask(), 0, 0, 50, 40)
        .to_image()
        .save(desk.path("small.png"))
        .unwrap();
    let ran = desk
        .repose(&["erase", "photo.png", "-s", "small.png", "-o", "out.png"])
        .expect(2);
    assert!(
        ran.err.contains("50×40") && ran.err.contains("96×72"),
        "{}",
        ran.err
    );
}

#[test]
fn truncated_files_of_every_kind() {
    let desk = Desk::new();
    desk.photo();
    for name in ["a.png", "a.jpg", "a.tif", "a.webp"] {
        photo8().save(desk.path(name)).unwrap();
    }
    desk.repose(&["erase", "photo.png", "-s", "photo_mask.png", "-o", "a.ora"])
        .expect(0);
    for name in ["a.png", "a.jpg", "a.tif", "a.webp", "a.ora"] {
        let whole = fs::read(desk.path(name)).unwrap();
        desk.repose(&["info", name]).expect(0);
        let cut = format!("cut-{name}");
        for part in [
            1,
            4,
            40,
            whole.len() / 3,
            whole.len() * 2 / 3,
            whole.len() - 40,
        ] {
            fs::write(desk.path(&cut), &whole[..part]).unwrap();
            let ran = desk.repose(&["info", &cut]).expect(3);
            assert!(ran.err.contains(&cut), "{}", ran.err);
        }
        // One byte wrong, anywhere: an error or a picture, but never the end of the program.
        for i in 0..12 {
            let mut bytes = whole.clone();
            let at = (i * 7919 + 13) % bytes.len();
            bytes[at] ^= 0xA5;
            fs::write(desk.path(&cut), bytes).unwrap();
            let code = desk.repose(&["info", &cut]).code;
            assert!(code == 0 || code == 3, "{name}, byte {at}: {code}");
        }
    }
    fs::write(desk.path("empty.png"), b"").unwrap();
    desk.repose(&["info", "empty.png"]).expect(3);
    desk.repose(&["info", "."]).expect(3);
}

/// A PNG's chunk with its checksum.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = !0u32;
    for byte in kind.iter().chain(data) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut out = (data.len() as u32).to_be_bytes().to_vec();
    out.extend(kind);
    out.extend(data);
    out.extend((!crc).to_be_bytes());
    out
}

fn png_of(width: u32, height: u32) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = width.to_be_bytes().to_vec();
    header.extend(height.to_be_bytes());
    header.extend([16, 6, 0, 0, 0]);
    png.extend(chunk(b"IHDR", &header));
    png.extend(chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0]));
    png.extend(chunk(b"IEND", &[]));
    png
}

/// A little-endian TIFF of one uncompressed strip that does not hold what its tags say.
fn tiff_of(width: u32, height: u32) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let tags: [(u16, u16, u32); 9] = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, u32::MAX),
    ];
    tiff.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, value) in tags {
        tiff.extend(tag.to_le_bytes());
        tiff.extend(kind.to_le_bytes());
        tiff.extend(1u32.to_le_bytes());
        tiff.extend(value.to_le_bytes());
    }
    tiff.extend([0; 4]);
    tiff
}

#[test]
fn files_that_claim_too_much() {
    let desk = Desk::new();
    desk.photo();
    let mut bomb = fs::File::create(desk.path("bomb.ora")).unwrap();
    {
        // A mimetype that unpacks to much more than it should.
        let mut zip = zip::ZipWriter::new(&mut bomb);
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("mimetype", options).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..64 {
            zip.write_all(&zeros).unwrap();
        }
        zip.finish().unwrap();
    }
    let mut stack = fs::File::create(desk.path("stack.ora")).unwrap();
    {
        let mut zip = zip::ZipWriter::new(&mut stack);
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("mimetype", options).unwrap();
        zip.write_all(b"image/openraster").unwrap();
        zip.start_file("stack.xml", options).unwrap();
        zip.write_all(
            b"<image w='4000000000' h='4000000000'><stack x='9223372036854775807'><layer name='L' src='l.png' x='1'/></stack></image>",
        )
        .unwrap();
        zip.start_file("l.png", options).unwrap();
        let mut png = Vec::new();
        photo8()
            .write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png)
            .unwrap();
        zip.write_all(&png).unwrap();
        zip.finish().unwrap();
    }
    for (name, bytes) in [
        ("huge.png", png_of(100_000, 100_000)),
        ("large.png", png_of(20_000, 20_000)),
        ("none.png", png_of(0, 0)),
        ("huge.tif", tiff_of(100_000, 100_000)),
        ("large.tif", tiff_of(23_000, 23_000)),
        ("none.tif", tiff_of(0, 7)),
    ] {
        fs::write(desk.path(name), bytes).unwrap();
    }
    for name in [
        "huge.png",
        "large.png",
        "none.png",
        "huge.tif",
        "large.tif",
        "none.tif",
        "bomb.ora",
        "stack.ora#L",
        "stack.ora#M",
        "stack.ora",
    ] {
        let start = Instant::now();
        let ran = desk.repose(&["info", name]).expect(3);
        assert!(
            ran.err.contains(name.split('#').next().unwrap()),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("mistake in Repose"), "{}", ran.err);
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{name} took too long"
        );
    }
}

#[test]
fn pins_in_a_file_may_be_wrong_too() {
    let desk = Desk::new();
    desk.learned();
    for (text, code) in [
        (r#"[{"from": [34, 36], "to": [40, 36]}, "30,40"]"#, 0),
        (r#"[{"form": [1, 2]}]"#, 3),
        ("[", 3),
        ("[\"1,2:x\"]", 3),
    ] {
        fs::write(desk.path("pins.json"), text).unwrap();
        let ran = desk.repose(&[
            "pose",
            "photo.png",
            "--subject",
            "disc",
            "-s",
            "photo_mask.png",
            "--pins",
            "pins.json",
            "-o",
            "out.png",
        ]);
        assert_eq!(ran.code, code, "{text}: {}", ran.err);
    }
}

/// Ctrl-C stops the job, writes nothing and says so.
#[cfg(unix)]
#[test]
fn ctrl_c_cancels() {
    let desk = Desk::new();
    let big = image::imageops::resize(&photo8(), 1600, 1200, image::imageops::FilterType::Triangle);
    big.save(desk.path("big.png")).unwrap();
    let mut child = desk
        .command()
        .args([
            "--json",
            "erase",
            "big.png",
            "-s",
            "rect:200,200,900,700",
            "-o",
            "out.png",
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Progress means that the job is at work.
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    lines.next().unwrap().unwrap();
    let kill = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    // The pipe is read to its end, so that the program does not wait for room in it.
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"cancelled\""));
    assert!(!desk.path("out.png").exists());
    assert_eq!(leftovers(&desk), [""; 0]);
}
