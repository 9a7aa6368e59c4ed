"""How a text model draws a pose in words: all that the prompt does not say."""

from . import settings
from .engine import shared
from .failure import Failure
from .qt import (QComboBox, QDoubleSpinBox, QFileDialog, QFormLayout, QHBoxLayout, QLabel, QLineEdit, QSpinBox, QTimer,
                 QToolButton, QWidget, pyqtSignal)
from .words import _

# Between two looks whether the list of models has come, in milliseconds.
_PACE = 60
# The contract's names for samplers, which users know by these.
_SAMPLERS = ("ddim", "dpm++2m", "dpm++2m-karras", "euler-a", "unipc", "lcm")
_FAMILIES = {"sd1": "Stable Diffusion 1.x", "sd2": "Stable Diffusion 2.x", "sdxl": "Stable Diffusion XL"}


class TextPart(QWidget):
    """Model, negative prompt, what the picture shows now, and numbers that are left to the model until they are set.

    `found` when it is known which models there are; `failed` with a sentence when a folder cannot be used.
    """

    found = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(self):
        super().__init__()
        self._reply, self._then, self._next = None, None, None
        self.problem = ""
        self.ready = False
        self._model = QComboBox()
        self._model.setObjectName("repose_model")
        self._model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        folder = QToolButton()
        folder.setText("…")
        folder.setToolTip(_("Name a folder in which text models lie, such as ComfyUI's"))
        folder.clicked.connect(self._ask_folder)
        row = QHBoxLayout()
        row.addWidget(self._model, 1)
        row.addWidget(folder)
        self._none = QLabel()
        self._none.setObjectName("repose_no_model")
        self._none.setWordWrap(True)
        self._negative = QLineEdit(settings.read("text-negative"))
        self._negative.setObjectName("repose_negative")
        self._negative.setToolTip(_("What must not be seen"))
        self.source = QLineEdit()
        self.source.setObjectName("repose_source")
        self.source.setToolTip(_("What the picture shows now, in the words of the prompt but for the pose"))
        self._strength = _decimal(1.0, 0.05, 2, "text-strength")
        self._strength.setToolTip(_("How far the picture may change"))
        self._guidance = _decimal(50.0, 0.5, 1, "text-guidance")
        self._guidance.setToolTip(_("How closely the prompt is followed"))
        self._steps = QSpinBox()
        self._steps.setObjectName("repose_steps")
        self._steps.setRange(0, 1000)
        self._steps.setValue(settings.read_number("text-steps", 0))
        self._steps.setToolTip(_("More steps take longer and are more exact"))
        for field in (self._strength, self._guidance, self._steps):
            field.setSpecialValueText(_("auto"))
        self._sampler = QComboBox()
        self._sampler.addItem(_("auto"), "")
        for name in _SAMPLERS:
            self._sampler.addItem(name, name)
        self._sampler.setCurrentIndex(max(0, self._sampler.findData(settings.read("text-sampler"))))
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        # Long names and sentences have the docker's whole width.
        for label, field in ((_("Model"), row), (None, self._none), (_("The picture now"), self.source),
                             (_("Without"), self._negative)):
            if label:
                form.addRow(QLabel(label))
            form.addRow(field)
        form.addRow(_("Strength"), self._strength)
        form.addRow(_("Guidance"), self._guidance)
        form.addRow(_("Steps"), self._steps)
        form.addRow(_("Sampler"), self._sampler)
        self._timer = QTimer(self)
        self._timer.setInterval(_PACE)
        self._timer.timeout.connect(self._hear)
        self._show([], _("Looking for text models…"))

    # ---- models ----

    def look(self):
        """Asks which models there are, without waiting: there may be many, on slow disks."""
        self._ask({"command": "models"}, self._list)

    def _ask(self, command, then):
        if self._reply is not None:
            self._next = command, then
            return
        try:
            self._reply, self._then = shared().library_later(**command), then
        except Failure as failure:
            self.failed.emit(str(failure))
            return
        self._timer.start()

    def _hear(self):
        if self._reply is None or not self._reply.there():
            return
        (reply, then), self._reply, self._then = (self._reply, self._then), None, None
        self._timer.stop()
        try:
            then(reply.answer())
        except Failure as failure:
            self.failed.emit(str(failure))
        if self._next is not None and self._reply is None:
            (command, then), self._next = self._next, None
            self._ask(command, then)

    def _list(self, answer):
        models = [model for model in answer["models"] if not model["problem"]]
        broken = [model for model in answer["models"] if model["problem"]]
        if models:
            sentence = ""
        elif broken:
            sentence = f"{broken[0]['name']}: {broken[0]['problem']}"
        else:
            sentence = _("No text model was found: put a Stable Diffusion checkpoint (.safetensors) into {folder}, or name "
                         "a folder of models with “…”.").format(folder=answer["folders"]["own"])
        self.ready = True
        # The only one there is need not be named; among several, also broken ones, it must be.
        self._show([(_label(model), model["name"] if len(answer["models"]) > 1 else "") for model in models], sentence)

    def _show(self, models, sentence):
        wanted = self._model.currentData() or settings.read("text-model")
        self._model.clear()
        for label, name in models:
            self._model.addItem(label, name)
        self._model.setCurrentIndex(max(0, self._model.findData(wanted)) if models else -1)
        self._model.setEnabled(bool(models))
        self._none.setText(sentence)
        self._none.setVisible(bool(sentence))
        self.problem = sentence
        self.found.emit()

    def _ask_folder(self):
        dialog = QFileDialog(self, _("Folder of text models"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self._name_folder)
        # Not `exec`: an event loop inside Krita's own one does harm there.
        dialog.open()

    def _name_folder(self, path):
        self._ask({"command": "model-folder-add", "path": path}, lambda _answer: self.look())

    # ---- values ----

    def values(self):
        """Options of `task.repose`; all but what the picture shows are remembered."""
        values = {
            "model": self._model.currentData() or "",
            "negative": self._negative.text().strip(),
            "sampler": self._sampler.currentData(),
            "strength": self._strength.value(),
            # There is no guidance between none and 1.
            "guidance": self._guidance.value() if self._guidance.value() >= 1 else 0.0,
            "steps": self._steps.value(),
        }
        for name, value in values.items():
            if name != "model" or value:
                settings.write(f"text-{name}", value)
        return {**values, "source": self.source.text().strip()}


def _label(model):
    about = [_FAMILIES.get(model["family"], ""), _("inpainting") if model["inpainting"] else ""]
    about = ", ".join(filter(None, about))
    return f"{model['name']} ({about})" if about else model["name"]


def _decimal(most, step, decimals, name):
    field = QDoubleSpinBox()
    field.setRange(0.0, most)
    field.setSingleStep(step)
    field.setDecimals(decimals)
    try:
        field.setValue(float(settings.read(name, 0)))
    except ValueError:
        pass
    return field
