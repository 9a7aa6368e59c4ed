"""A contact sheet of held-out captions: `python sheet.py VAE TEXT LATENTS UNET OUT.png`; prints the captions."""

import argparse

import torch
from diffusers import AutoencoderKL
from PIL import Image

import unet as network
from common import averaged, pictures
from latents import load
from vae import CONFIG as VAE


def shown(pictures, across):
    """-1 to 1, [n, 3, h, w], as one picture."""
    rows = [torch.cat(list(row), 2) for row in pictures.split(across)]
    whole = ((torch.cat(rows, 1).clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(whole.permute(1, 2, 0).cpu().numpy())


@torch.no_grad()
def main():
    words = argparse.ArgumentParser(description=__doc__)
    for name in ("vae", "text", "latents", "unet", "out"):
        words.add_argument(name)
    words.add_argument("--across", type=int, default=6)
    words.add_argument("--guidance", type=float, default=5.0)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--side", type=int, default=network.SIDE)
    given = words.parse_args()
    vae = averaged(AutoencoderKL(**VAE), given.vae)
    unet = averaged(network.Student(), given.unet).unet
    scale = network.scaling(load(given.latents)[0])
    captions = [t["caption"] for t, _, _ in pictures(given.seed, given.across**2, side=8, split="held-out")]
    latents = network.sample(unet, network.Encoder(given.text), captions, given.seed, guidance=given.guidance, side=given.side)
    shown(vae.decode(latents / scale).sample, given.across).save(given.out)
    print("\n".join(captions))


if __name__ == "__main__":
    main()
