"""TAESD, the small autoencoder for previews: diffusers' folder and the original's decoder file."""

import re
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

import checkpoint
from store import Goldens, Random

# Block counts as published; the one of SDXL is wired the same. 64 channels there.
CONFIG = dict(
    in_channels=3, out_channels=3, encoder_block_out_channels=[8] * 4, decoder_block_out_channels=[8] * 4,
    act_fn="relu", latent_channels=4, upsampling_scaling_factor=2, num_encoder_blocks=[1, 3, 3, 3],
    num_decoder_blocks=[3, 3, 3, 1], latent_magnitude=3, latent_shift=0.5, force_upcast=False, scaling_factor=1.0,
)


@torch.no_grad()
def make(out, args):
    folder = Path(out) / "taesd"
    config = CONFIG | {k: [args.width] * 4 for k in ("encoder_block_out_channels", "decoder_block_out_channels")}
    rng = Random(f"{args.seed}/taesd")
    with torch.device("meta"):
        shapes = checkpoint.state_of(AutoencoderTiny(**config))
    state = checkpoint.randomise(shapes, rng, "taesd")
    full = {"_class_name": "AutoencoderTiny", "_diffusers_version": "0.42.1"} | config
    checkpoint.write_weights(folder / "taesd", "diffusion_pytorch_model", None, state, full)
    # The original counts its clamp as layer 0 of the decoder.
    original = {}
    for key, value in state.items():
        if found := re.fullmatch(r"decoder\.layers\.(\d+)\.(.*)", key):
            original[f"{int(found[1]) + 1}.{found[2]}"] = value.half().contiguous()
    save_file(original, folder / "taesd_decoder.safetensors")
    model = AutoencoderTiny.from_pretrained(folder / "taesd", torch_dtype=torch.float32).eval()
    goldens = Goldens(folder, dict(family="taesd", seed=args.seed, width=args.width, folder="taesd",
                                   single_file="taesd_decoder.safetensors"))
    latents = 2 * rng.normal("latents", 2, 4, 3, 5)
    # diffusers gives [-1, 1]
    goldens.case("networks", "decode", "taesd_decode", dict(latents=latents), dict(image=model.decode(latents).sample))
    goldens.write()
