"""What goes in: the active layer, the selection and a guide, in the contract's structs."""

from . import abi
from .colour import format_of
from .engine import address, sized
from .failure import Failure
from .words import _

_KINDS = {
    "grouplayer": _("a group"),
    "vectorlayer": _("a vector layer"),
    "filterlayer": _("a filter layer"),
    "filllayer": _("a fill layer"),
    "filelayer": _("a file layer"),
    "clonelayer": _("a clone layer"),
}


class Pixels:
    """A ReposePicture or ReposeSelection with the bytes it points to."""

    def __init__(self, struct, *kept):
        self.struct, self._kept = struct, kept


def paint_layer(document, node=None):
    """The layer to work on: the active one, or the one that the active mask belongs to.

    An undo that takes the active layer away can leave Krita with none, or with one that is no longer in the picture. Where
    the picture has only one paint layer, there is no doubt which one is meant.
    """
    node = node or document.activeNode()
    if node is not None and node.type().endswith("mask"):
        node = node.parentNode()
    if node is None or node.parentNode() is None:
        layers = paint_layers(document.rootNode())
        node = layers[0] if len(layers) == 1 else None
    if node is None:
        raise Failure(_("No layer is active: click the layer to work on."))
    if node.type() != "paintlayer":
        message = _("“{layer}” is {kind}. Repose works on paint layers: click one, or convert this one with "
                    "Layer ▸ Convert ▸ Convert to Paint Layer.")
        raise Failure(message.format(layer=node.name(), kind=_KINDS.get(node.type(), node.type())))
    if not node.visible():
        raise Failure(_("The layer “{layer}” is hidden: show it, or click another one.").format(layer=node.name()))
    return node


def all_layers(node):
    """Every layer below, bottom first."""
    for child in node.childNodes():
        yield child
        yield from all_layers(child)


def paint_layers(node):
    """Every paint layer below, bottom first."""
    return [layer for layer in all_layers(node) if layer.type() == "paintlayer"]


def picture_of(document, node):
    """The layer's pixels on the whole canvas, in its own format and profile."""
    width, height = document.width(), document.height()
    layout = format_of(node)
    pixels = node.pixelData(0, 0, width, height).data()
    stride = width * layout.pixel_bytes
    if len(pixels) != stride * height:
        raise Failure(_("Krita did not give the pixels of “{layer}”: there may be too little memory.")
                      .format(layer=node.name()), abi.REPOSE_DEVICE)
    struct = sized(abi.ReposePicture, width=width, height=height, depth=layout.depth, channels=layout.channels,
                   space=layout.space, pixels=address(pixels), pixels_size=len(pixels), stride=stride)
    if layout.icc:
        struct.icc, struct.icc_size = address(layout.icc), len(layout.icc)
    return Pixels(struct, pixels, layout.icc)


def selection_of(selection):
    """The selection where it is not empty (Krita's selections have 8 bits); None if nothing is selected."""
    if selection is None:
        return None
    x, y, width, height = selection.x(), selection.y(), selection.width(), selection.height()
    if width <= 0 or height <= 0:
        return None
    samples = selection.pixelData(x, y, width, height).data()
    if not any(samples):
        return None
    struct = sized(abi.ReposeSelection, depth=abi.REPOSE_DEPTH_U8, x=x, y=y, width=width, height=height,
                   samples=address(samples), samples_size=len(samples), stride=width)
    return Pixels(struct, samples)


def needed_selection(document, selection=None):
    """A selection that must be there."""
    found = selection_of(selection if selection is not None else document.selection())
    if found is None:
        raise Failure(_("Nothing is selected: select the subject first."))
    return found
