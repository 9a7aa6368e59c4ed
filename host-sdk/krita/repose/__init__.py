"""Repose in Krita: learn a subject from a selection, re-pose it, and leave every other pixel alone.

`extension` has the menu entries, `docker` what the user sees; `task` is one job on a document, `pixels` and `results`
its way into the plugin and back, `engine` the plugin itself by the contract in `abi`; `script` is for scripts.
"""

import os
import sys

from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita


def _register():
    from .docker import ReposeDocker
    from .extension import DOCKER, ReposeExtension

    krita = Krita.instance()
    krita.addExtension(ReposeExtension(krita))
    krita.addDockWidgetFactory(DockWidgetFactory(DOCKER, DockWidgetFactoryBase.DockPosition.DockRight, ReposeDocker))


# kritarunner has no windows, and imports this package only when a script does.
if "kritarunner" not in os.path.basename(sys.argv[0] if getattr(sys, "argv", None) else ""):
    _register()
