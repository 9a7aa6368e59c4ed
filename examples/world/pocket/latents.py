"""Encodes the world's pictures once, by what vae.py wrote: `python latents.py VAE OUT --count N`. Goes on where OUT ends."""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from common import DEVICE, pictures, precision, signed
from vae import CONFIG

# Of a picture's latents.
SIDE, CHANNELS = 16, CONFIG["latent_channels"]


def load(folder):
    """Latents f16 [n, 8, 16, 16], mattes u8 [n, 16, 16], joints f32 [n, 14, 3] as the world tells them, and captions."""
    folder = Path(folder)
    lines = (folder / "captions.txt").read_text().splitlines()
    latents = np.memmap(folder / "latents.f16", np.float16, "r").reshape(-1, CHANNELS, SIDE, SIDE)[: len(lines)]
    mattes = np.memmap(folder / "mattes.u8", np.uint8, "r").reshape(-1, SIDE, SIDE)[: len(lines)]
    joints = np.memmap(folder / "joints.f32", np.float32, "r").reshape(-1, 14, 3)[: len(lines)]
    return latents, mattes, joints, lines


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("vae")
    words.add_argument("out", type=Path)
    words.add_argument("--count", type=int, default=100_000)
    given = words.parse_args()
    vae = AutoencoderKL.from_pretrained(given.vae).to(DEVICE, memory_format=torch.channels_last).eval()
    given.out.mkdir(parents=True, exist_ok=True)
    lines = given.out / "captions.txt"
    done = len(lines.read_text().splitlines()) if lines.exists() else 0
    files = {"latents.f16": 2 * CHANNELS * SIDE**2, "mattes.u8": SIDE**2, "joints.f32": 168}
    for name, each in files.items():
        # What was written after the last whole batch is written again.
        with open(given.out / name, "ab") as file:
            file.truncate(done * each)
    stream = pictures(done, given.count - done)
    while batch := list(islice(stream, 64)):
        rgb = np.stack([rgb for _, rgb, _ in batch])
        with torch.no_grad(), precision():
            mean = vae.encode(signed(rgb)).latent_dist.mean
        matte = np.stack([m for _, _, m in batch]).reshape(-1, SIDE, 128 // SIDE, SIDE, 128 // SIDE).mean((2, 4))
        joints = np.array([truth["joints"] for truth, _, _ in batch], np.float32)
        made = (mean.float().cpu().numpy().astype(np.float16), matte.astype(np.uint8), joints)
        for name, values in zip(files, made):
            with open(given.out / name, "ab") as file:
                file.write(values.tobytes())
        # Last: what it counts is whole.
        with open(lines, "a") as file:
            file.write("".join(truth["caption"] + "\n" for truth, _, _ in batch))
        done += len(batch)
        if done % 6400 == 0:
            print(done, flush=True)


if __name__ == "__main__":
    main()
