"""One learn, re-pose or erase of a document: begun, polled, and its results inserted. No call waits for the engine."""

import ctypes
import math
from collections import namedtuple
from ctypes import pointer

from krita import Krita

from . import abi, results
from .engine import shared, sized
from .failure import Failure
from .pixels import needed_selection, paint_layer, picture_of, selection_of
from .words import _

Pin = namedtuple("Pin", "from_x from_y to_x to_y angle depth", defaults=(math.nan, 0.0))
Pin.__doc__ = "A point of a pose in canvas pixels; as ReposePin."

REFINE = {"auto": abi.REPOSE_REFINE_AUTO, "refine": abi.REPOSE_REFINE_ALWAYS, "as-selected": abi.REPOSE_REFINE_NEVER}


class Task:
    """A job and the place in the document where its results belong."""

    def __init__(self, document, node, job, name, candidates=1):
        self.job, self.name, self.candidates = job, name, candidates
        self.history = ""
        self._root, self._node = document.rootNode().uniqueId(), node.uniqueId()
        self._size = document.width(), document.height()
        self.formats = node.colorModel(), node.colorDepth(), node.colorProfile()

    def status(self):
        return self.job.status()

    def ended(self, status):
        """Whether the job has ended well; fails as the job has failed."""
        if status.state < abi.REPOSE_STATE_DONE:
            return False
        if status.state != abi.REPOSE_STATE_DONE:
            raise Failure(self.job.text(abi.REPOSE_BYTES_MESSAGE), status.code)
        return True

    def document(self):
        """The document; None if it was closed meanwhile."""
        for document in Krita.instance().documents():
            root = document.rootNode()
            if root is not None and root.uniqueId() == self._root:
                return document
        return None

    def here(self):
        """The document, if the results still have their place in it."""
        document = self.document()
        if document is None:
            raise Failure(_("The picture was closed while Repose was at work, so the result was dropped."))
        if (document.width(), document.height()) != self._size:
            raise Failure(_("The picture's size was changed while Repose was at work, so the result no longer fits. "
                            "Begin again."))
        return document

    def node(self, document):
        """The layer that was worked on; None if it was removed meanwhile."""
        return results.find(document.rootNode(), self._node)

    def insert(self, status, candidate=None):
        """Puts the results of a job that is done into the document: one candidate's, or all. Gives each one's node."""
        self.history = self.job.text(abi.REPOSE_BYTES_HISTORY)
        if status.layers == 0:
            return []
        document = self.here()
        node = self.node(document)
        layers = [layer for layer in self.job.layers(status.layers) if candidate in (None, layer.candidate)]
        nodes = results.insert(document, node, layers, self.name, self.formats)
        results.annotate(document, self.history)
        return nodes

    def activate(self):
        """Makes the layer that was worked on the active one: the next pose is one of the picture, not of a result."""
        document = self.document()
        node = self.node(document) if document is not None else None
        if node is not None:
            document.setActiveNode(node)


def _text(words):
    """A text for the plugin; None if there is nothing in it."""
    return words.encode() if words else None


def learn(document, name, consent, node=None, selection=None, person=False, person_agrees=False, expires=None,
          refine="auto", caption=None, word=None, recipe=None, model=None, steps=0, rank=0, earlier=0, seed=0):
    """Begins to learn what is selected under a name. For poses in words, `caption` says what the picture shows, and
    `word` what the subject is. With a recipe, such as "single-insert", a text model learns it as well; what comes after
    `recipe` is for it alone, as in ReposeTraining."""
    node = paint_layer(document, node)
    chosen = needed_selection(document, selection)
    picture = picture_of(document, node)
    request = sized(abi.ReposeLearnRequest, refine=REFINE[refine], picture=pointer(picture.struct),
                    selection=pointer(chosen.struct), name=name.encode(), consent=consent.encode(),
                    expires=_text(expires), person=person, person_agrees=person_agrees, caption=_text(caption),
                    word=_text(word))
    training = sized(abi.ReposeTraining, recipe=_text(recipe), model=_text(model), steps=steps, rank=rank,
                     earlier=earlier, seed=seed)
    if recipe:
        request.training = pointer(training)
    engine = shared()
    return Task(document, node, engine.submit(engine.api.job_learn, request), name)


def repose(document, subject, pins=(), node=None, selection=None, guide=None, prompt=None, move=(0.0, 0.0), scale=1.0,
           angle=0.0, seed=0, candidates=1, grow=0, version=0, refine="auto", model=None, negative=None, source=None,
           sampler=None, strength=0.0, guidance=0.0, steps=0, variant=None):
    """Begins to give a subject a new pose. `guide` is a layer with a rough edit.

    With a prompt, a text model draws the pose. What comes after `refine` is for it alone, as in ReposeText: `model` if
    there are several, `negative` says what must not be seen, `source` what the picture shows now, `variant` which parts
    of the papers' methods are left out or put in; None, 0: a good default.
    """
    node = paint_layer(document, node)
    chosen = selection_of(selection if selection is not None else document.selection())
    picture = picture_of(document, node)
    painted = picture_of(document, guide) if guide is not None else None
    points = (abi.ReposePin * len(pins))(*(abi.ReposePin(*pin) for pin in pins))
    request = sized(abi.ReposePoseRequest, candidates=candidates, picture=pointer(picture.struct),
                    subject=subject.encode(), pin_count=len(pins), version=version,
                    prompt=_text(prompt), offset_x=move[0], offset_y=move[1], scale=scale,
                    angle=angle, seed=seed, grow=grow, refine=REFINE[refine])
    if chosen:
        request.selection = pointer(chosen.struct)
    if painted:
        request.guide = pointer(painted.struct)
    text = sized(abi.ReposeText, model=_text(model), negative=_text(negative), source=_text(source),
                 sampler=_text(sampler), strength=strength, guidance=guidance, steps=steps, variant=_text(variant))
    if prompt and any((model, negative, source, sampler, strength, guidance, steps, variant)):
        request.text = pointer(text)
    if pins:
        request.pins = ctypes.cast(points, ctypes.POINTER(abi.ReposePin))
    engine = shared()
    name = _("{subject}, re-posed").format(subject=subject)
    return Task(document, node, engine.submit(engine.api.job_repose, request), name, candidates)


def erase(document, node=None, selection=None, seed=0, candidates=1, grow=0):
    """Begins to remove what is selected."""
    node = paint_layer(document, node)
    chosen = needed_selection(document, selection)
    picture = picture_of(document, node)
    request = sized(abi.ReposeEraseRequest, candidates=candidates, picture=pointer(picture.struct),
                    selection=pointer(chosen.struct), seed=seed, grow=grow)
    engine = shared()
    return Task(document, node, engine.submit(engine.api.job_erase, request), _("Background"), candidates)
