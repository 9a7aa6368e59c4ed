"""Captions as people word them, and which of a picture's facts a caption tells."""

import random

OPENINGS = ("a photo of ", "a picture of ", "photo of ", "an image of ", "a photograph of ", "")

# Lists of what a picture can show, and where its truth has them.
FACTS = ("kind", "colour", "pattern", "second", "accessory", "accessory colour", "mark", "mark colour", "action", "view", "place")


def loosened(caption, draw: random.Random):
    """The caption, one time in three in other words: another opening, another article, no comma."""
    if draw.random() > 0.33:
        return caption
    body = caption.removeprefix("a photo of ")
    if draw.random() < 0.3:
        body = "the " + body.removeprefix("an ").removeprefix("a ")
    if ", seen " in body and draw.random() < 0.4:
        body, view = body.split(", seen ")
        return f"{draw.choice(OPENINGS)}{body} {view}"
    return draw.choice(OPENINGS) + body


def facts(truth, caption):
    """For each of `FACTS` what the caption says of it, `None` where it says nothing."""
    known = {key: truth[key] for key in ("kind", "colour", "pattern", "action", "view", "place")}
    known["second"] = truth["second"] if f"and {truth['second']} {truth['pattern']}" in caption else None
    for what in ("accessory", "mark"):
        thing, colour = truth[what] or (None, None)
        said = thing is not None and f"{colour} {thing}" in caption
        known[what], known[what + " colour"] = (thing, colour) if said else (None, None)
    for key in ("pattern", "view", "place"):
        if known[key] not in caption:
            known[key] = None
    return [known[fact] for fact in FACTS]
