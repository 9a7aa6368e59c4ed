"""Shared by the scripts that run inside Krita. `REPOSE_DESK` is the folder with `in` and `out`."""

import json
import os
import sys

from krita import Krita, Selection

DESK = os.environ["REPOSE_DESK"]
SIDE = 768
# The four that hold, and the head that leans back.
HOLD = [(330, 390), (520, 400), (440, 380), (430, 310)]
HEAD = (410, 215, 360, 228, -28.0)


def say(*words):
    sys.stderr.write(" ".join(map(str, words)) + "\n")
    sys.stderr.flush()


def check(true, *words):
    if not true:
        raise AssertionError(" ".join(map(str, words)))


def inside(name):
    return os.path.join(DESK, "in", name)


def out(name):
    return os.path.join(DESK, "out", name)


def photo(formats=None):
    """The photo, in other formats (colour model, depth, profile) if asked."""
    document = Krita.instance().openDocument(inside("teddy.jpg"))
    check(document is not None, "the photo cannot be opened")
    document.setBatchmode(True)
    if formats:
        document.setColorSpace(*formats)
        document.waitForDone()
    return document


def bear():
    """The subject selected; the mask's own near-black and near-white are not meant as such."""
    document = Krita.instance().openDocument(inside("teddy_mask.png"))
    samples = document.topLevelNodes()[0].pixelData(0, 0, SIDE, SIDE).data()[0::2]
    document.close()
    clear = bytes(0 if v < 3 else 255 if v > 252 else v for v in range(256))
    selection = Selection()
    selection.setPixelData(samples.translate(clear), 0, 0, SIDE, SIDE)
    return selection


def tree(document):
    """Names and kinds of all that Repose may have added, bottom first."""
    return [branch(node) for node in document.topLevelNodes() if node.type() != "selectionmask"]


def branch(node):
    return [node.name(), node.type(), [branch(child) for child in node.childNodes()]]


def leaves(nodes):
    """The paint layers at or below these nodes, bottom first."""
    for node in nodes:
        if node.type() == "paintlayer":
            yield node
        else:
            yield from leaves(node.childNodes())


def mask_of(layer):
    """A layer's transparency mask over the whole canvas."""
    masks = [child for child in layer.childNodes() if child.type() == "transparencymask"]
    check(len(masks) == 1, layer.name(), "has", len(masks), "masks")
    return masks[0].pixelData(0, 0, SIDE, SIDE).data()


def everything(document):
    return document.pixelData(0, 0, SIDE, SIDE).data()


def union(masks):
    """255 where any of the masks is not 0."""
    seen = bytes(255 if v else 0 for v in range(256))
    number = 0
    for mask in masks:
        number |= int.from_bytes(mask.translate(seen), "little")
    return number.to_bytes(SIDE * SIDE, "little")


def write(name, data):
    with open(out(name), "wb") as file:
        file.write(data if isinstance(data, bytes) else json.dumps(data, indent=1).encode())
