"""Random checkpoints, as a diffusers folder and as a single file, and the reference networks loaded from the folder."""

import json
import math
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

import ldm
from store import half

PIPELINES = {
    ("sd1", False): "StableDiffusionPipeline", ("sd1", True): "StableDiffusionInpaintPipeline",
    ("sd2", False): "StableDiffusionPipeline", ("sd2", True): "StableDiffusionInpaintPipeline",
    ("sdxl", False): "StableDiffusionXLPipeline", ("sdxl", True): "StableDiffusionXLInpaintPipeline",
}


def randomise(shapes, rng, prefix):
    """Weights of the given names and shapes, each exactly representable in f16.

    Scaled so that signals keep their size through the depth, attention is neither flat nor one-hot, and every bias and
    every norm's weight matters.
    """
    out = {}
    for name, shape in shapes.items():
        draw = rng.normal(f"{prefix}/{name}", *shape).float()
        if "norm" in name and name.endswith("weight"):
            value = 1 + 0.2 * draw
        elif name.endswith("bias"):
            value = 0.1 * draw
        elif "embedding.weight" in name:
            value = 0.6 * draw
        else:
            fan_in = math.prod(shape[1:])
            gain = 1.5 if any(part in name for part in ("to_q", "to_k", "q_proj", "k_proj")) else 1.0
            value = draw * gain / math.sqrt(fan_in)
        out[name] = half(value)
    return out


def state_of(model):
    return {k: tuple(v.shape) for k, v in model.state_dict().items()}


def text_state(config, projection, rng, name):
    """A text encoder's weights under the names of the published files, which begin with `text_model.`."""
    with torch.device("meta"):
        model = (CLIPTextModelWithProjection if projection else CLIPTextModel)(CLIPTextConfig(**config))
    shapes = state_of(model)
    if not projection:
        shapes = {f"text_model.{k}": v for k, v in shapes.items()}
    return randomise(shapes, rng, name)


def write_json(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=2) + "\n")


def write_weights(folder, stem, variant, state, config):
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
    half_state = {k: v.half().contiguous() for k, v in state.items()}
    save_file(half_state, folder / name, metadata={"format": "pt"})
    write_json(folder / "config.json", config)


def old_attention_names(state):
    """The VAE's attention as diffusers named it before 0.13."""
    swap = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    out = {}
    for key, value in state.items():
        for new, old in swap.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        out[key] = value
    return out


def write(fam, rng, folder, single=True):
    """Writes `folder/checkpoint` and, unless `single` is false, `folder/NAME.safetensors`. Weights are stored in f16."""
    root = Path(folder) / "checkpoint"
    with torch.device("meta"):
        unet_shapes = state_of(UNet2DConditionModel(**fam.unet))
        vae_shapes = state_of(AutoencoderKL(**fam.vae))
    unet = randomise(unet_shapes, rng, "unet")
    vae = randomise(vae_shapes, rng, "vae")
    text = text_state(fam.text, False, rng, "text_encoder")
    text_2 = text_state(fam.text_2, True, rng, "text_encoder_2") if fam.text_2 else None

    stem = "diffusion_pytorch_model"
    unet_config = {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.42.1"} | fam.unet
    vae_config = {"_class_name": "AutoencoderKL", "_diffusers_version": "0.42.1"} | fam.vae
    write_weights(root / "unet", stem, fam.variant, unet, unet_config)
    write_weights(root / "vae", stem, fam.variant, old_attention_names(vae) if fam.old_vae_names else vae, vae_config)
    base = {"model_type": "clip_text_model", "torch_dtype": "float16"}
    text_config = {"architectures": ["CLIPTextModel"]} | base | fam.text
    write_weights(root / "text_encoder", "model", fam.variant, text, text_config)
    if text_2:
        text_2_config = {"architectures": ["CLIPTextModelWithProjection"]} | base | fam.text_2
        write_weights(root / "text_encoder_2", "model", fam.variant, text_2, text_2_config)
    scheduler = {"_class_name": fam.scheduler_class, "_diffusers_version": "0.42.1"} | fam.scheduler
    write_json(root / "scheduler" / "scheduler_config.json", scheduler)
    index = {
        "_class_name": PIPELINES[fam.generation, fam.inpainting],
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", fam.scheduler_class],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    if text_2:
        index |= {
            "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
            "tokenizer_2": ["transformers", "CLIPTokenizer"],
            "force_zeros_for_empty_prompt": True,
        }
    write_json(root / "model_index.json", index)

    if single:
        last = None
        if fam.generation == "sd2":
            keys = [k for k in text if ".layers.0." in k]
            last = randomise({k: tuple(text[k].shape) for k in keys}, rng, "unused layer")
        tensors = ldm.single_file(fam, unet, vae, text, text_2, last)
        ldm.verify(fam, tensors, unet, vae, text, text_2)
        stored = {k: v.half() if k.split(".")[0] in ("model", "first_stage_model", "cond_stage_model", "conditioner")
                  and v.is_floating_point() else v for k, v in tensors.items()}
        save_file({k: v.contiguous() for k, v in stored.items()}, Path(folder) / f"{fam.name}.safetensors")


class Networks:
    """The reference, in f32, as diffusers and transformers load it from the folder."""

    def __init__(self, fam, root):
        root = Path(root)
        more = {"variant": fam.variant, "torch_dtype": torch.float32}
        self.unet = UNet2DConditionModel.from_pretrained(root / "unet", **more).eval()
        self.vae = AutoencoderKL.from_pretrained(root / "vae", **more).eval()
        more = {"variant": fam.variant, "dtype": torch.float32, "attn_implementation": "eager"}
        self.text = CLIPTextModel.from_pretrained(root / "text_encoder", **more).eval()
        self.text_2 = None
        if fam.text_2:
            self.text_2 = CLIPTextModelWithProjection.from_pretrained(root / "text_encoder_2", **more).eval()
        for model in self.all():
            model.requires_grad_(False)
        stored = load_file(next((root / "text_encoder").glob("*.safetensors")))
        name = "text_model.encoder.layers.0.mlp.fc1.weight"
        assert torch.equal(self.text.encoder.layers[0].mlp.fc1.weight, stored[name].float()), "text encoder not loaded"

    def all(self):
        return [m for m in (self.unet, self.vae, self.text, self.text_2) if m is not None]
