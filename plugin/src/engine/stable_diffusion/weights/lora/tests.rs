use std::sync::Arc;

use candle_core::Device;

use super::super::store::Store;
use super::super::testing::{Written, counting, file, golden};
use super::super::{Checkpoint, Options};
use super::*;

/// A golden model's weights, with a slot for every weight of two or four dimensions, as the built networks have.
fn model(family: &str) -> (Weights, Vec<Weights>) {
    let options = Options {
        config: Some(golden(&format!("{family}/checkpoint"))),
        ..Options::default()
    };
    let opened = Checkpoint::open(&golden(&format!("{family}/{family}.safetensors")), &options);
    let opened = opened.expect("a golden checkpoint");
    let slots = |weights: Weights, names: Vec<String>| {
        for name in names {
            let module = name
                .strip_suffix(".weight")
                .filter(|_| weights.shape(&name).is_some_and(|s| s.len() > 1));
            if let Some(module) = module {
                weights.at(module).slot();
            }
        }
        weights
    };
    let unet = slots(
        opened.unet.weights(&Device::Cpu),
        opened.unet.tensors.keys().cloned().collect(),
    );
    let text = opened.text_encoders.iter();
    let text = text
        .map(|p| slots(p.weights(&Device::Cpu), p.tensors.keys().cloned().collect()))
        .collect();
    (unet, text)
}

fn parse(tensors: &[Written], metadata: &[(&str, &str)]) -> Result<Lora> {
    let store = Store::parse(
        Path::new("style.safetensors"),
        Arc::new(file(tensors, metadata)),
    )?;
    Lora::of(store)
}

fn changes(lora: &Lora, unet: &Weights, text: &[Weights]) -> Result<Changes> {
    lora.changes(&Networks {
        unet,
        layers: 2,
        text,
    })
}

#[test]
fn every_name_of_users_files_finds_its_projection() -> Result<()> {
    for (family, encoders) in [("sd15", 1), ("sd21", 1), ("sdxl", 2)] {
        let (unet, text) = model(family);
        for kind in ["kohya", "peft", "old_diffusers"] {
            let lora = Lora::open(&golden(&format!("{family}/lora_{kind}.safetensors")))?;
            let found = changes(&lora, &unet, &text)?;
            assert_eq!(found.unmatched, Vec::<String>::new(), "{family} {kind}");
            assert_eq!(found.changes.len(), lora.len());
            let mut seen = std::collections::BTreeSet::new();
            for change in &found.changes {
                assert!(
                    seen.insert((change.target, change.module.clone())),
                    "{} twice",
                    change.module
                );
                // kohya's goldens have rank 4 and alpha 2.
                assert_eq!(
                    change.adapter.scale,
                    if kind == "kohya" { 0.5 } else { 1.0 }
                );
            }
            let of_text = seen.iter().filter(|(t, _)| *t != Target::UNet).count();
            assert_eq!(
                of_text,
                if kind == "old_diffusers" {
                    0
                } else {
                    12 * encoders
                },
                "{family} {kind}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_name_goes_to_the_projection_of_that_name() -> Result<()> {
    let (unet, text) = model("sdxl");
    let names = keys::Names::new(&Networks {
        unet: &unet,
        layers: 2,
        text: &text,
    });
    let to_q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q";
    for stem in [
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
        "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q",
    ] {
        assert_eq!(
            names.find(stem),
            Some((Target::UNet, to_q.to_owned())),
            "{stem}"
        );
    }
    let out = "text_model.encoder.layers.1.self_attn.out_proj".to_owned();
    for (stem, encoder) in [
        ("lora_te1_text_model_encoder_layers_1_self_attn_out_proj", 0),
        ("lora_te2_text_model_encoder_layers_1_self_attn_out_proj", 1),
        (
            "text_encoder.text_model.encoder.layers.1.self_attn.out_proj",
            0,
        ),
        (
            "text_encoder_2.text_model.encoder.layers.1.self_attn.out_proj",
            1,
        ),
        (
            "text_encoder.text_model.encoder.layers.1.self_attn.to_out",
            0,
        ),
        ("text_encoder_2.encoder.layers.1.self_attn.out_proj", 1),
    ] {
        assert_eq!(
            names.find(stem),
            Some((Target::Text(encoder), out.clone())),
            "{stem}"
        );
    }
    let to_out = "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0".to_owned();
    let old = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_out";
    assert_eq!(names.find(old), Some((Target::UNet, to_out)));
    for stem in [
        "lora_unet_x",
        "lora_te3_text_model_encoder_layers_1_mlp_fc1",
        "",
        "unet.",
    ] {
        assert_eq!(names.find(stem), None, "{stem}");
    }
    Ok(())
}

const CONV: &str = "lora_unet_down_blocks_0_downsamplers_0_conv";

#[test]
fn the_matrix_between_is_merged_into_the_first() -> Result<()> {
    let (unet, text) = model("sd15");
    let (rank, k, n) = (2, 8, 8);
    let tensors = [
        counting(&format!("{CONV}.lora_down.weight"), &[rank, k, 1, 1], -3.0),
        counting(
            &format!("{CONV}.lora_mid.weight"),
            &[rank, rank, 3, 3],
            -7.0,
        ),
        counting(&format!("{CONV}.lora_up.weight"), &[n, rank, 1, 1], 1.0),
        counting(&format!("{CONV}.alpha"), &[], 1.0),
    ];
    let lora = parse(&tensors, &[])?;
    let found = changes(&lora, &unet, &text)?;
    let adapter = &found.changes[0].adapter;
    assert_eq!(
        (adapter.scale, adapter.down.dims()),
        (0.5, &[rank, k, 3, 3][..])
    );
    // As convolutions one after the other.
    let cpu = Device::Cpu;
    let picture = Tensor::arange(0.0f32, 8.0 * 25.0, &cpu)?.reshape((1, 8, 5, 5))?;
    let read = |i: usize| {
        lora.store
            .frozen(&tensors[i].0)?
            .tensor(DType::F32, &cpu)
            .map_err(Error::from)
    };
    let (down, mid, up) = (read(0)?, read(1)?, read(2)?);
    let steps = picture
        .conv2d(&down, 0, 1, 1, 1)?
        .conv2d(&mid, 1, 2, 1, 1)?
        .conv2d(&up, 0, 1, 1, 1)?;
    let merged = picture
        .conv2d(&adapter.down, 1, 2, 1, 1)?
        .conv2d(&adapter.up, 0, 1, 1, 1)?;
    let largest = |t: &Tensor| t.abs()?.max_all()?.to_scalar::<f32>();
    let error = largest(&(&steps - &merged)?)? / largest(&steps)?;
    assert!(error < 1e-5, "{error}");
    Ok(())
}

#[test]
fn scales_come_from_the_header_where_no_alpha_is() -> Result<()> {
    let (unet, text) = model("sd15");
    let module = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
    let tensors = [
        counting(&format!("unet.{module}.lora_A.weight"), &[4, 16], 0.0),
        counting(&format!("unet.{module}.lora_B.weight"), &[16, 4], 0.0),
    ];
    for (metadata, scale) in [
        (r#"{"unet.lora_alpha": 8, "unet.r": 4}"#, 2.0),
        (r#"{"unet.lora_alpha": 8, "unet.use_rslora": true}"#, 4.0),
        (
            r#"{"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_q": 2}}"#,
            0.5,
        ),
        (r#"{"lora_alpha": 2}"#, 0.5),
        ("not JSON", 1.0),
    ] {
        let lora = parse(&tensors, &[("lora_adapter_metadata", metadata)])?;
        assert_eq!(
            changes(&lora, &unet, &text)?.changes[0].adapter.scale,
            scale,
            "{metadata}"
        );
    }
    Ok(())
}

#[test]
fn several_are_put_on_top_of_each_other_with_their_weights() -> Result<()> {
    let (unet, text) = model("sd15");
    let networks = Networks {
        unet: &unet,
        layers: 2,
        text: &text,
    };
    for (kind, weight) in [("kohya", 0.5), ("peft", -1.0)] {
        let lora = Lora::open(&golden(&format!("sd15/lora_{kind}.safetensors")))?;
        lora.changes(&networks)?.put(&networks, weight);
    }
    let slot = text[0].at("text_model.encoder.layers.0.mlp.fc1").slot();
    let scales: Vec<f64> = super::super::lock(&slot).iter().map(|a| a.scale).collect();
    assert_eq!(scales, [0.25, -1.0]);
    Ok(())
}

#[test]
fn what_does_not_fit_is_reported_or_refused() -> Result<()> {
    let (unet, text) = model("sd15");
    let fit = |name: &str| {
        vec![
            counting(&format!("{name}.lora_down.weight"), &[1, 8, 3, 3], 0.0),
            counting(&format!("{name}.lora_up.weight"), &[8, 1, 1, 1], 0.0),
        ]
    };
    // Some names are strange: the rest is used, and they are named.
    let mut tensors = fit(CONV);
    tensors.extend(fit("lora_unet_from_the_future"));
    tensors.push(counting("bundle_emb.word.string_to_param", &[1, 32], 0.0));
    let found = changes(&parse(&tensors, &[])?, &unet, &text)?;
    assert_eq!(found.changes.len(), 1);
    assert_eq!(
        found.unmatched,
        [
            "bundle_emb.word.string_to_param",
            "lora_unet_from_the_future"
        ]
    );
    let said = found.left_out().expect("a sentence");
    assert!(
        said.starts_with("2 of") && said.contains("bundle_emb"),
        "{said}"
    );
    // All are.
    let error =
        changes(&parse(&fit("lora_unet_nowhere"), &[])?, &unet, &text).expect_err("nothing fits");
    assert!(error.message.contains("another kind of model"), "{error}");
    // A shape of another model, a matrix that is missing, a scale that is none.
    let mut other = fit(CONV);
    other[0] = counting(&other[0].0.clone(), &[1, 320, 3, 3], 0.0);
    let error = changes(&parse(&other, &[])?, &unet, &text).expect_err("another shape");
    assert!(
        error.message.contains("[1, 320, 3, 3]") && error.message.contains("[8, 8, 3, 3]"),
        "{error}"
    );
    let error = changes(&parse(&fit(CONV)[..1], &[])?, &unet, &text).expect_err("half a change");
    assert!(error.message.contains("only one"), "{error}");
    let mut endless = fit(CONV);
    endless.push(counting(&format!("{CONV}.alpha"), &[], f32::NAN));
    assert!(changes(&parse(&endless, &[])?, &unet, &text).is_err());
    for (key, kind) in [
        ("lora_unet_x.dora_scale", "DoRA"),
        ("unet.x.lora_magnitude_vector", "DoRA"),
        ("lora_unet_x.hada_w1_a", "LoHa"),
        ("lora_unet_x.lokr_w1", "LoKr"),
        ("lora_unet_x.diff", "differences"),
    ] {
        let mut tensors = fit(CONV);
        tensors.push(counting(key, &[1], 0.0));
        let error = parse(&tensors, &[]).expect_err(kind);
        assert!(error.message.contains(kind), "{error}");
    }
    let error = parse(&[counting("some.weight", &[1], 0.0)], &[]).expect_err("no LoRA");
    assert!(error.message.contains("is not a LoRA"), "{error}");
    Ok(())
}
