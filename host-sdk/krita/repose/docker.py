"""The docker: what the user asks for in its panels becomes tasks; what the tasks say is shown."""

from krita import DockWidget, Krita

from . import task, views
from .candidate_list import SIDE, CandidateList
from .erase_panel import ErasePanel
from .failure import Failure
from .learn_panel import LearnPanel
from .pixels import all_layers, paint_layer, paint_layers
from .pose_panel import PosePanel
from .qt import QDockWidget, QMainWindow, QRect, QScrollArea, QTabWidget, Qt, QTimer, QVBoxLayout, QWidget
from .run_bar import RunBar
from .runner import Runner, cancelled
from .vector_pins import pins_of
from .words import _

# Krita tells scripts of no change of the selection or the active layer: this often it is looked at, in milliseconds.
_LOOK = 700
# What the picture with the pins and the fields beside it need, in pixels.
_HEIGHT = 480
# Krita makes a new layer the active one a little after it was added; in milliseconds.
_SETTLE = 150
LEARN, POSE, ERASE = range(3)


class ReposeDocker(DockWidget):
    """One per window of Krita."""

    def __init__(self):
        super().__init__()
        self.setWindowTitle("Repose")
        self.learn, self.pose, self.erase = LearnPanel(), PosePanel(), ErasePanel()
        self.bar, self.candidates = RunBar(), CandidateList()
        self.runner = Runner(self)
        self._seen, self._pinned, self._waiting, self._listed = None, None, None, False
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for panel, title in ((self.learn, _("Learn")), (self.pose, _("Re-pose")), (self.erase, _("Erase"))):
            self.tabs.addTab(_scrolled(panel), title)
        self.tabs.currentChanged.connect(self._turn_to)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.candidates)
        # Outside of what scrolls: the one button that matters is always in sight.
        for panel in self._panels():
            layout.addWidget(panel.button)
        layout.addWidget(self.bar)
        self.setWidget(body)
        self.learn.asked.connect(lambda options: self._begin(task.learn, options))
        self.pose.asked.connect(self._begin_pose)
        self.erase.asked.connect(lambda options: self._begin(task.erase, options))
        self.pose.vector_asked.connect(self._read_vector)
        self.pose.text.failed.connect(lambda sentence: self.bar.say(sentence, failed=True))
        self.bar.stop.connect(self.runner.stop)
        self.candidates.used.connect(self._use)
        self.runner.progressed.connect(self.bar.show_status)
        self.runner.previewed.connect(self.pose.view.show_live)
        self.runner.done.connect(self._done)
        self.runner.failed.connect(self._failed)
        self._timer = QTimer(self)
        self._timer.setInterval(_LOOK)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self._turn_to(LEARN)

    def _panels(self):
        return self.learn, self.pose, self.erase

    def _turn_to(self, tab):
        self._show_buttons()
        if tab == POSE and self._listed:
            # GIMP may have learned something meanwhile.
            self._refresh_subjects()
        if tab == POSE:
            self.pose.text.look()
        self._look()

    def _show_buttons(self):
        for index, panel in enumerate(self._panels()):
            panel.button.setVisible(self.runner.idle and index == self.tabs.currentIndex())

    def canvasChanged(self, canvas):  # noqa: N802, Krita calls it so
        self._look()

    def open_at(self, tab):
        """Shows the docker at one of its panels."""
        self.setVisible(True)
        self.raise_()
        self.tabs.setCurrentIndex(tab)
        QTimer.singleShot(0, self._make_room)

    def _make_room(self):
        """Krita puts a new docker below all others, too low to set pins in: it goes to where the brush presets are."""
        main = self.window()
        if self.isFloating() or self.height() >= _HEIGHT or not isinstance(main, QMainWindow):
            return
        presets = main.findChild(QDockWidget, "PresetDocker")
        if presets is not None and presets.isVisible() and not presets.isFloating():
            main.tabifyDockWidget(presets, self)
            self.raise_()
        main.resizeDocks([self], [_HEIGHT], Qt.Orientation.Vertical)

    # ---- the picture ----

    def _look(self):
        """Shows what is in front of the user now, if it is not what was shown before."""
        if not self.isVisible() or not self.runner.idle:
            return
        if not self._listed:
            self._listed = True
            self._refresh_subjects()
        document = Krita.instance().activeDocument()
        try:
            node = paint_layer(document) if document is not None else None
        except Failure as failure:
            self._show_nothing(str(failure))
            return
        if document is None:
            self._show_nothing(_("Open a picture."))
            return
        selection = document.selection()
        chosen = QRect()
        if selection is not None and selection.width() > 0:
            chosen = QRect(selection.x(), selection.y(), selection.width(), selection.height())
        seen = (document.rootNode().uniqueId(), node.uniqueId(), document.width(), document.height(),
                (chosen.x(), chosen.y(), chosen.width(), chosen.height()))
        if seen == self._seen:
            return
        if seen[0] != self._pinned:
            self.pose.forget_picture()
        self._seen, self._pinned = seen, seen[0]
        canvas = QRect(0, 0, document.width(), document.height())
        region = _around(chosen, canvas) if not chosen.isEmpty() else canvas
        shade = views.unselected(selection, region) if not chosen.isEmpty() else None
        self.pose.view.show_scene(views.layer_image(document, node, region), region, shade)
        self.pose.show_guides([(layer.name(), layer.uniqueId()) for layer in paint_layers(document.rootNode())
                               if layer.uniqueId() != node.uniqueId()])

    def _show_nothing(self, hint):
        if self._seen != hint:
            self._seen = hint
            self.pose.view.show_nothing(hint)

    def _refresh_subjects(self, choose=""):
        try:
            self.pose.subjects.refresh(choose)
        except Failure as failure:
            self.bar.say(str(failure), failed=True)

    def _read_vector(self):
        document = Krita.instance().activeDocument()
        try:
            if document is None:
                raise Failure(_("Open a picture."))
            layers = [layer for layer in all_layers(document.rootNode()) if layer.type() == "vectorlayer"]
            layers = [layer for layer in layers if layer.visible()] or layers
            if not layers:
                raise Failure(_("There is no vector layer: draw lines on one from where points are to where they shall "
                                "go, and dots on what shall stay."))
            self.pose.view.set_pins(pins_of(layers[-1], document))
        except Failure as failure:
            self.bar.say(str(failure), failed=True)
            return
        self._pinned = document.rootNode().uniqueId()
        active = document.activeNode()
        drawing = active is not None and active.type() == "vectorlayer"
        self.bar.say(_("The pins are set: now click the layer to work on.") if drawing else "")

    # ---- jobs ----

    def _begin_pose(self, options):
        document = Krita.instance().activeDocument()
        guide = options.pop("guide")
        if document is not None and guide is not None:
            options["guide"] = next((layer for layer in paint_layers(document.rootNode())
                                     if layer.uniqueId() == guide), None)
        self._begin(task.repose, options)

    def _begin(self, kind, options):
        """Begins a job on the active document."""
        self._drop_candidates()
        try:
            document = Krita.instance().activeDocument()
            if document is None:
                raise Failure(_("Open a picture."))
            if kind is task.repose and not options["subject"]:
                raise Failure(_("Learn a subject first."))
            begun = kind(document, **options)
        except Failure as failure:
            self.bar.say(str(failure), failed=True)
            return
        self.bar.begin()
        self.runner.start(begun)
        self._show_buttons()

    def _done(self, begun, status):
        self._ended()
        learned = status.layers == 0
        try:
            if begun.candidates > 1:
                self._offer(begun, status)
                return
            if learned:
                self.bar.say(_("“{name}” was learned.").format(name=begun.name))
            else:
                self._insert(begun, status)
        except Failure as failure:
            self.bar.say(str(failure), failed=True)
        begun.job.free()
        if learned:
            self._refresh_subjects(begun.name)
            self.tabs.setCurrentIndex(POSE)

    def _offer(self, begun, status):
        """Keeps the job until one of its candidates is chosen."""
        try:
            document = begun.here()
            images = views.candidates(document, begun.node(document) or document.topLevelNodes()[-1],
                                      begun.job.layers(status.layers), begun.formats, SIDE)
        except Failure as failure:
            begun.job.free()
            self.bar.say(str(failure), failed=True)
            return
        self._waiting = begun, status
        self.candidates.offer(images)

    def _insert(self, begun, status, number=None):
        begun.insert(status, number)
        self.bar.say(_("The result is on new layers."))
        # A closure, for Qt would not keep a bound method of ours alive.
        QTimer.singleShot(_SETTLE, lambda: begun.activate())

    def _use(self, number):
        if self._waiting is None:
            return
        # Krita handles events while it adds layers, a second click among them: nothing may be waiting by then.
        (begun, status), self._waiting = self._waiting, None
        self.candidates.withdraw()
        try:
            self._insert(begun, status, number)
        except Failure as failure:
            self.bar.say(str(failure), failed=True)
        begun.job.free()

    def _drop_candidates(self):
        if self._waiting is not None:
            self._waiting[0].job.free()
            self._waiting = None
        self.candidates.withdraw()

    def _failed(self, message, code):
        self._ended()
        self.bar.say(_("Stopped. Nothing was changed.") if cancelled(code) else message, failed=not cancelled(code))

    def _ended(self):
        self.bar.end()
        self.pose.view.show_live(None)
        self._show_buttons()


def _scrolled(panel):
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setWidget(panel)
    return area


def _around(chosen, canvas):
    """The selection with room to drag pins to."""
    room = max(24, max(chosen.width(), chosen.height()) // 3)
    return chosen.adjusted(-room, -room, room, room).intersected(canvas)
