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
from latents import CHANNELS, SIDE, load
from text import tokens

CONFIG = {
    "sample_size": SIDE,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "block_out_channels": (64, 128, 192),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "cross_attention_dim": 128,
    # The number of heads, as in SD 1's configurations.
    "attention_head_dim": (2, 4, 6),
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
        self.model = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).to(DEVICE).eval()

    @torch.no_grad()
    def __call__(self, captions):
        return self.model(tokens(self.tokenizer, captions).to(DEVICE)).last_hidden_state


class Student(torch.nn.Module):
    """The U-Net, and while it learns, what tells from its features where the subject and its joints are: features that know
    a body's structure paint it sooner (as arXiv 2410.06940 found with another network's features)."""

    def __init__(self):
        super().__init__()
        self.unet = UNet2DConditionModel(**CONFIG)
        width = CONFIG["block_out_channels"][1]
        self.maps = torch.nn.Sequential(torch.nn.Conv2d(width, 64, 1), torch.nn.SiLU(), torch.nn.Conv2d(64, 15, 1))
        self.unet.up_blocks[1].register_forward_hook(self.keep)

    def keep(self, block, inputs, output):
        self.features = output

    def forward(self, latents, times, states):
        made = self.unet(latents, times, states).sample
        return made, self.maps(self.features)


def truth_maps(matte, joints):
    """The matte and a bump of a place's size at each joint: [n, 15, s, s]."""
    side = matte.shape[-1]
    centres = (torch.arange(side, device=joints.device) + 0.5) / side
    x, y = (torch.exp(-(((joints[..., n, None] - centres) * side) ** 2) / 2) for n in (0, 1))
    return torch.cat([matte, y[..., :, None] * x[..., None, :]], 1)


def levels(schedule, draw, count):
    """Timesteps. Small pictures are decided at less noise than the large ones that the schedule was made for: log SNR
    mostly around 0.35, normal with deviation 1.9; one in seven anywhere."""
    alphas = schedule.alphas_cumprod.numpy()
    snr = np.log(alphas / (1 - alphas))
    chosen = np.searchsorted(-snr, -draw.normal(0.35, 1.9, count))
    anywhere = draw.integers(0, len(snr), count)
    return np.where(draw.random(count) < 1 / 7, anywhere, chosen.clip(0, len(snr) - 1))


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("text")
    words.add_argument("latents")
    words.add_argument("out")
    words.add_argument("--samples", type=int, default=1_000_000)
    words.add_argument("--begin", type=Path, help="a U-Net's folder, as exported, that this run begins with")
    words.add_argument("--batch", type=int, default=64)
    words.add_argument("--rate", type=float, default=2e-3)
    given = words.parse_args()
    torch.manual_seed(0)
    encode = Encoder(given.text)
    latents, mattes, joints, captions = load(given.latents)
    scale = scaling(latents)
    schedule = DDIMScheduler(**SCHEDULE)
    student = Student().to(DEVICE, memory_format=torch.channels_last)
    if given.begin:
        student.unet.load_state_dict(UNet2DConditionModel.from_pretrained(given.begin).state_dict())
    run = Run(given.out, student, given.rate, decay=0.9995)
    # A quarter faster on a CPU, after three minutes of compiling.
    learner = torch.compile(student)
    torch.manual_seed(run.done)
    print(f"{len(captions)} pictures, latents times {scale:.4f}", flush=True)

    def batches():
        # Another order for each time that the training goes on.
        draw, words = np.random.default_rng(run.done), random.Random(run.done)
        while True:
            order = draw.permutation(len(captions))
            for first in range(0, len(order) - given.batch + 1, given.batch):
                chosen = np.sort(order[first : first + given.batch])
                told = ["" if draw.random() < 0.1 else loosened(captions[n], words) for n in chosen]
                picture, matte = (
                    torch.from_numpy(all_of[chosen].astype(np.float32)).to(DEVICE) for all_of in (latents, mattes[:, None])
                )
                picture, matte = picture * scale, matte / 255
                times = torch.from_numpy(levels(schedule, draw, given.batch)).to(DEVICE)
                places = torch.from_numpy(joints[chosen, :, :2].copy()).to(DEVICE)
                yield picture, matte, truth_maps(matte, places), times, told

    def loss_of(batch):
        picture, matte, maps, times, told = batch
        noise = torch.randn_like(picture)
        seen = schedule.add_noise(picture, noise, times).contiguous(memory_format=torch.channels_last)
        with precision():
            made, found = learner(seen, times, encode(told))
        error = (made.float() - schedule.get_velocity(picture, noise, times)).square()
        # The subject is a quarter of the picture, and what users look at.
        weight = 1 + 2 * matte
        structure = torch.nn.functional.binary_cross_entropy_with_logits(found.float(), maps)
        figures = {"whole": error.mean(), "subject": (error * matte).sum() / (CHANNELS * matte.sum()), "structure": structure}
        return (error * weight).sum() / (CHANNELS * weight.sum()) + structure, figures

    run.train(batches(), loss_of, given.samples, every=100)


if __name__ == "__main__":
    main()
