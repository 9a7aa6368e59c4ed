"""The U-Net: learns from latents and captions. `python unet.py TEXT LATENTS OUT --samples N`."""

import argparse
import random
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from captions import loosened
from common import DEVICE, Run, precision
from latents import load
from text import tokens

CONFIG = {
    "sample_size": 16,
    "block_out_channels": (64, 128, 192),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": 128,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
}
# SD 1's noise; v-prediction as SD 2.1 has it: at high noise the text is what there is to learn from.
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def scaling(latents):
    """What latents are multiplied by, so that their standard deviation is 1."""
    return float(1 / latents[:10_000].astype(np.float32).std())


class Encoder:
    """Captions to hidden states; not trained any more."""

    def __init__(self, folder):
        folder = Path(folder)
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.model = CLIPTextModel.from_pretrained(folder / "text_encoder").to(DEVICE).eval()

    @torch.no_grad()
    def __call__(self, captions):
        return self.model(tokens(self.tokenizer, captions).to(DEVICE)).last_hidden_state


def levels(schedule, draw, count):
    """Timesteps. Latents of 16 x 16 are decided at less noise than those of 64 x 64 that the schedule was made for: log SNR
    mostly around 0.3, normal with deviation 1.8; one in seven anywhere."""
    alphas = schedule.alphas_cumprod.numpy()
    snr = np.log(alphas / (1 - alphas))
    chosen = np.searchsorted(-snr, -draw.normal(0.3, 1.8, count))
    anywhere = draw.integers(0, len(snr), count)
    return np.where(draw.random(count) < 1 / 7, anywhere, chosen.clip(0, len(snr) - 1))


@torch.no_grad()
def sample(unet, encode, captions, seed=0, steps=25, guidance=5.0):
    """Latents of captions, by DDIM with classifier-free guidance."""
    schedule = DDIMScheduler(**SCHEDULE)
    schedule.set_timesteps(steps)
    states = torch.cat([encode([""] * len(captions)), encode(captions)])
    latents = torch.randn(len(captions), 4, 16, 16, generator=torch.Generator().manual_seed(seed)).to(DEVICE)
    for t in schedule.timesteps:
        without, told = unet(torch.cat([latents] * 2), t, states).sample.chunk(2)
        latents = schedule.step(without + guidance * (told - without), t, latents).prev_sample
    return latents


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("text")
    words.add_argument("latents")
    words.add_argument("out")
    words.add_argument("--samples", type=int, default=1_000_000)
    words.add_argument("--batch", type=int, default=32)
    words.add_argument("--rate", type=float, default=2e-3)
    given = words.parse_args()
    torch.manual_seed(0)
    encode = Encoder(given.text)
    latents, mattes, captions = load(given.latents)
    scale = scaling(latents)
    schedule = DDIMScheduler(**SCHEDULE)
    unet = UNet2DConditionModel(**CONFIG).to(DEVICE, memory_format=torch.channels_last)
    run = Run(given.out, unet, given.rate, decay=0.9995)
    print(f"{len(captions)} pictures, latents times {scale:.4f}", flush=True)

    def batches():
        # Another order for each time that the training goes on.
        draw, words = np.random.default_rng(run.done), random.Random(run.done)
        while True:
            order = draw.permutation(len(captions))
            for first in range(0, len(order) - given.batch + 1, given.batch):
                chosen = np.sort(order[first : first + given.batch])
                told = ["" if draw.random() < 0.1 else loosened(captions[n], words) for n in chosen]
                picture = torch.from_numpy(latents[chosen].astype(np.float32)).to(DEVICE) * scale
                matte = torch.from_numpy(mattes[chosen].astype(np.float32)).to(DEVICE)[:, None] / 255
                times = torch.from_numpy(levels(schedule, draw, given.batch)).to(DEVICE)
                yield picture, matte, times, told

    def loss_of(batch):
        picture, matte, times, told = batch
        noise = torch.randn_like(picture)
        seen = schedule.add_noise(picture, noise, times).contiguous(memory_format=torch.channels_last)
        with precision():
            made = unet(seen, times, encode(told)).sample.float()
        error = (made - schedule.get_velocity(picture, noise, times)).square()
        # The subject is a quarter of the picture, and what users look at.
        weight = 1 + 2 * matte
        subject = ((error * matte).sum() / (4 * matte.sum())).detach()
        return (error * weight).sum() / (4 * weight.sum()), {"whole": error.mean().detach(), "subject": subject}

    run.train(batches(), loss_of, given.samples, every=100)


if __name__ == "__main__":
    main()
