"""Follows the job at work from a timer of the user interface, which never waits for it."""

from . import abi
from .failure import Failure
from .qt import QImage, QObject, QTimer, pyqtSignal

# Between two looks at the job, in milliseconds.
PACE = 40


class Runner(QObject):
    """One job at a time. `done` and `failed` end it; then `idle` is true again."""

    progressed = pyqtSignal(object)
    previewed = pyqtSignal(QImage)
    done = pyqtSignal(object, object)
    failed = pyqtSignal(str, int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._task, self._serial = None, 0
        self._timer = QTimer(self)
        self._timer.setInterval(PACE)
        self._timer.timeout.connect(self._look)

    @property
    def idle(self):
        return self._task is None

    def start(self, task):
        """Follows a task. The one who hears `done` frees its job."""
        self._task, self._serial = task, 0
        self._timer.start()
        self._look()

    def stop(self):
        """Asks the job to stop; `failed` with REPOSE_CANCELLED follows within its step."""
        if self._task is not None:
            self._task.job.cancel()

    def _look(self):
        task = self._task
        if task is None:
            return
        try:
            status = task.status()
            if status.preview_serial > self._serial:
                self._serial = status.preview_serial
                self._show_preview(task)
            if task.ended(status):
                self._end()
                self.done.emit(task, status)
            else:
                if task.document() is None:
                    # Nobody can see the result any more.
                    task.job.cancel()
                self.progressed.emit(status)
        except Failure as failure:
            self._end()
            task.job.free()
            self.failed.emit(str(failure), failure.code)

    def _show_preview(self, task):
        preview = task.job.preview()
        if preview:
            width, height, pixels = preview
            self.previewed.emit(QImage(pixels, width, height, width * 4, QImage.Format.Format_RGBA8888).copy())

    def _end(self):
        self._timer.stop()
        self._task = None


def cancelled(code):
    """Whether a failure is the user's own stop."""
    return code == abi.REPOSE_CANCELLED
