use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use super::super::super::config::{AdditionEmbed, HiddenAct, PerLevel, TimestepSpacing};
use super::super::store::Store;
use super::super::testing::{self, Written, changed, counting, golden, numbers};
use super::*;

type Tensors = HashMap<String, Frozen>;

/// A golden single file, with the configurations beside it.
fn single(family: &str) -> Checkpoint {
    let options = Options {
        config: Some(golden(&format!("{family}/checkpoint"))),
        ..Options::default()
    };
    let file = golden(&format!("{family}/{family}.safetensors"));
    Checkpoint::open(&file, &options).unwrap_or_else(|e| panic!("{family}: {e}"))
}

fn same(a: &Tensors, b: &Tensors) {
    let names = |t: &Tensors| t.keys().cloned().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names(a), names(b));
    for (name, weight) in a {
        assert_eq!(weight.shape(), b[name].shape(), "{name}");
        assert_eq!(numbers(weight), numbers(&b[name]), "{name}");
    }
}

fn written(tensors: &Tensors) -> Vec<Written> {
    let sorted: BTreeMap<_, _> = tensors.iter().collect();
    sorted
        .into_iter()
        .map(|(name, weight)| {
            let Values::F16(values) = weight.values() else {
                panic!("the goldens are in f16");
            };
            let bytes = bytemuck::cast_slice(values).to_vec();
            (
                name.clone(),
                safetensors::Dtype::F16,
                weight.shape().to_vec(),
                bytes,
            )
        })
        .collect()
}

/// Writes a checkpoint as a diffusers folder, with weights in `fp16` files, the U-Net in two shards.
fn as_folder(from: &Checkpoint, configs: &Path, to: &Path) {
    for part in ["unet", "vae", "text_encoder", "text_encoder_2", "scheduler"] {
        for entry in fs::read_dir(configs.join(part))
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.path().extension().is_some_and(|e| e == "json") {
                fs::create_dir_all(to.join(part)).expect("a folder");
                fs::copy(entry.path(), to.join(part).join(entry.file_name())).expect("a copy");
            }
        }
    }
    fs::copy(
        configs.join("model_index.json"),
        to.join("model_index.json"),
    )
    .expect("a copy");
    let unet = written(&from.unet.tensors);
    let mut map = BTreeMap::new();
    for (i, shard) in unet.chunks(unet.len().div_ceil(2)).enumerate() {
        let file = format!(
            "diffusion_pytorch_model.fp16-0000{}-of-00002.safetensors",
            i + 1
        );
        map.extend(shard.iter().map(|(name, ..)| (name.clone(), file.clone())));
        testing::write(&to.join("unet").join(file), shard);
    }
    let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map }).to_string();
    fs::write(
        to.join("unet/diffusion_pytorch_model.safetensors.index.fp16.json"),
        index,
    )
    .expect("an index");
    testing::write(
        &to.join("vae/diffusion_pytorch_model.fp16.safetensors"),
        &written(&from.vae.tensors),
    );
    for (part, name) in from
        .text_encoders
        .iter()
        .zip(["text_encoder", "text_encoder_2"])
    {
        testing::write(
            &to.join(name).join("model.fp16.safetensors"),
            &written(&part.tensors),
        );
    }
}

#[test]
fn the_folder_and_the_single_file_that_diffusers_wrote_are_one_checkpoint() -> Result<()> {
    let folder = Checkpoint::open(&golden("sd15/checkpoint"), &Options::default())?;
    let file = single("sd15");
    assert_eq!((folder.family, file.family), (Family::Sd1, Family::Sd1));
    same(&folder.unet.tensors, &file.unet.tensors);
    same(&folder.vae.tensors, &file.vae.tensors);
    same(
        &folder.text_encoders[0].tensors,
        &file.text_encoders[0].tensors,
    );
    assert_eq!(folder.unet.config, file.unet.config);
    assert_eq!(folder.fingerprint(), file.fingerprint());
    assert_eq!(
        (file.name.as_str(), folder.name.as_str()),
        ("sd15", "checkpoint")
    );
    assert_eq!(file.dtype(), DType::F16);
    assert!(!file.inpainting());
    Ok(())
}

#[test]
fn every_family_reads_the_same_from_shards_and_from_one_file() -> Result<()> {
    for (name, family, encoders) in [("sd21", Family::Sd2, 1), ("sdxl", Family::Sdxl, 2)] {
        let file = single(name);
        assert_eq!((file.family, file.text_encoders.len()), (family, encoders));
        let folder = tempfile::tempdir().expect("a folder");
        as_folder(&file, &golden(&format!("{name}/checkpoint")), folder.path());
        let parts = Checkpoint::open(folder.path(), &Options::default())?;
        assert_eq!(parts.family, family);
        same(&parts.unet.tensors, &file.unet.tensors);
        same(&parts.vae.tensors, &file.vae.tensors);
        for (a, b) in parts.text_encoders.iter().zip(&file.text_encoders) {
            same(&a.tensors, &b.tensors);
        }
        assert_eq!(parts.fingerprint(), file.fingerprint());
    }
    Ok(())
}

#[test]
fn fused_projections_are_three_ranges_of_the_file() -> Result<()> {
    let file = single("sdxl");
    let store = Store::open(&golden("sdxl/sdxl.safetensors"))?;
    let fused = "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight";
    let all = numbers(&store.frozen(fused)?);
    let encoder = &file.text_encoders[1];
    let third = all.len() / 3;
    for (i, p) in ["q", "k", "v"].iter().enumerate() {
        let name = format!("text_model.encoder.layers.1.self_attn.{p}_proj.weight");
        assert_eq!(
            numbers(&encoder.tensors[&name]),
            all[i * third..(i + 1) * third]
        );
    }
    let projection = &encoder.tensors["text_projection.weight"];
    let stored = store.frozen("conditioner.embedders.1.model.text_projection")?;
    let [rows, columns] = *stored.shape() else {
        panic!("no matrix")
    };
    let (a, b) = (numbers(projection), numbers(&stored));
    assert_eq!(
        a[columns.min(rows) - 1],
        b[(columns.min(rows) - 1) * columns]
    );
    assert_eq!(a[rows], b[1]);
    Ok(())
}

#[test]
fn sd2_leaves_its_last_layer_out() {
    let encoder = &single("sd21").text_encoders[0];
    assert!(
        encoder
            .tensors
            .contains_key("text_model.encoder.layers.2.mlp.fc1.weight")
    );
    assert!(
        !encoder
            .tensors
            .contains_key("text_model.encoder.layers.3.mlp.fc1.weight")
    );
    assert!(!encoder.tensors.contains_key("text_projection.weight"));
}

#[test]
fn shapes_tell_what_configurations_say() -> Result<()> {
    for name in ["sd15", "sd21", "sdxl"] {
        let told = single(name);
        let file = golden(&format!("{name}/{name}.safetensors"));
        let found = Checkpoint::open(&file, &Options::default())?;
        let (a, b) = (&found.unet.config, &told.unet.config);
        assert_eq!(a.block_out_channels, b.block_out_channels);
        assert_eq!(
            (&a.down_block_types, &a.up_block_types),
            (&b.down_block_types, &b.up_block_types)
        );
        assert_eq!(a.cross_attention_dim, b.cross_attention_dim);
        assert_eq!(a.use_linear_projection, b.use_linear_projection);
        assert_eq!(a.addition_time_embed_dim, b.addition_time_embed_dim);
        assert_eq!(
            a.projection_class_embeddings_input_dim,
            b.projection_class_embeddings_input_dim
        );
        let levels = 0..a.block_out_channels.len();
        for level in levels {
            let depth = |c: &UNetConfig| c.transformer_layers_per_block.get(level);
            assert_eq!(depth(a), depth(b), "{name}, level {level}");
        }
        assert_eq!(a.layers_per_block, PerLevel::All(2));
        let (a, b) = (&found.vae.config, &told.vae.config);
        assert_eq!(a.block_out_channels, b.block_out_channels);
        assert_eq!(
            (a.layers_per_block, a.latent_channels),
            (b.layers_per_block, b.latent_channels)
        );
        assert_eq!(a.scaling_factor, b.scaling_factor);
        for (a, b) in found.text_encoders.iter().zip(&told.text_encoders) {
            let (a, b) = (&a.config, &b.config);
            assert_eq!((a.vocab_size, a.hidden_size), (b.vocab_size, b.hidden_size));
            assert_eq!(
                (a.num_hidden_layers, a.intermediate_size),
                (b.num_hidden_layers, b.intermediate_size)
            );
            assert_eq!(
                (a.hidden_act, a.has_projection()),
                (b.hidden_act, b.has_projection())
            );
            assert_eq!(a.max_position_embeddings, 77);
        }
        let (a, b) = (&found.scheduler, &told.scheduler);
        assert_eq!(a.prediction_type, b.prediction_type, "{name}");
        assert_eq!(
            (a.beta_start, a.beta_end, a.steps_offset),
            (b.beta_start, b.beta_end, b.steps_offset)
        );
        assert_eq!(a.beta_schedule, b.beta_schedule);
    }
    let xl = Checkpoint::open(&golden("sdxl/sdxl.safetensors"), &Options::default())?;
    assert_eq!(
        xl.unet.config.addition_embed_type,
        Some(AdditionEmbed::TextTime)
    );
    assert_eq!(
        xl.scheduler.timestep_spacing,
        Some(TimestepSpacing::Leading)
    );
    assert_eq!(xl.text_encoders[0].config.hidden_act, HiddenAct::QuickGelu);
    Ok(())
}

#[test]
fn nine_channels_are_an_inpainting_model_and_others_are_refused() -> Result<()> {
    let conv = "model.diffusion_model.input_blocks.0.0.weight";
    let (_a, path) = changed(
        "sd21",
        "x.safetensors",
        &[counting(conv, &[8, 9, 3, 3], 0.0)],
        &[],
    );
    let opened = Checkpoint::open(&path, &Options::default())?;
    assert!(opened.inpainting());
    assert_eq!(opened.unet.config.in_channels, 9);
    assert_eq!(opened.scheduler.prediction_type, PredictionType::Epsilon);
    let (_b, path) = changed(
        "sd21",
        "x.safetensors",
        &[counting(conv, &[8, 5, 3, 3], 0.0)],
        &[],
    );
    let error = Checkpoint::open(&path, &Options::default()).expect_err("a depth model");
    assert!(error.message.contains("5 channels"), "{error}");
    Ok(())
}

#[test]
fn halves_are_copies_of_singles_alone() -> Result<()> {
    let conv = "model.diffusion_model.input_blocks.0.0.weight";
    let (_a, path) = changed(
        "sd15",
        "x.safetensors",
        &[counting(conv, &[8, 4, 3, 3], 0.0)],
        &[],
    );
    let half = Options {
        half: true,
        ..Options::default()
    };
    let single = Checkpoint::open(&path, &Options::default())?;
    assert_eq!(single.unet.tensors["conv_in.weight"].dtype(), DType::F32);
    let opened = Checkpoint::open(&path, &half)?;
    assert!(
        opened
            .unet
            .tensors
            .values()
            .all(|w| w.dtype() == DType::F16)
    );
    assert_eq!(
        numbers(&opened.unet.tensors["conv_in.weight"]),
        numbers(&single.unet.tensors["conv_in.weight"])
    );
    Ok(())
}

#[test]
fn a_missing_or_changed_weight_changes_the_fingerprint() -> Result<()> {
    let before = single("sd15").fingerprint();
    assert_eq!(before.len(), 64);
    let bias = "model.diffusion_model.out.2.bias";
    let (_a, path) = changed("sd15", "x.safetensors", &[counting(bias, &[4], 0.25)], &[]);
    assert_ne!(
        Checkpoint::open(&path, &Options::default())?.fingerprint(),
        before
    );
    Ok(())
}

#[test]
fn other_models_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.safetensors");
    let unet = "model.diffusion_model.input_blocks.0.0.weight";
    for (names, word) in [
        (
            vec!["model.diffusion_model.joint_blocks.0.x"],
            "Stable Diffusion 3",
        ),
        (vec!["double_blocks.0.img_attn.qkv.weight"], "Flux"),
        (
            vec![unet, "conditioner.embedders.0.model.ln_final.weight"],
            "refiner",
        ),
        (vec![unet], "no text encoder"),
        (vec!["lora_unet_x.lora_up.weight"], "models verify"),
        (
            vec![unet, "cond_stage_model.transformer.text_model.x"],
            "not a whole checkpoint",
        ),
    ] {
        let tensors: Vec<_> = names.iter().map(|n| counting(n, &[2, 2], 0.0)).collect();
        testing::write(&path, &tensors);
        let error = Checkpoint::open(&path, &Options::default()).expect_err("no checkpoint");
        assert!(error.message.contains(word), "{error}");
    }
    for name in ["m.ckpt", "m.pt", "m.bin"] {
        let path = folder.path().join(name);
        fs::write(&path, b"PK\x03\x04").expect("a file");
        let error = Checkpoint::open(&path, &Options::default()).expect_err("a pickle");
        assert!(
            error.message.contains("pickle") && error.message.contains(".safetensors"),
            "{error}"
        );
    }
    let error =
        Checkpoint::open(&folder.path().join("nowhere"), &Options::default()).expect_err("nothing");
    assert!(error.message.contains("nowhere"), "{error}");
}

#[test]
fn a_folder_that_is_not_whole_says_what_is_missing() {
    let from = single("sdxl");
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let fresh = || as_folder(&from, &golden("sdxl/checkpoint"), root);
    let said = || {
        Checkpoint::open(root, &Options::default())
            .expect_err("not whole")
            .message
    };
    fresh();
    fs::remove_file(root.join("vae/diffusion_pytorch_model.fp16.safetensors")).expect("removed");
    assert!(said().contains("models add"), "{}", said());
    fs::write(root.join("vae/diffusion_pytorch_model.bin"), b"PK").expect("written");
    assert!(said().contains("pickle"), "{}", said());
    fresh();
    fs::remove_file(root.join("unet/diffusion_pytorch_model.fp16-00002-of-00002.safetensors"))
        .expect("removed");
    assert!(said().contains("00002"), "{}", said());
    fresh();
    fs::remove_file(root.join("text_encoder_2/config.json")).expect("removed");
    assert!(said().contains("text_encoder_2"), "{}", said());
    fresh();
    let index = root.join("unet/diffusion_pytorch_model.safetensors.index.fp16.json");
    for file in [
        "../secret.safetensors",
        "/etc/secret.safetensors",
        "",
        "x.bin",
    ] {
        fs::write(&index, json!({ "weight_map": { "a": file } }).to_string()).expect("written");
        assert!(said().contains("beside it"), "{}", said());
    }
    let name = json!({ "_class_name": "FluxPipeline" });
    fs::write(root.join("model_index.json"), name.to_string()).expect("written");
    assert!(said().contains("FluxPipeline"), "{}", said());
    let refiner = json!({ "_class_name": "StableDiffusionXLImg2ImgPipeline", "text_encoder": [null, null],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"] });
    fs::write(root.join("model_index.json"), refiner.to_string()).expect("written");
    assert!(said().contains("refiner"), "{}", said());
}

#[test]
fn the_hubs_cache_is_a_layout_of_its_own() -> Result<()> {
    let cache = tempfile::tempdir().expect("a folder");
    let folder = hub::folder(cache.path(), "org/small");
    let snapshot = folder.join("snapshots/0123abcd");
    fs::create_dir_all(&snapshot).expect("a folder");
    as_folder(&single("sd21"), &golden("sd21/checkpoint"), &snapshot);
    fs::create_dir_all(folder.join("snapshots/older")).expect("a folder");
    fs::create_dir_all(folder.join("refs")).expect("a folder");
    fs::write(folder.join("refs/main"), "0123abcd").expect("a file");
    let opened = Checkpoint::open(&folder, &Options::default())?;
    assert_eq!(
        (opened.name.as_str(), opened.family),
        ("org/small", Family::Sd2)
    );
    let found = hub::repositories(cache.path());
    assert_eq!(found, [("org/small".to_owned(), folder.clone())]);
    // A repository with one single file.
    fs::write(folder.join("refs/main"), "older").expect("a file");
    let error = Checkpoint::open(&folder, &Options::default()).expect_err("nothing there");
    assert!(error.message.contains("models add"), "{error}");
    fs::copy(
        golden("sd15/sd15.safetensors"),
        folder.join("snapshots/older/m.safetensors"),
    )
    .expect("a copy");
    let opened = Checkpoint::open(&folder, &Options::default())?;
    assert_eq!(
        (opened.name.as_str(), opened.family),
        ("org/small", Family::Sd1)
    );
    for (id, is) in [
        ("a/b", true),
        ("a-b/c.d_e", true),
        ("a", false),
        ("../b", false),
        ("a/b/c", false),
        ("a/..", false),
        ("a/", false),
    ] {
        assert_eq!(hub::is_repository(id), is, "{id}");
    }
    Ok(())
}
