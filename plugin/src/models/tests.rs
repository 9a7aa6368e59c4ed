use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::ErrorKind;
use crate::engine::stable_diffusion::weights::testing::{changed, counting, golden, write};

/// A user's disk: our own folder, ComfyUI's, A1111's and a cache.
struct Disk {
    root: tempfile::TempDir,
    models: Models,
}

impl Disk {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let models = Models::within(
            &root.path().join("data/models"),
            Some(root.path().join("hub")),
        );
        Self { root, models }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Puts a golden file there.
    fn put(&self, file: &str, to: &str) -> PathBuf {
        let to = self.path(to);
        fs::create_dir_all(to.parent().expect("a parent")).expect("a folder");
        fs::copy(golden(file), &to).expect("a copy");
        to
    }

    fn ask(&self, command: Value) -> Value {
        let answer = self
            .models
            .command(&command.to_string())
            .expect("an answer");
        serde_json::from_str(&answer).expect("JSON")
    }

    fn filled() -> Self {
        let disk = Self::new();
        disk.put("sd15/sd15.safetensors", "data/models/Small.safetensors");
        disk.put(
            "sd15/lora_kohya.safetensors",
            "data/models/loras/line.safetensors",
        );
        disk.put(
            "sd21/sd21.safetensors",
            "comfy/models/checkpoints/v2/other.safetensors",
        );
        disk.put(
            "sd21/lora_peft.safetensors",
            "comfy/models/loras/line2.safetensors",
        );
        disk.put(
            "sd15/embedding_a1111.pt",
            "comfy/models/embeddings/puppet.pt",
        );
        disk.put(
            "sdxl/sdxl.safetensors",
            "a1111/models/Stable-diffusion/large.safetensors",
        );
        disk.put(
            "sdxl/embedding_sdxl.safetensors",
            "a1111/embeddings/puppet_xl.safetensors",
        );
        disk.put(
            "sd15/sd15.safetensors",
            "hub/models--org--one/snapshots/abc/one.safetensors",
        );
        for program in ["comfy", "a1111"] {
            disk.ask(json!({ "command": "model-folder-add", "path": disk.path(program) }));
        }
        disk
    }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array()
        .expect("a list")
        .iter()
        .map(|m| m["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn every_programs_models_are_found_and_told_apart() {
    let disk = Disk::filled();
    let all = disk.ask(json!({ "command": "models" }));
    assert_eq!(
        names(&all["models"]),
        ["Small", "large", "org/one", "v2/other"]
    );
    assert_eq!(names(&all["loras"]), ["line", "line2"]);
    assert_eq!(names(&all["embeddings"]), ["puppet", "puppet_xl"]);
    let small = &all["models"][0];
    assert_eq!(
        (&small["family"], &small["layout"]),
        (&json!("sd1"), &json!("single_file"))
    );
    assert_eq!(
        (&small["inpainting"], &small["problem"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        small["bytes"].as_u64(),
        fs::metadata(disk.path("data/models/Small.safetensors"))
            .ok()
            .map(|m| m.len())
    );
    assert_eq!(all["models"][1]["family"], "sdxl");
    assert_eq!(all["models"][2]["layout"], "hub");
    assert_eq!(
        (&all["models"][3]["family"], &all["models"][3]["prediction"]),
        (&json!("sd2"), &json!("v_prediction"))
    );
    assert_eq!(all["embeddings"][0]["tokens"], json!(["puppet"]));
}

#[test]
fn names_are_found_in_any_case_and_near_ones_are_offered() {
    let disk = Disk::filled();
    let of = |kind, name: &str| disk.models.resolve(kind, name);
    let small = disk.path("data/models/Small.safetensors");
    let other = disk.path("comfy/models/checkpoints/v2/other.safetensors");
    for (name, path) in [
        ("Small", &small),
        ("small", &small),
        ("SMALL.safetensors", &small),
        ("other", &other),
        ("v2/other", &other),
        ("org/one", &disk.path("hub/models--org--one")),
    ] {
        assert_eq!(of(Kind::Checkpoint, name).as_ref(), Ok(path), "{name}");
    }
    assert_eq!(
        of(Kind::Checkpoint, &small.to_string_lossy()).as_ref(),
        Ok(&small)
    );
    assert_eq!(
        of(Kind::Lora, "LINE2"),
        Ok(disk.path("comfy/models/loras/line2.safetensors"))
    );
    assert_eq!(
        of(Kind::Embedding, "puppet"),
        Ok(disk.path("comfy/models/embeddings/puppet.pt"))
    );
    let error = of(Kind::Checkpoint, "smal").expect_err("a slip");
    assert_eq!(error.kind, ErrorKind::Caller);
    assert!(error.message.contains("Did you mean Small"), "{error}");
    assert!(
        error.message.contains("v2/other") && error.message.contains("models add"),
        "{error}"
    );
    disk.put(
        "sd15/sd15.safetensors",
        "comfy/models/checkpoints/small.safetensors",
    );
    let error = of(Kind::Checkpoint, "SMALL").expect_err("two of them");
    assert!(
        error.message.contains("several") && error.message.contains("comfy"),
        "{error}"
    );
    assert_eq!(of(Kind::Checkpoint, "Small"), Ok(small));
    let error = Disk::new()
        .models
        .resolve(Kind::Lora, "x")
        .expect_err("nothing at all");
    assert!(
        error.message.contains("none at all") && error.message.contains("loras"),
        "{error}"
    );
    let gone = disk.path("gone.safetensors");
    assert!(of(Kind::Checkpoint, &gone.to_string_lossy()).is_err());
}

#[test]
fn folders_are_kept_and_forgotten_with_all_that_others_wrote() {
    let disk = Disk::new();
    let folder = disk.path("models here");
    fs::create_dir_all(&folder).expect("a folder");
    let settings = disk.path("data/models/settings.json");
    fs::create_dir_all(settings.parent().expect("a parent")).expect("a folder");
    fs::write(&settings, r#"{"future": {"a": 1}}"#).expect("a file");
    let add = json!({ "command": "model-folder-add", "path": folder });
    assert_eq!(disk.ask(add.clone())["folders"]["named"], json!([folder]));
    assert_eq!(disk.ask(add)["folders"]["named"], json!([folder]));
    let written: Value =
        serde_json::from_slice(&fs::read(&settings).expect("a file")).expect("JSON");
    assert_eq!(
        written,
        json!({ "future": { "a": 1 }, "model_folders": [folder] })
    );
    let remove = json!({ "command": "model-folder-remove", "path": folder });
    assert_eq!(disk.ask(remove.clone())["folders"]["named"], json!([]));
    assert!(disk.models.command(&remove.to_string()).is_err());
    for path in ["relative", "/nowhere/at/all"] {
        let add = json!({ "command": "model-folder-add", "path": path }).to_string();
        assert_eq!(
            disk.models.command(&add).map_err(|e| e.kind),
            Err(ErrorKind::Caller)
        );
    }
    fs::write(&settings, "{").expect("a file");
    let error = disk.models.settings().expect_err("damaged");
    assert!(error.message.contains("settings.json"), "{error}");
    let left: Vec<_> = fs::read_dir(disk.path("data/models"))
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        left.iter()
            .all(|n| !n.to_string_lossy().starts_with(".tmp")),
        "{left:?}"
    );
}

#[test]
fn verify_says_what_a_file_is() {
    let disk = Disk::new();
    let write = |name: &str, tensors: &[&str]| {
        let path = disk.path(name);
        let tensors: Vec<_> = tensors
            .iter()
            .map(|n| counting(n, &[2, 768], 0.0))
            .collect();
        write(&path, &tensors);
        path
    };
    let pickle = disk.path("old.ckpt");
    fs::write(&pickle, b"PK\x03\x04 and more").expect("a file");
    let cut = disk.put("sd15/sd15.safetensors", "cut.safetensors");
    fs::File::options()
        .write(true)
        .open(&cut)
        .and_then(|f| f.set_len(1000))
        .expect("cut");
    for (path, kind, family, word) in [
        (
            golden("sd21/sd21.safetensors"),
            "checkpoint",
            Some("sd2"),
            None,
        ),
        (golden("sd15/checkpoint"), "checkpoint", Some("sd1"), None),
        (golden("sdxl/lora_kohya.safetensors"), "lora", None, None),
        (
            golden("sd15/embedding_a1111_old.pt"),
            "embedding",
            None,
            None,
        ),
        (
            golden("sd15/checkpoint/vae/diffusion_pytorch_model.safetensors"),
            "vae",
            None,
            Some("autoencoder"),
        ),
        (
            golden("sd15/checkpoint/unet/diffusion_pytorch_model.safetensors"),
            "unet",
            None,
            Some("U-Net"),
        ),
        (
            golden("sd15/checkpoint/text_encoder/model.safetensors"),
            "text_encoder",
            None,
            Some("text encoder"),
        ),
        (pickle, "pickle", None, Some("not a whole embedding")),
        (cut, "unknown", None, Some("not a whole")),
        (
            write("e.safetensors", &["<word>"]),
            "embedding",
            Some("sd1"),
            None,
        ),
        (
            write(
                "l.safetensors",
                &[
                    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight",
                ],
            ),
            "lora",
            Some("sd1"),
            None,
        ),
        (
            write(
                "d.safetensors",
                &["lora_unet_x.lora_up.weight", "lora_unet_x.dora_scale"],
            ),
            "lora",
            None,
            Some("DoRA"),
        ),
        (
            write("x.safetensors", &["model.a", "model.b"]),
            "unknown",
            None,
            Some("model.a"),
        ),
        (
            write("f.safetensors", &["model.diffusion_model.joint_blocks.0"]),
            "checkpoint",
            None,
            Some("Diffusion 3"),
        ),
    ] {
        let verdict = verify(&path, Care::Hashes).expect("a verdict");
        assert_eq!(
            (verdict.kind, verdict.family),
            (kind, family),
            "{}: {verdict:?}",
            path.display()
        );
        match word {
            Some(word) => assert!(
                verdict.problem.as_deref().is_some_and(|p| p.contains(word)),
                "{verdict:?}"
            ),
            None => assert_eq!(verdict.problem, None, "{}", path.display()),
        }
        assert_eq!(verdict.hashes_match, None);
    }
    assert!(verify(&disk.path("nothing"), Care::Usual).is_err());
}

#[test]
fn a_weight_that_is_missing_is_named() {
    let lost = "model.diffusion_model.output_blocks.5.1.proj_in.weight";
    let (_folder, path) = changed(
        "sd21",
        "x.safetensors",
        &[counting(lost, &[3, 3], 0.0)],
        &[],
    );
    let verdict = verify(&path, Care::Usual).expect("a verdict");
    let problem = verdict.problem.expect("a problem");
    assert!(
        problem.contains("up_blocks.1.attentions.2.proj_in.weight"),
        "{problem}"
    );
    assert_eq!((verdict.kind, verdict.family), ("checkpoint", Some("sd2")));
}

#[cfg(unix)]
#[test]
fn a_damaged_download_is_found_by_its_hash() {
    let disk = Disk::new();
    let bytes = fs::read(golden("sd15/sd15.safetensors")).expect("a golden");
    let hash = crate::subject::disk::sha256(&bytes);
    let blob = disk.put(
        "sd15/sd15.safetensors",
        &format!("hub/models--org--one/blobs/{hash}"),
    );
    let snapshot = disk.path("hub/models--org--one/snapshots/abc");
    fs::create_dir_all(&snapshot).expect("a folder");
    std::os::unix::fs::symlink(&blob, snapshot.join("one.safetensors")).expect("a link");
    let command = json!({ "command": "model-verify", "path": "org/one", "hashes": true });
    assert_eq!(disk.ask(command.clone())["model"]["hashes_match"], true);
    let mut damaged = bytes;
    *damaged.last_mut().expect("a byte") ^= 1;
    fs::write(&blob, damaged).expect("a file");
    let model = &disk.ask(command)["model"];
    assert_eq!(model["hashes_match"], false);
    assert!(
        model["problem"]
            .as_str()
            .is_some_and(|p| p.contains("damaged")),
        "{model}"
    );
}

#[test]
fn pocket_is_there_whole_is_mended_and_gives_way_to_the_users_own() {
    let disk = Disk::new();
    let wanted = |name: &str| disk.models.resolve(Kind::Checkpoint, name);
    let path = wanted("Pocket").expect("pocket");
    let verdict = verify(&path, Care::Usual).expect("a verdict");
    assert_eq!((verdict.kind, verdict.problem), ("checkpoint", None));
    let found = disk.models.find(Kind::Checkpoint).expect("a list");
    assert!(found.is_empty(), "{found:?}");
    let file = path.join("tokenizer/merges.txt");
    let whole = fs::read(&file).expect("a file");
    fs::write(&file, &whole[1..]).expect("damage");
    fs::remove_file(path.join("vae/config.json")).expect("more damage");
    assert_eq!(wanted("pocket").expect("pocket"), path);
    assert_eq!(fs::read(&file).expect("a file"), whole);
    assert!(path.join("vae/config.json").is_file());
    assert!(disk.models.resolve(Kind::Lora, "pocket").is_err());
    let own = disk.put("sd15/sd15.safetensors", "data/models/pocket.safetensors");
    assert_eq!(wanted("pocket").expect("the user's own"), own);
}

#[cfg(unix)]
#[test]
fn pocket_says_where_it_cannot_be_written() {
    let disk = Disk::new();
    fs::write(disk.path("data"), "a file where a folder should be").expect("a file");
    let error = disk
        .models
        .resolve(Kind::Checkpoint, "pocket")
        .expect_err("no folder");
    assert_eq!(error.kind, ErrorKind::Files);
    assert!(error.message.contains(".built-in"), "{error}");
}

#[test]
fn a_command_with_a_field_too_many_is_the_callers_error() {
    let error = Disk::new()
        .models
        .command(r#"{"command": "models", "more": 1}"#)
        .expect_err("a field too many");
    assert_eq!(error.kind, ErrorKind::Caller);
}
