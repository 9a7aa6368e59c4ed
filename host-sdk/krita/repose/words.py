"""Words for the user: English in the sources, other languages from the catalogues in `locale/` beside this file."""

import gettext
import os

from .qt import QLocale

DOMAIN = "repose"


def _languages():
    """The languages that Krita speaks: its own choice first, which it puts into the locale at start."""
    return [tag.replace("-", "_") for tag in QLocale().uiLanguages()]


_catalogue = gettext.translation(DOMAIN, os.path.join(os.path.dirname(__file__), "locale"), _languages(), fallback=True)
_ = _catalogue.gettext

# What the plugin says that it is doing (job_status), so that the catalogues have it.
STAGES = {
    "queued": _("queued"),
    "preparing": _("preparing"),
    "subject": _("subject"),
    "pose": _("pose"),
    "background": _("background"),
    "subject texture": _("subject texture"),
    "matte": _("matte"),
    "colours": _("colours"),
    "mesh": _("mesh"),
    "saving": _("saving"),
    "waiting": _("waiting"),
    "model": _("model"),
    "encoding": _("encoding"),
    "inverting": _("inverting"),
    "sampling": _("sampling"),
    "decoding": _("decoding"),
    "measuring": _("measuring"),
    "pictures of the class": _("pictures of the class"),
    "training": _("training"),
}


def stage(name):
    """A stage in the user's language; a newer plugin's own word as it is."""
    return STAGES.get(name, name)


def progress_line(status):
    """`Background — 42 % — about 7 s left`, as far as it is known."""
    name = stage(status.stage)
    parts = [name[:1].upper() + name[1:]]
    if status.total:
        parts.append(_("{percent} %").format(percent=100 * status.done // status.total))
    if status.eta_seconds >= 0:
        seconds = round(status.eta_seconds)
        if seconds >= 60:
            parts.append(_("about {minutes} min {seconds} s left").format(minutes=seconds // 60, seconds=seconds % 60))
        else:
            parts.append(_("about {seconds} s left").format(seconds=seconds))
    return " — ".join(parts)
