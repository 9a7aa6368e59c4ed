"""The autoencoder: pictures to latents of an eighth of their size, 8 channels. `python vae.py OUT --samples N`."""

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
    "latent_channels": 8,
    "norm_num_groups": 8,
    "sample_size": 128,
}
# Nats are worth so much of the squared error that noise of the latents costs a tenth of the error at 34 dB.
KL = 0.005
# The subject is what users look at.
SUBJECT = 2.0


def parts(start):
    """Batches of 16: four parts of 64 x 64 of each of four pictures, two of them around a place of the subject, which is
    what has detail; some mirrored. And their mattes."""
    random = np.random.default_rng(start)
    stream = pictures(start, 1 << 40)
    while four := list(islice(stream, 4)):
        made, mattes = [], []
        for _, rgb, matte in four:
            covered = np.argwhere(matte)
            for n in range(4):
                corner = random.choice(covered) - random.integers(8, 57, 2) if n < 2 else random.integers(0, 65, 2)
                y, x = corner.clip(0, 64)
                way = -1 if random.random() < 0.5 else 1
                made.append(rgb[y : y + 64, x : x + 64][:, ::way])
                mattes.append(matte[y : y + 64, x : x + 64][:, ::way])
        yield signed(np.stack(made)), torch.from_numpy(np.stack(mattes)).to(DEVICE)[:, None] / 255


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out")
    words.add_argument("--samples", type=int, default=60_000, help="parts of pictures")
    words.add_argument("--rate", type=float, default=2e-3)
    given = words.parse_args()
    torch.manual_seed(0)
    vae = AutoencoderKL(**CONFIG).to(DEVICE, memory_format=torch.channels_last)
    known = list(pictures(0, 64, split="held-out"))
    held_out = signed(np.stack([rgb for _, rgb, _ in known]))
    subjects = torch.from_numpy(np.stack([matte for _, _, matte in known])).to(DEVICE)[:, None] / 255

    def loss_of(batch):
        picture, matte = batch
        with precision():
            latents = vae.encode(picture).latent_dist
            seen = vae.decode(latents.sample()).sample.float()
        weight = (1 + SUBJECT * matte) / (1 + SUBJECT * matte).mean()
        error = seen - picture
        kl = latents.kl().mean() / picture[0].numel()
        square = error.square()
        loss = (weight * (square + 0.1 * error.abs())).mean() + KL * kl
        return loss, {"square": square.mean(), "subject": (square * matte).mean() / matte.mean(), "kl": kl}

    @torch.no_grad()
    def report(run):
        averaged = AutoencoderKL(**CONFIG).to(DEVICE)
        averaged.load_state_dict(run.average.values)
        averaged.save_pretrained(given.out)
        seen = torch.cat([averaged.decode(averaged.encode(p).latent_dist.mode()).sample for p in held_out.split(8)])
        error = ((seen.clamp(-1, 1) - held_out) / 2).square()
        subject = (error * subjects).sum((1, 2, 3)) / subjects.sum((1, 2, 3)) / 3
        whole, subject = (-10 * e.log10().mean() for e in (error.mean((1, 2, 3)), subject))
        print(f"held out: PSNR {whole:.2f} dB, the subject {subject:.2f} dB", flush=True)

    run = Run(given.out, vae, given.rate, decay=0.998)
    run.train(parts(run.done // 4), loss_of, given.samples, keep=300, report=report)


if __name__ == "__main__":
    main()
