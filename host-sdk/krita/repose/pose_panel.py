"""What a re-pose needs to know: subject, pins on the picture, and the rest."""

import math

from .erase_panel import Common
from .fold import Fold
from .pin_view import PinView
from .qt import (QComboBox, QDoubleSpinBox, QFormLayout, QGridLayout, QHBoxLayout, QLabel, QLineEdit, QPushButton,
                 QVBoxLayout, QWidget, pyqtSignal)
from .subject_list import SubjectList
from .text_part import TextPart
from .words import _

# Below every angle that can be asked for: the turn is left free.
_FREE = -361.0


class PosePanel(QWidget):
    """`asked` with the options of `task.repose`; `vector_asked` for pins from a vector layer."""

    asked = pyqtSignal(dict)
    vector_asked = pyqtSignal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.subjects = SubjectList()
        self.view = PinView()
        self.view.setAccessibleName(_("Pins"))
        self.view.changed.connect(self._pins_changed)
        self.view.selected.connect(self._show_pin)
        hint = QLabel(_("Click to set a pin, drag it to where that point shall go, right-click to remove it. "
                        "A pin that is not dragged holds its place."))
        hint.setWordWrap(True)
        hint.setStyleSheet("font-size: 11px;")
        self.remove = _button(_("Remove Pin"), self.view.remove_current)
        self.clear = _button(_("Clear Pins"), lambda: self.view.set_pins([]))
        self.vector = _button(_("Pins from Vector Layer"), self.vector_asked.emit)
        self.vector.setToolTip(_("An open line is a pin from its first point to its last; a closed shape holds its "
                                 "place."))
        self._turn = _number(_FREE, 360.0, _FREE, 1.0, 0)
        self._turn.setSpecialValueText(_("free"))
        self._turn.setSuffix("°")
        self._depth = _number(-1000.0, 1000.0, 0.0, 1.0, 1)
        self._depth.setToolTip(_("Where parts overlap, the larger depth is in front"))
        self._turn.valueChanged.connect(self._turned)
        self._depth.valueChanged.connect(lambda value: self.view.change_current(depth=value))
        self._pin_fields = QWidget()
        pin = QHBoxLayout(self._pin_fields)
        pin.setContentsMargins(0, 0, 0, 0)
        for label, field in ((_("Turn"), self._turn), (_("Depth"), self._depth)):
            pin.addWidget(QLabel(label))
            pin.addWidget(field, 1)
        buttons = QGridLayout()
        buttons.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.remove, 0, 0)
        buttons.addWidget(self.clear, 0, 1)
        buttons.addWidget(self.vector, 1, 0, 1, 2)
        self._prompt = QLineEdit()
        self._prompt.setObjectName("repose_prompt")
        self._prompt.setToolTip(_("With a prompt, a text model draws the pose; pins, if there are any, say roughly where. "
                                  "Without one, pins bend the subject as it is."))
        self.text = TextPart()
        self.text.found.connect(self._show_words)
        self.subjects.chosen.connect(lambda _name: self._show_words())
        text_fold = Fold("text", _("Text model"), self.text)
        text_fold.opened.connect(self.text.look)
        prompt = QHBoxLayout()
        prompt.addWidget(QLabel(_("Prompt")))
        prompt.addWidget(self._prompt, 1)
        self.button = QPushButton(_("Re-pose"))
        self.button.setObjectName("repose_pose_button")
        self.button.clicked.connect(self._ask)
        layout = QVBoxLayout(self)
        layout.setSpacing(4)
        layout.addWidget(QLabel(_("Subject")))
        layout.addWidget(self.subjects)
        layout.addLayout(prompt)
        layout.addWidget(QLabel(_("Pins")))
        layout.addWidget(self.view, 1)
        layout.addWidget(hint)
        layout.addWidget(self._pin_fields)
        layout.addLayout(buttons)
        layout.addWidget(text_fold)
        layout.addWidget(Fold("more", _("More"), self._made_more()))
        self._show_pin()
        self._show_words()

    def _made_more(self):
        """Placement, guide and what an erase has too."""
        self._move_x = _number(-100000.0, 100000.0, 0.0, 1.0, 1)
        self._move_y = _number(-100000.0, 100000.0, 0.0, 1.0, 1)
        for field in (self._move_x, self._move_y):
            field.setSuffix(_(" px"))
        self._scale = _number(0.05, 20.0, 1.0, 0.05, 2)
        self._rotate = _number(-360.0, 360.0, 0.0, 1.0, 1)
        self._rotate.setSuffix("°")
        self._guide = QComboBox()
        self._guide.setToolTip(_("A layer with a rough edit of the subject in its new pose"))
        self.show_guides([])
        self._common = Common("repose", 3)
        more = QWidget()
        form = QFormLayout(more)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(_("Move X"), self._move_x)
        form.addRow(_("Move Y"), self._move_y)
        form.addRow(_("Scale"), self._scale)
        form.addRow(_("Rotate"), self._rotate)
        form.addRow(_("Guide layer"), self._guide)
        self._common.add_to(form)
        return more

    def show_guides(self, layers):
        """The layers that can be a guide: pairs of name and unique id."""
        now = self._guide.currentData()
        self._guide.clear()
        self._guide.addItem(_("None"), None)
        for name, uid in layers:
            self._guide.addItem(name, uid)
        self._guide.setCurrentIndex(max(0, self._guide.findData(now)) if now is not None else 0)

    def forget_picture(self):
        """Drops what was said about the picture that was shown before: its pins, and what it shows."""
        self.view.set_pins([])
        self.text.source.clear()

    def _show_words(self):
        """What the fields for words expect, as far as the models and the subject are known."""
        word, caption = self.subjects.words()
        if not self.text.ready:
            self._prompt.setPlaceholderText("")
        elif self.text.problem:
            self._prompt.setPlaceholderText(_("Needs a text model; none was found."))
        elif word:
            self._prompt.setPlaceholderText(_("in English, with “{word}” in it").format(word=word))
        else:
            self._prompt.setPlaceholderText(_("such as: a teddy bear waving"))
        self.text.source.setPlaceholderText(caption or _("such as: a teddy bear on a rock"))

    def _pins_changed(self):
        any_pin = bool(self.view.pins)
        self.clear.setEnabled(any_pin)
        self.remove.setEnabled(any_pin)

    def _show_pin(self):
        """The selected pin's turn and depth in their fields."""
        there = 0 <= self.view.current < len(self.view.pins)
        self._pin_fields.setEnabled(there)
        pin = self.view.pins[self.view.current] if there else None
        for field, value in ((self._turn, _FREE if pin is None or math.isnan(pin.angle) else pin.angle),
                             (self._depth, pin.depth if pin else 0.0)):
            field.blockSignals(True)
            field.setValue(value)
            field.blockSignals(False)
        self._pins_changed()

    def _turned(self, value):
        # One step up from "free" is no turn at all, not a turn by the least angle.
        if _FREE < value < -360.0 + 1e-6 and self.view.pins and math.isnan(self.view.pins[self.view.current].angle):
            value = 0.0
            self._turn.blockSignals(True)
            self._turn.setValue(value)
            self._turn.blockSignals(False)
        self.view.change_current(angle=math.nan if value <= _FREE else value)

    def _ask(self):
        self.asked.emit({
            "subject": self.subjects.subject(),
            "pins": list(self.view.pins),
            "guide": self._guide.currentData(),
            "prompt": self._prompt.text().strip(),
            **self.text.values(),
            "move": (self._move_x.value(), self._move_y.value()),
            "scale": self._scale.value(),
            "angle": self._rotate.value(),
            **self._common.values(),
        })


def _button(text, pressed):
    button = QPushButton(text)
    button.clicked.connect(lambda: pressed())
    return button


def _number(least, most, value, step, decimals):
    field = QDoubleSpinBox()
    field.setRange(least, most)
    field.setDecimals(decimals)
    field.setSingleStep(step)
    field.setValue(value)
    return field
