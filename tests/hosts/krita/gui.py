"""Krita with its windows: the menu, the docker, pins dragged by the mouse, and all that can happen while a job runs.

What a person does is asked of the test outside, which has the mouse: a line `HAND number {…}` on stderr, answered by a
file of that number.
"""

import json
import os
import shutil

from krita import Krita
from PyQt5.QtCore import Qt
from PyQt5.QtWidgets import QApplication, QDockWidget, QPushButton, QToolButton

from common import HEAD, HOLD, SIDE, bear, check, everything, inside, leaves, mask_of, out, photo, say, tree, union

krita = Krita.instance()
hands = 0


def hand(**what):
    """Asks for something to be done, and waits until it is."""
    global hands
    hands += 1
    say("HAND", hands, json.dumps(what))
    done = out(f"hand-{hands}")
    while not os.path.exists(done):
        yield 30


def click(widget):
    at = widget.mapToGlobal(widget.rect().center())
    yield from hand(do="click", at=[at.x(), at.y()])


def until(true, what, seconds=20):
    for _ in range(seconds * 20):
        if true():
            return
        yield 50
    check(False, "not within", seconds, "s:", what)


def history(document, action):
    """Undoes or redoes when Krita is at rest: it ignores both while the picture is being drawn again."""
    document.waitForDone()
    krita.action(action).trigger()


def entry(holder, name):
    return next((action for action in holder.actions() if action.text().replace("&", "") == name), None)


def menu(*names):
    """Clicks through the menus as a person does."""
    bar = krita.activeWindow().qwindow().menuBar()
    for depth, name in enumerate(names):
        if depth == 0:
            holder = bar
        else:
            yield from until(lambda name=name: entry(QApplication.activePopupWidget() or bar, name), name)
            holder = QApplication.activePopupWidget()
        at = holder.mapToGlobal(holder.actionGeometry(entry(holder, name)).center())
        yield from hand(do="click", at=[at.x(), at.y()])


def in_words(window, docker, document, untouched):
    """Without a text model the panel says so; with one, a prompt is drawn, and undone in one step."""
    text, prompt = docker.pose.text, docker.pose._prompt
    models = os.path.expanduser("~/.local/share/repose/models")
    yield from until(lambda: text.ready, "the list of models")
    check("No text model" in text.problem and models in text.problem, text.problem)
    check("none was found" in prompt.placeholderText(), prompt.placeholderText())
    window.qwindow().resizeDocks([docker], [640], Qt.Orientation.Vertical)
    docker.findChild(QToolButton, "repose_fold_text").click()
    panel = docker.pose.parentWidget().parentWidget()
    yield 600
    panel.verticalScrollBar().setValue(panel.verticalScrollBar().maximum())
    yield 300
    yield from hand(do="shot", name="no-model")
    # One model in a folder that is named, as the button "…" does; one in Repose's own folder.
    text._name_folder(inside("models"))
    yield from until(lambda: text._model.count() == 1 and text._reply is None, "the model in the folder")
    check(not text.problem and text.values()["model"] == "", text.problem, text.values())
    shutil.copytree(inside("models/tiny"), os.path.join(models, "other"))
    docker.tabs.setCurrentIndex(0)
    docker.tabs.setCurrentIndex(1)
    yield from until(lambda: text._model.count() == 2, "two models")
    text._model.setCurrentIndex(text._model.findData("tiny"))
    check(text.values()["model"] == "tiny", text.values())
    check(prompt.placeholderText() == "in English, with “teddy bear” in it", prompt.placeholderText())
    check(text.source.placeholderText() == "a bear on a rock", text.source.placeholderText())
    docker.pose.view.set_pins([])
    panel.verticalScrollBar().setValue(0)
    yield 300
    yield from click(prompt)
    yield from hand(do="type", text="a teddy bear waving")
    text._steps.setValue(2)
    panel.verticalScrollBar().setValue(panel.verticalScrollBar().maximum())
    yield 300
    yield from hand(do="shot", name="words")
    yield from click(docker.pose.button)
    yield from until(lambda: docker.bar.line(), "progress")
    yield from until(lambda: docker.runner.idle, docker.bar.line(), 60)
    yield from until(lambda: len(tree(document)) == 2, docker.bar.said())
    yield 700
    posed = document.topLevelNodes()[1]
    check((posed.name(), posed.type()) == ("bear, re-posed", "paintlayer"), tree(document))
    touched, after = mask_of(posed), everything(document)
    changed = [i for i in range(SIDE * SIDE) if untouched[4 * i:4 * i + 4] != after[4 * i:4 * i + 4]]
    outside = sum(not touched[i] for i in changed)
    check(outside == 0 and len(changed) > 5000, outside, "of", len(changed), "changed pixels are outside the mask")
    history(document, "edit_undo")
    yield from until(lambda: everything(document) == untouched, "undo")
    check(len(tree(document)) == 1, tree(document))
    # What is remembered: the numbers, not what is said about a picture.
    from repose import settings
    kept = settings.read("text-steps"), settings.read("text-negative"), settings.read("text-prompt", "none")
    check(kept == ("2", "", "none"), kept)
    prompt.clear()
    docker.findChild(QToolButton, "repose_fold_text").click()
    window.qwindow().resizeDocks([docker], [480], Qt.Orientation.Vertical)
    shutil.rmtree(models)
    from repose.engine import shared
    shared().library(command="model-folder-remove", path=inside("models"))
    yield 300


def steps():
    window = krita.activeWindow()
    document = photo()
    window.addView(document)
    window.qwindow().showMaximized()
    yield 700
    layer = document.topLevelNodes()[0]
    untouched = everything(document)

    yield from menu("Tools", "Scripts", "Repose", "Learn Subject from Selection…")
    docker = window.qwindow().findChild(QDockWidget, "repose_docker")
    yield from until(docker.isVisible, "the docker")
    yield 500
    check(docker.height() > 300, "the docker is too low:", docker.height())

    # Without a selection, and without a name.
    yield from click(docker.learn.button)
    yield from until(lambda: "Nothing is selected" in docker.bar.said(), docker.bar.said())
    document.setSelection(bear())
    yield 300
    yield from click(docker.learn.button)
    yield from until(lambda: docker.bar.said() and "selected" not in docker.bar.said(), docker.bar.said())
    yield from click(docker.learn._name)
    yield from hand(do="type", text="bear")
    docker.learn._consent.clear()
    yield from click(docker.learn._consent)
    yield from hand(do="type", text="my own toy")
    # What the subject is proposes what the picture shows; what the user says stays.
    caption, word = docker.learn._caption, docker.learn._word
    word.setText("teddy bear")
    word.editingFinished.emit()
    check(caption.text() == "a photo of a teddy bear", caption.text())
    caption.setText("a bear on a rock")
    word.editingFinished.emit()
    check(caption.text() == "a bear on a rock", caption.text())
    # What a recipe takes: either unknown before the model begins to learn here, or measured then, by an earlier test.
    takes = docker.learn._takes
    docker.learn._recipe.setCurrentIndex(1)
    check(takes.isVisible() and takes.text().startswith(("How long it takes", "It takes about ")), takes.text())
    docker.learn._recipe.setCurrentIndex(0)
    check(not takes.isVisible(), takes.text())
    docker.learn.parentWidget().parentWidget().ensureWidgetVisible(docker.learn._word)
    yield 300
    yield from hand(do="shot", name="learn")
    yield from click(docker.learn.button)
    yield from until(lambda: "was learned" in docker.bar.said(), docker.bar.said())
    check(docker.pose.subjects.subject() == "bear", docker.pose.subjects.subject())
    check(docker.tabs.currentIndex() == 1, "the docker did not turn to the next step")

    # Pins by the mouse, on the picture in the docker.
    view = docker.pose.view
    yield from until(lambda: not view._image.isNull(), "the picture in the docker")

    def on_screen(x, y):
        at = view.mapToGlobal(view.on_screen(x, y).toPoint())
        return [at.x(), at.y()]

    yield from hand(do="click", at=on_screen(330, 200))
    yield from until(lambda: len(view.pins) == 1, "a pin")
    yield from hand(do="right-click", at=on_screen(330, 200))
    yield from until(lambda: not view.pins, "a pin that is removed")
    yield 500
    yield from hand(do="drag", at=on_screen(*HEAD[:2]), to=on_screen(*HEAD[2:4]))
    yield from until(lambda: len(view.pins) == 1 and view.pins[0].to_x < 385, f"a dragged pin: {view.pins}")
    docker.pose._turn.setValue(HEAD[4])
    check(view.pins[0].angle == HEAD[4], view.pins)
    head = view.pins[0]
    check(abs(head.from_x - HEAD[0]) < 4 and abs(head.to_y - HEAD[3]) < 4, head)
    from repose.task import Pin
    view.set_pins([Pin(x, y, x, y) for x, y in HOLD] + [head])

    # Stopped in the middle.
    docker.pose._common.candidates.setValue(16)
    yield from click(docker.pose.button)
    yield from until(lambda: "%" in docker.bar.line(), "progress")
    yield from until(lambda: view._live is not None, "a preview")
    stop = docker.findChild(QPushButton, "repose_stop")
    check(stop.isVisible() and not docker.pose.button.isVisible(), "Stop takes the place of Re-pose")
    yield from click(stop)
    yield from until(lambda: "Stopped" in docker.bar.said(), docker.bar.said())
    check(len(tree(document)) == 1, tree(document))
    yield 300

    # To the end, with a look at it while it runs.
    docker.pose._common.candidates.setValue(1)
    yield from click(docker.pose.button)
    lines = []
    yield from until(lambda: view._live is not None, "a preview")
    yield from hand(do="shot", name="running")
    yield from until(lambda: lines.append(docker.bar.line()) or docker.runner.idle, "the end")
    check(any(" — " in line and "left" in line for line in lines), lines)
    yield from until(lambda: len(tree(document)) == 2, docker.bar.said())
    yield 700
    active = document.activeNode()
    check(active.uniqueId() == layer.uniqueId(), "another layer is active:", active.name())
    check(tree(document)[1][0] == "bear, re-posed", tree(document))
    yield from hand(do="shot", name="result")
    touched = union([mask_of(result) for result in leaves(document.topLevelNodes()[1:2])])
    after = everything(document)
    wrong = sum(not touched[i] and untouched[4 * i:4 * i + 4] != after[4 * i:4 * i + 4] for i in range(SIDE * SIDE))
    check(wrong == 0 and after != untouched, wrong, "pixels outside the masks have changed")

    # One step of undo, and the picture is the original; one of redo, and it is back.
    history(document, "edit_undo")
    yield from until(lambda: everything(document) == untouched, "undo")
    check(len(tree(document)) == 1, tree(document))
    history(document, "edit_redo")
    yield from until(lambda: everything(document) == after, "redo")
    history(document, "edit_undo")
    yield from until(lambda: everything(document) == untouched, "undo again")

    yield from in_words(window, docker, document, untouched)
    view.set_pins([Pin(x, y, x, y) for x, y in HOLD] + [head])

    # A candidate of two.
    docker.pose._common.candidates.setValue(2)
    yield from click(docker.pose.button)
    yield from until(lambda: docker.candidates.isVisible(), "candidates", 60)
    check(len(tree(document)) == 1, "candidates were inserted before one was chosen")
    docker.candidates._list.setCurrentRow(1)
    yield 300
    yield from hand(do="shot", name="candidates")
    yield from click(docker.findChild(QPushButton, "repose_use_button"))
    yield from until(lambda: len(tree(document)) == 2, docker.bar.said())
    check(tree(document)[1][2][1][0] == "bear, re-posed 2", tree(document))
    check(not docker.candidates.isVisible(), "the candidates are still offered")
    yield 400

    # A subject whose consent was revoked says why it cannot be used.
    from repose.engine import shared
    document.setSelection(bear())
    docker.tabs.setCurrentIndex(0)
    docker.learn._name.setText("other")
    yield 400
    yield from click(docker.learn.button)
    yield from until(lambda: "“other” was learned" in docker.bar.said(), docker.bar.said())
    shared().library(command="revoke", name="other")
    docker.pose.subjects.refresh("bear")
    listed = [docker.pose.subjects.item(row) for row in range(docker.pose.subjects.count())]
    other = next(item for item in listed if item.text() == "other")
    check(not other.flags() & Qt.ItemFlag.ItemIsEnabled and "revoked" in other.toolTip(), other.toolTip())
    check(docker.pose.subjects.subject() == "bear", docker.pose.subjects.subject())

    # Pins drawn on a vector layer.
    vector = document.createVectorLayer("drawn")
    document.rootNode().addChildNode(vector, None)
    yield 500
    vector = document.nodeByName("drawn")
    vector.addShapesFromSvg('<svg xmlns="http://www.w3.org/2000/svg" width="768px" height="768px" viewBox="0 0 768 768">'
                            '<path d="M 410 215 L 360 228" stroke="#f00" fill="none"/><circle cx="430" cy="310" r="6"/>'
                            "</svg>")
    yield 500
    docker.pose.vector.click()
    drawn = [tuple(round(value) for value in pin[:4]) for pin in view.pins]
    check(drawn == [(410, 215, 360, 228), (430, 310, 430, 310)], drawn, docker.bar.said())
    document.setActiveNode(document.nodeByName("Background"))
    yield 900
    check(len(view.pins) == 2, "the pins were lost with the change of the layer")

    # The picture is closed while a job is at work.
    docker.pose._common.candidates.setValue(16)
    yield from click(docker.pose.button)
    yield from until(lambda: "%" in docker.bar.line(), "progress")
    document.setModified(False)
    document.close()
    yield from until(lambda: docker.runner.idle, "the job of a closed picture to end")
    check("closed" in docker.bar.said() or "Stopped" in docker.bar.said(), docker.bar.said())
    yield 500

    # Krita is closed while a job is at work.
    document = photo()
    window.addView(document)
    yield 500
    document.setSelection(bear())
    yield 900
    view.set_pins([Pin(x, y, x, y) for x, y in HOLD] + [head])
    yield from click(docker.pose.button)
    yield from until(lambda: "%" in docker.bar.line(), "progress")
    document.setModified(False)
    say("CLOSING")
    window.qwindow().close()
