"""What the shipped model is worth on captions and pictures that training never saw:
`python judge.py MODEL [--probe PROBE] [--count N] [--sheet OUT.png]`."""

import argparse
import json

import numpy as np
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from safetensors import safe_open

from common import DEVICE, pictures, signed
from probe import LISTS, Probe, word


@torch.no_grad()
def read(file, pictures, truths):
    """The share of pictures (0 to 1, [n, 128, 128, 3]) that show what the truths say, as the probe sees it."""
    with safe_open(file, "pt") as weights:
        lists = dict(json.loads(weights.metadata()["lists"]))
        probe = Probe([len(one) for one in lists.values()]).to(DEVICE)
        probe.load({k: weights.get_tensor(k).float() for k in weights.keys()})
    small = pictures.reshape(-1, 64, 2, 64, 2, 3).mean((2, 4))
    logits = probe(torch.from_numpy(small).float().permute(0, 3, 1, 2).to(DEVICE) * 2 - 1)[0]
    right = {}
    for name, one in zip(LISTS, logits):
        wanted = torch.tensor([lists[name].index(word(t, name)) for t in truths], device=DEVICE)
        right[name] = (one.argmax(1) == wanted).float().mean().item()
    return right


@torch.no_grad()
def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("model")
    words.add_argument("--probe", help="a file that probe.py wrote, which tells what the pictures show")
    words.add_argument("--count", type=int, default=256)
    words.add_argument("--steps", type=int, default=25)
    words.add_argument("--guidance", type=float, default=7.5)
    words.add_argument("--sheet")
    given = words.parse_args()
    pipe = DiffusionPipeline.from_pretrained(given.model, torch_dtype=torch.float32).to(DEVICE)
    pipe.set_progress_bar_config(disable=True)
    known = list(pictures(0, given.count, "--full", split="held-out"))

    error = []
    for first in range(0, len(known), 16):
        truth = signed(np.stack([rgb for _, rgb, _ in known[first : first + 16]]))
        again = pipe.vae.decode(pipe.vae.encode(truth).latent_dist.mode()).sample.clamp(-1, 1)
        error.append(((again - truth) / 2).square().mean((1, 2, 3)))
    error = torch.cat(error)
    print(f"autoencoder: PSNR {-10 * error.log10().mean():.2f} dB, {len(error)} pictures")

    made = []
    for first in range(0, len(known), 16):
        captions = [t["caption"] for t, _, _ in known[first : first + 16]]
        dice = [torch.Generator().manual_seed(first + n) for n in range(len(captions))]
        options = {"num_inference_steps": given.steps, "guidance_scale": given.guidance, "generator": dice}
        made.append(pipe(captions, height=128, width=128, output_type="np", **options).images)
    made = np.concatenate(made)
    if given.probe:
        true = np.stack([rgb for _, rgb, _ in known]) / 255
        for what, shown in (("made", made), ("true", true)):
            right = read(given.probe, shown, [t for t, _, _ in known])
            print(f"{what}: " + ", ".join(f"{k} {100 * v:.1f} %" for k, v in right.items()))
    if given.sheet:
        rows = [np.concatenate(list(made[n : n + 8]), 1) for n in range(0, min(64, len(made) // 8 * 8), 8)]
        Image.fromarray((np.concatenate(rows) * 255).round().astype(np.uint8)).save(given.sheet)
        print("\n".join(t["caption"] for t, _, _ in known[:64]))


if __name__ == "__main__":
    main()
