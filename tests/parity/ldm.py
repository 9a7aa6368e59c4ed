"""diffusers' names to those of the original single files, for U-Net, VAE and text encoders.

Written from the layout of the published files; `verify` proves it by diffusers' own converters, which must give back the
same tensors.
"""

import re

import torch

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}


def unet_key(key, config):
    """The name in `model.diffusion_model.` of the U-Net's tensor (or module) `key`."""
    per = config["layers_per_block"]
    for old, new in UNET_ENDS.items():
        if key.startswith(old + ".") or key == old:
            return new + key[len(old):]
    part = key.split(".")
    if part[0] == "mid_block":
        _, kind, index, *rest = part
        place = f"middle_block.{1 if kind == 'attentions' else 2 * int(index)}"
    elif part[0] == "down_blocks":
        _, block, kind, index, *rest = part
        first = (per + 1) * int(block) + 1
        if kind == "downsamplers":
            return f"input_blocks.{first + per}.0.op." + ".".join(rest[1:])
        place = f"input_blocks.{first + int(index)}.{int(kind == 'attentions')}"
    else:
        _, block, kind, index, *rest = part
        first = (per + 1) * int(block)
        if kind == "upsamplers":
            # The slot behind the resnet and, where there is one, the transformer.
            slot = 2 if "CrossAttn" in config["up_block_types"][int(block)] else 1
            return f"output_blocks.{first + per}.{slot}." + ".".join(rest)
        place = f"output_blocks.{first + int(index)}.{int(kind == 'attentions')}"
    if kind == "resnets":
        rest[0] = RESNET[rest[0]]
    return f"{place}." + ".".join(rest)


def vae_key(key, levels):
    """The name in `first_stage_model.` of the VAE's tensor `key`."""
    key = key.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    key = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", key)
    key = key.replace("mid_block.attentions.0", "mid.attn_1")
    key = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", key)
    key = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", key)
    key = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: f"up.{levels - 1 - int(m[1])}.block", key)
    key = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", key)
    for old, new in {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}.items():
        key = key.replace(f"attn_1.{old}.", f"attn_1.{new}.")
    return key


def vae_tensors(state, levels):
    out = {}
    for key, value in state.items():
        new = vae_key(key, levels)
        if re.search(r"attn_1\.(q|k|v|proj_out)\.weight", new):
            value = value[:, :, None, None]  # the original has 1×1 convolutions there
        out[new] = value
    return out


def open_clip(state, seed_layer=None):
    """A text encoder under OpenCLIP's names. `seed_layer`: a further last layer, which SD 2.x files carry and do not use."""
    out = {}
    state = dict(state)
    layers = sorted({int(m[1]) for k in state if (m := re.match(r"text_model\.encoder\.layers\.(\d+)\.", k))})
    sources = [(i, i, state) for i in layers]
    if seed_layer is not None:
        sources.append((len(layers), 0, seed_layer))
    for new, old, tensors in sources:
        src, dst = f"text_model.encoder.layers.{old}.", f"transformer.resblocks.{new}."
        for kind in ("weight", "bias"):
            out[f"{dst}attn.in_proj_{kind}"] = torch.cat([tensors[f"{src}self_attn.{p}_proj.{kind}"] for p in "qkv"])
            for a, b in [("self_attn.out_proj", "attn.out_proj"), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
                         ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj")]:
                out[f"{dst}{b}.{kind}"] = tensors[f"{src}{a}.{kind}"]
    out["token_embedding.weight"] = state["text_model.embeddings.token_embedding.weight"]
    out["positional_embedding"] = state["text_model.embeddings.position_embedding.weight"]
    for kind in ("weight", "bias"):
        out[f"ln_final.{kind}"] = state[f"text_model.final_layer_norm.{kind}"]
    if "text_projection.weight" in state:
        out["text_projection"] = state["text_projection.weight"].T.contiguous()
    out["logit_scale"] = torch.tensor(4.6)
    return out


def single_file(fam, unet, vae, text, text_2, last_layer):
    """The single file: all networks, and the further entries that the published ones carry."""
    out = {f"model.diffusion_model.{unet_key(k, fam.unet)}": v for k, v in unet.items()}
    assert len(out) == len(unet)
    out |= {f"first_stage_model.{k}": v for k, v in vae_tensors(vae, 4).items()}
    positions = torch.arange(77)[None]
    if fam.generation == "sd1":
        prefix = "cond_stage_model.transformer."
        out |= {prefix + k: v for k, v in text.items()}
        out[prefix + "text_model.embeddings.position_ids"] = positions
    elif fam.generation == "sd2":
        out |= {f"cond_stage_model.model.{k}": v for k, v in open_clip(text, last_layer).items()}
    else:
        out |= {f"conditioner.embedders.0.transformer.{k}": v for k, v in text.items()}
        out["conditioner.embedders.0.transformer.text_model.embeddings.position_ids"] = positions
        out |= {f"conditioner.embedders.1.model.{k}": v for k, v in open_clip(text_2).items()}
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    if fam.generation == "sdxl":
        out["denoiser.sigmas"] = ((1 - torch.cumprod(1 - betas, 0)) / torch.cumprod(1 - betas, 0)).sqrt().float()
        if fam.prediction == "v_prediction":
            out["v_pred"] = torch.tensor([])
            out["ztsnr"] = torch.tensor([])
    else:
        out["betas"] = betas.float()
        out["alphas_cumprod"] = torch.cumprod(1 - betas, 0).float()
        out["model_ema.decay"] = torch.tensor(0.9999)
        out["model_ema.num_updates"] = torch.tensor(0, dtype=torch.int32)
    return out


def verify(fam, single, unet, vae, text, text_2):
    """diffusers' converters must turn `single` back into the tensors it was made from."""
    from diffusers.loaders import single_file_utils as u
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    def same(got, want, what):
        got = {k: v for k, v in got.items() if not k.endswith("position_ids")}
        assert set(got) == set(want), (what, sorted(set(got) ^ set(want))[:8])
        for key in want:
            assert got[key].shape == want[key].shape and torch.equal(got[key], want[key]), (what, key)

    same(u.convert_ldm_unet_checkpoint(dict(single), fam.unet), unet, "unet")
    same(u.convert_ldm_vae_checkpoint(dict(single), fam.vae), vae, "vae")
    if fam.generation == "sd2":
        model = CLIPTextModel(CLIPTextConfig(**fam.text))
        # diffusers knows the unused last layer by its number in the published files only.
        unused = f"transformer.resblocks.{fam.text['num_hidden_layers']}."
        used = {k: v for k, v in single.items() if unused not in k}
        same(u.convert_open_clip_checkpoint(model, used, "cond_stage_model.model."), text, "text encoder")
    else:
        same(u.convert_ldm_clip_checkpoint(dict(single)), text, "text encoder")
    if text_2:
        model = CLIPTextModelWithProjection(CLIPTextConfig(**fam.text_2))
        got = u.convert_open_clip_checkpoint(model, dict(single), "conditioner.embedders.1.model.")
        same(got, text_2, "second text encoder")
