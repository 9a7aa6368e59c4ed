"""The entries in Tools ▸ Scripts ▸ Repose, which open the docker where the work is done."""

from krita import Extension, Krita

from . import docker, engine
from .qt import QCoreApplication, QDockWidget, QMenu
from .words import _

DOCKER = "repose_docker"


class ReposeExtension(Extension):
    """Made once by Krita; makes the entries for every window."""

    def setup(self):
        application = QCoreApplication.instance()
        if application is not None:
            # Before Python and Qt are taken down, while the plugin's thread can still be joined.
            application.aboutToQuit.connect(engine.close_shared)

    def createActions(self, window):  # noqa: N802, Krita calls it so
        parent = window.createAction("repose_menu", "Repose", "tools/scripts")
        menu = QMenu("repose_menu", window.qwindow())
        parent.setMenu(menu)
        for name, text, tab in (("repose_learn", _("Learn Subject from Selection…"), docker.LEARN),
                                ("repose_pose", _("Re-pose Subject…"), docker.POSE),
                                ("repose_erase", _("Erase Subject…"), docker.ERASE)):
            action = window.createAction(name, text, "tools/scripts/repose_menu")
            # The text in the .action file, which is English, would win.
            action.setText(text)
            action.triggered.connect(lambda _checked=False, tab=tab: _open(tab))


def _open(tab):
    window = Krita.instance().activeWindow()
    found = window.qwindow().findChild(QDockWidget, DOCKER) if window else None
    if found is not None:
        found.open_at(tab)
