#!/usr/bin/env python3
"""Seconds per U-Net step and peak memory of diffusers on a full-size checkpoint (`make.py DIR --full sd15`).

    time_diffusers.py DIR [--dtype f32 bf16] [--size 512] [--batch 2] [--steps 3] [--threads 2] [--vae]

One child process for each type, so that peaks are its own. The first step is reported apart: it pages the weights in.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")


def peak(field):
    """A field of /proc/self/status in GB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1e6


def measure(args):
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    torch.set_num_threads(args.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[args.dtype[0]]
    start = time.perf_counter()
    unet = UNet2DConditionModel.from_pretrained(args.folder / "unet", torch_dtype=dtype).eval()
    load = time.perf_counter() - start
    config = unet.config
    torch.manual_seed(1)
    side = args.size // 8
    sample = torch.randn(args.batch, config.in_channels, side, side, dtype=dtype)
    context = torch.randn(args.batch, 77, config.cross_attention_dim, dtype=dtype)
    more = {}
    if config.addition_embed_type == "text_time":
        width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        more["added_cond_kwargs"] = dict(
            text_embeds=torch.randn(args.batch, width, dtype=dtype),
            time_ids=torch.tensor([[args.size, args.size, 0, 0, args.size, args.size]] * args.batch, dtype=dtype),
        )
    times = []
    with torch.inference_mode():
        for step in range(args.steps + 1):
            start = time.perf_counter()
            unet(sample, 981 - 50 * step, context, **more)
            times.append(time.perf_counter() - start)
        anonymous = peak("RssAnon")
        result = dict(dtype=args.dtype[0], size=args.size, batch=args.batch, threads=args.threads, load=load,
                      first=times[0], steps=times[1:], median=sorted(times[1:])[len(times[1:]) // 2])
        if args.vae:
            del unet
            vae = AutoencoderKL.from_pretrained(args.folder / "vae", torch_dtype=dtype).eval()
            start = time.perf_counter()
            vae.decode(torch.randn(1, 4, side, side, dtype=dtype))
            result["vae_decode"] = time.perf_counter() - start
    # ru_maxrss counts mapped weights; anonymous memory after a step does not.
    result |= dict(peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, anonymous_gb=anonymous)
    print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16", "f16"])
    parser.add_argument("--size", type=int, default=512, help="pixels of a side")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--vae", action="store_true", help="decode one picture too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return measure(args)
    for dtype in args.dtype:
        command = [sys.executable, __file__, str(args.folder), "--child", "--dtype", dtype]
        for name in ("size", "batch", "steps", "threads"):
            command += [f"--{name}", str(getattr(args, name))]
        subprocess.run(command + ["--vae"] * args.vae, check=True)


if __name__ == "__main__":
    main()
