"""kritarunner: learns and re-poses over and over, until the test kills it."""

import os
import traceback

from krita import Krita
from repose import script

from common import HEAD, HOLD, bear, photo, say

PINS = [script.Pin(x, y, x, y) for x, y in HOLD] + [script.Pin(*HEAD)]


def __main__(_arguments):
    try:
        Krita.instance().setBatchmode(True)
        document, selection = photo(), bear()
        layer = document.topLevelNodes()[0]
        while True:
            for _ in script.learn(document, "bear", "my own toy", node=layer, selection=selection):
                pass
            say("learned")
            for status in script.repose(document, "bear", PINS, node=layer, selection=selection):
                if status.done > 20:
                    say("reposing")
    except BaseException:
        traceback.print_exc()
        os._exit(1)
