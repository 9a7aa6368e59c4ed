"""Writes the model as it ships, a diffusers folder in half precision: `python export.py VAE TEXT LATENTS UNET OUT`."""

import argparse
import json
import shutil
from pathlib import Path

from diffusers import AutoencoderKL, DDIMScheduler
from safetensors.torch import save_file
from transformers import CLIPTextModel

import unet as network
from common import averaged
from latents import load


def main():
    words = argparse.ArgumentParser(description=__doc__)
    for name in ("vae", "text", "latents", "unet", "out"):
        words.add_argument(name, type=Path)
    given = words.parse_args()
    scale = network.scaling(load(given.latents)[0])
    modules = {
        "vae": AutoencoderKL.from_pretrained(given.vae),
        "unet": averaged(network.Student(), given.unet).unet,
        "text_encoder": CLIPTextModel.from_pretrained(given.text / "text_encoder"),
    }
    modules["vae"].register_to_config(scaling_factor=scale)
    for name, module in modules.items():
        module.to("cpu").half().save_pretrained(given.out / name)
    # As published files have it, and what trainers of LoRAs expect.
    weights = modules["text_encoder"].state_dict()
    weights = {f"text_model.{k.removeprefix('text_model.')}": v for k, v in weights.items()}
    save_file(weights, given.out / "text_encoder" / "model.safetensors", {"format": "pt"})
    DDIMScheduler(**network.SCHEDULE).save_pretrained(given.out / "scheduler")
    shutil.copytree(given.text / "tokenizer", given.out / "tokenizer", dirs_exist_ok=True)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (given.out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    size = sum(f.stat().st_size for f in given.out.rglob("*") if f.is_file())
    print(f"{size / 1e6:.1f} MB; latents times {scale:.4f}")


if __name__ == "__main__":
    main()
