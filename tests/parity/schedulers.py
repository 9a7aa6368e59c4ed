#!/usr/bin/env python3
"""Writes what diffusers' schedulers do with a made-up network: goldens/schedulers.json.

    pip install -r requirements.txt
    schedulers.py [OUT.json] [--every]

The network is output = tanh(0.3 input) · (0.5 + t / 2000). `--every` writes all combinations, for a comparison by hand with
`REPOSE_SCHEDULERS=OUT.json cargo test -p repose samplers_equal`; the committed file has those that differ in code.
"""

import argparse
import json
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers.schedulers import scheduling_euler_ancestral_discrete, scheduling_lcm

SHAPE = (2, 4, 2, 2)
STABLE = dict(
    num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
    set_alpha_to_one=False, clip_sample=False,
)
CLASSES = {
    "ddim": diffusers.DDIMScheduler,
    "inversion": diffusers.DDIMInverseScheduler,
    "dpm++2m": diffusers.DPMSolverMultistepScheduler,
    "dpm++2m-karras": diffusers.DPMSolverMultistepScheduler,
    "euler-a": diffusers.EulerAncestralDiscreteScheduler,
    "unipc": diffusers.UniPCMultistepScheduler,
    "lcm": diffusers.LCMScheduler,
}
random = np.random.RandomState(7)
CLEAN = torch.from_numpy(random.standard_normal(SHAPE).astype(np.float32))
START = torch.from_numpy(random.standard_normal(SHAPE).astype(np.float32))
NOISE = torch.from_numpy(random.standard_normal((50, *SHAPE)).astype(np.float32))


def cases(every):
    out = []

    def add(method, steps=20, start=0, eta=0.0, **config):
        case = dict(method=method, steps=steps, start=start, eta=eta, config=STABLE | config)
        if case not in out:
            out.append(case)

    predictions = ["epsilon", "v_prediction", "sample"]
    for method in CLASSES:
        for prediction in predictions[:2] if method == "euler-a" else predictions:
            add(method, prediction_type=prediction)
            if every:
                for spacing in ["leading", "trailing"] + ["linspace"] * (method != "inversion"):
                    for betas in ["linear", "scaled_linear", "squaredcos_cap_v2"]:
                        for zero in [False] if prediction == "epsilon" else [False, True]:
                            for steps in [1, 2, 7, 20, 50] + [30, 100, 61, 999] * (method != "lcm"):
                                config = dict(
                                    prediction_type=prediction, timestep_spacing=spacing, beta_schedule=betas,
                                    rescale_betas_zero_snr=zero,
                                )
                                add(method, steps, **config)
        if method != "inversion":
            add(method, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")
            add(method, prediction_type="epsilon", timestep_spacing="leading", start=8)
            add(method, steps=8, prediction_type="epsilon", timestep_spacing="trailing")
    add("ddim", eta=0.7, prediction_type="epsilon")
    add("ddim", prediction_type="epsilon", timestep_spacing="linspace", set_alpha_to_one=True)
    add("inversion", prediction_type="epsilon", timestep_spacing="trailing", set_alpha_to_one=True)
    add("dpm++2m-karras", prediction_type="epsilon", beta_schedule="squaredcos_cap_v2")
    add("unipc", prediction_type="epsilon", beta_schedule="linear")
    return out


def network(x, t):
    return torch.tanh(0.3 * x) * (0.5 + float(t) / 2000)


def run(case):
    options = dict(use_karras_sigmas=True) if case["method"].endswith("karras") else {}
    scheduler = CLASSES[case["method"]].from_config(case["config"], **options)
    scheduler.set_timesteps(case["steps"])
    start = case["start"]
    timesteps = scheduler.timesteps[start : case["steps"]]
    if case["method"] == "inversion":
        x = CLEAN
    elif start:
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(start)
        x = scheduler.add_noise(CLEAN, START, timesteps[:1])
    else:
        x = START * scheduler.init_noise_sigma
    samples, denoised = [], []
    for i, t in enumerate(timesteps, start):
        fresh = NOISE[i % len(NOISE)]
        for module in [scheduling_euler_ancestral_discrete, scheduling_lcm]:
            module.randn_tensor = lambda *_, fresh=fresh, **__: fresh
        output = network(scheduler.scale_model_input(x, t), t)
        extra = dict(eta=case["eta"], variance_noise=fresh) if case["eta"] else {}
        result = scheduler.step(output, t, x, **extra)
        x = result.prev_sample
        samples.append(x)
        denoised.append(result.get("pred_original_sample", result.get("denoised")))
    middle = len(samples) // 2
    numbers = lambda tensor: None if tensor is None else [float(f"{v:.9g}") for v in tensor.flatten().tolist()]
    return case | dict(
        timesteps=[float(t) for t in timesteps],
        middle=numbers(samples[middle]),
        denoised=numbers(denoised[middle]),
        last=numbers(samples[-1]),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", default=Path(__file__).parent / "goldens" / "schedulers.json")
    parser.add_argument("--every", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for case in cases(args.every):
        # A chain that diffusers itself cannot compute (too many steps for the spacing, no signal left) is no golden.
        try:
            result = run(case)
        except IndexError:
            continue
        if np.isfinite(result["last"]).all():
            lines.append(json.dumps(result))
    flat = lambda tensor: json.dumps([float(f"{v:.9g}") for v in tensor.flatten().tolist()])
    used = NOISE if args.every else NOISE[:20]
    head = f'"shape": {json.dumps(SHAPE)},\n"clean": {flat(CLEAN)},\n"start": {flat(START)},\n"noise": {flat(used)},'
    Path(args.out).write_text("{\n" + head + '\n"cases": [\n' + ",\n".join(lines) + "\n]\n}\n")


if __name__ == "__main__":
    main()
