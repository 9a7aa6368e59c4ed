"""Golden tensors, the cases that name them, and the manifest of one folder."""

import importlib.metadata
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

# design: per network, and after 20 steps; the error is max|a - b| / max|b| over a tensor
NETWORK, SAMPLED = 1e-4, 1e-3


def half(tensor):
    """Rounded to f16 and back: what a file stores in two bytes and the reference computes with are then the same."""
    return tensor.to(torch.float16).to(tensor.dtype)


class Random:
    """Numbers that depend on the seed and a name alone, so that a new case does not change the others."""

    def __init__(self, seed):
        self.seed = seed

    def generator(self, name):
        digest = 0
        for byte in f"{self.seed}/{name}".encode():
            digest = (digest * 1099511628211 + byte + 1) % (1 << 63)
        return torch.Generator().manual_seed(digest)

    def normal(self, name, *shape):
        return half(torch.randn(*shape, generator=self.generator(name), dtype=torch.float32))

    def integers(self, name, low, high, *shape):
        return torch.randint(low, high, shape, generator=self.generator(name))


def readable(manifest):
    """JSON with one line for each case."""
    head = {k: v for k, v in manifest.items() if k != "cases"}
    cases = ",\n  ".join(json.dumps(case, allow_nan=False) for case in manifest["cases"])
    return json.dumps(head, indent=1)[:-2] + ',\n "cases": [\n  ' + cases + "\n ]\n}\n"


class Goldens:
    """The cases of one family, one safetensors file for each group."""

    def __init__(self, folder, head):
        self.folder, self.head = Path(folder), head
        self.cases, self.files = [], {}

    def case(self, group, name, kind, inputs, outputs, tolerance=NETWORK, **settings):
        """One comparison: tensors that go in, tensors that must come out, and what else the computation depends on.

        In the file a tensor is named CASE.KEY. Inputs that f16 holds exactly are stored so; integers as i64; outputs as f32.
        """
        tensors = self.files.setdefault(group, {})
        names = {}
        assert not inputs.keys() & outputs.keys(), f"{name}: one tensor would be written over another"
        for role, values in (("inputs", inputs), ("outputs", outputs)):
            names[role] = list(values)
            for key, value in values.items():
                value = value.detach().contiguous()
                if value.is_floating_point():
                    value = value.float()
                    assert value.isfinite().all(), f"{name}.{key} is not finite"
                    if role == "outputs" and value.numel() > 1:
                        assert value.std() > 1e-6, f"{name}.{key} is constant"
                    if role == "inputs" and torch.equal(half(value), value):
                        value = value.half()
                tensors[f"{name}.{key}"] = value.clone()
        self.cases.append(
            dict(name=name, kind=kind, file=f"{group}.safetensors", tolerance=tolerance, **names, settings=settings)
        )

    def write(self):
        for group, tensors in self.files.items():
            save_file(tensors, self.folder / f"{group}.safetensors")
        versions = {p: importlib.metadata.version(p) for p in ("torch", "diffusers", "transformers", "peft")}
        manifest = dict(self.head, versions=versions, cases=self.cases)
        (self.folder / "manifest.json").write_text(readable(manifest))
