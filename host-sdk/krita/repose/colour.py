"""Which format a layer's pixels have, in the contract's words."""

import os
import tempfile
import zipfile
from collections import namedtuple

from krita import Krita

from . import abi
from .failure import Failure
from .words import _

Format = namedtuple("Format", "depth channels space icc pixel_bytes")

_DEPTHS = {
    "U8": (abi.REPOSE_DEPTH_U8, 1),
    "U16": (abi.REPOSE_DEPTH_U16, 2),
    "F16": (abi.REPOSE_DEPTH_F16, 2),
    "F32": (abi.REPOSE_DEPTH_F32, 4),
}
# Krita's own standard profiles. The names are theirs in every language.
_SPACES = {
    ("RGBA", "sRGB-elle-V2-srgbtrc.icc"): abi.REPOSE_SPACE_SRGB,
    ("RGBA", "sRGB built-in"): abi.REPOSE_SPACE_SRGB,
    ("RGBA", "sRGB-elle-V2-g10.icc"): abi.REPOSE_SPACE_LINEAR_SRGB,
    ("GRAYA", "Gray-D50-elle-V2-srgbtrc.icc"): abi.REPOSE_SPACE_SRGB,
    ("GRAYA", "Gray-D50-elle-V2-g10.icc"): abi.REPOSE_SPACE_LINEAR_SRGB,
}
_known = {}


def format_of(node):
    """The format of a layer's pixels. Fails for colour models that the plugin does not work in."""
    model, depth, profile = node.colorModel(), node.colorDepth(), node.colorProfile()
    if model not in ("RGBA", "GRAYA") or depth not in _DEPTHS:
        message = _("Repose works on RGB and grey layers; “{layer}” is {model}, {depth}. Convert it with "
                    "Layer ▸ Convert ▸ Convert Layer Color Space.")
        raise Failure(message.format(layer=node.name(), model=model, depth=depth))
    code, size = _DEPTHS[depth]
    if model == "GRAYA":
        channels, samples = abi.REPOSE_CHANNELS_GREY_ALPHA, 2
    else:
        # Krita keeps integers as blue, green, red and floats as red, green, blue (libs/libkis/Node.h).
        channels = abi.REPOSE_CHANNELS_BGRA if depth in ("U8", "U16") else abi.REPOSE_CHANNELS_RGBA
        samples = 4
    space = _SPACES.get((model, profile))
    if space is not None:
        return Format(code, channels, space, None, samples * size)
    return Format(code, channels, abi.REPOSE_SPACE_ICC, profile_bytes(model, depth, profile), samples * size)


def profile_bytes(model, depth, profile):
    """An ICC profile that Krita knows by this name. Krita's scripts see only names, but its files hold the profile: a
    picture of one pixel is saved, and read. This finds profiles embedded in pictures too, which lie in no folder."""
    key = (model, profile)
    if key not in _known:
        _known[key] = _saved_profile(model, depth, profile)
    return _known[key]


def _saved_profile(model, depth, profile):
    missing = Failure(_("The colour profile “{profile}” cannot be read. Convert the layer to sRGB, or install the "
                        "profile.").format(profile=profile), abi.REPOSE_FILES)
    sample = Krita.instance().createDocument(1, 1, "profile", model, depth, profile, 72.0)
    if sample is None:
        raise missing
    try:
        if sample.colorProfile() != profile:
            raise missing
        sample.setBatchmode(True)
        with tempfile.TemporaryDirectory(prefix="repose-") as folder:
            path = os.path.join(folder, "profile.kra")
            if not sample.saveAs(path):
                raise missing
            with zipfile.ZipFile(path) as archive:
                entry = next((name for name in archive.namelist() if name.endswith("/annotations/icc")), None)
                data = archive.read(entry) if entry else b""
    except (OSError, zipfile.BadZipFile) as error:
        raise missing from error
    finally:
        sample.close()
    # Byte 36 of every ICC profile (ISO 15076-1, 7.2.9).
    if data[36:40] != b"acsp":
        raise missing
    return data
