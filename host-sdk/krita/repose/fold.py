"""A part of a panel that is folded away behind its title."""

from . import settings
from .qt import QScrollArea, QTimer, Qt, QToolButton, QVBoxLayout, QWidget, pyqtSignal


class Fold(QWidget):
    """A title that shows and hides a widget; how it was left is remembered under `name`."""

    opened = pyqtSignal()

    def __init__(self, name, title, body):
        super().__init__()
        self._name, self._body = name, body
        self.button = QToolButton()
        self.button.setObjectName(f"repose_fold_{name}")
        self.button.setText(title)
        self.button.setAutoRaise(True)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(body)
        self.button.setChecked(settings.read(name, "0") == "1")
        self._fold(self.button.isChecked())
        self.button.toggled.connect(self._fold)

    def _fold(self, shown):
        self._body.setVisible(shown)
        self.button.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        settings.write(self._name, int(shown))
        if shown:
            self.opened.emit()
            # Once it has its place.
            QTimer.singleShot(0, self._bring_into_sight)

    def _bring_into_sight(self):
        area = self.parent()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parent()
        if area is not None:
            area.ensureWidgetVisible(self._body)
            area.ensureWidgetVisible(self.button)
