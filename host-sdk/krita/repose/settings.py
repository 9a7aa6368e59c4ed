"""What was last used, kept where Krita keeps its own settings."""

from krita import Krita

_GROUP = "repose"


def read(name, default=""):
    return Krita.instance().readSetting(_GROUP, name, str(default))


def read_number(name, default):
    """A whole number; the default if there is none."""
    try:
        return int(read(name, default))
    except ValueError:
        return default


def write(name, value):
    Krita.instance().writeSetting(_GROUP, name, str(value))
