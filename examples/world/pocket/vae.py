"""The autoencoder: pictures to latents of an eighth of their size, 4 channels. `python vae.py OUT --samples N`."""

import argparse
from itertools import islice

import numpy as np
import torch
from diffusers import AutoencoderKL

from common import DEVICE, Run, pictures, precision, signed

CONFIG = {
    "block_out_channels": (16, 32, 64, 128),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": 128,
}
# Nats are worth so much of the squared error that noise of the latents costs a tenth of the error at 28 dB.
KL = 0.02


def quarters(start):
    """Batches of 16: the quarters of 4 pictures, mirrored at random."""
    random = np.random.default_rng(start)
    stream = pictures(start, 1 << 40)
    while four := [rgb for _, rgb, _ in islice(stream, 4)]:
        crops = [p[y : y + 64, x : x + 64] for p in four for y in (0, 64) for x in (0, 64)]
        yield (signed([c[:, ::-1] if random.random() < 0.5 else c for c in crops]),)


def wholes(start, size=4):
    stream = pictures(start, 1 << 40)
    while four := [rgb for _, rgb, _ in islice(stream, size)]:
        yield (signed(four),)


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out")
    words.add_argument("--samples", type=int, default=100_000, help="quarters of pictures")
    words.add_argument("--rate", type=float, default=2e-3)
    given = words.parse_args()
    torch.manual_seed(0)
    vae = AutoencoderKL(**CONFIG).to(DEVICE, memory_format=torch.channels_last)
    held_out = signed([rgb for _, rgb, _ in pictures(0, 64, split="held-out")])

    def loss_of(batch):
        picture = batch[0]
        with precision():
            latents = vae.encode(picture).latent_dist
            seen = vae.decode(latents.sample()).sample.float()
        square, straight = (seen - picture).square().mean(), (seen - picture).abs().mean()
        kl = latents.kl().mean() / picture[0].numel()
        return square + 0.1 * straight + KL * kl, {"square": square, "kl": kl}

    @torch.no_grad()
    def report(run):
        averaged = AutoencoderKL(**CONFIG).to(DEVICE)
        averaged.load_state_dict(run.average.values)
        seen = torch.cat([averaged.decode(averaged.encode(p).latent_dist.mode()).sample for p in held_out.split(8)])
        error = ((seen.clamp(-1, 1) - held_out) / 2).square().mean((1, 2, 3))
        print(f"held out: PSNR {(-10 * error.log10()).mean():.2f} dB", flush=True)

    run = Run(given.out, vae, given.rate)
    run.train(quarters(run.done // 4), loss_of, given.samples, keep=300, report=report)


if __name__ == "__main__":
    main()
