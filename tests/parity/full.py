"""Full-size random checkpoints with the published configurations, for speed and memory. Not for comparing numbers."""

import gc
import math
from pathlib import Path
from types import SimpleNamespace

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import ldm
from checkpoint import PIPELINES, state_of, write_json
from families import SCHEDULER

VAE = dict(
    in_channels=3, out_channels=3, down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    block_out_channels=[128, 256, 512, 512], layers_per_block=2, act_fn="silu", latent_channels=4, norm_num_groups=32,
)
UNET = dict(
    in_channels=4, out_channels=4, center_input_sample=False, flip_sin_to_cos=True, freq_shift=0, layers_per_block=2,
    downsample_padding=1, mid_block_scale_factor=1, act_fn="silu", norm_num_groups=32, norm_eps=1e-5,
)
SD15 = UNET | dict(
    sample_size=64, block_out_channels=[320, 640, 1280, 1280], cross_attention_dim=768, attention_head_dim=8,
    down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
)
SDXL = UNET | dict(
    sample_size=128, block_out_channels=[320, 640, 1280], cross_attention_dim=2048, attention_head_dim=[5, 10, 20],
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    up_block_types=["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    transformer_layers_per_block=[1, 2, 10], use_linear_projection=True, addition_embed_type="text_time",
    addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
)
CLIP_L = dict(
    vocab_size=49408, hidden_size=768, intermediate_size=3072, projection_dim=768, num_hidden_layers=12,
    num_attention_heads=12, max_position_embeddings=77, hidden_act="quick_gelu", layer_norm_eps=1e-5,
    bos_token_id=0, eos_token_id=2, pad_token_id=1,
)
CLIP_G = CLIP_L | dict(
    hidden_size=1280, intermediate_size=5120, projection_dim=1280, num_hidden_layers=32, num_attention_heads=20,
    hidden_act="gelu",
)


def save(folder, stem, make, config, class_name, prefix=""):
    with torch.device("meta"):
        shapes = state_of(make())
    generator = torch.Generator().manual_seed(1)
    state = {}
    for name, shape in shapes.items():
        if "norm" in name:
            value = torch.full(shape, 1.0 if name.endswith("weight") else 0.0)
        else:
            scale = 0.02 if name.endswith("bias") or "embedding.weight" in name else 1 / math.sqrt(math.prod(shape[1:]))
            value = torch.randn(shape, generator=generator) * scale
        state[prefix + name] = value.half()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / f"{stem}.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", class_name | config)
    del state
    gc.collect()


def make(kind, folder):
    folder = Path(folder)
    generation, unet, scaling = {"sd15": ("sd1", SD15, 0.18215), "sdxl": ("sdxl", SDXL, 0.13025)}[kind]
    vae = VAE | dict(scaling_factor=scaling, sample_size=512 if kind == "sd15" else 1024)
    stem = "diffusion_pytorch_model"
    named = lambda name: {"_class_name": name, "_diffusers_version": "0.42.1"}
    text = lambda name: {"architectures": [name], "model_type": "clip_text_model", "torch_dtype": "float16"}
    save(folder / "unet", stem, lambda: UNet2DConditionModel(**unet), unet, named("UNet2DConditionModel"))
    save(folder / "vae", stem, lambda: AutoencoderKL(**vae), vae, named("AutoencoderKL"))
    save(folder / "text_encoder", "model", lambda: CLIPTextModel(CLIPTextConfig(**CLIP_L)), CLIP_L,
         text("CLIPTextModel"), "text_model.")
    index = {
        "_class_name": PIPELINES[generation, False], "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if generation == "sdxl":
        save(folder / "text_encoder_2", "model", lambda: CLIPTextModelWithProjection(CLIPTextConfig(**CLIP_G)), CLIP_G,
             text("CLIPTextModelWithProjection"))
        index |= {"text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
                  "tokenizer_2": ["transformers", "CLIPTokenizer"], "force_zeros_for_empty_prompt": True}
    scheduler = SCHEDULER | dict(prediction_type="epsilon")
    write_json(folder / "scheduler" / "scheduler_config.json", named("DDIMScheduler") | scheduler)
    write_json(folder / "model_index.json", index)


def single(kind, folder):
    """Writes the same as a single file beside the folder."""
    folder = Path(folder)
    generation, unet = {"sd15": ("sd1", SD15), "sdxl": ("sdxl", SDXL)}[kind]
    read = lambda part: load_file(next((folder / part).glob("*.safetensors")))
    text_2 = read("text_encoder_2") if generation == "sdxl" else None
    fam = SimpleNamespace(generation=generation, unet=unet, prediction="epsilon")
    tensors = ldm.single_file(fam, read("unet"), read("vae"), read("text_encoder"), text_2, None)
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder.with_suffix(".safetensors"))
