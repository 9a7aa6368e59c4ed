#!/usr/bin/env python3
"""Seconds and peak memory of diffusers (and peft) on a full-size checkpoint (`make.py DIR --full sd15`).

    time_diffusers.py DIR --task step [--dtype f32] [--side 512] [--batch 2] [--steps 3] [--threads 2] [--checkpointing] [--gpu]
    time_diffusers.py DIR --task learn --recipe dreambooth-lora …

The tasks are those of the example `bench_text`, which measures Repose and this script in turn. The last line is JSON: the
seconds of each step after a first one, the MB in memory at most (VmHWM) from when the network was loaded, and how many
cores computed.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

RANK = 8


def peak():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1.024e-3


def unet_of(args):
    unet = UNet2DConditionModel.from_pretrained(args.folder / "unet", torch_dtype=args.dtype).to(args.device)
    return unet.requires_grad_(False).eval()


def inputs(args, config):
    """Latents, and what SDXL is given beside the context."""
    latents = torch.randn(args.batch, config.in_channels, args.side // 8, args.side // 8, dtype=args.dtype, device=args.device)
    more = {}
    if config.addition_embed_type == "text_time":
        width = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        sizes = [[args.side, args.side, 0, 0, args.side, args.side]] * args.batch
        more["added_cond_kwargs"] = dict(text_embeds=torch.randn(args.batch, width, dtype=args.dtype, device=args.device),
                                         time_ids=torch.tensor(sizes, dtype=args.dtype, device=args.device))
    return latents, more


def random_context(args, config):
    return torch.randn(args.batch, 77, config.cross_attention_dim, dtype=args.dtype, device=args.device)


def step(args):
    unet = unet_of(args)
    latents, more = inputs(args, unet.config)
    context = random_context(args, unet.config)

    @torch.inference_mode()
    def work():
        unet(latents, 481, context, **more)

    return work


def training(args, unet, context, parameters):
    """A step without the optimiser's part; the first time, each gradient is held to be finite and not zero."""
    latents, more = inputs(args, unet.config)
    target = torch.randn_like(latents[:, :4])
    unet.train()
    if args.checkpointing:
        unet.enable_gradient_checkpointing()
    checked = False

    def work():
        nonlocal checked
        output = unet(latents, 481, context(), **more).sample
        torch.nn.functional.mse_loss(output, target).backward()
        for parameter in parameters:
            if not checked:
                size = parameter.grad.abs().sum().item()
                assert 0 < size < float("inf"), (parameter.shape, size)
            parameter.grad = None
        checked = True

    return work


def lora(args):
    from peft import LoraConfig

    unet = unet_of(args)
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights=False, target_modules=targets))
    context = random_context(args, unet.config)
    return training(args, unet, lambda: context, [p for p in unet.parameters() if p.requires_grad])


def inversion(args):
    """As diffusers' own trainer: the table of word vectors gets the gradient, all else of the text encoder is frozen."""
    from transformers import CLIPTextModel

    unet = unet_of(args)
    encoder = CLIPTextModel.from_pretrained(args.folder / "text_encoder", dtype=args.dtype)
    encoder.requires_grad_(False).train()
    if args.checkpointing:
        encoder.gradient_checkpointing_enable()
    table = encoder.get_input_embeddings().weight.requires_grad_(True)
    # "a photo of puppet", in the tokens of the published vocabulary.
    ids = torch.tensor([[49406, 320, 1125, 539, 7004] + [49407] * 72] * args.batch)
    return training(args, unet, lambda: encoder(ids)[0], [table])


def learn(args):
    # It wants peft, which the tasks without gradients do without.
    from time_recipes import RECIPES

    return RECIPES[args.recipe](args, unet_of(args))


def autoencoder(args):
    return AutoencoderKL.from_pretrained(args.folder / "vae", torch_dtype=args.dtype).to(args.device).eval()


def encode(args):
    vae = autoencoder(args)
    picture = torch.rand(1, 3, args.side, args.side, dtype=args.dtype, device=args.device) * 2 - 1

    @torch.inference_mode()
    def work():
        vae.encode(picture)

    return work


def decode(args):
    vae = autoencoder(args)
    latents = torch.randn(1, 4, args.side // 8, args.side // 8, dtype=args.dtype, device=args.device)

    @torch.inference_mode()
    def work():
        vae.decode(latents)

    return work


TASKS = dict(step=step, lora=lora, inversion=inversion, learn=learn, encode=encode, decode=decode)
DTYPES = dict(f32=torch.float32, bf16=torch.bfloat16, f16=torch.float16)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default="step", choices=TASKS)
    parser.add_argument("--recipe", help="with --task learn: textual-inversion, dreambooth-lora or custom-diffusion")
    parser.add_argument("--dtype", default="f32", choices=DTYPES)
    parser.add_argument("--side", type=int, default=512, help="pixels of a side")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpointing", action="store_true", help="gradient checkpointing")
    parser.add_argument("--gpu", action="store_true", help="on the first GPU; training is mixed with single precision there")
    args = parser.parse_args()
    args.dtype = DTYPES[args.dtype]
    args.device = torch.device("cuda" if args.gpu else "cpu")
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    task = TASKS[args.task](args)

    def work():
        task()
        if args.gpu:
            torch.cuda.synchronize()

    # Sets the peak back to what is held now; only Linux has it.
    Path("/proc/self/clear_refs").write_text("5")
    work()
    seconds, computed, start = [], time.process_time(), time.perf_counter()
    for _ in range(args.steps):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    cores = (time.process_time() - computed) / (time.perf_counter() - start)
    print(json.dumps(dict(seconds=seconds, peak=peak(), cores=cores)))


if __name__ == "__main__":
    main()
