"""The results of a job with several candidates, to choose one from."""

from .qt import (QIcon, QLabel, QListView, QListWidget, QListWidgetItem, QPixmap, QPushButton, QSize, QVBoxLayout,
                 QWidget, pyqtSignal)
from .words import _

SIDE = 112


class CandidateList(QWidget):
    """Shown when there is something to choose; `used` with the number of the candidate."""

    used = pyqtSignal(int)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._list = QListWidget()
        self._list.setViewMode(QListView.ViewMode.IconMode)
        self._list.setMovement(QListView.Movement.Static)
        self._list.setResizeMode(QListView.ResizeMode.Adjust)
        self._list.setIconSize(QSize(SIDE, SIDE))
        self._list.setFixedHeight(SIDE + 46)
        self._list.setWrapping(False)
        self._list.itemDoubleClicked.connect(lambda _item: self._use())
        button = QPushButton(_("Use This One"))
        button.setObjectName("repose_use_button")
        button.clicked.connect(self._use)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel(_("Candidates")))
        layout.addWidget(self._list)
        layout.addWidget(button)
        self.hide()

    def offer(self, images):
        """Shows the candidates, the first one chosen."""
        self._list.clear()
        for number, image in enumerate(images):
            picture = QPixmap.fromImage(image)
            icon = QIcon(picture)
            # Qt would tint the chosen one, and its colours are what the choice is about.
            icon.addPixmap(picture, QIcon.Mode.Selected)
            self._list.addItem(QListWidgetItem(icon, str(number + 1)))
        self._list.setCurrentRow(0)
        self.show()

    def withdraw(self):
        self._list.clear()
        self.hide()

    def _use(self):
        self.used.emit(max(0, self._list.currentRow()))
