"""What the repository keeps of a family: every weight, but most of them once."""

import json

from safetensors.torch import load_file, save_file

from store import readable

COMMITTED = ["sd15", "sd15-inpaint", "sd21", "sd21-inpaint", "sdxl", "sdxl-inpaint"]


def slim(fam, folder):
    """Drops what the rest of the goldens holds already and says so in the manifest.

    `folder`: null where only the single file has the weights (checkpoint/ then has the configurations alone).
    `difference_of`: an inpainting checkpoint is that family with the U-Net's `conv_in` from conv_in.safetensors.
    """
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    root = folder / "checkpoint"
    if fam.inpainting:
        unet = load_file(next((root / "unet").glob("*.safetensors")))
        save_file({k: v for k, v in unet.items() if k.startswith("conv_in.")}, folder / "conv_in.safetensors")
        manifest |= dict(difference_of=fam.name.partition("-")[0], folder=None, single_file=None)
        (folder / f"{fam.name}.safetensors").unlink()
    elif fam.generation != "sd1":
        manifest["folder"] = None
    else:
        return
    for file in root.rglob("*.safetensors"):
        file.unlink()
    path.write_text(readable(manifest))
