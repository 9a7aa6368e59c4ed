"""What comes out: the results become layers with transparency masks above the layer that was worked on.

They are built in a document of their own and moved over as a whole: so the user's document gets one undo step, and no
half-made layer is ever seen.
"""

import array
import os
import tempfile
import zipfile

from krita import Krita, Selection

from . import abi
from .failure import Failure
from .words import _

ANNOTATION = "repose-history"


def insert(document, node, layers, name, formats):
    """Puts layers above `node` (on top of all if it is gone). Several ones come in a group of that name, one per
    candidate where there are several; all candidates but the first are hidden. `formats` is the colour model, depth
    and profile of the pixels. Gives the node of each candidate."""
    bench = Krita.instance().createDocument(document.width(), document.height(), name, document.colorModel(),
                                            document.colorDepth(), document.colorProfile(), document.resolution())
    if bench is None:
        raise Failure(_("Krita could not make the new layers."), abi.REPOSE_DEVICE)
    try:
        candidates = {}
        for layer in layers:
            candidates.setdefault(layer.candidate, []).append(_built(bench, layer, formats))
        built = []
        for number, nodes in sorted(candidates.items()):
            title = name if len(candidates) == 1 else _("{name} {number}").format(name=name, number=number + 1)
            built.append(nodes[0] if len(nodes) == 1 else _group(bench, title, nodes))
        for other in built[1:]:
            other.setVisible(False)
        whole = built[0] if len(built) == 1 else _group(bench, name, built)
        # What was added to the bench is in its undo history; the copy has none.
        whole = whole.duplicate()
    finally:
        bench.close()
    whole.setName(name if len(layers) > 1 else layers[0].name)
    parent = node.parentNode() if node is not None else None
    if parent is None:
        parent, node = document.rootNode(), None
    if not parent.addChildNode(whole, node):
        raise Failure(_("Krita did not accept the new layers."), abi.REPOSE_BUG)
    # The node in hand still belongs to the bench, which is gone: using it on would crash Krita.
    added = find(document.rootNode(), whole.uniqueId())
    if len(layers) > 1:
        # A group that comes with its layers is drawn as empty until the whole is drawn again (0.1 s for 24 megapixels).
        document.refreshProjection()
    return [added] if len(built) == 1 else added.childNodes()


def find(node, uid):
    """The node of that unique id, at or below a node; None if it is not there."""
    if node.uniqueId() == uid:
        return node
    return next((found for child in node.childNodes() if (found := find(child, uid))), None)


def _group(bench, name, nodes):
    group = bench.createGroupLayer(name)
    for node in nodes:
        group.addChildNode(node, None)
    return group


def _built(bench, layer, formats):
    """One result as a paint layer with its mask."""
    node = bench.createNode(layer.name, "paintlayer")
    if (node.colorModel(), node.colorDepth(), node.colorProfile()) != formats:
        node.setColorSpace(*formats)
    place = layer.x, layer.y, layer.width, layer.height
    node.setPixelData(layer.pixels, *place)
    coverage = eight_bits(layer.mask, layer.mask_depth)
    if hasattr(bench, "createTransparencyMask"):
        mask = bench.createTransparencyMask(_("Mask"))
        node.addChildNode(mask, None)
        selection = Selection()
        selection.setPixelData(coverage, *place)
        mask.setSelection(selection)
    else:
        mask = _blank_mask()
        mask.setName(_("Mask"))
        mask.setPixelData(coverage, *place)
        node.addChildNode(mask, None)
    return node


def eight_bits(mask, depth):
    """A mask as Krita holds it. 0 stays 0 and full stays full."""
    if depth == abi.REPOSE_DEPTH_U8:
        return mask
    if depth == abi.REPOSE_DEPTH_U16:
        return bytes((value + 128) // 257 for value in array.array("H", mask))
    return bytes(int(min(max(value, 0.0), 1.0) * 255 + 0.5) for value in array.array("f", mask))


_MASK_FILE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE DOC PUBLIC '-//KDE//DTD krita 2.0//EN' 'http://www.calligra.org/DTD/krita-2.0.dtd'>
<DOC xmlns="http://www.calligra.org/DTD/krita" kritaVersion="5.1.5" syntaxVersion="2.0" editor="Krita">
 <IMAGE mime="application/x-kra" name="mask" width="1" height="1" x-res="72" y-res="72" colorspacename="RGBA"
  profile="sRGB-elle-V2-srgbtrc.icc"><layers>
  <layer name="mask" nodetype="grouplayer" filename="layer1" compositeop="normal" opacity="255" visible="1" x="0" y="0"
   uuid="{c5cc81b3-facc-4e5a-b576-aafb65e808f6}"><masks><mask name="mask" nodetype="transparencymask" visible="1" x="0"
   y="0" filename="mask2" uuid="{5ad8be5c-9d81-4d49-a7b5-6e1c6b452fa6}"/></masks></layer></layers>
 </IMAGE>
</DOC>"""
_blank = None


def _blank_mask():
    """A new empty transparency mask for Krita 5.1, whose scripts cannot make one, but can copy one out of a file."""
    global _blank
    if _blank is None:
        with tempfile.TemporaryDirectory(prefix="repose-") as folder:
            path = os.path.join(folder, "mask.kra")
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("mimetype", "application/x-krita")
                archive.writestr("maindoc.xml", _MASK_FILE)
                archive.writestr("mask/layers/mask2.pixelselection",
                                 b"VERSION 2\nTILEWIDTH 64\nTILEHEIGHT 64\nPIXELSIZE 1\nDATA 0\n")
                archive.writestr("mask/layers/mask2.pixelselection.defaultpixel", b"\0")
            krita = Krita.instance()
            quiet = krita.batchmode()
            krita.setBatchmode(True)
            source = krita.openDocument(path)
            krita.setBatchmode(quiet)
            masks = [mask for layer in source.topLevelNodes() for mask in layer.childNodes()] if source else []
            if not masks:
                raise Failure(_("Krita could not make a transparency mask."), abi.REPOSE_BUG)
            _blank = masks[0].duplicate()
            source.close()
    return _blank.duplicate()


def annotate(document, history):
    """Adds a line to the document's history: one JSON object a line, the oldest first."""
    lines = document.annotation(ANNOTATION).data() if ANNOTATION in document.annotationTypes() else b""
    data = lines + b"\n" + history.encode() if lines else history.encode()
    document.setAnnotation(ANNOTATION, "Repose: how layers of this picture were made (JSON lines)", data)
