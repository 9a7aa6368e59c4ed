"""The foot of the docker: what is being done, for how long yet, the button that stops it, and what was said last."""

from .qt import QHBoxLayout, QLabel, QProgressBar, QPushButton, QSizePolicy, Qt, QVBoxLayout, QWidget, pyqtSignal
from .words import _, progress_line


class RunBar(QWidget):
    """Shown while a job runs; the sentence below stays until the next job."""

    stop = pyqtSignal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(14)
        self._button = QPushButton(_("Stop"))
        self._button.setObjectName("repose_stop")
        self._button.clicked.connect(self._ask)
        self._line = QLabel()
        self._said = QLabel()
        self._said.setObjectName("repose_message")
        self._said.setWordWrap(True)
        self._said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._said.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._bar, 1)
        row.addWidget(self._button)
        self._running = QWidget()
        column = QVBoxLayout(self._running)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self._line)
        column.addLayout(row)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._running)
        layout.addWidget(self._said)
        self._running.hide()
        self._said.hide()

    def begin(self):
        self._button.setEnabled(True)
        self._button.setText(_("Stop"))
        self._bar.setRange(0, 0)
        self._line.setText("")
        self._said.hide()
        self._running.show()

    def show_status(self, status):
        self._bar.setRange(0, status.total)
        self._bar.setValue(status.done)
        self._line.setText(progress_line(status))

    def line(self):
        """What it says now about the job at work."""
        return self._line.text()

    def end(self):
        self._running.hide()

    def say(self, sentence, failed=False):
        """A sentence that stays; a failure stands out."""
        self._said.setStyleSheet("color: #ffb86b;" if failed and self._dark() else "color: #a33a00;" if failed else "")
        self._said.setText(sentence)
        self._said.setVisible(bool(sentence))

    def said(self):
        return self._said.text()

    def _dark(self):
        return self.palette().color(self.backgroundRole()).lightness() < 128

    def _ask(self):
        self._button.setEnabled(False)
        self._button.setText(_("Stopping…"))
        self.stop.emit()
