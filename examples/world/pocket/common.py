"""What all stages of the training share: pictures of the world, the optimiser, averages of weights, checkpoints, the log."""

import csv
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BF16 = DEVICE.type == "cuda" or os.environ.get("BF16") == "1"
ROOT = Path(__file__).resolve().parents[3]


def world():
    """The renderer: `cargo build --release -p repose-world`."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return Path(os.environ.get("REPOSE_WORLD", target / "release" / "repose-world"))


def pictures(start, count, *options, side=128, split="train"):
    """Yields (truth, u8 [side, side, 3], matte u8 [side, side]) of the pictures from number `start` on."""
    words = [world(), "stream", "--from", start, "--count", count, "--side", side, "--split", split, *options]
    renderer = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, start_new_session=True)
    try:
        for _ in range(count):
            truth = json.loads(renderer.stdout.readline())
            values = np.frombuffer(renderer.stdout.read(4 * side * side), np.uint8)
            yield truth, values[: 3 * side * side].reshape(side, side, 3), values[3 * side * side :].reshape(side, side)
    finally:
        renderer.kill()
        renderer.wait()


def signed(values):
    """u8 [n, h, w, 3] to -1 to 1, [n, 3, h, w]."""
    values = torch.from_numpy(np.ascontiguousarray(values)).to(DEVICE)
    return (values.float() / 127.5 - 1).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def precision():
    """bfloat16 where the device multiplies it faster."""
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=BF16)


if BF16 and DEVICE.type == "cpu":
    # PyTorch's bfloat16 kernels of these two are slower on CPUs than its float32 ones; attention's backward eightfold.
    group_norm, attention = F.group_norm, F.scaled_dot_product_attention

    def whole(function):
        def called(first, *others, **options):
            with torch.autocast("cpu", enabled=False):
                others = [o.float() if isinstance(o, torch.Tensor) else o for o in others]
                return function(first.float(), *others, **options).to(first.dtype)

        return called

    F.group_norm, F.scaled_dot_product_attention = whole(group_norm), whole(attention)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for matrices and convolutions, AdamW for all else.

    The update's root mean square is AdamW's (Liu et al. 2025, equation 4), so that both share one rate. The Newton-Schulz
    iteration runs on the smaller Gram matrix, where it costs little beside the products with the gradient: convolutions of
    n channels have 9 n columns.
    """

    def __init__(self, module, rate, decay=0.01):
        inner, other = [], []
        for name, p in module.named_parameters():
            if not p.requires_grad:
                continue
            plain = p.ndim >= 2 and min(p.shape[0], p[0].numel()) >= 8 and "embedding.weight" not in name
            (inner if plain else other).append(p)
        super().__init__([{"params": inner, "muon": True}, {"params": other, "muon": False}], {"rate": rate, "decay": decay})

    @torch.no_grad()
    def step(self, factor):
        for group in self.param_groups:
            rate = group["rate"] * factor
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"], state["first"] = 0, torch.zeros_like(p)
                    if not group["muon"]:
                        state["second"] = torch.zeros_like(p)
                state["step"] += 1
                p.mul_(1 - rate * group["decay"] * (p.ndim >= 2))
                if group["muon"]:
                    state["first"].lerp_(p.grad, 0.05)
                    update = orthogonal(p.grad.lerp(state["first"], 0.95).flatten(1)).view_as(p)
                    p.sub_(update, alpha=rate * 0.2 * math.sqrt(max(p.shape[0], p[0].numel())))
                else:
                    state["first"].lerp_(p.grad, 0.1)
                    state["second"].lerp_(p.grad.square(), 0.01)
                    first = state["first"] / (1 - 0.9 ** state["step"])
                    second = state["second"] / (1 - 0.99 ** state["step"])
                    p.sub_(first / (second.sqrt() + 1e-8), alpha=rate)
                p.grad = None


def orthogonal(matrix):
    """All singular values of a matrix brought near 1, by five steps of Muon's quintic iteration."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    gram = wide @ wide.T
    norm = gram.trace() + 1e-12
    gram = gram / norm
    one = torch.eye(len(gram), device=gram.device)
    made = one
    for _ in range(5):
        square = gram @ gram
        turn = 3.4445 * one - 4.7750 * gram + 2.0315 * square
        made = turn @ made
        gram = turn @ gram @ turn
    wide = made @ wide / norm.sqrt()
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


def factor(done, total, warm=0.01, last=0.3):
    """Of the learning rate, at `done` of `total` samples: up, level, and down to 0 over the `last` share."""
    at = done / total
    return min(1.0, (at + 1e-4) / warm, max(0.0, (1 - at) / last))


class Average:
    """An exponential average of weights; early on over fewer steps."""

    def __init__(self, module, decay):
        self.decay, self.steps = decay, 0
        self.values = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module):
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for key, value in module.state_dict().items():
            self.values[key].lerp_(value, 1 - decay)


class Run:
    """A stage of the training: a folder with its state, from which it goes on, and `loss.csv`."""

    def __init__(self, folder, module, rate, decay=0.999):
        self.folder, self.module = Path(folder), module
        self.folder.mkdir(parents=True, exist_ok=True)
        self.optimiser, self.average = Muon(module, rate), Average(module, decay)
        self.done, self.seconds, self.rows = 0, 0.0, []
        path = self.folder / "state.pt"
        if path.exists():
            state = torch.load(path, map_location=DEVICE, weights_only=True)
            module.load_state_dict(state["module"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.average.values, self.average.steps = state["average"], state["steps"]
            self.done, self.seconds = state["done"], state["seconds"]
            print(f"going on from {self.done} samples after {self.seconds:.0f} s", flush=True)

    def save(self):
        state = {
            "module": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.values,
            "steps": self.average.steps,
            "done": self.done,
            "seconds": self.seconds,
        }
        torch.save(state, self.folder / "state.new")
        os.replace(self.folder / "state.new", self.folder / "state.pt")
        with open(self.folder / "loss.csv", "a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(self.rows)
        self.rows = []

    def train(self, batches, loss_of, total, every=200, keep=600, report=None):
        """Takes batches until `total` samples are done, or somebody asks for an end (Ctrl-C, SIGTERM). `loss_of(batch)`
        gives the loss and a dictionary of figures."""
        sums, count, begun, saved = {}, 0, time.time(), time.time()
        asked = []
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: asked.append(True))
        for batch in batches:
            if self.done >= total or asked:
                break
            loss, figures = loss_of(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
            self.optimiser.step(factor(self.done, total))
            self.average.update(self.module)
            self.done += len(batch[0])
            count += 1
            for key, value in {"loss": loss.detach(), **figures}.items():
                sums[key] = sums.get(key, 0.0) + value.detach().item()
            if count == every:
                self.seconds += time.time() - begun
                means = {k: v / count for k, v in sums.items()}
                self.rows.append([self.done, round(self.seconds)] + [f"{v:.5f}" for v in means.values()])
                line = "  ".join(f"{k} {v:.4f}" for k, v in means.items())
                print(f"{self.done:8d} of {total}  {self.seconds:6.0f} s  {line}", flush=True)
                sums, count, begun = {}, 0, time.time()
                if time.time() - saved > keep:
                    self.save()
                    saved = time.time()
                    if report:
                        report(self)
        self.save()
        if report:
            report(self)


def averaged(module, folder):
    """The module with the averaged weights of a run's folder."""
    state = torch.load(Path(folder) / "state.pt", map_location=DEVICE, weights_only=True)
    module.load_state_dict(state["average"])
    return module.to(DEVICE).eval()
