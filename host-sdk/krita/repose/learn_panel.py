"""What a learn needs to know."""

from . import settings
from .engine import shared
from .failure import Failure
from .qt import QCheckBox, QComboBox, QFormLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget, pyqtSignal
from .words import _

# The contract's names for recipes, and what their papers call them; without one, the embedded engine alone learns.
_RECIPES = (("repose", "Repose"), ("custom-diffusion", "Custom Diffusion"), ("single-insert", "SingleInsert"),
            ("textual-inversion", "Textual Inversion"), ("dreambooth-lora", "DreamBooth LoRA"), ("detex", "DETEX"),
            ("lipe", "LIPE"), ("dream-tuner", "DreamTuner"), ("reference", "Reference"))


class LearnPanel(QWidget):
    """Name, consent, edge, recipe, words; `asked` with the options of `task.learn`."""

    asked = pyqtSignal(dict)

    def __init__(self, parent=None):
        super().__init__(parent)
        hint = QLabel(_("Select the subject in the picture and give it a name."))
        hint.setWordWrap(True)
        self._name = QLineEdit()
        self._name.setObjectName("repose_name")
        self._name.setMaxLength(80)
        self._consent = QLineEdit(settings.read("consent"))
        self._consent.setObjectName("repose_consent")
        self._consent.setPlaceholderText(_("such as: my own photo, for my own use"))
        self._person = QCheckBox(_("A real person's likeness"))
        self._agrees = QCheckBox(_("The person has said yes"))
        self._agrees.setEnabled(False)
        self._person.toggled.connect(self._agrees.setEnabled)
        self._person.toggled.connect(lambda on: on or self._agrees.setChecked(False))
        self._expires = QLineEdit()
        self._expires.setPlaceholderText(_("no end"))
        self._edge = QComboBox()
        for label, value in ((_("Automatic"), "auto"), (_("Refine"), "refine"), (_("As selected"), "as-selected")):
            self._edge.addItem(label, value)
        self._edge.setCurrentIndex(max(0, self._edge.findData(settings.read("edge", "auto"))))
        self._recipe = QComboBox()
        self._recipe.setObjectName("repose_recipe")
        self._recipe.addItem(_("Patch (embedded)"), "")
        for recipe, label in _RECIPES:
            self._recipe.addItem(label, recipe)
        self._recipe.setToolTip(_("All but the first also teach the subject to a text model, which takes minutes or hours; "
                                  "Reference trains nothing, each pose looks at this picture instead; "
                                  "LIPE wants to know what the subject does in the picture"))
        self._model = QLineEdit()
        self._model.setObjectName("repose_learn_model")
        self._model.setPlaceholderText(_("the only one there is"))
        self._model.setToolTip(_("The text model that learns; poses in words need the same one"))
        self._model.setEnabled(False)
        self._takes = QLabel()
        self._takes.setObjectName("repose_takes")
        self._takes.setWordWrap(True)
        self._takes.hide()
        self._recipe.currentIndexChanged.connect(self._chosen)
        self._model.editingFinished.connect(self._chosen)
        self._word = QLineEdit()
        self._word.setObjectName("repose_word")
        self._word.setPlaceholderText(_("such as: teddy bear"))
        self._word.setToolTip(_("For poses in words; English is understood best"))
        self._word.editingFinished.connect(self._propose)
        self._caption = QLineEdit()
        self._caption.setObjectName("repose_caption")
        self._caption.setPlaceholderText(_("such as: a teddy bear sitting on a rock"))
        self._caption.setToolTip(_("For poses in words; English is understood best. Say also what the subject does: what is not "
                                   "said is learned as a part of the subject"))
        self._proposed = ""
        self.button = QPushButton(_("Learn"))
        self.button.setObjectName("repose_learn_button")
        self.button.clicked.connect(self._ask)
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(_("Name"), self._name)
        form.addRow(QLabel(_("Who allows it, and for what")))
        form.addRow(self._consent)
        form.addRow(self._person)
        form.addRow(self._agrees)
        form.addRow(_("Valid until (YYYY-MM-DD)"), self._expires)
        form.addRow(_("Edge"), self._edge)
        form.addRow(_("Recipe"), self._recipe)
        # A name needs the docker's whole width.
        form.addRow(QLabel(_("Model")))
        form.addRow(self._model)
        form.addRow(self._takes)
        for label, field in ((_("The subject is"), self._word), (_("The picture shows"), self._caption)):
            form.addRow(QLabel(label))
            form.addRow(field)
        layout = QVBoxLayout(self)
        layout.addWidget(hint)
        layout.addLayout(form)
        layout.addStretch(1)

    def _chosen(self):
        recipe = self._recipe.currentData()
        self._model.setEnabled(bool(recipe))
        self._takes.setText(takes(recipe, self._model.text().strip()) if recipe else "")
        self._takes.setVisible(bool(self._takes.text()))

    def _propose(self):
        """Says what the picture shows from what the subject is, until the user says more."""
        if self._caption.text().strip() in ("", self._proposed):
            self._proposed = proposed(self._word.text().strip())
            self._caption.setText(self._proposed)

    def _ask(self):
        settings.write("consent", self._consent.text())
        settings.write("edge", self._edge.currentData())
        self.asked.emit({
            "name": self._name.text().strip(),
            "consent": self._consent.text().strip(),
            "person": self._person.isChecked(),
            "person_agrees": self._agrees.isChecked(),
            "expires": self._expires.text().strip() or None,
            "refine": self._edge.currentData(),
            "caption": self._caption.text().strip(),
            "word": self._word.text().strip(),
            "recipe": self._recipe.currentData(),
            "model": self._model.text().strip() if self._recipe.currentData() else "",
        })


def proposed(word):
    """What a picture of such a subject may be said to show."""
    try:
        return shared().library(command="caption", word=word)["caption"] if word else ""
    except Failure:
        # Whatever is wrong is said when the user learns.
        return ""


def takes(recipe, model):
    """How long a recipe takes here, as far as that is known, and what it wants."""
    try:
        recipes = shared().library(command="recipes", model=model or None)["recipes"]
    except Failure:
        return ""
    time = _time(next((one for one in recipes if one["name"] == recipe), {}))
    if recipe == "lipe":
        return f'{time} {_("Say what the subject does where it says what the picture shows.")}'
    return time


def _time(one):
    if one.get("steps") == 0:
        return _("Nothing is trained: learning takes a moment, and each pose looks at this picture.")
    if one.get("seconds") is None:
        return _("How long it takes here is known once the model has begun to learn something.")
    minutes = max(1, round(one["seconds"] / 60))
    if one["memory"] is None:
        return _("It takes about {minutes} min here.").format(minutes=minutes)
    gigabytes = f'{one["memory"] / 1e9:.1f}'
    return _("It takes about {minutes} min and {gigabytes} GB of memory here.").format(minutes=minutes, gigabytes=gigabytes)
