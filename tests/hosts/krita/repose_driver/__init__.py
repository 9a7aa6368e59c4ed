"""Runs the test named in REPOSE_TEST inside Krita: a generator that yields how many milliseconds to wait. So the test
never holds up Krita's own event loop, as a nested one would."""

import importlib
import os
import sys
import traceback

from krita import Extension, Krita
from PyQt5.QtCore import QTimer


class Driver(Extension):
    started = False

    def setup(self):
        pass

    def createActions(self, _window):  # noqa: N802, Krita calls it so
        if "REPOSE_TEST" in os.environ and not Driver.started:
            Driver.started = True
            sys.path.insert(0, os.environ["REPOSE_SCRIPTS"])
            self.steps = importlib.import_module(os.environ["REPOSE_TEST"]).steps()
            QTimer.singleShot(1000, lambda: self.step())

    def step(self):
        try:
            pause = next(self.steps)
        except StopIteration:
            return
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        QTimer.singleShot(pause, lambda: self.step())


Krita.instance().addExtension(Driver(Krita.instance()))
