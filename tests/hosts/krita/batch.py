"""kritarunner: every pixel format from the photo to saved files and back; other models; stopping; refusals."""

import os
import shutil
import struct
import sys
import traceback
import zipfile
import zlib

from krita import InfoObject, Krita
from repose import abi, colour, script, vector_pins
from repose.engine import shared
from repose.learn_panel import takes
from repose.pixels import paint_layer

from common import (HEAD, HOLD, SIDE, bear, check, everything, inside, leaves, mask_of, out, photo, say, tree, union,
                    write)

SRGB, LINEAR = "sRGB-elle-V2-srgbtrc.icc", "sRGB-elle-V2-g10.icc"
FORMATS = {
    "u8": ("RGBA", "U8", SRGB),
    "u16": ("RGBA", "U16", SRGB),
    "f16": ("RGBA", "F16", LINEAR),
    "f32": ("RGBA", "F32", LINEAR),
    "grey-u8": ("GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc"),
    # A profile that is none of the contract's own: its bytes go along.
    "wide-u16": ("RGBA", "U16", "WideRGB-elle-V2-g22.icc"),
}
PINS = [script.Pin(x, y, x, y) for x, y in HOLD] + [script.Pin(*HEAD)]


def __main__(_arguments):
    code = 1
    try:
        Krita.instance().setBatchmode(True)
        selection = bear()
        for name, formats in FORMATS.items():
            one_format(name, formats, selection)
        by_library(selection)
        erased(selection)
        by_guide(selection)
        embedded()
        by_vector()
        stopped(selection)
        refused(selection)
        in_words(selection)
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(code)


def run(running):
    """Runs a job to its end; gives how it went."""
    seen = [status for status in running]
    check(all(a.done <= b.done for a, b in zip(seen, seen[1:])), "progress went back")
    return seen[-1]


def one_format(name, formats, selection):
    document = photo(formats)
    layer = document.topLevelNodes()[0]
    check((layer.colorModel(), layer.colorDepth(), layer.colorProfile()) == formats, "the document is not", formats)
    before, own = everything(document), layer.pixelData(0, 0, SIDE, SIDE).data()
    document.exportImage(out(f"{name}-before.png"), InfoObject())

    learned = script.learn(document, f"bear {name}", "my own toy", node=layer, selection=selection)
    run(learned)
    check('"action":"learn"' in learned.history, learned.history)
    check(len(document.topLevelNodes()) == 1, "learning added a layer")
    posed = script.repose(document, f"bear {name}", PINS, node=layer, selection=selection, grow=3)
    end = run(posed)
    check(end.preview_serial > 0, "there was no preview")
    document.waitForDone()
    document.refreshProjection()
    document.saveAs(out(f"{name}.kra"))
    document.exportImage(out(f"{name}-after.png"), InfoObject())
    if name == "f32":
        document.exportImage(out(f"{name}-after.tiff"), InfoObject())
    document.close()

    again = Krita.instance().openDocument(out(f"{name}.kra"))
    again.refreshProjection()
    subject = f"bear {name}"
    mask = [["Mask", "transparencymask", []]]
    check(tree(again) == [["Background", "paintlayer", []],
                          [f"{subject}, re-posed", "grouplayer",
                           [[f"Background behind {subject}", "paintlayer", mask],
                            [f"{subject}, re-posed", "paintlayer", mask]]]], tree(again))
    bottom, above = again.topLevelNodes()[0], list(leaves(again.topLevelNodes()[1:]))
    check(bottom.pixelData(0, 0, SIDE, SIDE).data() == own, name, "the original layer was changed")
    for result in above:
        box = result.bounds()
        check((result.colorModel(), result.colorDepth(), result.colorProfile()) == formats, "a layer in other formats")
        check(box.x() > 250 and box.y() > 80 and box.right() < 600 and box.bottom() < 460, "a layer lies at", box)
    masks = [mask_of(result) for result in above]
    after, touched = everything(again), union(masks)
    size = len(before) // (SIDE * SIDE)
    changed = outside = 0
    for i in range(SIDE * SIDE):
        if before[i * size:(i + 1) * size] != after[i * size:(i + 1) * size]:
            changed += 1
            outside += not touched[i]
    check(outside == 0, name, outside, "pixels outside the masks have changed")
    check(changed > 20000, name, "only", changed, "pixels have changed")
    # Under a full mask the picture is the layer, but for the rounding of Krita's own blending in floats.
    if formats[1] in ("U8", "U16"):
        top = above[1].pixelData(0, 0, SIDE, SIDE).data()
        wrong = sum(masks[1][i] == 255 and top[i * size:(i + 1) * size] != after[i * size:(i + 1) * size]
                    for i in range(SIDE * SIDE))
        check(wrong == 0, name, wrong, "pixels under a full mask are not the layer's")
    lines = again.annotation("repose-history").data().decode().splitlines()
    check(len(lines) == 1 and '"action":"repose"' in lines[0], lines)
    write(f"{name}-touched.raw", touched)
    again.close()
    say("checked", name, changed, "pixels changed, none outside")


def by_library(selection):
    """Without a selection the subject is found where it was learned; a second result adds to the history."""
    document = photo(FORMATS["u16"])
    layer = document.topLevelNodes()[0]
    posed = script.repose(document, "bear u16", move=(30, 0), node=layer, candidates=2)
    run(posed)
    check([node.visible() for node in posed.nodes] == [True, False], "the second candidate is not hidden")
    check(len(document.topLevelNodes()) == 2, "several candidates are not one group", tree(document))
    run(script.erase(document, node=layer, selection=selection))
    check(len(document.annotation("repose-history").data().decode().splitlines()) == 2, "the history does not grow")
    document.close()


def erased(selection):
    document = photo()
    layer = document.topLevelNodes()[0]
    gone = script.erase(document, node=layer, selection=selection, grow=2)
    run(gone)
    check(tree(document)[1][:2] == ["Background", "paintlayer"], tree(document))
    wide, chosen = mask_of(gone.nodes[0]), selection.pixelData(0, 0, SIDE, SIDE).data()
    check(all(a >= b for a, b in zip(wide, chosen)) and wide != chosen, "the selection was not grown")
    document.close()


def by_guide(selection):
    """A rough edit on a layer of its own: the bear, a little to the right."""
    document = photo()
    layer = document.topLevelNodes()[0]
    guide = document.createNode("rough", "paintlayer")
    pixels = bytearray(layer.pixelData(0, 0, SIDE, SIDE).data())
    pixels[3::4] = selection.pixelData(0, 0, SIDE, SIDE).data()
    guide.setPixelData(bytes(pixels), 40, 0, SIDE, SIDE)
    document.rootNode().addChildNode(guide, layer)
    posed = script.repose(document, "bear u8", node=layer, guide=guide, selection=selection, grow=3)
    run(posed)
    check(len(list(leaves(posed.nodes))) == 2, tree(document))
    document.close()


def embedded():
    """A profile that lies in no folder, but in the picture only."""
    known = colour.profile_bytes("RGBA", "U8", "ClayRGB-elle-V2-g22.icc")
    old, new = "ClayRGB-elle-V2-g22.icc", "My own camera's profile"
    own = known
    for code in ("ascii", "utf-16-be"):
        own = own.replace(old.encode(code), new.encode(code))
    check(own != known, "the profile has another form")
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)), (b"iCCP", b"icc\0\0" + zlib.compress(own)),
              (b"IDAT", zlib.compress((b"\0" + bytes(range(100, 124))) * 8)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks)
    write("embedded.png", png)
    document = Krita.instance().openDocument(out("embedded.png"))
    found = colour.format_of(document.topLevelNodes()[0])
    check((found.space, found.icc) == (abi.REPOSE_SPACE_ICC, own), "another profile:", found.space)
    document.close()


VECTORS = """<svg xmlns="http://www.w3.org/2000/svg" width="384pt" height="384pt" viewBox="0 0 384 384">
<path fill="none" stroke="#ff0000" d="M 50 100 L 150 125"/><circle cx="200" cy="150" r="5"/>
<g transform="translate(5,10)"><path fill="none" stroke="#ff0000" d="M 50 50 C 60 40 70 40 80 50"/></g>
<rect x="20" y="30" width="10" height="5"/></svg>"""
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE DOC PUBLIC '-//KDE//DTD krita 2.0//EN' 'http://www.calligra.org/DTD/krita-2.0.dtd'>
<DOC xmlns="http://www.calligra.org/DTD/krita" kritaVersion="5.1.5" syntaxVersion="2.0" editor="Krita">
 <IMAGE mime="application/x-kra" name="p" width="768" height="768" x-res="144" y-res="144" colorspacename="RGBA"
  profile="sRGB-elle-V2-srgbtrc.icc"><layers><layer name="pins" nodetype="shapelayer" filename="layer1" x="0" y="0"
  compositeop="normal" opacity="255" visible="1" uuid="{d22d5ffc-bff4-4452-afdb-5caf11544753}"/></layers></IMAGE>
</DOC>"""


def by_vector():
    """Pins as they are drawn on a vector layer, in a picture of 144 pixels per inch. (The scripts of Krita 5.1 cannot
    put shapes on a layer without a window, so a file is made.)"""
    with zipfile.ZipFile(out("pins.kra"), "w") as archive:
        archive.writestr("mimetype", "application/x-krita")
        archive.writestr("maindoc.xml", PAGE)
        archive.writestr("p/layers/layer1.shapelayer/content.svg", VECTORS)
    document = Krita.instance().openDocument(out("pins.kra"))
    layer = next(node for node in document.topLevelNodes() if node.type() == "vectorlayer")
    pins = [tuple(round(value) for value in pin[:4]) for pin in vector_pins.pins_of(layer, document)]
    check(pins == [(100, 200, 300, 250), (400, 300, 400, 300), (110, 120, 170, 120), (50, 65, 50, 65)], pins)
    document.close()


def in_words(selection):
    """A small random text model draws noise; what it may not touch must stay. It lies where the user's own models do."""
    shutil.copytree(inside("models"), os.path.expanduser("~/.local/share/repose/models"))
    document = photo()
    layer = document.topLevelNodes()[0]
    before = everything(document)
    run(script.learn(document, "bear", "my own toy", node=layer, selection=selection, caption="a bear on a rock",
                     word="teddy bear", recipe="single-insert", steps=6))
    bear_now = next(one for one in shared().library(command="list")["subjects"] if one["name"] == "bear")
    check((bear_now["caption"], bear_now["word"]) == ("a bear on a rock", "teddy bear"), bear_now)
    newest = shared().library(command="show", name="bear")["subject"]["versions"][-1]
    check((newest["recipe"], newest["text"]["model"]) == ("single-insert", "tiny"), newest["recipe"], newest["text"])
    told = takes("lipe", "")
    check("about" in told and "min here" in told, "how long a recipe takes:", told)
    posed = script.repose(document, "bear", node=layer, selection=selection, prompt="a teddy bear waving",
                          negative="blurred", sampler="ddim", strength=0.9, guidance=5.0, steps=2)
    seen = []
    for status in posed:
        seen.append(status.stage)
    check("sampling" in seen or "decoding" in seen, seen)
    check('"stable-diffusion"' in posed.history and '"tiny"' in posed.history, posed.history)
    document.waitForDone()
    document.refreshProjection()
    check(tree(document) == [["Background", "paintlayer", []],
                             ["bear, re-posed", "paintlayer", [["Mask", "transparencymask", []]]]], tree(document))
    touched, after = mask_of(posed.nodes[0]), everything(document)
    changed = [i for i in range(SIDE * SIDE) if before[4 * i:4 * i + 4] != after[4 * i:4 * i + 4]]
    outside = sum(not touched[i] for i in changed)
    check(outside == 0 and len(changed) > 5000, outside, "of", len(changed), "changed pixels are outside the mask")
    document.close()
    shutil.rmtree(os.path.expanduser("~/.local/share/repose/models"))


def stopped(selection):
    document = photo()
    layer = document.topLevelNodes()[0]
    running = script.repose(document, "bear u8", PINS, node=layer, selection=selection, candidates=16)
    try:
        for status in running:
            if status.done > 2:
                running.stop()
    except script.Failure as failure:
        check(failure.code == abi.REPOSE_CANCELLED, failure.code, failure)
    else:
        check(False, "a stopped job went on to its end")
    check(len(document.topLevelNodes()) == 1 and not document.annotationTypes(), "a stopped job left something")
    document.close()


def refused(selection):
    document = photo()
    layer = document.topLevelNodes()[0]
    group = document.createGroupLayer("folder")
    document.rootNode().addChildNode(group, None)

    def fails(code, words, begin, *arguments, **options):
        try:
            running = begin(document, *arguments, **{"node": layer, "selection": selection, **options})
            run(running)
        except script.Failure as failure:
            check(failure.code == code and words in str(failure), failure.code, failure)
        else:
            check(False, "not refused:", words)

    fails(abi.REPOSE_CALLER, "Nothing is selected", script.learn, "x", "my own", selection=None)
    fails(abi.REPOSE_CALLER, "is a group", script.learn, "x", "my own", node=group)
    fails(abi.REPOSE_REFUSED, "", script.learn, "x", "my own", person=True)
    fails(abi.REPOSE_REFUSED, "", script.learn, "x", " ")
    fails(abi.REPOSE_FILES, "nobody", script.repose, "nobody", PINS)
    fails(abi.REPOSE_REFUSED, "words", script.repose, "bear u8", PINS, prompt="sitting")
    fails(abi.REPOSE_CALLER, "no new pose", script.repose, "bear u8")
    layer.setVisible(False)
    fails(abi.REPOSE_CALLER, "hidden", script.erase)
    layer.setVisible(True)
    # A picture in no window has no active layer, and neither has, at times, one whose active layer an undo took away.
    gone = document.createNode("gone", "paintlayer")
    document.rootNode().addChildNode(gone, None)
    fails(abi.REPOSE_CALLER, "No layer is active", script.erase, node=None)
    gone.remove()
    for active in (None, gone):
        found = paint_layer(document, active)
        check(found.uniqueId() == layer.uniqueId(), "the only paint layer is not taken, but", found.name())
    document.setColorSpace("CMYKA", "U8", "Chemical proof")
    document.waitForDone()
    check(layer.colorModel() == "CMYKA", layer.colorModel())
    fails(abi.REPOSE_CALLER, "CMYKA", script.erase)
    check(len(document.topLevelNodes()) == 2, "a refusal left something")

    # The picture's size is changed, and the picture closed, while a job is at work.
    document.close()
    for change, words in ((lambda d: d.resizeImage(0, 0, 700, 700), "size was changed"),
                          (lambda d: d.close(), "was closed")):
        document = photo()
        layer = document.topLevelNodes()[0]
        running = script.repose(document, "bear u8", PINS, node=layer, selection=selection, candidates=2)
        next(running)
        change(document)
        try:
            run(running)
        except script.Failure as failure:
            check(words in str(failure), failure)
        else:
            check(False, "not noticed:", words)
    # The layer is removed meanwhile: the result still has a place, on top.
    document = photo()
    layer = document.topLevelNodes()[0]
    document.rootNode().addChildNode(document.createNode("other", "paintlayer"), None)
    running = script.erase(document, node=layer, selection=selection)
    next(running)
    layer.remove()
    run(running)
    check([node.name() for node in document.topLevelNodes()] == ["other", "Background"], tree(document))
    document.close()
