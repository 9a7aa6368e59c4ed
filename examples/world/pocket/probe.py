"""The probe: reads off a picture of 64 x 64 what is in it, where the joints are, and who it is. `python probe.py OUT`."""

import argparse
import json
from itertools import count, islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from common import DEVICE, Run, pictures, signed

# What it tells apart, from the picture's truth; `None` where there is none.
LISTS = ("kind", "colour", "pattern", "accessory", "mark", "action", "view", "place")
JOINTS = 14
IDENTITY = 64


class Conv(nn.Sequential):
    """A convolution and the normalisation behind it, which `folded` makes one of."""

    def __init__(self, inputs, outputs, side=3, stride=1):
        norm = nn.BatchNorm2d(outputs, momentum=0.02)
        # Averages of weights are of floats.
        norm.num_batches_tracked = torch.zeros(())
        super().__init__(nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), norm)

    def folded(self):
        conv, norm = self
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return {"weight": conv.weight * scale[:, None, None, None], "bias": norm.bias - norm.running_mean * scale}


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = Conv(channels, channels)
        self.second = Conv(channels, channels)

    def forward(self, x):
        return F.relu(x + self.second(F.relu(self.first(x))))


class Probe(nn.Module):
    """Convolutions down to 4 x 4; from there classes and identity, and with what 16 x 16 still shows, maps of the joints."""

    def __init__(self, sizes):
        super().__init__()
        self.begin = Conv(3, 32, stride=2)
        self.down = nn.ModuleList([Conv(32, 64, stride=2), Conv(64, 128, stride=2), Conv(128, 256, stride=2)])
        self.blocks = nn.ModuleList([Block(64), Block(128), Block(256)])
        self.narrow = Conv(256, 64, 1)
        self.whole = nn.Linear(64 * 16, 256)
        self.classes = nn.Linear(256, sum(sizes))
        self.seen = nn.Linear(256, JOINTS)
        self.identity = nn.Linear(256, IDENTITY)
        self.context = Conv(256, 64, 1)
        self.mix = Conv(64, 64)
        self.maps = nn.Conv2d(64, JOINTS, 1)
        self.sizes = sizes

    def forward(self, picture):
        """Logits of each list, joints as shares of the side [n, 14, 2], logits of their visibility, identity [n, 64] of
        length 1."""
        x = F.relu(self.begin(picture))
        levels = []
        for down, block in zip(self.down, self.blocks):
            x = block(F.relu(down(x)))
            levels.append(x)
        whole = F.relu(self.whole(F.relu(self.narrow(x)).flatten(1)))
        context = F.interpolate(self.context(x), scale_factor=4, mode="nearest")
        maps = self.maps(F.relu(self.mix(F.relu(levels[0] + context))))
        shares = maps.flatten(2).softmax(2).view_as(maps)
        centres = (torch.arange(16, device=maps.device) + 0.5) / 16
        joints = torch.stack([(shares.sum(2) * centres).sum(2), (shares.sum(3) * centres).sum(2)], 2)
        return self.classes(whole).split(self.sizes, 1), joints, self.seen(whole), F.normalize(self.identity(whole), dim=1)


    def shipped(self):
        """All weights, convolutions with their normalisation in them."""
        weights = {}
        for name, part in self.named_modules():
            own = part.folded() if isinstance(part, Conv) else {}
            if isinstance(part, (nn.Linear, nn.Conv2d)) and f"{name[:-2]}.weight" not in weights:
                own = part.state_dict()
            weights |= {f"{name}.{key}": value.to("cpu", torch.float16).contiguous() for key, value in own.items()}
        return weights

    @torch.no_grad()
    def load(self, shipped):
        """Takes what `shipped` gave, to look at pictures with."""
        for name, part in self.named_modules():
            if isinstance(part, Conv):
                conv, norm = part
                norm.running_var.fill_(1 - norm.eps)
                conv.weight.copy_(shipped[f"{name}.weight"])
                norm.bias.copy_(shipped[f"{name}.bias"])
            elif f"{name}.weight" in shipped:
                part.weight.copy_(shipped[f"{name}.weight"])
                part.bias.copy_(shipped[f"{name}.bias"])
        return self.eval()


def words_of():
    """The words of each list, in a fixed order, from many pictures' truths."""
    truths = [t for t, _, _ in pictures(0, 4000, side=8)]
    said = [{word(t, name) for t in truths} for name in LISTS]
    return [sorted(one, key=lambda w: (w is not None, w or "")) for one in said]


def word(truth, name):
    value = truth[name]
    return value[0] if isinstance(value, list) else value


def targets(truths, lists):
    told = [[one.index(word(t, name)) for name, one in zip(LISTS, lists)] for t in truths]
    joints = torch.tensor([[j[:2] for j in t["joints"]] for t in truths], device=DEVICE)
    seen = torch.tensor([[float(j[2]) for j in t["joints"]] for t in truths], device=DEVICE)
    return torch.tensor(told, device=DEVICE), joints, seen


def worn(picture, draw):
    """As a decoder might have made it: softer, noisier."""
    if draw.random() < 0.4:
        picture = torch.lerp(picture, F.avg_pool2d(picture, 3, 1, 1, count_include_pad=False), draw.uniform(0, 1))
    if draw.random() < 0.4:
        picture = picture + draw.uniform(0, 0.1) * torch.randn_like(picture)
    return picture


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("out", type=Path)
    words.add_argument("--samples", type=int, default=300_000)
    given = words.parse_args()
    torch.manual_seed(0)
    lists = words_of()
    probe = Probe([len(one) for one in lists]).to(DEVICE, memory_format=torch.channels_last)
    print(sum(p.numel() for p in probe.parameters()), "parameters", flush=True)

    def batches(start, size=64):
        draw = np.random.default_rng(start)
        # Every fourth batch is of drawings: the benchmark's other style, which the model never saw, but its judge must know.
        styles = [pictures(start, 1 << 40, "--pairs", *style, side=64) for style in ((), ("--drawing",))]
        for number in count():
            batch = list(islice(styles[number % 4 == 3], size))
            yield worn(signed(np.stack([rgb for _, rgb, _ in batch])), draw), *targets([t for t, _, _ in batch], lists)

    def judged(batch, network=torch.compile(probe)):
        picture, told, joints, seen = batch
        logits, found, free, identity = network(picture)
        right = [(one.argmax(1) == t).float().mean() for one, t in zip(logits, told.T)]
        away = (found - joints).norm(dim=2)
        # Of each pair the one is to be found among all others by its twin.
        alike = identity @ identity.T / 0.1 - 1e4 * torch.eye(len(identity), device=identity.device)
        twin = torch.arange(len(identity), device=identity.device) ^ 1
        loss = sum(F.cross_entropy(one, t) for one, t in zip(logits, told.T))
        loss = loss + 20 * (found - joints).abs().mean() + F.binary_cross_entropy_with_logits(free, seen)
        loss = loss + F.cross_entropy(alike, twin)
        figures = {f"{name}": r for name, r in zip(LISTS, right)}
        return loss, figures | {"joint": away.mean(), "twin": (alike.argmax(1) == twin).float().mean()}

    @torch.no_grad()
    def save(run):
        kept = {k: v.clone() for k, v in probe.state_dict().items()}
        probe.load_state_dict(run.average.values)
        probe.eval()
        stream = list(pictures(0, 2048, "--pairs", side=64, split="held-out"))
        sums, alike = {}, []
        for first in range(0, len(stream), 64):
            batch = stream[first : first + 64]
            picture = signed(np.stack([p for _, p, _ in batch]))
            _, figures = judged((picture, *targets([t for t, _, _ in batch], lists)), probe)
            for key, value in figures.items():
                sums[key] = sums.get(key, 0.0) + float(value) / (len(stream) / 64)
            identity = probe(picture)[3]
            alike += (identity[0::2] * identity[1::2]).sum(1).tolist()
        # One in twenty true pairs is less alike.
        sums["floor"] = float(np.quantile(alike, 0.05))
        print("held out:", json.dumps({k: round(v, 4) for k, v in sums.items()}), flush=True)
        meta = {"lists": json.dumps(list(zip(LISTS, lists))), "held_out": json.dumps(sums)}
        save_file(probe.shipped(), given.out / "probe.safetensors", meta)
        probe.load_state_dict(kept)
        probe.train()

    run = Run(given.out, probe, 2e-3)
    run.train(batches(run.done), judged, given.samples, every=100, report=save)


if __name__ == "__main__":
    main()
