"""What an erase needs to know, and the fields that a re-pose has too."""

from . import settings
from .qt import QFormLayout, QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget, pyqtSignal
from .words import _

# Seeds that a spin box can hold; the contract takes 64 bits.
_MOST_SEED = 2**31 - 1


class Common:
    """Candidates, seed and growth of the selection."""

    def __init__(self, kind, grow):
        self._kind = kind
        self.candidates = _spin(1, 16, settings.read_number(f"{kind}-candidates", 1))
        self.candidates.setToolTip(_("Results to choose from"))
        self.seed = _spin(0, _MOST_SEED, settings.read_number(f"{kind}-seed", 0))
        self.seed.setToolTip(_("The same settings and seed give the same pixels"))
        self.grow = _spin(0, 256, settings.read_number(f"{kind}-grow", grow))
        self.grow.setSuffix(_(" px"))
        self.grow.setToolTip(_("What a tight selection leaves of the subject is cleared this far around it"))

    def add_to(self, form):
        form.addRow(_("Candidates"), self.candidates)
        form.addRow(_("Seed"), self.seed)
        form.addRow(_("Grow selection by"), self.grow)

    def values(self):
        """Options of `task.repose` and `task.erase`; they are remembered."""
        values = {"candidates": self.candidates.value(), "seed": self.seed.value(), "grow": self.grow.value()}
        for name, value in values.items():
            settings.write(f"{self._kind}-{name}", value)
        return values


def _spin(least, most, value):
    spin = QSpinBox()
    spin.setRange(least, most)
    spin.setValue(value)
    return spin


class ErasePanel(QWidget):
    """Candidates, seed, growth; `asked` with the options of `task.erase`."""

    asked = pyqtSignal(dict)

    def __init__(self, parent=None):
        super().__init__(parent)
        hint = QLabel(_("Select what shall go. The background is restored on a new layer."))
        hint.setWordWrap(True)
        self._common = Common("erase", 3)
        self.button = QPushButton(_("Erase"))
        self.button.setObjectName("repose_erase_button")
        self.button.clicked.connect(lambda: self.asked.emit(self._common.values()))
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._common.add_to(form)
        layout = QVBoxLayout(self)
        layout.addWidget(hint)
        layout.addLayout(form)
        layout.addStretch(1)
