//! What published configurations say, and what hostile ones get.

use serde_json::{Value, json};

use super::*;
use crate::ErrorKind;

/// The published file of SD 1.5's U-Net, as far as it says anything.
const SD15: &str = r#"{"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
    "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": false,
    "cross_attention_dim": 768, "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
    "CrossAttnDownBlock2D", "DownBlock2D"], "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0,
    "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32,
    "out_channels": 4, "sample_size": 64, "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
    "CrossAttnUpBlock2D"]}"#;

/// The published file of SDXL's U-Net.
const SDXL: &str = r#"{
    "act_fn": "silu", "addition_embed_type": "text_time", "addition_embed_type_num_heads": 64,
    "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280],
    "center_input_sample": false, "class_embed_type": null, "class_embeddings_concat": false, "conv_in_kernel": 3,
    "conv_out_kernel": 3, "cross_attention_dim": 2048, "cross_attention_norm": null,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "downsample_padding": 1,
    "dual_cross_attention": false, "encoder_hid_dim": null, "encoder_hid_dim_type": null, "flip_sin_to_cos": true,
    "freq_shift": 0, "in_channels": 4, "layers_per_block": 2, "mid_block_only_cross_attention": null,
    "mid_block_scale_factor": 1, "mid_block_type": "UNetMidBlock2DCrossAttn", "norm_eps": 1e-05,
    "norm_num_groups": 32, "num_attention_heads": null, "num_class_embeds": null, "only_cross_attention": false,
    "out_channels": 4, "projection_class_embeddings_input_dim": 2816, "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": false, "resnet_time_scale_shift": "default", "sample_size": 128,
    "time_cond_proj_dim": null, "time_embedding_act_fn": null, "time_embedding_dim": null,
    "time_embedding_type": "positional", "timestep_post_act": null, "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "upcast_attention": null,
    "use_linear_projection": true
    }"#;

fn sdxl() -> Value {
    serde_json::from_str(SDXL).expect("the constant is JSON")
}

fn read(value: &Value) -> crate::Result<UNetConfig> {
    UNetConfig::from_json(&value.to_string(), "unet/config.json")
}

#[test]
fn published_files_say_what_the_families_are() -> crate::Result<()> {
    assert_eq!(UNetConfig::from_json(SD15, "SD 1.5")?, UNetConfig::sd15());
    assert_eq!(read(&sdxl())?, UNetConfig::sdxl());
    let text = r#"{"architectures": ["CLIPTextModelWithProjection"], "bos_token_id": 0, "dropout": 0.0,
        "eos_token_id": 2, "hidden_act": "gelu", "hidden_size": 1280, "intermediate_size": 5120,
        "layer_norm_eps": 1e-05, "max_position_embeddings": 77, "model_type": "clip_text_model",
        "num_attention_heads": 20, "num_hidden_layers": 32, "pad_token_id": 1, "projection_dim": 1280,
        "vocab_size": 49408}"#;
    let encoder = ClipConfig::from_json(text, "text_encoder_2")?;
    assert!(encoder.has_projection());
    let named = ClipConfig {
        eos_token_id: 2,
        bos_token_id: 0,
        ..ClipConfig::vit_big_g()
    };
    assert_eq!(encoder, named);
    let vae = r#"{"act_fn": "silu", "block_out_channels": [128, 256, 512, 512], "down_block_types":
        ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"], "force_upcast": true,
        "in_channels": 3, "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "out_channels": 3,
        "sample_size": 1024, "scaling_factor": 0.13025, "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D",
        "UpDecoderBlock2D", "UpDecoderBlock2D"]}"#;
    assert_eq!(VaeConfig::from_json(vae, "vae")?, VaeConfig::sdxl());
    assert_eq!(VaeConfig::sdxl().factor(), 8);
    Ok(())
}

#[test]
fn a_scheduler_leaves_open_what_its_file_leaves_open() -> crate::Result<()> {
    let text = r#"{"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true,
        "steps_offset": 1, "trained_betas": null, "clip_sample": false}"#;
    let found = SchedulerConfig::from_json(text, "scheduler")?;
    let named = SchedulerConfig {
        class_name: "PNDMScheduler".into(),
        ..SchedulerConfig::stable_diffusion(PredictionType::Epsilon)
    };
    assert_eq!(found, named);
    assert_eq!(found.timestep_spacing, None);
    let v = SchedulerConfig::from_json(r#"{"prediction_type": "v_prediction"}"#, "scheduler")?;
    assert_eq!(v.prediction_type, PredictionType::V);
    assert_eq!(v.beta_schedule, BetaSchedule::Linear);
    Ok(())
}

#[test]
fn options_that_would_change_the_network_are_refused_by_name() {
    for (name, value) in [
        ("class_embed_type", json!("timestep")),
        ("dual_cross_attention", json!(true)),
        ("only_cross_attention", json!([true, false, false])),
        ("resnet_time_scale_shift", json!("scale_shift")),
        ("encoder_hid_dim", json!(768)),
        ("time_cond_proj_dim", json!(256)),
        ("mid_block_scale_factor", json!(1.5)),
        ("mid_block_type", json!("UNetMidBlock2D")),
        ("num_attention_heads", json!(8)),
        ("conv_in_kernel", json!(1)),
    ] {
        let mut config = sdxl();
        config[name] = value;
        let error = read(&config).expect_err(name);
        assert_eq!(error.kind, ErrorKind::Refused, "{name}");
        assert!(error.message.contains(name), "{error}");
    }
}

#[test]
fn senseless_sizes_are_refused() {
    for (name, value) in [
        ("norm_num_groups", json!(0)),
        ("norm_num_groups", json!(33)),
        ("attention_head_dim", json!(0)),
        ("attention_head_dim", json!([5, 10])),
        ("attention_head_dim", json!(7)),
        ("block_out_channels", json!([])),
        ("block_out_channels", json!([320, 640])),
        ("block_out_channels", json!([320, 640, 4_000_000_000u64])),
        ("block_out_channels", json!([320, 640, -1])),
        ("layers_per_block", json!(0)),
        ("layers_per_block", json!(1u64 << 40)),
        ("transformer_layers_per_block", json!([1, 2, [3, 4]])),
        ("in_channels", json!(0)),
        ("norm_eps", json!(-1)),
        ("addition_time_embed_dim", json!(null)),
        ("projection_class_embeddings_input_dim", json!(0)),
        (
            "down_block_types",
            json!(["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"]),
        ),
    ] {
        let mut config = sdxl();
        config[name] = value;
        let error = read(&config).expect_err(name);
        assert_eq!(error.kind, ErrorKind::Files, "{name}: {error}");
    }
    for text in ["", "[]", "{", "7", "{\"in_channels\": \"four\"}"] {
        assert!(UNetConfig::from_json(text, "x").is_err());
    }
    assert!(VaeConfig::from_json(r#"{"norm_num_groups": 0}"#, "x").is_err());
    assert!(VaeConfig::from_json(r#"{"block_out_channels": []}"#, "x").is_err());
    assert!(VaeConfig::from_json(r#"{"scaling_factor": 0}"#, "x").is_err());
    assert!(ClipConfig::from_json(r#"{"num_attention_heads": 0}"#, "x").is_err());
    assert!(ClipConfig::from_json(r#"{"hidden_act": "relu"}"#, "x").is_err());
    assert!(SchedulerConfig::from_json(r#"{"num_train_timesteps": 0}"#, "x").is_err());
    assert!(SchedulerConfig::from_json(r#"{"beta_end": 2}"#, "x").is_err());
    assert!(TaesdConfig::from_json(r#"{"num_decoder_blocks": [1]}"#, "x").is_err());
}

#[test]
fn the_pooled_token_is_found_as_in_transformers() {
    let mut config = ClipConfig::vit_l();
    assert_eq!(config.pooled_at(&[49406, 5, 49407, 49407]), 2);
    assert_eq!(config.pooled_at(&[49406, 5, 6]), 0);
    config.eos_token_id = 2;
    assert_eq!(config.pooled_at(&[49406, 2, 49407, 49407]), 2);
}
