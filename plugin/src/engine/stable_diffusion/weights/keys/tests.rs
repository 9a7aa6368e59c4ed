use super::super::store::Store;
use super::super::testing::golden;
use super::unet::{Layout, from_ldm, to_ldm};
use super::*;

/// All names below a prefix of a golden single file.
fn names(family: &str, prefix: &str) -> Vec<String> {
    let store =
        Store::open(&golden(&format!("{family}/{family}.safetensors"))).expect("a golden file");
    let names = store.tensors().keys();
    let names: Vec<_> = names
        .filter_map(|n| Some(n.strip_prefix(prefix)?.to_owned()))
        .collect();
    assert!(!names.is_empty());
    names
}

fn layout(family: &str) -> Layout {
    let attention_up = match family {
        "sdxl" => vec![true, true, false],
        _ => vec![false, true, true, true],
    };
    Layout {
        layers: 2,
        attention_up,
    }
}

#[test]
fn every_name_of_the_unet_goes_to_diffusers_and_back() {
    for family in ["sd15", "sd21", "sdxl"] {
        let mut seen = std::collections::BTreeSet::new();
        for key in names(family, "model.diffusion_model.") {
            let name = from_ldm(&key, 2).unwrap_or_else(|| panic!("{family}: {key} has no name"));
            assert_eq!(
                to_ldm(&name, &layout(family)).as_ref(),
                Some(&key),
                "{family}: {name}"
            );
            assert!(seen.insert(name), "{family}: {key} has another's name");
        }
    }
}

#[test]
fn the_published_models_names_are_known_by_heart() {
    // Pairs from the published SD 1.5 and SDXL files.
    for (key, name) in [
        (
            "input_blocks.3.0.op.weight",
            "down_blocks.0.downsamplers.0.conv.weight",
        ),
        (
            "input_blocks.4.0.skip_connection.bias",
            "down_blocks.1.resnets.0.conv_shortcut.bias",
        ),
        (
            "input_blocks.8.1.transformer_blocks.0.attn2.to_out.0.bias",
            "down_blocks.2.attentions.1.transformer_blocks.0.attn2.to_out.0.bias",
        ),
        (
            "input_blocks.11.0.emb_layers.1.weight",
            "down_blocks.3.resnets.1.time_emb_proj.weight",
        ),
        (
            "middle_block.2.out_layers.3.weight",
            "mid_block.resnets.1.conv2.weight",
        ),
        (
            "output_blocks.2.1.conv.weight",
            "up_blocks.0.upsamplers.0.conv.weight",
        ),
        (
            "output_blocks.5.2.conv.bias",
            "up_blocks.1.upsamplers.0.conv.bias",
        ),
        (
            "output_blocks.11.1.proj_out.weight",
            "up_blocks.3.attentions.2.proj_out.weight",
        ),
        ("label_emb.0.2.bias", "add_embedding.linear_2.bias"),
        ("out.2.weight", "conv_out.weight"),
    ] {
        assert_eq!(from_ldm(key, 2).as_deref(), Some(name), "{key}");
    }
    let module = "down_blocks.2.attentions.0.transformer_blocks.3.attn1.to_q";
    let key = to_ldm(module, &layout("sdxl"));
    assert_eq!(
        key.as_deref(),
        Some("input_blocks.7.1.transformer_blocks.3.attn1.to_q")
    );
    for key in [
        "",
        "input_blocks",
        "input_blocks.0.1.x",
        "input_blocks.x.0.op.weight",
        "middle_block.3.x",
        "output_blocks.0.1.conv.weight",
        "input_blocks.99999999999999999999999.0.op.weight",
    ] {
        assert_eq!(from_ldm(key, 2), None, "{key}");
    }
    for name in [
        "",
        "down_blocks",
        "up_blocks.9.upsamplers.0.conv",
        "mid_block.attentions.1.proj_in",
    ] {
        assert_eq!(to_ldm(name, &layout("sdxl")), None, "{name}");
    }
}

#[test]
fn the_autoencoders_names_of_all_ages_are_one() {
    for (key, name) in [
        (
            "encoder.down.0.block.1.norm2.weight",
            "encoder.down_blocks.0.resnets.1.norm2.weight",
        ),
        (
            "encoder.down.2.downsample.conv.bias",
            "encoder.down_blocks.2.downsamplers.0.conv.bias",
        ),
        (
            "decoder.up.3.block.2.conv1.weight",
            "decoder.up_blocks.0.resnets.2.conv1.weight",
        ),
        (
            "decoder.up.1.upsample.conv.weight",
            "decoder.up_blocks.2.upsamplers.0.conv.weight",
        ),
        (
            "decoder.up.0.block.0.nin_shortcut.weight",
            "decoder.up_blocks.3.resnets.0.conv_shortcut.weight",
        ),
        (
            "encoder.mid.block_2.conv1.bias",
            "encoder.mid_block.resnets.1.conv1.bias",
        ),
        (
            "decoder.mid.attn_1.q.weight",
            "decoder.mid_block.attentions.0.to_q.weight",
        ),
        (
            "decoder.mid.attn_1.proj_out.bias",
            "decoder.mid_block.attentions.0.to_out.0.bias",
        ),
        (
            "decoder.mid.attn_1.norm.bias",
            "decoder.mid_block.attentions.0.group_norm.bias",
        ),
        ("encoder.norm_out.weight", "encoder.conv_norm_out.weight"),
        ("post_quant_conv.weight", "post_quant_conv.weight"),
    ] {
        assert_eq!(vae::from_ldm(key, 4).as_deref(), Some(name), "{key}");
        assert_eq!(vae::modern(name), name, "a present name changes");
    }
    assert_eq!(vae::from_ldm("decoder.up.4.block.0.conv1.weight", 4), None);
    assert_eq!(
        vae::modern("encoder.mid_block.attentions.0.proj_attn.weight"),
        "encoder.mid_block.attentions.0.to_out.0.weight"
    );
    for family in ["sd15", "sdxl"] {
        let all = names(family, "first_stage_model.");
        let new: std::collections::BTreeSet<_> = all
            .iter()
            .map(|key| vae::from_ldm(key, 4).unwrap_or_else(|| panic!("{key}")))
            .collect();
        assert_eq!(new.len(), all.len());
    }
}

#[test]
fn what_a_text_encoder_does_not_need_has_no_place() {
    use clip::{Place, from_open_clip};
    assert_eq!(from_open_clip("logit_scale"), None);
    assert_eq!(from_open_clip("transformer.resblocks.x.ln_1.weight"), None);
    assert_eq!(from_open_clip("visual.proj"), None);
    assert_eq!(
        from_open_clip("transformer.resblocks.7.attn.in_proj_bias"),
        Some(Place::Fused(7, "bias"))
    );
    assert_eq!(
        from_open_clip("transformer.resblocks.12.mlp.c_proj.weight"),
        Some(Place::Whole(
            "text_model.encoder.layers.12.mlp.fc2.weight".into()
        ))
    );
    assert_eq!(
        clip::layer("text_model.encoder.layers.12.mlp.fc2.weight"),
        Some(12)
    );
    assert_eq!(
        clip::modern("embeddings.token_embedding.weight"),
        "text_model.embeddings.token_embedding.weight"
    );
    assert_eq!(replaced("conv", &[("conv", "op")]).as_deref(), Some("op"));
    assert_eq!(replaced("convolution", &[("conv", "op")]), None);
}
