#!/usr/bin/env python3
"""Makes small random Stable Diffusion checkpoints and what the reference computes with them.

    pip install -r requirements.txt
    make.py goldens --committed          the committed goldens: each weight stored once
    make.py OUT                          every family, complete
    make.py OUT --family sd21 --seed 7 --width 32 --vocab 49408
    make.py goldens --of ../../plugin/pocket      of the model that ships
    make.py goldens --of ../../plugin/pocket --subjects REPOSE    of subjects that its command line REPOSE learned and exported
    make.py OUT --full sd15 [--single]   a full-size random checkpoint (diffusers folder, f16) for speed and memory

Each family becomes a folder OUT/FAMILY with checkpoint/ (diffusers layout), FAMILY.safetensors (single file), golden
tensors and manifest.json, which names every case with its inputs, outputs, settings and tolerance.
`cargo run --release --example parity OUT/FAMILY` compares Repose with it.
"""

import argparse
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers
import torch
import transformers

import adapters
import checkpoint
import families
import full
import gradients
import networks
import pipelines
import slim
import subjects
import taesd
from store import Goldens, Random


def compared(fam, nets, rng, out, **head):
    """What every family is compared in: its networks and whole runs of its pipelines."""
    about = dict(family=fam.name, generation=fam.generation, prediction=fam.prediction)
    goldens = Goldens(out, about | head | dict(error="max|a - b| / max|b| over each output tensor"))
    networks.run(fam, nets, rng, goldens)
    pipelines.run(fam, nets, rng, goldens)
    return goldens


def make(name, out, args):
    fam = families.family(name, args.width, args.vocab)
    folder = Path(out) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # An inpainting checkpoint differs from its base in the first convolution alone.
    checkpoint.write(fam, Random(f"{args.seed}/{name.partition('-')[0]}"), folder)
    rng = Random(f"{args.seed}/{name}")
    nets = checkpoint.Networks(fam, folder / "checkpoint")
    goldens = compared(
        fam, nets, rng, folder, inpainting=fam.inpainting, seed=args.seed, width=args.width, folder="checkpoint",
        single_file=f"{name}.safetensors",
    )
    if not fam.inpainting:
        adapters.run(fam, nets, rng, goldens, folder)
        gradients.run(fam, nets, rng, goldens)
    goldens.write()
    if args.committed:
        slim.slim(fam, folder)


def of(source, out, args):
    """Goldens of a trained model in diffusers' layout, which stays where it is."""
    fam = families.of(source)
    folder = Path(out) / fam.name
    folder.mkdir(parents=True, exist_ok=True)
    rng = Random(f"{args.seed}/{fam.name}")
    nets = checkpoint.Networks(fam, source)
    compared(fam, nets, rng, folder, folder=os.path.relpath(source, folder)).write()


def interchange(source, out, args):
    """Goldens of subjects between Repose and diffusers, on the same."""
    folder = Path(out) / "subjects"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    about = dict(family="subjects", model=Path(source).name, error="max|a - b| / max|b| over each output tensor")
    goldens = Goldens(folder, about)
    subjects.run(source, args.subjects, Random(f"{args.seed}/subjects"), goldens)
    goldens.write()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--family", action="append", choices=[*families.NAMES, "taesd"], help="default: all; can be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=8, help="channels of the first level, a multiple of 8")
    parser.add_argument("--vocab", type=int, default=400, help="49408 is CLIP's")
    parser.add_argument("--committed", action="store_true", help="the families and files that are in the repository")
    parser.add_argument("--of", type=Path, help="a model's folder in diffusers' layout, of the kind of SD 1: its goldens alone")
    parser.add_argument("--subjects", type=Path, help="Repose's command line: with --of, goldens of what it exports and attaches")
    parser.add_argument("--full", choices=["sd15", "sdxl"], help="write a full-size random checkpoint into OUT")
    parser.add_argument("--single", action="store_true", help="with --full: write OUT.safetensors, too")
    args = parser.parse_args()
    if args.full:
        full.make(args.full, args.out)
        if args.single:
            full.single(args.full, args.out)
        return
    # One thread: sums are then added in the same order on every machine.
    torch.set_num_threads(1)
    diffusers.utils.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()
    if args.of and args.subjects:
        return interchange(args.of, args.out, args)
    if args.of:
        return of(args.of, args.out, args)
    for name in args.family or [*(slim.COMMITTED if args.committed else families.NAMES), "taesd"]:
        print(name, flush=True)
        if name == "taesd":
            taesd.make(args.out, args)
        else:
            make(name, args.out, args)


if __name__ == "__main__":
    main()
