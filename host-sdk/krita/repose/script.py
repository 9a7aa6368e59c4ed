"""Repose for scripts: without a window, in kritarunner or in Krita's Scripter.

    from repose import script
    for status in script.learn(document, "bear", "my own toy", node=layer, selection=selection):
        print(status.stage, status.done, status.total)
    job = script.repose(document, "bear", [script.Pin(120, 80, 150, 60)], node=layer, selection=selection)
    for status in job:
        pass
    print(job.nodes, job.history)

A prompt asks for a text model: `script.repose(document, "bear", prompt="a teddy bear waving", steps=30)`.

`learn`, `repose` and `erase` take what their namesakes in `task` take and give an iterator of where the job is. Its end
means that the results are in the document; `nodes` and `history` of the iterator then hold them. A failure is raised as
`Failure`. `stop()` asks the job to stop. Between two steps the iterator sleeps for `pause` seconds, so that a script
without an event loop need do nothing else; with one, set `pause` to 0 and call `next()` from a timer.
"""

import time

from . import task as _task
from .failure import Failure
from .task import Pin

__all__ = ["Failure", "Pin", "Running", "erase", "learn", "repose"]


class Running:
    """A job at work, as an iterator of its status."""

    def __init__(self, task, pause=0.03):
        self.task, self.pause = task, pause
        self.nodes, self.history = [], ""
        self._ended = False

    def __iter__(self):
        return self

    def __next__(self):
        if self._ended:
            raise StopIteration
        status = self.task.status()
        try:
            if self.task.ended(status):
                self.nodes = self.task.insert(status)
                self.history = self.task.history
                self._end()
                return status
        except Failure:
            self._end()
            raise
        time.sleep(self.pause)
        return status

    def _end(self):
        self._ended = True
        self.task.job.free()

    def stop(self):
        """Asks the job to stop within its step; the iterator then raises the cancelled failure."""
        self.task.job.cancel()


def learn(*arguments, **options):
    """Learns what is selected: see `task.learn`."""
    return Running(_task.learn(*arguments, **options))


def repose(*arguments, **options):
    """Gives a subject a new pose: see `task.repose`."""
    return Running(_task.repose(*arguments, **options))


def erase(*arguments, **options):
    """Removes what is selected: see `task.erase`."""
    return Running(_task.erase(*arguments, **options))
